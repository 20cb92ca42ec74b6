"""A HAProxy of our own, from the folder where Debian's package was unpacked."""

import contextlib
import csv
import os
import socket
import subprocess

from daemon import DEADLINE, free_port, wait_for
from postfix import PEERS

BINARY = PEERS / "usr" / "sbin" / "haproxy"
SOURCE = "127.0.0.2"  # where it connects from

HEAD = """
global
	stats socket {path}/haproxy.sock level admin
	maxconn 500
defaults
	mode tcp
	timeout connect 10s
	timeout check 10s
	timeout client 60s
	timeout server 60s
"""

LISTEN = """
listen {name}
	bind 127.0.0.1:{port}
	{option}
	server smtpd 127.0.0.1:{to} source {source} {words}
"""


def libraries():
    """Those that the machine has not may lie beside it."""
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(
        str(p) for p in (PEERS / "usr/lib").glob("*-linux-gnu"))}


def missing():
    """Why it cannot be run here; None: it can."""
    if not BINARY.exists():
        return f"no HAProxy below {PEERS}: make peers"
    done = subprocess.run([BINARY, "-v"], capture_output=True, text=True,
                          env=libraries())
    return done.stderr if done.returncode else None


class HAProxy:
    """ports: of each name, (where it leads, words of its server, an option)."""

    def __init__(self, path, **listens):
        self.socket = path / "haproxy.sock"
        self.ports = {name: free_port() for name in listens}
        conf = path / "haproxy.cfg"
        conf.write_text(HEAD.format(path=path) + "".join(
            LISTEN.format(name=name, port=self.ports[name], to=to,
                          words=words, source=SOURCE, option=option)
            for name, (to, words, option) in listens.items()))
        self.log = open(path / "haproxy.log", "wb")
        self.process = subprocess.Popen(
            [BINARY, "-db", "-f", conf], stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log, env=libraries())
        wait_for("HAProxy", self.is_ready)

    def is_ready(self):
        assert self.process.poll() is None, open(self.log.name).read()
        with contextlib.suppress(OSError):
            return bool(self.checks())

    def checks(self):
        """What came of the last check of each server."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(DEADLINE)
            s.connect(str(self.socket))
            s.sendall(b"show stat\n")
            text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        rows = csv.DictReader(text.lstrip("# ").splitlines())
        return {r["# pxname" if "# pxname" in r else "pxname"]:
                r["check_status"] for r in rows if r["svname"] == "smtpd"}

    def stop(self):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.log.close()
