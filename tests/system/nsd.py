"""A real server of names, of zones that a test writes, on 127.0.0.1."""

import contextlib
import subprocess

import postfix

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


@contextlib.contextmanager
def serving(folder, port, zones):
    """zones: {name: [entries]}."""
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
    try:
        yield p
        assert p.poll() is None, (folder / "log").read_text()
    finally:
        p.terminate()
        p.wait(30)
