"""A real server of names, of zones that a test writes, on 127.0.0.1."""

import contextlib
import socket
import struct
import subprocess

import pytest

import postfix
from daemon import DEADLINE, wait_for
from names import wire

PROGRAM = postfix.PEERS / "usr" / "sbin" / "nsd"
SERVER = """server:
 ip-address: 127.0.0.1
 port: {port}
 username: ""
 chroot: ""
 database: ""
 pidfile: ""
 zonesdir: "{folder}"
 zonelistfile: "{folder}/list"
 xfrdfile: "{folder}/xfrd"
 xfrdir: "{folder}"
 server-count: 1
 rrl-ratelimit: 0
remote-control:
 control-enable: no
"""
ZONE = 'zone:\n name: "{zone}"\n zonefile: "{zone}"\n'
HEAD = """$ORIGIN {zone}.
$TTL 60
@ IN SOA ns root 1 3600 600 86400 60
@ IN NS ns
ns IN A 127.0.0.1
"""
TESTED = ["2.0.0.127 A 127.0.0.2"]  # what each list of clients has
SOA = 6


def serves(port, zone):
    """Does it answer for this one? It listens before it has read them."""
    with contextlib.suppress(OSError), socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.connect(("127.0.0.1", port))
        s.send(struct.pack("!6H", 1, 0, 1, 0, 0, 0) + wire(zone)
               + struct.pack("!2H", SOA, 1))
        rcode, found = struct.unpack("!3xBxxH", s.recv(4096)[:8])
        return rcode & 15 == 0 and found == 1
    return False


@contextlib.contextmanager
def serving(folder, port, zones):
    """zones: {name: [entries]}."""
    if not PROGRAM.exists():
        pytest.skip(f"no {PROGRAM}: make peers")
    conf = SERVER.format(port=port, folder=folder)
    for zone, entries in zones.items():
        (folder / zone).write_text(
            HEAD.format(zone=zone) + "".join(f"{e}\n" for e in entries))
        conf += ZONE.format(zone=zone)
    (folder / "nsd.conf").write_text(conf)
    with open(folder / "log", "wb") as log:
        p = subprocess.Popen([PROGRAM, "-d", "-c", folder / "nsd.conf"],
                             env=postfix.peer_environment(), stdout=log,
                             stderr=log)

    def is_ready():
        assert p.poll() is None, (folder / "log").read_text()
        return all(serves(port, zone) for zone in zones)

    try:
        wait_for("nsd", is_ready)
        yield
        assert p.poll() is None, (folder / "log").read_text()
    finally:
        p.terminate()
        p.wait(DEADLINE)
