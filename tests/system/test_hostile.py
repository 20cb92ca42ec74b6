"""Clients that read too late, too little, or not at all: the worker lives."""

import contextlib
import os
import signal
import socket
import struct
import time

import pytest

from daemon import DEADLINE, cpu_seconds, gone, wait_for
from secured import context

BATCH = b"VRFY x\r\n" * 400


@pytest.fixture
def d(secured):
    return secured(top="workers = 1\ndrain = 1s",
                   limits="per-address = 1000")


@pytest.fixture
def worker(d):
    """The same one before and behind the test."""
    pid, = d.workers()
    yield pid
    with d.client() as c:
        assert c.ask("NOOP").code == 250
    assert d.workers() == [pid]


def deaf(port):
    """Greeted, with the smallest window that there is."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(DEADLINE)
    s.connect(("127.0.0.1", port))
    assert s.recv(200).startswith(b"220 ")
    return s


def queues(s):
    """Octets in the server's socket: not yet taken by us, and by it."""
    ours, theirs = s.getsockname()[1], s.getpeername()[1]
    with open("/proc/net/tcp") as f:
        for line in f:
            fields = line.split()
            if (fields[1].endswith(f":{theirs:04X}")
                    and fields[2].endswith(f":{ours:04X}")):
                return [int(x, 16) for x in fields[4].split(":")]
    raise AssertionError("no such connection")


def fill(s):
    """Until the kernel takes no more replies, and smtpd holds a few."""
    last = -1
    for _ in range(20000):
        near = last > 2 << 20
        s.sendall(BATCH[:len(BATCH) // 8] if near else BATCH * 8)
        time.sleep(0.001)
        unread, _ = queues(s)
        if near and unread == last:
            time.sleep(0.05)
            if queues(s)[0] == unread:
                return
        last = unread
    raise AssertionError("it never fills")


def drain(s):
    s.settimeout(0.5)
    with contextlib.suppress(OSError):
        while s.recv(1 << 20):
            pass


def test_reset_in_the_middle_of_a_batch(d, worker):
    """Replies that cannot be sent any more, and commands left to read."""
    for i in range(300):
        s = socket.create_connection(("127.0.0.1", d.port), DEADLINE)
        s.recv(200)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                     struct.pack("ii", 1, 0))
        s.sendall(b"NOOP\r\n" * 10900)
        time.sleep(0.0003 * (i % 4))
        s.close()
        assert not gone(worker)


def test_starttls_behind_replies_that_wait(d, worker):
    """TLS begins when all is out; what comes before is not read in clear."""
    with deaf(d.port) as s:
        fill(s)
        s.sendall(b"STARTTLS\r\n")
        time.sleep(0.05)
        s.sendall(b"\x16\x03\x01" * 10)
        time.sleep(0.05)
        drain(s)


def test_starttls_behind_replies_that_are_read(d, worker):
    """And then it does begin."""
    s = deaf(d.port)
    fill(s)
    s.sendall(b"STARTTLS\r\n")
    time.sleep(0.05)
    said = b""
    while not said.endswith(b"220 2.0.0 Go ahead\r\n"):
        said = (said + s.recv(1 << 20))[-200:]
    with context().wrap_socket(s) as tls:
        tls.sendall(b"NOOP\r\n")
        assert tls.recv(100).startswith(b"250 ")


def test_all_replies_come_in_the_end(d, worker):
    """Whoever reads late has lost nothing, and in order."""
    n = 200000
    with deaf(d.port) as s:
        s.setblocking(False)
        out, got = b"".join(b"NOOP\r\n" for _ in range(n)) + b"QUIT\r\n", 0
        end = time.monotonic() + DEADLINE
        tail = b""
        while time.monotonic() < end:
            with contextlib.suppress(BlockingIOError):
                out = out[s.send(out[:1 << 20]):] if out else out
            with contextlib.suppress(BlockingIOError):
                data = s.recv(4096)
                if not data:
                    break
                got += data.count(b"\n")
                tail = (tail + data)[-100:]
        assert got == n + 1
        assert tail.endswith(b"221 2.0.0 Bye\r\n")


def test_handshake_at_the_end(d):
    """Leaving does not wait, nor spin, for who never said a word of TLS."""
    worker, = d.workers()
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(socket.create_connection(
                ("127.0.0.1", d.implicit), DEADLINE))
        half = stack.enter_context(socket.create_connection(
            ("127.0.0.1", d.implicit), DEADLINE))
        half.sendall(b"\x16\x03\x01\x02\x00")
        time.sleep(0.1)
        os.kill(d.master(), signal.SIGTERM)
        before, spent = cpu_seconds(worker), 0
        for _ in range(40):
            if gone(worker):
                break
            with contextlib.suppress(OSError):  # gone meanwhile
                spent = cpu_seconds(worker) - before
            time.sleep(0.1)
        assert spent < 1
    assert d.wait() == 0
    wait_for("its end", lambda: gone(worker))


def test_tls_peer_that_reads_nothing(d, worker):
    """The same behind TLS, and the end of it."""
    s = deaf(d.port)
    s.sendall(b"EHLO x\r\nSTARTTLS\r\n")
    said = b""
    while not said.endswith(b"220 2.0.0 Go ahead\r\n"):
        said += s.recv(1 << 16)
    with context().wrap_socket(s) as tls:
        tls.settimeout(0.3)
        with contextlib.suppress(OSError):
            for _ in range(2000):
                tls.sendall(BATCH)
