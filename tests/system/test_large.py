"""Much at once: one large message, many of them, many idle sessions."""

import contextlib
import resource
import socket

import pytest

from daemon import Client, pss, sanitized, wait_for

MEMORY = pytest.mark.skipif(
    sanitized(), reason="a sanitizer's memory is not smtpd's")


def memory(d):
    return sum(pss(p) for p in d.workers())


def test_thirty_megabytes(start):
    """WIRE 25, 26: stored octet for octet, and never held in memory."""
    d = start(top="workers = 1")
    line = bytes(range(14, 256)) * 4 + b"\r\n"
    lines = (30 << 20) // len(line)
    before = memory(d)
    most = 0
    with d.client() as c:
        c.begin(params=f" SIZE={lines * len(line)}")
        assert c.ask("DATA").code == 354
        for i in range(0, lines, 1000):
            c.send(line * min(1000, lines - i))
            most = max(most, memory(d))
        c.send(b".\r\n")
        m = d.message("alice@example.org", c.reply().id)
    assert m.body == line.replace(b"\r\n", b"\n") * lines
    if not sanitized():
        assert most - before < 8 << 10, f"{most - before} KiB"


def test_thirty_megabytes_in_chunks(start):
    """WIRE 25, 34: the same by BDAT, without one line end in it."""
    d = start(top="workers = 1")
    chunk = bytes(i for i in range(256) if i not in (10, 13)) * 4096
    with d.client() as c:
        c.begin()
        for _ in range(29):
            c.send(b"BDAT %d\r\n" % len(chunk) + chunk)
            assert c.reply().code == 250
        c.send(b"BDAT %d LAST\r\n" % len(chunk) + chunk)
        m = d.message("alice@example.org", c.reply().id)
    assert m.body == chunk * 30


@MEMORY
def test_thousand_transactions(start):
    """A thousand messages of 25 MB begun, 2 MB of each sent: below 256 MB."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096:
        pytest.skip("needs 4,096 descriptors")
    d = start(limits="per-address = 2000",
              journal="segment = 1M size = 64G")
    data = (b"x" * 998 + b"\r\n") * 2097
    with contextlib.ExitStack() as stack:
        descriptors(2048, stack)
        for _ in range(1000):
            c = stack.enter_context(d.connect())
            c.send("EHLO client.example.com\r\n"
                   "MAIL FROM:<a@example.com> SIZE=26214400\r\n"
                   "RCPT TO:<alice@example.org>\r\nDATA\r\n")
            for code in (220, 250, 250, 250, 354):
                assert c.reply().code == code
            c.send(data)
        used = memory(d)
        assert used < 256 << 10, f"{used} KiB"
    wait_for("an empty spool", lambda: not d.leftovers())
    assert d.files() == []


def descriptors(n, stack):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < n:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE,
                       (soft, hard))


@MEMORY
def test_ten_thousand_idle_sessions(start):
    """Below 1.5 KiB each in one worker, and the next client is served."""
    n = 10000
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < n + 1000:
        pytest.skip(f"needs {n + 1000} descriptors")
    d = start(top="workers = 1", rlimit=n + 1000,
              limits=f"sessions = {2 * n}\nper-address = {n}")
    with d.client() as c:  # whatever is made once is there now
        assert c.deliver("x\r\n").code == 250
    before = memory(d)
    with contextlib.ExitStack() as stack:
        descriptors(n + 500, stack)
        sockets = []
        for i in range(n):
            s = stack.enter_context(socket.create_connection(
                ("127.0.0.1", d.port), 30,
                source_address=(f"127.0.0.{2 + i % 4}", 0)))
            sockets.append(s)
        for s in sockets:
            assert s.recv(100).startswith(b"220 ")
        each = (memory(d) - before) / n
        assert each < 1.5, f"{each} KiB"
        with Client(d.port) as c:
            assert c.reply().code == 220
            assert c.ask("EHLO client.example.com").code == 250
            assert c.deliver("x\r\n").code == 250
    with d.client() as c:
        assert c.ask("NOOP").code == 250
