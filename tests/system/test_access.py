"""Access rules: who may speak, what is said to who may not, and which line of
which file it was that said so."""

import re
import subprocess

import pytest

import netns
from daemon import BINARY, wait_for
from test_auth import log_in
from test_status import tool


@pytest.fixture
def ruled(start):
    """ruled(*rules, more="", **config): the line of the first rule is
    d.first, one a line."""
    def make(*rules, more="", **config):
        d = start(extra='access { rules = {\n' + ",\n".join(
            f'"{r}"' for r in rules) + "\n} }\n" + more, **config)
        lines = d.conf.read_text().splitlines()
        d.first = lines.index("access { rules = {") + 2
        return d
    return make


def refusals(d):
    """Of each check's no: reply, check, value and line."""
    return [(m[1], m[2], m[3].strip('"'), m[4]) for m in re.finditer(
        r' info refused .* reply="([^"]*) \[[0-9A-V]*\]".* check=(\S+) '
        r'value=("[^"]*"|\S+) at=(\S+)', d.log())]


def observed(d):
    return [(m[1], m[2].strip('"'), m[3]) for m in re.finditer(
        r' info observed .* check=(\S+) value=("[^"]*"|\S+) at=(\S+)',
        d.log())]


def assert_come(found, d, expected):
    """In the log, soon; two workers write in any order."""
    wait_for("its lines", lambda: len(found(d)) >= len(expected))
    assert sorted(found(d)) == sorted(expected)


def said(reply):
    """Without the session's id."""
    return re.sub(r" \[[0-9A-V]{16}\]$", "", repr(reply))


@pytest.mark.parametrize("rule,greeting", [
    ("reject client 127.0.0.2: 550 5.7.1 No mail from here",
     "554 No mail from here"),
    ("reject client 127.0.0.2", "554 Access denied"),
    ("reject client 127.0.0.0/24", "554 Access denied"),
])
def test_greeting(ruled, rule, greeting):
    """554, and then QUIT alone is served (RFC 5321 3.1)."""
    d = ruled(rule, "allow client 127.0.0.3")
    with d.connect(source="127.0.0.2") as c:
        assert said(c.reply()) == greeting
        assert c.ask("EHLO client.example.com").code == 503
        assert c.ask("QUIT").code == 221
        assert c.closed()
    with d.connect(source="127.0.0.3") as c:
        assert c.reply().code == 220
    value = " ".join(rule.split(":")[0].split()[1:])
    assert_come(refusals, d, [
        (greeting, "access", value, f"{d.conf}:{d.first}")])


def test_greeting_later(ruled):
    d = ruled("defer client 127.0.0.2", "defer client 127.0.0.4: Not now",
              "observe client 127.0.0.3")
    with d.connect(source="127.0.0.2") as c:
        assert said(c.reply()) == "421 4.7.1 Access denied"
        assert c.closed()
    with d.connect(source="127.0.0.4") as c:
        assert said(c.reply()) == "421 4.7.1 Not now"
        assert c.closed()
    with d.connect(source="127.0.0.3") as c:
        assert c.reply().code == 220
    assert_come(observed, d, [
        ("access", "client 127.0.0.3", f"{d.conf}:{d.first + 2}")])


def test_each_kind(ruled):
    """What is said, when, and what the log says of it."""
    d = ruled("reject helo bad.example.com",
              "defer helo .slow.example.com: 450 4.7.0 Come back",
              "observe helo odd.example.com",
              "reject sender @spam.example: 521 5.7.9 No: never",
              "observe sender good@spam.example",
              "defer sender <>",
              "reject recipient bob@example.org",
              "defer recipient @example.net",
              "observe recipient carol@example.org")

    def at(n):
        return f"{d.conf}:{d.first + n}"

    def mail(helo, sender):
        with d.connect() as c:
            c.reply()
            assert c.ask(f"EHLO {helo}").code == 250
            return said(c.ask(f"MAIL FROM:<{sender}>"))

    assert mail("Bad.example.com", "a@b.test") == "550 5.7.1 Access denied"
    assert mail("a.slow.example.com", "a@b.test") == "450 4.7.0 Come back"
    assert mail("odd.example.com", "a@b.test") == "250 2.1.0 Sender ok"
    assert mail("x.test", "a@Spam.example") == "521 5.7.9 No: never"
    assert mail("x.test", "good@spam.example") == "250 2.1.0 Sender ok"
    assert mail("x.test", "") == "451 4.7.1 Access denied"
    with d.client() as c:
        assert c.ask("MAIL FROM:<a@b.test>").code == 250
        assert said(c.ask("RCPT TO:<Bob@example.org>")) == (
            "550 5.7.1 Access denied")
        assert said(c.ask("RCPT TO:<x@example.net>")) == (
            "451 4.7.1 Access denied")
        assert c.ask("RCPT TO:<carol@example.org>").code == 250
    assert_come(refusals, d, [
        ("550 5.7.1 Access denied", "access", "helo bad.example.com", at(0)),
        ("450 4.7.0 Come back", "access", "helo .slow.example.com", at(1)),
        ("521 5.7.9 No: never", "access", "sender @spam.example", at(3)),
        ("451 4.7.1 Access denied", "access", "sender <>", at(5)),
        ("550 5.7.1 Access denied", "access", "recipient bob@example.org",
         at(6)),
        ("451 4.7.1 Access denied", "access", "recipient @example.net",
         at(7))])
    assert_come(observed, d, [
        ("access", "helo odd.example.com", at(2)),
        ("access", "sender good@spam.example", at(4)),
        ("access", "recipient carol@example.org", at(8))])


def test_helo_again(ruled):
    """It is asked at MAIL: another name, and it goes on."""
    d = ruled("reject helo bad.example.com")
    with d.connect() as c:
        c.reply()
        c.ask("EHLO bad.example.com")
        assert c.ask("MAIL FROM:<a@b.test>").status == "550 5.7.1"
        c.ask("EHLO good.example.com")
        assert c.deliver("x\r\n").code == 250


@pytest.fixture
def elsewhere():
    """A network namespace with addresses that are not this machine's alone."""
    with netns.network("198.51.100.7/24", "198.51.100.8/24",
                       "198.51.100.9/24"):
        yield


def suspect(d, address="198.51.100.7"):
    """It says that it is us."""
    c = d.connect(source=address)
    assert c.reply().code == 220
    assert c.ask("EHLO mx.example.org").code == 250
    return c


REPUTATION = "checks { helo = reject }"


def test_allow_recipient(elsewhere, ruled):
    """An ALLOW of a recipient covers that RCPT alone: in whatever order they
    come, and in the next transaction too."""
    d = ruled("allow recipient postmaster@example.org", more=REPUTATION)
    pair = [("postmaster", 250), ("alice", 550)]
    for order in pair, pair[::-1]:
        with suspect(d) as c:
            for sender in "a@b.test", "b@b.test":
                assert c.ask(f"MAIL FROM:<{sender}>").code == 250
                for user, code in order:
                    reply = c.ask(f"RCPT TO:<{user}@example.org>")
                    assert reply.code == code, reply
                c.ask("RSET")
            c.ask("MAIL FROM:<a@b.test>")
            assert c.ask("RCPT TO:<alice@example.org>").code == 550


def test_allow_client(elsewhere, ruled):
    """One of a client covers its session, and no other."""
    d = ruled("allow client 198.51.100.8", "reject client 198.51.100.0/24",
              "observe client 198.51.100.7", more=REPUTATION)
    with suspect(d) as c:
        c.ask("MAIL FROM:<a@b.test>")
        assert c.ask("RCPT TO:<alice@example.org>").code == 550
    with suspect(d, "198.51.100.8") as c:
        for _ in range(2):
            assert c.deliver("x\r\n").code == 250


def test_allow_lifts_no_rule(ruled):
    """Nor does it let anybody relay."""
    d = ruled("allow client 127.0.0.1", "reject sender @spam.example",
              "reject recipient bob@example.org")
    with d.client() as c:
        assert c.ask("MAIL FROM:<x@spam.example>").status == "550 5.7.1"
        c.ask("MAIL FROM:<a@b.test>")
        assert c.ask("RCPT TO:<bob@example.org>").status == "550 5.7.1"
        assert c.ask("RCPT TO:<a@elsewhere.example>").status == "550 5.7.1"
        assert c.ask("RCPT TO:<alice@example.org>").code == 250


def test_login(submissions):
    """Rules of logins, and of clients, hold on submission as well."""
    path = submissions.folder() / "rules"
    path.write_text("reject login mallory: 550 5.7.1 Not you\n"
                    "observe login *\n")
    (submissions.folder() / "x").mkdir()
    d = submissions(top=f'access {{ rules-file = "{path}" }}')
    with log_in(d, "mallory") as c:
        assert said(c.ask("MAIL FROM:<mallory@example.org>")) in (
            "550 5.7.1 Not you",
            "553 5.7.1 You may not send from that address")
        assert said(c.ask("MAIL FROM:<>")) == "550 5.7.1 Not you"
    with log_in(d, "alice") as c:
        assert c.ask("MAIL FROM:<alice@example.org>").code == 250
    wait_for("its line", lambda: (
        "access", "login *", f"{path}:2") in observed(d))
    wait_for("its line", lambda: any(
        r[1:] == ("access", "login mallory", f"{path}:1")
        for r in refusals(d)))


def test_file(start, base):
    """A thousand of them, each with its line."""
    folder = start.folder()
    path = folder / "rules"
    path.write_text("# one for each\n\n" + "".join(
        f"reject sender @x{i}.example: 550 5.7.1 Number {i}\n"
        for i in range(1000)))
    d = start(extra=f'access {{ rules-file = "{path}" }}',
              limits="errors = 100")
    with d.client() as c:
        for i in 0, 7, 500, 998, 999:
            reply = c.ask(f"MAIL FROM:<a@x{i}.example>")
            assert said(reply) == f"550 5.7.1 Number {i}"
        assert c.ask("MAIL FROM:<a@x1000.example>").code == 250
    assert_come(lambda d: [r[3] for r in refusals(d)], d, [
        f"{path}:{i + 3}" for i in (0, 7, 500, 998, 999)])


def test_file_faults(start):
    folder = start.folder()
    path = folder / "rules"
    d = start.make(extra=f'access {{ rules-file = "{path}" }}')
    path.write_text("reject client 192.0.2.1\ndeny client 192.0.2.2\n\n"
                    "allow sender @partner.example\n"
                    "defer client 192.0.2.1/32\n")
    r = subprocess.run([BINARY, "-n", "-f", str(d.conf)], timeout=60,
                       capture_output=True, text=True)
    assert r.returncode == 78
    assert [x for x in r.stderr.splitlines() if str(path) in x] == [
        f'{path}:2: error: "deny client 192.0.2.2": a rule begins with allow, '
        "reject, defer or observe",
        f'{path}:4: error: allow sender "@partner.example": anybody can write '
        "that address: write allow client with its network",
        f'{path}:5: error: "client 192.0.2.1/32": there is a rule for it '
        f"already, in line 1 of {path}: keep one of them"]


def test_reload(start):
    """Rules that change; a file that is no good leaves the old ones."""
    folder = start.folder()
    path = folder / "rules"
    path.write_text("reject sender @one.example\n")
    d = start(extra=f'access {{ rules-file = "{path}" }}')

    def ask(domain):
        with d.client() as c:
            return c.ask(f"MAIL FROM:<a@{domain}.example>").code

    assert (ask("one"), ask("two")) == (550, 250)
    path.write_text("reject sender @two.example\n")
    assert tool(d, "reload", "--wait").returncode == 0
    assert (ask("one"), ask("two")) == (250, 550)
    path.write_text("reject sender two.example\n")
    assert tool(d, "reload").returncode != 0
    assert (ask("one"), ask("two")) == (250, 550)
    assert f"{path}:1" in d.log()


def test_why(ruled):
    """The trail behind a refusal names the rule and its line."""
    d = ruled("observe sender @x.example", "reject recipient bob@example.org")
    with d.client() as c:
        c.ask("MAIL FROM:<a@x.example>")
        id = c.ask("RCPT TO:<bob@example.org>").text[-17:-1]
        c.ask("QUIT")
    lines = wait_for("the trail", lambda: [
        x for x in tool(d, "why", id).stdout.splitlines()])
    assert [x.split(" ")[2] for x in lines] == ["refused", "passed"]
    at = f"{d.conf}:{d.first}"
    assert f"access observed reject sender @x.example {at}" in lines[1]
    at = f"{d.conf}:{d.first + 1}"
    assert f"access reject recipient bob@example.org {at}" in lines[1]
    assert "passed" not in d.log()
