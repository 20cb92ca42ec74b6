"""Submission: logging in, with real clients, and what a login is good for."""

import base64
import os
import pty
import select
import smtplib
import socket
import subprocess
import time

import pytest

import dovecot
from daemon import BINARY, DEADLINE, wait_for
from secured import PASSWORDS, Submission, context

@pytest.fixture(scope="module")
def submissions(base):
    factory = Submission(base)
    yield factory
    factory.end()


@pytest.fixture(scope="module")
def d(submissions):
    return submissions()


def sources():
    """Addresses without a past: the failures of one make its answers late."""
    for n in range(250 * 250):
        yield f"127.1.{n // 250 + 1}.{n % 250 + 1}"


source = sources().__next__


def secure(d):
    """On the submission port, inside TLS, and greeted again."""
    c = d.connect(d.submission, source())
    assert c.reply().code == 220
    assert c.ask("EHLO before.example.com").code == 250
    assert c.ask("STARTTLS").code == 220
    c.socket = context().wrap_socket(c.socket)
    reply = c.ask("EHLO client.example.com")
    assert "250-AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS" in (
        reply.lines)
    return c


def plain(user, password, authzid=""):
    return base64.b64encode(
        f"{authzid}\0{user}\0{password}".encode()).decode()


def log_in(d, user="alice"):
    c = secure(d)
    assert c.ask("AUTH PLAIN " + plain(user, PASSWORDS[user])).code == 235
    return c


def test_only_where_it_belongs(d):
    """WIRE 36, 37: not on mx, not before TLS, not twice, not in between."""
    with d.client() as c:
        assert c.ask("AUTH PLAIN").status == "502 5.5.1"
    with d.connect(d.submission) as c:
        c.reply()
        reply = c.ask("EHLO client.example.com")
        assert not any("AUTH" in line for line in reply.lines)
        assert c.ask("AUTH PLAIN").status == "530 5.7.0"
        assert c.ask("MAIL FROM:<alice@example.org>").status == "530 5.7.0"
    with secure(d) as c:
        assert c.ask("MAIL FROM:<alice@example.org>").status == "530 5.7.0"
        assert c.ask("AUTH CRAM-MD5").status == "504 5.5.4"
        assert c.ask("AUTH PLAIN !").status == "501 5.5.2"
        assert c.ask("AUTH PLAIN").lines == ["334 "]
        assert c.ask("*").code == 501
        # FAULT C12: it says what is missing
        assert " 5.5.2 User and password are missing [" in c.ask(
            "AUTH PLAIN =").lines[0]
        assert c.ask("AUTH PLAIN " + plain(
            "alice", PASSWORDS["alice"])).status == "235 2.7.0"
        assert c.ask("AUTH PLAIN").status == "503 5.5.1"
        c.begin("bob@example.org", sender="alice@example.org")
        assert c.ask("AUTH PLAIN").status == "503 5.5.1"


def test_given_up_and_begun_anew(d):
    """In one segment: the exchange that is over is let go of."""
    with secure(d) as c:
        assert c.ask("AUTH PLAIN").code == 334
        c.send(b"*\r\nAUTH LOGIN\r\n")
        assert [c.reply().code, c.reply().code] == [501, 334]
        c.send(b"*\r\nRSET\r\nAUTH PLAIN " + plain(
            "alice", PASSWORDS["alice"]).encode() + b"\r\n")
        assert [c.reply().code for _ in range(3)] == [501, 250, 235]


@pytest.mark.parametrize("user, password", [
    ("alice", "wrong"), ("nobody", "wrong"), ("Alice", PASSWORDS["alice"]),
    ("alice", PASSWORDS["alice"] + "x"), ("bob", PASSWORDS["bob@example.org"])])
def test_wrong(d, user, password):
    """WIRE 36: whatever is wrong, the reply is the same."""
    with secure(d) as c:
        reply = c.ask("AUTH PLAIN " + plain(user, password))
        assert reply.text.startswith("5.7.8 Wrong user or password [")
        assert reply.code == 535
        assert c.ask("MAIL FROM:<alice@example.org>").status == "530 5.7.0"


@pytest.mark.parametrize("way", ["auth_plain", "auth_login"])
def test_smtplib(d, way):
    """WIRE 30: ESMTPSA, and the message is where it belongs."""
    with smtplib.SMTP("127.0.0.1", d.submission, "client.example.com") as s:
        s.starttls(context=context())
        s.ehlo()
        s.user, s.password = "bob@example.org", PASSWORDS["bob@example.org"]
        s.auth(way.rsplit("_", 1)[1].upper(), getattr(s, way))
        before = set(d.files("alice@example.org"))
        s.sendmail("bob@example.org", "alice@example.org", way + "\r\n")
    m, = [x for x in d.messages("alice@example.org") if x.path not in before]
    assert " with ESMTPSA id " in m.received
    assert m.body == way.encode() + b"\n"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks(d, mechanism):
    r = subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{d.submission}", "--tls", "--auth",
         mechanism, "--auth-user", "mallory", "--auth-password", "m", "--from",
         "mallory@example.org", "--to", "alice@example.org"],
        capture_output=True, text=True, timeout=DEADLINE)
    assert r.returncode == 0 and " accepted" in r.stdout, r.stdout


def gsasl(d, mechanism, user, password):
    """What it said; msmtp 1.8.28 ends before AUTH where it shall use SCRAM
    without -PLUS over TLS."""
    r = subprocess.run(
        ["gsasl", "--client", "--smtp", "--connect",
         f"127.0.0.1:{d.submission}", "--mechanism", mechanism,
         "--authentication-id", user, "--authorization-id", user,
         "--password", password, f"--x509-ca-file={d.chain}",
         "--no-client-first",
         *([] if mechanism.endswith("-PLUS") else ["--no-cb"])],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=DEADLINE)
    return r.stdout + r.stderr


@pytest.mark.parametrize("mechanism", ["plain", "login"])
def test_msmtp(d, mechanism):
    for password, status in ((PASSWORDS["alice"], 0), ("wrong", 77)):
        r = subprocess.run(
            ["msmtp", "--host=127.0.0.1", f"--port={d.submission}",
             "--tls=on", "--tls-starttls=on", "--tls-certcheck=off",
             f"--source-ip={source()}",
             f"--auth={mechanism}", "--user=alice",
             f"--passwordeval=echo '{password}'", "--from=alice@example.org",
             "bob@example.org"], input="Subject: x\n\nby msmtp\n",
            capture_output=True, text=True, timeout=DEADLINE)
        assert r.returncode == status, r.stderr


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
@pytest.mark.parametrize("password, good", [(PASSWORDS["alice"], True),
                                            ("wrong", False)])
def test_scram(d, mechanism, password, good):
    """FAULT D10: without msmtp, which cannot on Debian 13. WIRE 36: also
    with tls-exporter; we prove ourselves."""
    out = gsasl(d, mechanism, "alice", password)
    assert ("(server trusted)" in out) == good, out
    assert ("235 2.7.0" in out) == good


def test_who_may_send_what(d):
    """A login's own addresses, with a detail, and its aliases."""
    with log_in(d) as c:
        for sender in ("alice@example.org", "ALICE@Example.org",
                       "alice+x@example.org", "team@example.org",
                       "postmaster@example.org", ""):
            assert c.ask(f"MAIL FROM:<{sender}>").code == 250, sender
            c.ask("RSET")
        for sender in ("bob@example.org", "nobody@example.org",
                       "abuse@example.net", "x@example.net",
                       "alice@example.com", "alice@[127.0.0.1]"):
            assert c.ask(f"MAIL FROM:<{sender}>").status == "553 5.7.1", sender
    with log_in(d, "bob@example.org") as c:
        for sender, status in (("bob@example.org", "250 2.1.0"),
                               ("abuse@example.net", "250 2.1.0"),
                               ("alice@example.org", "553 5.7.1"),
                               ("carol@example.net", "553 5.7.1")):
            assert c.ask(f"MAIL FROM:<{sender}>").status == status, sender
            c.ask("RSET")


def test_mail_auth(d):
    """WIRE 14: AUTH= of MAIL is read and dropped once somebody logged in.

    FAULT C1: it was 555, and Exim bounced its mail.
    """
    with log_in(d) as c:
        for auth, status in (("<>", "250 2.1.0"),
                             ("alice+40example.org", "250 2.1.0"),
                             ("alice+4", "501 5.5.4")):
            reply = c.ask(f"MAIL FROM:<alice@example.org> AUTH={auth}")
            assert reply.status == status, auth
            c.ask("RSET")


def test_any_name_submits(d):
    """WIRE 8: whoever submits may be called anything that can be printed.

    FAULT C5: nodemailer, msmtp and Ruby were refused for their names.
    """
    for name, stands in (("My (old) PC", None),
                         ("[IPv6:fe80::1%eth0]", "[IPv6:fe80::1]"),
                         ("host.lan.", "host.lan")):
        with secure(d) as c:
            literal = f"[{c.socket.getsockname()[0]}]"
            assert c.ask(f"EHLO {name}").code == 250, name
            assert c.ask("AUTH PLAIN " + plain(
                "alice", PASSWORDS["alice"])).code == 235
            id = c.deliver("x\r\n", sender="alice@example.org").id
        received = d.message("alice@example.org", id).received
        assert received.startswith(
            f"Received: from {stands or literal} ({literal})\n"), received


def test_senders_file(submissions):
    d = submissions(senders="alice: sales@example.com, @shop.example\n"
                            "mallory:\n")
    with log_in(d) as c:
        for sender, status in (("sales@example.com", "250 2.1.0"),
                               ("any@shop.example", "250 2.1.0"),
                               ("alice@example.org", "553 5.7.1"),
                               ("any@sub.shop.example", "553 5.7.1")):
            assert c.ask(f"MAIL FROM:<{sender}>").status == status, sender
            c.ask("RSET")
    with log_in(d, "mallory") as c:
        assert c.ask("MAIL FROM:<mallory@example.org>").status == "553 5.7.1"
    with log_in(d, "bob@example.org") as c:
        assert c.ask("MAIL FROM:<bob@example.org>").code == 250


def refusals(d, code):
    return [x for x in d.log().splitlines()
            if " refused " in x and f'reply="{code} ' in x]


def test_address_as_login(submissions):
    """FAULT D3: user@ our domain is user, by each mechanism, for senders and
    in the log, where no login holds an @."""
    d = submissions(passwords={"alice": PASSWORDS["alice"]},
                    senders="alice: sales@example.com\n")
    for mechanism in ("plain", "login"):
        for password, status in ((PASSWORDS["alice"], 0), ("wrong", 77)):
            r = subprocess.run(
                ["msmtp", "--host=127.0.0.1", f"--port={d.submission}",
                 "--tls=on", "--tls-starttls=on", "--tls-certcheck=off",
                 f"--source-ip={source()}",
                 f"--auth={mechanism}", "--user=alice@Example.ORG",
                 f"--passwordeval=echo '{password}'",
                 "--from=sales@example.com", "bob@example.org"],
                input="Subject: x\n\nby msmtp\n", capture_output=True,
                text=True, timeout=DEADLINE)
            assert r.returncode == status, r.stderr
    for mechanism, user, password, good in (
            ("SCRAM-SHA-256", "alice@Example.ORG", PASSWORDS["alice"], True),
            ("SCRAM-SHA-256", "alice@Example.ORG", "wrong", False),
            ("SCRAM-SHA-256-PLUS", "alice@example.net", PASSWORDS["alice"],
             True)):
        out = gsasl(d, mechanism, user, password)
        assert ("(server trusted)" in out) == good, out
    logins = [x for x in d.log().splitlines() if " logged-in " in x]
    assert len(logins) == 4
    assert all(x.endswith(" login=alice") for x in logins), logins
    assert [x.split(" mechanism=")[1] for x in refusals(d, "535")] == [
        f"{m} login=alice" for m in ("PLAIN", "LOGIN", "SCRAM-SHA-256")]


def test_who_failed(submissions):
    """FAULT D3: 535 and 504 are logged with mechanism and login, but for what
    could be a password."""
    d = submissions()
    with secure(d) as c:
        for user in ("alice@example.org", "x y@example.com", "alice:secret"):
            assert c.ask("auth plain " + plain(user, "wrong")).code == 535
        for mechanism in ("CRAM-MD5", "Tr0ub4dor", "VHIwdWI0ZG9y"):
            assert c.ask(f"AUTH {mechanism}").status == "504 5.5.4"
    lines = refusals(d, "535")
    assert [x.split(" mechanism=")[1] for x in lines] == [
        "PLAIN login=alice@example.org", 'PLAIN login="x y@example.com"',
        "PLAIN"]
    lines = refusals(d, "504")
    assert ["mechanism=" in x for x in lines] == [True, False, False]
    assert lines[0].endswith(" mechanism=CRAM-MD5")
    assert "Tr0ub4dor" not in d.log() and "VHIwdWI0ZG9y" not in d.log()


def test_no_relay_after_login(d):
    """WIRE 37: strangers need a smarthost, and there is none yet."""
    with log_in(d) as c:
        c.begin("bob@example.org", sender="alice@example.org")
        assert c.ask("RCPT TO:<x@elsewhere.example>").status == "550 5.7.1"


def test_secrets_stay_secret(submissions):
    """Not with -v, not when refused, not in any coding."""
    d = submissions(top="")
    secrets = [plain("alice", PASSWORDS["alice"]), plain("alice", "Tr0ub4dor"),
               "Tr0ub4dor", base64.b64encode(b"Tr0ub4dor").decode()]
    with secure(d) as c:
        c.ask("AUTH PLAIN " + secrets[1])
        c.ask("AUTH LOGIN")
        c.ask(base64.b64encode(b"alice").decode())
        c.ask(secrets[3])
        c.ask("AUTH PLAIN " + secrets[1] + "!")
        c.ask("AUTH PLAIN " + secrets[0])
    d.stop()
    log = d.log()
    assert " refused " in log and "logged-in" in log
    for secret in secrets + [PASSWORDS["alice"]]:
        assert secret not in log


def test_hashing_holds_up_nobody(d):
    """Ten logins at once, and the next client is served all the same."""
    clients = [secure(d) for _ in range(10)]
    for c in clients:
        c.send("AUTH PLAIN " + plain("alice", PASSWORDS["alice"]) + "\r\n")
    with d.client() as other:
        assert other.deliver("between\r\n").code == 250
    for c in clients:
        assert c.reply().code == 235
        c.close()


def test_gone_while_hashing(d):
    for _ in range(5):
        c = secure(d)
        c.send("AUTH PLAIN " + plain("alice", PASSWORDS["alice"]) + "\r\n")
        c.close()
    with log_in(d) as c:
        assert c.ask("NOOP").code == 250


def test_passwd_from_a_terminal():
    """Twice, unseen; two that differ print nothing."""
    for first, second, good in (("s3cret", "s3cret", True),
                                ("s3cret", "other", False)):
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(BINARY, [BINARY, "passwd", "alice"])
        seen = b""
        for answer in (first, second):
            while seen.count(b": ") < (1 if answer is first else 2):
                seen += os.read(fd, 1024)
                time.sleep(0.05)
            os.write(fd, answer.encode() + b"\n")
        try:
            while True:
                data = os.read(fd, 1024)
                if not data:
                    break
                seen += data
        except OSError:
            pass
        _, status = os.waitpid(pid, 0)
        os.close(fd)
        assert (status == 0) == good
        assert (b"alice:$y$" in seen) == good
        assert b"s3cret" not in seen


def test_passwd_refuses():
    for user, password in (("a:b", "x"), ("alice", ""), ("", "x"), ("#a", "x"),
                           (" a", "x"), ("alice", "x" * 2000)):
        r = subprocess.run([BINARY, "passwd", user], input=password + "\n",
                           capture_output=True, text=True, timeout=DEADLINE)
        assert r.returncode == 1 and not r.stdout and r.stderr
    for args in ([], ["--no-scram"], ["-x"], ["alice", "bob"],
                 ["--no-scram", "alice", "bob"]):
        r = subprocess.run([BINARY, "passwd", *args], capture_output=True,
                           text=True, stdin=subprocess.DEVNULL)
        assert r.returncode == 64
    with open("/dev/full", "w") as full:
        r = subprocess.run([BINARY, "passwd", "alice"], input="x\n",
                           stdout=full, stderr=subprocess.PIPE, text=True,
                           timeout=DEADLINE)
    assert r.returncode == 1 and "cannot write the line" in r.stderr


def test_passwd_no_scram():
    """FAULT B5: keys of 100,000 rounds, or none."""
    r = subprocess.run([BINARY, "passwd", "alice"], input="x\n", text=True,
                       capture_output=True)
    assert ":$y$" in r.stdout and ":SCRAM-SHA-256$100000:" in r.stdout
    r = subprocess.run([BINARY, "passwd", "--no-scram", "alice"], input="x\n",
                       text=True, capture_output=True)
    assert r.returncode == 0 and r.stdout.count(":") == 1
    assert r.stdout.startswith("alice:$y$")


def test_faults_name_file_and_line(tmp_path):
    (tmp_path / "pw").write_text("alice:$y$x\n\nbob:hunter2\n")
    (tmp_path / "senders").write_text("alice: not an address\n")
    conf = tmp_path / "conf"
    conf.write_text(f"""hostname = mx.example.org
domain "example.org" {{ users = {{ "a" }} aliases = {{ "postmaster: a",
    "abuse: a" }} }}
auth {{ password-file = "{tmp_path}/pw" senders-file = "{tmp_path}/senders"
    mechanisms = {{ "PLAIN", "GSSAPI" }} }}
""")
    r = subprocess.run([BINARY, "-n", "-f", conf], capture_output=True,
                       text=True)
    assert r.returncode == 78
    assert f"{tmp_path}/pw:3: error: " in r.stderr
    assert f"{tmp_path}/senders:1: error: " in r.stderr
    assert ":5: error: mechanisms: \"GSSAPI\"" in r.stderr
    assert "hunter2" not in r.stderr


class SlowAuth:
    """An auth service that answers when the test says so."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        path.chmod(0o666)
        self.listener.listen()
        self.listener.settimeout(DEADLINE)

    def shake(self):
        self.peer, _ = self.listener.accept()
        self.peer.settimeout(DEADLINE)
        self.lines = self.peer.makefile("r")
        assert self.lines.readline() == "VERSION\t1\t2\n"
        assert self.lines.readline().startswith("CPID\t")
        self.peer.sendall(b"VERSION\t1\t2\nMECH\tPLAIN\nDONE\n")

    def asked(self):
        """The id of the next login."""
        word, id, _ = self.lines.readline().split("\t", 2)
        assert word == "AUTH"
        return id

    def close(self):
        self.peer.close()
        self.listener.close()


def test_one_address_has_turns(secured):
    """FAULT A9: of 21 at once two are looked at and 16 wait, in order; three
    hear 454."""
    path = secured.folder() / "auth"
    service = SlowAuth(path)
    d = secured(top="workers = 1", extra=f'auth {{ dovecot = "{path}" }}\n',
                limits="rate-failed-logins = 0")
    service.shake()
    wait_for("what it offers", lambda: "auth-up" in d.log())
    clients = [secure_anyhow(d) for _ in range(21)]
    for c in clients:
        c.send("AUTH PLAIN " + plain("alice", "x") + "\r\n")
    refused = set()

    def three():
        refused.update(select.select(
            [c.socket for c in clients], [], [], 0.1)[0])
        return len(refused) == 3

    wait_for("that it is too many", three)
    waiting = [c for c in clients if c.socket not in refused]
    for c in clients:
        if c.socket in refused:
            assert c.reply().status == "454 4.7.0"
    two = [service.asked(), service.asked()]
    assert two == ["1", "2"]
    for i in range(18):
        service.peer.sendall(f"OK\t{i + 1}\tuser=alice\n".encode())
        if i < 16:
            assert service.asked() == str(i + 3)
    for c in waiting:
        assert c.reply().code == 235
    assert " mechanism=PLAIN" in refusals(d, "454")[0]
    for c in clients:
        c.close()
    d.stop()
    service.close()


@pytest.fixture
def peer(secured):
    """A Dovecot that knows alice; and smtpd that asks it."""
    why = dovecot.why_not()
    if why:
        pytest.skip(why)
    p = dovecot.Dovecot(secured.folder(), {"alice": "secret of alice"})
    d = secured(extra=f'auth {{ dovecot = "{p.socket}" }}\n')
    d.chain = secured.chain
    yield d, p
    p.stop()


def test_dovecot(peer):
    """Its users, its mechanisms; 454 while it is away, and back again."""
    d, p = peer
    with secure_anyhow(d) as c:
        assert c.ask("AUTH PLAIN").status == "454 4.7.0"
    p.start()

    def offered():
        with secure_anyhow(d) as c:
            reply = c.ask("EHLO client.example.com")
            return "250-AUTH PLAIN LOGIN SCRAM-SHA-256" in reply.lines

    wait_for("what Dovecot offers", offered)
    for mechanism in ("plain", "login"):
        for password, status in (("secret of alice", 0), ("wrong", 77)):
            r = subprocess.run(
                ["msmtp", "--host=127.0.0.1", f"--port={d.submission}",
                 "--tls=on", "--tls-starttls=on", "--tls-certcheck=off",
                 f"--source-ip={source()}",
                 f"--auth={mechanism}", "--user=alice",
                 f"--passwordeval=echo '{password}'",
                 "--from=alice@example.org", "bob@example.org"],
                input="Subject: x\n\nby msmtp\n", capture_output=True,
                text=True, timeout=DEADLINE)
            assert r.returncode == status, r.stderr
    for password, good in (("secret of alice", True), ("wrong", False)):
        out = gsasl(d, "SCRAM-SHA-256", "alice", password)
        assert ("235 2.7.0" in out) == good, out
    p.stop()

    def away():
        with secure_anyhow(d) as c:
            return c.ask("AUTH PLAIN " + plain(
                "alice", "secret of alice")).status == "454 4.7.0"

    wait_for("that it is away", away)
    p.start()
    wait_for("what Dovecot offers", offered)


def secure_anyhow(d):
    c = d.connect(d.submission)
    assert c.reply().code == 220
    assert c.ask("EHLO before.example.com").code == 250
    assert c.ask("STARTTLS").code == 220
    c.socket = context().wrap_socket(c.socket)
    assert c.ask("EHLO client.example.com").code == 250
    return c
