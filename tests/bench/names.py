"""An nsd, unpacked, that has what a benchmark asks for."""

import os
import socket
import subprocess
import time

import load
from peers import Failed

PROGRAM = load.PEERS / "usr/sbin/nsd"


def answers(port, zone):
    """Of the last zone, which any answer but a refusal will do for."""
    name = b"".join(bytes([len(n)]) + n.encode() for n in zone.split("."))
    ask = (bytes.fromhex("000101000001000000000000") + name
           + bytes.fromhex("0000060001"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        for _ in range(50):
            try:
                s.sendto(ask, ("127.0.0.1", port))
                if s.recv(512)[3] & 15 == 0:
                    return True
            except OSError:
                pass
            time.sleep(0.05)
    return False


def serve(work, zones, port=53):
    """zones: by name, entries beside SOA and NS. Returns the process."""
    if not PROGRAM.exists():
        raise Failed("no nsd: make peers")
    folder = work / "nsd"
    folder.mkdir()
    conf = [f"server:\n ip-address: 127.0.0.1@{port}\n username: \"\"\n"
            f" chroot: \"\"\n database: \"\"\n zonesdir: \"{folder}\"\n"
            f" zonelistfile: \"{folder}/list\"\n xfrdfile: \"{folder}/xfrd\"\n"
            f" pidfile: \"\"\n xfrdir: \"{folder}\"\n"
            "remote-control:\n control-enable: no\n"]
    for zone, entries in zones.items():
        (folder / zone).write_text(
            f"$ORIGIN {zone}.\n$TTL 60\n@ IN SOA ns root 1 3600 600 86400 60\n"
            f"@ IN NS ns\nns IN A 127.0.0.1\n{entries}")
        conf.append(f"zone:\n name: {zone}\n zonefile: {zone}\n")
    (folder / "nsd.conf").write_text("".join(conf))
    nsd = subprocess.Popen(
        [PROGRAM, "-d", "-c", folder / "nsd.conf"],
        env={**os.environ, "LD_LIBRARY_PATH": str(
            next((load.PEERS / "usr/lib").glob("*-linux-gnu"), ""))},
        stderr=subprocess.DEVNULL)
    if not answers(port, list(zones)[-1]):
        nsd.kill()
        raise Failed("nsd does not answer")
    return nsd
