"""Behind balancers: HAProxy in TCP mode, swaks, and clients of our own that
send headers of both versions, or none."""

import contextlib
import re
import smtplib
import socket
import ssl
import struct
import subprocess

import pytest

import haproxy
from daemon import DEADLINE, Client, wait_for
from secured import context
from test_clients import need

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
PROXIES = 'client "127.0.0.2" { proxy = yes }\n'
LOG = "log { level = trace }\n"


def v1(client, port=4711):
    family = "TCP6" if ":" in client else "TCP4"
    server = "2001:db8::25" if ":" in client else "198.51.100.25"
    return f"PROXY {family} {client} {server} {port} 25\r\n".encode()


def v2(client, port=4711, tlvs=b""):
    kind = socket.AF_INET6 if ":" in client else socket.AF_INET
    address = socket.inet_pton(kind, client)
    body = address * 2 + struct.pack("!HH", port, 25) + tlvs
    return SIGNATURE + struct.pack(
        "!BBH", 0x21, 0x21 if ":" in client else 0x11, len(body)) + body


def behind(d, first=b"", port=None):
    """A connection of the balancer's, with these octets sent."""
    c = Client(port or d.port, haproxy.SOURCE)
    c.send(first)
    return c


def send(port, source=None, user="alice"):
    with smtplib.SMTP("127.0.0.1", port, "client.example.com", DEADLINE,
                      source_address=source and (source, 0)) as s:
        s.sendmail("s@example.com", f"{user}@example.org",
                   "Subject: x\r\n\r\nx\r\n")


def received(d, user="alice"):
    return {re.search(r"\(\[([^]]*)\]\)", m.received)[1]
            for m in d.messages(f"{user}@example.org")}


@pytest.fixture
def balance():
    """balance(d, name=(port, words, option)...): a HAProxy before a daemon."""
    why = haproxy.missing()
    if why:
        pytest.skip(why)
    with contextlib.ExitStack() as stack:
        def start(d, **listens):
            h = haproxy.HAProxy(d.path, **listens)
            stack.callback(h.stop)
            return h
        yield start


# --- real ones ---


@pytest.mark.parametrize("words", ["send-proxy", "send-proxy-v2",
                                   "send-proxy-v2 proxy-v2-options crc32c"])
def test_haproxy(start, balance, words):
    """WIRE 39: each client under its own address, and beside it who comes to
    the same port without a balancer."""
    d = start(extra=PROXIES + LOG)
    h = balance(d, mx=(d.port, words, ""))
    send(h.ports["mx"], "127.0.0.9")
    send(h.ports["mx"], "127.0.0.10")
    send(d.port, "127.0.0.11", "bob")
    assert received(d) == {"127.0.0.9", "127.0.0.10"}
    assert received(d, "bob") == {"127.0.0.11"}
    assert re.search(r" connect .*client=127\.0\.0\.9 .*via=127\.0\.0\.2\n",
                     d.log())


def test_haproxy_checks(secured, balance):
    """WIRE 39: it is well, in each way to ask; and that fills no log."""
    d = secured(extra=PROXIES)
    # a few that come late on a busy machine do not make it go elsewhere
    check = "inter 50ms fall 1000 check check-send-proxy"
    smtp = "option smtpchk EHLO lb.example.com"
    h = balance(
        d,
        v1=(d.port, f"send-proxy {check}", smtp),
        v2=(d.port, f"send-proxy-v2 {check}", smtp),
        helo=(d.port, f"send-proxy-v2 {check}", "option smtpchk"),
        tcp=(d.port, f"send-proxy-v2 {check}", ""),
        tls=(d.implicit, f"send-proxy-v2 {check}", ""),
        bare=(d.port, "inter 50ms check", ""),
        wrong=(d.port, "inter 50ms check", smtp))
    wait_for("checks", lambda: h.checks() == {
        "v1": "L7OK", "v2": "L7OK", "helo": "L7OK", "tcp": "L4OK",
        "tls": "L4OK", "bare": "L4OK", "wrong": h.checks()["wrong"]})
    assert " insecure " not in d.log()
    assert " refused " not in d.log()
    send(h.ports["v2"], "127.0.0.9")
    assert received(d) == {"127.0.0.9"}


def test_haproxy_tls(secured, balance):
    """The balancer passes TLS through, and what is encrypted is ours."""
    d = secured(extra=PROXIES)
    h = balance(d, mx=(d.port, "send-proxy-v2", ""),
                smtps=(d.implicit, "send-proxy", ""))
    with smtplib.SMTP("127.0.0.1", h.ports["mx"], timeout=DEADLINE,
                      source_address=("127.0.0.9", 0)) as s:
        s.starttls(context=context())
        s.sendmail("s@example.com", "alice@example.org", "x\r\n")
    with smtplib.SMTP_SSL("127.0.0.1", h.ports["smtps"], timeout=DEADLINE,
                          context=context(),
                          source_address=("127.0.0.10", 0)) as s:
        s.sendmail("s@example.com", "alice@example.org", "x\r\n")
    assert received(d) == {"127.0.0.9", "127.0.0.10"}
    assert all("\ttls TLS_" in m.received
               for m in d.messages("alice@example.org"))


@pytest.mark.parametrize("version", [1, 2])
def test_swaks(start, version):
    need("swaks")
    d = start(extra=PROXIES)
    done = subprocess.run(
        ["swaks", "--server", "127.0.0.1", "--port", str(d.port),
         "--local-interface", haproxy.SOURCE, "--helo", "client.example.com",
         "--from", "s@example.com", "--to", "alice@example.org",
         "--proxy-version", str(version),
         "--proxy-family", "TCP4" if version == 1 else "AF_INET",
         "--proxy-source", "192.0.2.7", "--proxy-source-port", "4711",
         "--proxy-dest", "198.51.100.1", "--proxy-dest-port", "25"],
        capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert received(d) == {"192.0.2.7"}


# --- headers ---


@pytest.mark.parametrize("header, client", [
    (v1("192.0.2.1"), "192.0.2.1"),
    (v1("2001:db8::1"), "2001:db8::1"),
    (v2("192.0.2.1"), "192.0.2.1"),
    (v2("2001:db8::1", tlvs=b"\3\0\4abcd\4\0\1x"), "2001:db8::1"),
    (v2("::ffff:192.0.2.1"), "192.0.2.1"),
], ids=["1-4", "1-6", "2-4", "2-6", "2-mapped"])
def test_headers(start, header, client):
    """Octet by octet, and with what the client says right behind it."""
    d = start(extra=PROXIES + LOG)
    with behind(d) as c:
        for i in range(len(header)):
            c.send(header[i:i + 1])
        assert c.reply().code == 220
    with behind(d, header + b"EHLO client.example.com\r\nQUIT\r\n") as c:
        assert [c.reply().code for _ in range(3)] == [220, 250, 221]
    wait_for("both", lambda: len(re.findall(
        rf" connect .*client={client} port=4711 via=127\.0\.0\.2\n",
        d.log())) == 2)


def test_tls_right_behind_the_header(secured):
    """The handshake is in the same packet."""
    d = secured(extra=PROXIES)
    with socket.create_connection(("127.0.0.1", d.implicit), DEADLINE,
                                  ("127.0.0.2", 0)) as s:
        out = ssl.MemoryBIO()
        tls = context().wrap_bio(ssl.MemoryBIO(), out)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        s.sendall(v2("192.0.2.1") + out.read())
        assert s.recv(1) == b"\x16"  # the answer of who read it


@pytest.mark.parametrize("octets, reason", [
    (b"EHLO client.example.com\r\n", "no PROXY header"),
    (b"PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n", "no PROXY header"),
    (b"PROXY " + b"x" * 200, "no PROXY header"),
    (v1("192.0.2.1")[:-2] + b"\n", "no PROXY header"),
    (SIGNATURE + b"\x41\x11\0\0", "no PROXY header"),
    (b"\x16\3\1" + b"\0" * 600, "no PROXY header"),
    (b"\xff" * 70000, "no PROXY header"),
    (v1("192.0.2.1")[:-1], "closed"),
    (v2("192.0.2.1")[:-1], "closed"),
], ids=["smtp", "short-line", "long-line", "lf", "version", "tls", "noise",
        "cut-1", "cut-2"])
def test_no_header(start, octets, reason):
    """WIRE 39: closed without an octet; nobody else is touched."""
    d = start(extra=PROXIES)
    other = d.client()
    with behind(d) as c:
        with contextlib.suppress(OSError):
            c.send(octets)
            c.socket.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            assert c.socket.recv(100) == b""
    wait_for("its line", lambda: re.search(
        rf' proxy-header .*via=127\.0\.0\.2 reason="?{reason}"?', d.log()))
    assert other.ask("NOOP").code == 250


def test_slow_and_silent(start):
    """Whoever drips has no more time, and none is said a word."""
    d = start(extra=PROXIES, limits="handshake = 1s")
    silent, slow = behind(d), behind(d)
    with contextlib.suppress(ConnectionError):
        for octet in b"PROXY UNKNOWN" + b"x" * 90:
            slow.send(bytes([octet]))
            slow.socket.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                assert slow.socket.recv(100) == b""
                break
        else:
            raise AssertionError("it is still heard")
    assert silent.socket.recv(100) == b""
    assert "reason=\"too slow\"" in d.log()
    assert d.client().ask("NOOP").code == 250


def test_silent_ones_do_not_stop_others(start):
    """They hold all there is for a tenth of the time, once it runs short."""
    n = 400
    d = start(extra=PROXIES, limits=f"sessions = {n}\nhandshake = 10s")
    held = [behind(d) for _ in range(n)]

    def greeted():
        with d.connect() as c:
            return c.reply().code == 220

    wait_for("a place for somebody else", greeted)
    for c in held:
        with contextlib.suppress(ConnectionResetError):
            said = c.socket.recv(100)
            assert not said or said.startswith(b"421 4.3.2 ")
    assert len(re.findall(" proxy-header ", d.log())) < 20


def test_a_header_from_somebody_else(start):
    """WIRE 5, 39: it is no SMTP, and the log says what to write."""
    d = start(extra=PROXIES)
    with d.connect() as c:
        assert c.reply().code == 220
        c.send(v1("192.0.2.1"))
        assert c.reply().status == "554 5.5.0"
        assert c.line() is None
    assert r'help="client \"127.0.0.1\" { proxy = yes }"' in d.log()


# --- whose limits, whose block ---


def greeting(d, client):
    with behind(d, v2(client)) as c:
        return c.reply().status


def test_limits_are_the_clients(start):
    d = start(extra=PROXIES + 'client "192.0.2.128/25" { limits = no }\n',
              limits="per-address = 2\nper-network = 4")
    held = []

    def come(client):
        held.append(behind(d, v2(client)))
        return held[-1].reply()

    assert [come("192.0.2.1").code for _ in range(3)] == [220, 220, 421]
    assert come("192.0.2.2").code == 220
    assert come("192.0.2.3").code == 220
    assert "from your network [" in repr(come("192.0.2.4"))
    assert come("192.0.3.4").code == 220
    assert [come("2001:db8:1::1").code for _ in range(3)] == [220, 220, 421]
    assert come("2001:db8:1:1::1").code == 220
    assert come("2001:db8:1:2::1").code == 220
    assert "from your network [" in repr(come("2001:db8:1:3::1"))
    assert come("2001:db8:2:3::1").code == 220
    assert [come("192.0.2.200").code for _ in range(8)] == [220] * 8
    for c in held:
        c.socket.close()
    wait_for("room", lambda: greeting(d, "192.0.2.1") != "421 4.7.0")


def test_rates_are_the_clients(start):
    """Loopback too is nobody special there."""
    d = start(extra=PROXIES, limits="rate-connections = 3/h",
              top="workers = 3")
    for client in "192.0.2.1", "2001:db8::1", "127.0.0.1", "127.0.0.2":
        said = [greeting(d, client) for _ in range(10)]
        assert [s.split()[0] for s in said] == ["220"] * 3 + ["421"] * 7
    # and for itself it has none
    assert d.client().ask("NOOP").code == 250
    assert re.search(r" refused .*client=192\.0\.2\.1 .*suppressed=", d.log())


def test_the_block_is_the_clients(start):
    d = start(extra=PROXIES
              + 'client "192.0.2.0/24" { bare-newline = normalize }\n'
              + 'client "192.0.2.9" { proxy = yes }\n')

    def bare(client):
        with behind(d, v1(client)) as c:
            assert c.reply().code == 220
            c.ask("EHLO client.example.com")
            return c.deliver("a\nb\r\n").code

    assert bare("192.0.2.1") == 250
    assert bare("192.0.3.1") == 550
    # proxy of a client's own block means nothing behind a proxy
    assert bare("192.0.2.9") == 550
