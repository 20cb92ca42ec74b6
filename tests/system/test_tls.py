"""TLS: every dialogue inside of it, and what surrounds it."""

import contextlib
import hashlib
import os
import pty
import select
import socket
import ssl
import subprocess

import pytest

import postfix
import transcript
from conftest import Factory
from daemon import (BINARY, DEADLINE, Client, Message, free_port, pss,
                    sanitized, wait_for)
from secured import OPENSSL, Secured, certificate, context, subject
from test_dialogues import DIALOGUES

# These show what is said where STARTTLS is not offered.
IN_CLEAR = {"pipelining-starttls", "starttls-not-offered"}


@pytest.fixture(scope="module")
def secured(base):
    factory = Secured(base)
    known = {}

    def get(**kwargs):
        key = repr(sorted(kwargs.items()))
        if key not in known:
            known[key] = factory(**kwargs)
        return known[key]

    yield get
    factory.end()


@pytest.fixture(scope="module")
def d(secured):
    return secured()


def starttls(s):
    """From the greeting into TLS; the dialogues expect a greeting there."""
    f = s.makefile("rb")
    greeting = f.readline()
    s.sendall(b"EHLO before.example.com\r\n")
    offered = []
    while not offered or offered[-1][3:4] == b"-":
        offered.append(f.readline())
    assert b"250-STARTTLS\r\n" in offered
    s.sendall(b"STARTTLS\r\n")
    assert f.readline().startswith(b"220 2.0.0 ")
    return context().wrap_socket(s), greeting


def implicit(s):
    return context().wrap_socket(s), b""


# What a dialogue says is proved in clear; here, that TLS changes none of it.
@pytest.mark.parametrize(
    "way, how", [("starttls", "whole"), ("starttls", "byte"),
                 ("implicit", "line")])
@pytest.mark.parametrize(
    "dialogue", [x for x in DIALOGUES if x.name not in IN_CLEAR],
    ids=lambda x: x.name)
def test_dialogue(dialogue, way, how, secured):
    config = dict(dialogue.config)
    role = config.pop("role", "mx")
    size = config.pop("message-size", None)
    d = secured(client=dialogue.client,
                top=f"message-size = {size}" if size else "",
                limits="\n".join(f"{k} = {v}" for k, v in config.items()))
    ports = {"starttls": (d.port, d.submission),
             "implicit": (d.implicit, d.submissions)}[way]
    before = set(d.files())
    ids = transcript.run(
        dialogue, ports[role == "submission"], how,
        starttls if way == "starttls" else implicit)
    stored = [Message(p) for p in d.files() if p not in before]
    transcript.check_stored(dialogue, ids, stored)
    assert all("\ttls TLS_" in m.received for m in stored)


def test_the_check_says_that_it_is_not_offered(start):
    d = start.make()
    r = subprocess.run([BINARY, "-n", "-f", d.conf], capture_output=True,
                       text=True)
    assert r.returncode == 0
    assert "note: no certificate block, so STARTTLS is not offered" in r.stderr


def test_received_names_tls(d):
    """WIRE 30, 35: ESMTPS, cipher and version; EHLO is forgotten."""
    with d.client() as c:
        assert c.ask("STARTTLS").code == 220
        c.socket = context().wrap_socket(c.socket)
        assert c.ask("MAIL FROM:<a@example.com>").status == "503 5.5.1"
        reply = c.ask("EHLO inside.example.com")
        assert not any("STARTTLS" in line for line in reply.lines)
        assert c.ask("STARTTLS").status == "503 5.5.1"
        id = c.deliver("hello\r\n").id
        version, cipher = c.socket.version(), c.socket.cipher()[0]
    m = d.message("alice@example.org", id)
    assert " with ESMTPS id " in m.received
    assert f"tls {cipher} ({version});" in m.received
    assert "from inside.example.com " in m.received


def test_starttls_refuses_arguments(d):
    """WIRE 35"""
    with d.client() as c:
        assert c.ask("STARTTLS now").status == "501 5.5.4"
        assert c.ask("NOOP").code == 250


@pytest.mark.parametrize("behind", ["\r\n", "EHLO x\r\n", "x", "\x16\x03"])
def test_nothing_is_injected(d, behind):
    """WIRE 35: an octet behind STARTTLS ends the session, without a 220."""
    with d.client() as c:
        c.send("STARTTLS\r\n" + behind)
        assert c.reply().status == "554 5.5.0"
        assert c.closed()


def test_injected_later_is_for_the_library(d):
    """WIRE 35: what comes behind the 220 is a handshake, or the end."""
    with d.client() as c:
        assert c.ask("STARTTLS").code == 220
        c.send("EHLO inside.example.com\r\nMAIL FROM:<a@example.com>\r\n")
        assert c.closed()


def test_plain_client_on_implicit(d):
    """Who speaks first, in clear, is told; one line in the log."""
    for what in (b"EHLO x\r\n", b"GET / HTTP/1.0\r\n\r\n", b"\r\n"):
        with d.connect(d.implicit) as c:
            c.send(what)
            assert c.reply().status == "554 5.7.0"
            assert c.closed()


def test_foreign_client(secured):
    """FAULT C3: told apart by its first octets, closed, and one line each."""
    d = secured(top="workers = 1")
    for port, what, reply, reason in (
            (d.port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
             "TLS begins with STARTTLS here", "TLS"),
            (d.port, b"POST / HTTP/1.1\r\nHost: mx\r\n\r\nEHLO x\r\n",
             "This is SMTP, not HTTP", "HTTP"),
            (d.submission, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\nEHLO x\r\n",
             "This is SMTP, without a PROXY header", "PROXY")):
        with d.connect(port) as c:
            assert c.reply().code == 220
            c.send(what)
            said = c.reply()
            assert said.status == "554 5.5.0" and reply in said.text
            assert c.closed()
        session = said.text.split("[")[1].rstrip("]")
        line, = (x for x in d.log().splitlines() if session in x)
        assert f" reason={reason}" in line
        assert (" help=" in line) == (reason == "PROXY")


def test_no_prompt(base):
    """FAULT A8: a key with a passphrase is an error, and nobody is asked."""
    folder = Factory(base).folder()
    block = certificate(folder, "mx.example.org")
    key, conf = folder / "mx.example.org.key", folder / "smtpd.conf"
    subprocess.run([OPENSSL, "ec", "-aes128", "-passout", "pass:secret", "-in",
                    key, "-out", key], check=True, capture_output=True)
    conf.write_text(f'{block}domain "example.org" {{ users = {{ "a" }} }}\n')
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(BINARY, [BINARY, "-n", "-f", str(conf)])
    said = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while b"pass phrase" not in said:
            assert select.select([terminal], [], [], DEADLINE)[0], said
            said += os.read(terminal, 4096)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.WEXITSTATUS(status) == 78
    assert b"smtpd.conf:1: error: " in said and b"without a passphrase" in said


def test_silent_client_on_implicit(secured):
    """Who waits for a greeting is told at the end of the handshake's time."""
    d = secured(limits="handshake = 500ms")
    with d.connect(d.implicit) as c:
        assert c.reply().status == "554 5.7.0"
        assert c.closed()
    with d.client() as c:
        assert c.ask("STARTTLS").code == 220
        assert c.closed()
    with d.connect(d.implicit) as c:  # half a ClientHello, and no more
        c.send(b"\x16\x03\x01\x02\x00\x01")
        assert c.closed()
    assert d.log().count(" info insecure ") == 3


def test_garbage_hello(d):
    with d.connect(d.implicit) as c:
        c.send(b"\x16" * 600)
        c.socket.settimeout(DEADLINE)
        try:
            while c.socket.recv(4096):
                pass
        except ConnectionResetError:
            pass
    with d.client() as c:
        assert c.ask("NOOP").code == 250


@pytest.mark.parametrize("version", ["tls1", "tls1_1", "tls1_2", "tls1_3"])
def test_versions(d, version):
    """TLS 1.2 and 1.3, and nothing below; no compression, no ticket."""
    r = subprocess.run(
        [OPENSSL, "s_client", "-connect", f"127.0.0.1:{d.port}", "-starttls",
         "smtp", f"-{version}", "-cipher", "DEFAULT@SECLEVEL=0"],
        input=b"", capture_output=True, timeout=DEADLINE)
    out = r.stdout.decode(errors="replace")
    good = "mx.example.org" in out and "Cipher is (NONE)" not in out
    assert good == (version in ("tls1_2", "tls1_3")), out
    if good:
        assert "Compression: NONE" in out
        assert "TLS session ticket:" not in out
        assert "Secure Renegotiation IS supported" in out or "1_3" in version


def test_no_renegotiation(d):
    s = subprocess.Popen(
        [OPENSSL, "s_client", "-connect", f"127.0.0.1:{d.implicit}",
         "-tls1_2", "-crlf"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
    s.stdin.write(b"EHLO x\n")
    # a command of s_client is what it reads alone
    while not s.stdout.readline().startswith(b"250 LIMITS"):
        assert s.poll() is None
    s.stdin.write(b"R\n")
    out, _ = s.communicate(timeout=DEADLINE)
    assert b"RENEGOTIATING" in out
    assert b"no renegotiation" in out or b"error" in out.lower()


def test_server_preference(d):
    """Of what both know, the server's first: not the client's."""
    ours = set()
    for order in ("ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-GCM-SHA384",
                  "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA"):
        c = context(maximum_version=ssl.TLSVersion.TLSv1_2)
        c.set_ciphers(order)
        with socket.create_connection(("127.0.0.1", d.implicit),
                                      DEADLINE) as s:
            ours.add(c.wrap_socket(s).cipher()[0])
    assert ours == {"ECDHE-ECDSA-AES256-GCM-SHA384"}


def test_weak_ciphers(d):
    for weak in ("NULL", "aNULL", "3DES", "kRSA"):
        c = context(maximum_version=ssl.TLSVersion.TLSv1_2)
        try:
            c.set_ciphers(weak + ":@SECLEVEL=0")
        except ssl.SSLError:
            continue  # the client's library has none of these
        with socket.create_connection(("127.0.0.1", d.implicit),
                                      DEADLINE) as s:
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                c.wrap_socket(s)


def test_sni(secured):
    """Names choose; a wrong one, or none, gets the default."""
    d = secured(names=("other.example.com", "mx.example.org alt.example.org",
                       "*.wild.example"))
    for name, want in (("other.example.com", "other.example.com"),
                       ("mx.example.org", "mx.example.org"),
                       ("ALT.example.org", "mx.example.org"),
                       ("a.wild.example", "*.wild.example"),
                       ("a.b.wild.example", "mx.example.org"),
                       ("stranger.example", "mx.example.org"),
                       (None, "mx.example.org")):
        with socket.create_connection(("127.0.0.1", d.implicit),
                                      DEADLINE) as s:
            tls = context().wrap_socket(s, server_hostname=name)
            assert subject(tls) == want, name


def test_large_and_pipelined(d):
    """A message of many records, and many commands in one."""
    body = b"".join(b"%06d %s\r\n" % (i, b"x" * 60) for i in range(150000))
    with d.client() as c:
        assert c.ask("STARTTLS").code == 220
        c.socket = context().wrap_socket(c.socket)
        c.ask("EHLO client.example.com")
        id = c.deliver(body).id
        c.send("NOOP\r\n" * 5000)
        for _ in range(5000):
            assert c.reply().code == 250
    assert d.message("alice@example.org", id).body == body.replace(
        b"\r\n", b"\n")


def test_close_notify(d):
    """The end is said, in both directions."""
    with socket.create_connection(("127.0.0.1", d.implicit), DEADLINE) as s:
        tls = context().wrap_socket(s, suppress_ragged_eofs=False)
        assert tls.recv(100).startswith(b"220 ")
        tls.sendall(b"QUIT\r\n")
        assert tls.recv(100).startswith(b"221 ")
        assert tls.recv(100) == b""  # an alert, or this would raise
    with socket.create_connection(("127.0.0.1", d.implicit), DEADLINE) as s:
        tls = context().wrap_socket(s, suppress_ragged_eofs=False)
        tls.recv(100)
        tls.unwrap()


def test_swaks_and_curl(d):
    r = subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{d.port}", "--tls", "--to",
         "alice@example.org", "--from", "a@example.com", "--body", "by swaks"],
        capture_output=True, text=True, timeout=DEADLINE)
    assert r.returncode == 0 and " accepted" in r.stdout, r.stdout
    before = len(d.files("bob@example.org"))
    for url in (f"smtps://127.0.0.1:{d.implicit}", f"smtp://127.0.0.1:{d.port}"):
        r = subprocess.run(
            ["curl", "-sS", "-k", "--ssl-reqd", url, "--mail-from",
             "a@example.com", "--mail-rcpt", "bob@example.org", "-T", "-"],
            input="Subject: x\r\n\r\nby curl\r\n", capture_output=True,
            text=True, timeout=DEADLINE)
        assert r.returncode == 0, r.stderr
    assert len(d.files("bob@example.org")) == before + 2


def test_handshakes_cost_no_session(secured):
    """Gone in the middle of a handshake: nothing stays behind."""
    d = secured(names=("mx.example.org", "b.example.org"))
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", d.implicit)) as s:
            s.sendall(b"\x16\x03\x01\x02\x00")
    wait_for("all of them in the log",
             lambda: d.log().count(" info insecure ") >= 50)
    # as many as one address may have
    with d.client() as c:
        assert c.ask("NOOP").code == 250


def fingerprint(chain):
    der = ssl.PEM_cert_to_DER_cert(chain.read_text())
    return ":".join(f"{b:02X}" for b in hashlib.sha256(der).digest())


@pytest.mark.parametrize("right", [True, False])
def test_postfix_pins_the_certificate(base, right):
    """A peer MX that knows our fingerprint, as DANE would tell it."""
    why = postfix.why_not()
    if why:
        pytest.skip(why)
    factory = Secured(base)
    d = factory()
    pin = fingerprint(factory.chain)
    if not right:
        pin = pin[:-2] + ("00" if pin[-2:] != "00" else "01")
    p = postfix.Postfix(factory.folder(), d.port, f"""
smtp_tls_security_level = fingerprint
smtp_tls_fingerprint_digest = sha256
smtp_tls_fingerprint_cert_match = {pin}
smtp_tls_loglevel = 1
""")
    try:
        p.start()
        with Client(p.entry) as c:
            assert c.reply().code == 220
            assert c.ask("EHLO sender.example.com").code == 250
            c.begin("alice@example.org")
            assert c.ask("DATA").code == 354
            c.send("pinned\r\n.\r\n")
            assert c.reply().code == 250
        if right:
            wait_for("the message", lambda: d.messages("alice@example.org"))
            m, = d.messages("alice@example.org")
            assert m.body.endswith(b"pinned\n")
            assert " with ESMTPS id " in m.received
            # its log is written by a process of its own
            wait_for("its word", lambda:
                     "Verified TLS connection established" in p.log())
        else:
            wait_for("its refusal", lambda: "status=deferred" in p.log())
            assert "Server certificate not verified" in p.log()
            assert d.messages() == []
    finally:
        p.stop()
        factory.end()


@pytest.mark.skipif(sanitized(), reason="a sanitizer's memory is not smtpd's")
def test_thousand_idle_sessions(start, base):
    """TLS 1.3: below 18 KiB each in one worker, on OpenSSL 3.0. From 3.2 on
    the library's bare SSL object alone takes 8 KiB more (16,290 octets in 3.5,
    8,515 in 3.0)."""
    n = 1000
    most = 18 if ssl.OPENSSL_VERSION_INFO < (3, 2) else 26
    factory = Secured(base)
    d = factory(top="workers = 1",
                limits=f"sessions = {2 * n}\nper-address = {2 * n}")
    tls = context(minimum_version=ssl.TLSVersion.TLSv1_3)
    worker, = d.workers()

    def session(stack):
        s = stack.enter_context(
            tls.wrap_socket(socket.create_connection(
                ("127.0.0.1", d.implicit), DEADLINE)))
        assert s.recv(100).startswith(b"220 ")
        return s

    try:
        with contextlib.ExitStack() as stack:
            for _ in range(5):  # whatever is made once is there now
                session(stack)
        with contextlib.ExitStack() as stack:
            before = pss(worker)
            for _ in range(n):
                session(stack)
            each = (pss(worker) - before) / n
            assert each < most, f"{each} KiB"
    finally:
        factory.end()
