"""The load: Postfix's smtp-source for mail, hello.c for those who only say
hello, and sockets that do nothing."""

import os
import pathlib
import resource
import socket
import subprocess
import sys
import tempfile
import time

import peers
from peers import Failed

PEERS = pathlib.Path(os.environ.get("PEERS", peers.BUILD / "peers"))
SOURCE = PEERS / "usr/sbin/smtp-source"
LIMIT = 900  # seconds that a run may take
CORES = len(os.sched_getaffinity(0))


def client(command, env=None):
    """Runs it to its end; what it printed, and its seconds of CPU. Anything
    that goes wrong makes the run void."""
    before = used()
    with tempfile.TemporaryFile("w+") as errors:
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, env=env,
                                  stdout=subprocess.PIPE, stderr=errors,
                                  text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            raise Failed(f"not done after {LIMIT} s") from None
        errors.seek(0)
        said = " ".join(errors.read().split())
    if done.returncode or said:
        raise Failed(f"exit {done.returncode}: {said[:300]}")
    return done.stdout, used() - before


def used():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


def mail(port, count, length, sessions, keep):
    """keep: many messages on one connection. Seconds of the client's CPU."""
    command = [SOURCE, "-4", "-M", "client.example.com", "-s", str(sessions),
               "-m", str(count), "-l", str(length), "-f", peers.SENDER,
               "-t", peers.RECIPIENT]
    if keep:
        command.append("-d")
    env = {**os.environ, "LD_LIBRARY_PATH": str(PEERS / "usr/lib/postfix")}
    return client([*command, f"127.0.0.1:{port}"], env)[1]


def spread(port, count, length, sessions, unknown=0):
    """Each session to a mailbox of its own, all it has on one connection. Each
    message that `unknown` divides is for somebody else first."""
    return client([sys.executable, pathlib.Path(__file__).with_name("send.py"),
                   *map(str, (port, count, length, sessions, unknown))])[1]


def hello(port, seconds, clients, tls=False):
    """Connect, EHLO, QUIT; or connect, EHLO, STARTTLS: how often a second,
    how often, and how busy the clients were, of what they could be."""
    command = [peers.TOOLS / "hello", *(["-t"] if tls else []), str(seconds),
               str(clients), str(port)]
    begin = time.monotonic()
    out, cpu = client(command)
    seconds = time.monotonic() - begin
    return int(out) / seconds, int(out), cpu / seconds / CORES


class Idle:
    """Clients that have said EHLO and then nothing."""

    def __init__(self, port, count):
        self.sockets = []
        for _ in range(count):
            s = socket.create_connection(("127.0.0.1", port), 60)
            self.sockets.append(s)
            self.expect(s, b"220")
            s.sendall(b"EHLO client.example.com\r\n")
            self.expect(s, b"250")

    @staticmethod
    def expect(sock, code):
        got = b""
        while not (got.endswith(b"\n")
                   and got.split(b"\n")[-2][3:4] == b" "):
            try:
                data = sock.recv(4096)
            except OSError as e:
                raise Failed(f"an idle session: {e}") from None
            if not data:
                raise Failed(f"closed an idle session: {got!r}")
            got += data
        if not got.startswith(code):
            raise Failed(f"an idle session: {got!r}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.sockets:
            s.close()
