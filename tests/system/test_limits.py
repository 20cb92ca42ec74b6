"""Limits in number and in time; a descriptor table that is full."""

import contextlib
import os
import re
import socket
import time

from daemon import DEADLINE, cpu_seconds, wait_for


def sockets(pid):
    """How many are open; the journal's files come and go meanwhile."""
    found = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket")
    return found


def test_per_address(start):
    """WIRE 3: one session too many from an address is 421, and closed."""
    d = start(limits="per-address = 5")
    clients = [d.client() for _ in range(5)]
    for _ in range(3):
        with d.connect() as c:
            assert re.match(r"421 4\.7\.0 .* \[[0-9A-V]{16}\]$",
                            repr(c.reply()))
            assert c.closed()
    with d.connect(source="127.0.0.2") as c:
        assert c.reply().code == 220
    clients.pop().close()
    wait_for("a free place", lambda: d.connect().reply().code == 220)


def refusals(d):
    """What the log says of clients that a limit sent away."""
    return [line for line in d.log().splitlines() if " refused " in line
            and " suppressed=" in line]


def test_flood_of_the_refused(start):
    """FAULT A2: whoever has its share costs the others nothing, however
    often it comes back; few lines say how often that was."""
    d = start(limits="sessions = 30\nper-address = 10")
    mine = [d.client() for _ in range(10)]
    attempts, status, lingering = 1000, set(), []
    for i in range(attempts):
        lingering.append(d.connect())
        status.add(lingering[-1].reply().status)
        if i >= 50:
            lingering.pop(0).close()
    assert status == {"421 4.7.0"}
    others = [d.connect(source=f"127.0.0.{i}") for i in range(2, 16)]
    assert [c.reply().code for c in others] == [220] * 14
    assert all(c.ask("NOOP").code == 250 for c in mine + others)
    wait_for("all of them in the log", lambda: attempts == sum(
        1 + int(re.search(r" suppressed=(\d+)", line)[1])
        - (" client=" not in line) for line in refusals(d)))
    assert len(refusals(d)) < attempts / 10


def test_sessions(start):
    """WIRE 2, 3: a full server says 421 and closes; a place is free again."""
    d = start(limits="sessions = 4")
    clients = [d.connect(source=f"127.0.0.{i}") for i in range(2, 6)]
    assert [c.reply().code for c in clients] == [220] * 4
    with d.connect() as c:
        assert c.reply().status == "421 4.3.2"
        assert c.closed()
    clients.pop().close()
    wait_for("a free place", lambda: d.connect().reply().code == 220)


def test_refused_client_talks_on(start):
    """WIRE 3: what it sends unasked does not turn our 421 into a reset."""
    d = start(limits="per-address = 1")
    with d.client():
        with d.connect() as c:
            c.send("EHLO client.example.com\r\n" * 2000)
            assert c.reply().code == 421
            assert c.closed()


def test_few_of_the_refused_linger(start):
    """FAULT A2: eight of an address, over all workers; the others hear 421
    and are closed at once."""
    d = start(limits="per-address = 1")

    def open_sockets():
        return sum(map(sockets, d.workers()))

    before = open_sockets()
    with d.client():
        clients = [d.connect() for _ in range(20)]
        assert [c.reply().code for c in clients] == [421] * 20
        assert all(c.closed() for c in clients)
        assert open_sockets() - before <= 1 + 8


def test_idle(start):
    """WIRE 4: silence ends with 421."""
    d = start(limits="idle = 1s")
    clients = [d.connect(), d.client()]
    clients[0].reply()
    clients.append(d.client())
    clients[2].begin()
    clients.append(d.client())
    clients[3].begin()
    clients[3].ask("DATA")
    clients[3].send("begun\r\n")
    for c in clients:
        assert c.reply().status == "421 4.4.2"
        assert c.closed()
    wait_for("an empty spool", lambda: not d.leftovers())
    assert d.files() == []


def trickle(c, octets, pause):
    """Sends one by one until there is a reply."""
    c.socket.settimeout(pause)
    end = time.monotonic() + 3 * DEADLINE
    for octet in octets:
        assert time.monotonic() < end
        try:
            c.send(bytes([octet]))
            c.buffer += c.socket.recv(4096)
        except socket.timeout:
            continue
        break
    c.socket.settimeout(DEADLINE)
    return c.reply()


def test_slow_command(start):
    """WIRE 4: an octet now and then is no command."""
    d = start(limits="idle = 1s")
    with d.client() as c:
        assert trickle(c, b"NOOP " + b"x" * 1000, 0.2).status == "421 4.4.2"
        assert c.closed()


def test_slow_message(start):
    """WIRE 4: nor a message; shorter patience when the slots run out."""
    d = start(limits="sessions = 1\ndata-rate = 1M")
    with d.client() as c:
        c.begin()
        assert c.ask("DATA").code == 354
        assert trickle(c, b"line\r\n" * 1000, 0.1).status == "421 4.4.2"
        assert c.closed()
    wait_for("an empty spool", lambda: not d.leftovers())
    assert d.files() == []


def test_session_time(start):
    """WIRE 4: however busy, a session ends."""
    d = start(limits="session = 2s")
    with d.client() as c:
        reply = c.ask("NOOP")
        while reply.code == 250:
            time.sleep(0.05)
            reply = c.ask("NOOP")
        assert reply.status == "421 4.4.2"
        assert c.closed()


def test_deaf_client(start):
    """WIRE 4: a client that sends and never reads is not served for ever."""
    d = start(limits="idle = 1s", top="workers = 1")
    worker = d.workers()[0]
    before = sockets(worker)
    with d.client() as c:
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.socket.settimeout(0.5)
        try:
            while True:
                c.send(b"VRFY x\r\n" * 8192)
        except OSError:
            pass  # the buffers are full, or it was thrown out already
        wait_for("its end", lambda: sockets(worker) == before)
    assert "421 4.4.2" in d.log()
    with d.client() as c:
        assert c.ask("NOOP").code == 250


def test_full_descriptor_table(start):
    """421 or a wait at the limit; no spin; and all is well behind it."""
    d = start(rlimit=64, top="workers = 1", limits="per-address = 1000")
    worker = d.workers()[0]
    before = cpu_seconds(worker)
    clients = [d.connect() for _ in range(75)]
    # who is one too many waits in the queue, and is refused one by one
    codes = [c.reply().code for c in clients]
    greeted = codes.count(220)
    assert 20 < greeted < 64
    assert greeted + codes.count(421) == 75, codes
    assert " accept-paused " in d.log()
    assert cpu_seconds(worker) - before < 0.5
    for c in clients:
        c.close()
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250
    assert d.workers() == [worker]


def test_early_talker(smtpd):
    """WIRE 1: it gets its greeting first, whatever it sent before."""
    with smtpd.connect() as c:
        c.send("EHLO client.example.com\r\nQUIT\r\n")
        assert c.reply().code == 220
        assert c.reply().code == 250
        assert c.reply().code == 221
        assert c.closed()


def test_close_before_the_dot(smtpd):
    """WIRE 28: nothing is left of a message without its end."""
    before = smtpd.files()
    for end in (b"", b".", b".\r", b"\r\n."):
        for how in ("close", "shutdown", "reset"):
            with smtpd.client() as c:
                c.begin()
                assert c.ask("DATA").code == 354
                c.send(b"x" * 100000 + b"\r\n" + end)
                if how == "shutdown":
                    c.socket.shutdown(socket.SHUT_WR)
                    assert c.line() is None
                elif how == "reset":
                    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                        b"\1\0\0\0\0\0\0\0")
    wait_for("an empty spool", lambda: not smtpd.leftovers())
    assert smtpd.files() == before


def test_close_before_the_last_chunk(smtpd):
    """WIRE 28, 34: nor of one without its BDAT LAST."""
    before = smtpd.files()
    with smtpd.client() as c:
        c.begin()
        c.send(b"BDAT 5\r\nhalf\n")
        c.reply()
        c.send(b"BDAT 100000 LAST\r\n" + b"x" * 99999)
    wait_for("an empty spool", lambda: not smtpd.leftovers())
    assert smtpd.files() == before


def test_close_behind_the_dot(smtpd):
    """WIRE 28: whoever goes right after the dot has sent its mail."""
    before = len(smtpd.files("carol@example.org"))
    for i in range(20):
        with smtpd.client() as c:
            c.begin("carol@example.org")
            assert c.ask("DATA").code == 354
            c.send(f"number {i}\r\n.\r\n")
    wait_for("twenty messages", lambda: len(
        smtpd.files("carol@example.org")) == before + 20)
    bodies = {m.body for m in smtpd.messages("carol@example.org")}
    assert {f"number {i}\n".encode() for i in range(20)} <= bodies


def test_domain_size(start):
    """WIRE 26: the smallest limit of the recipients' domains holds."""
    d = start(domains="""
domain "example.org" {{
	users = {{ alice }}
	aliases = {{ "postmaster: alice", "abuse: alice" }}
	deliver = "maildir:{mail}/%d/%u"
	message-size = 64K
}}
domain "example.net" {{
	catch-all = "alice@example.net"
	users = {{ alice }}
	deliver = "maildir:{mail}/%d/%u"
}}
""")
    big, small = "x" * 70000 + "\r\n", "x" * 60000 + "\r\n"
    big = "\r\n".join([big[:60000], big[60000:]])
    with d.client() as c:
        assert c.deliver(big, "a@example.net").code == 250
        assert c.deliver(small, "alice@example.org").code == 250
        assert c.deliver(big, "alice@example.org").status == "552 5.3.4"
        assert c.deliver(big, "a@example.net",
                         "alice@example.org").status == "552 5.3.4"
        assert c.deliver(big, "a@example.net").code == 250
    assert len(d.files()) == 3
