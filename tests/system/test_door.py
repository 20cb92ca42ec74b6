"""The door: checks of clients that are not on this machine, each told in the
log with what it has found and the line that asked for it."""

import re

import pytest

import netns
from daemon import free_port, scrape, wait_for

US, CLIENT, OTHER = "192.0.2.25", "198.51.100.7", "198.51.100.8"


@pytest.fixture(autouse=True)
def network():
    with netns.network(US, CLIENT, OTHER):
        yield


@pytest.fixture
def door(start):
    """door("helo = reject", more=""): d.at(key) is where the file says it."""
    def make(*checks, more="", **config):
        d = start(extra="checks {\n" + "\n".join(checks) + "\n}\n" + more,
                  **config)
        lines = d.conf.read_text().splitlines()
        d.at = lambda key: f"{d.conf}:" + str(next(
            i for i, line in enumerate(lines, 1)
            if re.search(rf"\b{key}\b", line)))
        return d
    return make


def hello(c, name="client.example.com", sender="s@example.com"):
    assert c.reply().code == 220
    assert c.ask(f"EHLO {name}").code == 250
    assert c.ask(f"MAIL FROM:<{sender}>").code == 250


def rcpt(c, user="alice"):
    """Without the session's id."""
    return re.sub(r" \[[0-9A-V]{16}\]$", "",
                  repr(c.ask(f"RCPT TO:<{user}@example.org>")))


def figure(port, name):
    return re.search(rf"^{re.escape(name)} (.*)$", scrape(port), re.M)[1]


def told(d, event):
    """(check, value, at) of each such line."""
    return [(m[1], (m[2] or "").strip('"'), m[3]) for m in re.finditer(
        rf' info {event} .* check=(\S+)(?: value=("[^"]*"|\S+))? at=(\S+)',
        d.log())]


def test_helo(door):
    """Who says that it is us hears it at RCPT, and each time; and nobody else
    does, whatever it says."""
    d = door("helo = reject")
    for name in ("mx.example.org", "example.org", "EXAMPLE.ORG."):
        with d.connect(source=CLIENT) as c:
            hello(c, name)
            no = f"550 5.7.1 You are not {name.rstrip('.')}"
            assert rcpt(c) == no
            assert rcpt(c, "nobody") == no
    for name in ("client.example.com", "[127.0.0.9]"):
        with d.connect(source=CLIENT) as c:
            hello(c, name)
            assert c.ask("RCPT TO:<alice@example.org>").code == 250
    with d.connect(source="127.0.0.1") as c:
        hello(c, "mx.example.org")
        assert c.ask("RCPT TO:<alice@example.org>").code == 250
    wait_for("six lines", lambda: len(told(d, "refused")) == 6)
    assert told(d, "refused")[0] == ("helo", "mx.example.org", d.at("helo"))
    line = next(line for line in d.log().splitlines() if " refused " in line)
    assert "from=s@example.com rcpt=alice@example.org" in line


def test_helo_of_our_address(door):
    d = door("helo = defer")
    with d.connect(source=CLIENT) as c:
        hello(c, "[127.0.0.1]")
        assert rcpt(c) == "451 4.7.1 You are not [127.0.0.1]"


def test_helo_of_this_machine(door):
    """Its own programs are it, also by the address that all others use."""
    port = free_port()
    d = door("helo = reject", listen=f'listen "{US}:{port}" {{ }}')
    for name in "mx.example.org", f"[{US}]":
        with d.connect(port, CLIENT, US) as c:
            hello(c, name)
            assert rcpt(c) == f"550 5.7.1 You are not {name}"
        with d.connect(port, US, US) as c:
            hello(c, name)
            assert rcpt(c).startswith("250 ")


def test_observed(door):
    """It is told, and nothing is refused."""
    port = free_port()
    d = door("helo = observe",
             listen=f'listen "127.0.0.1:{port}" {{ role = metrics }}')
    with d.connect(source=CLIENT) as c:
        assert c.reply().code == 220
        assert c.ask("EHLO example.org").code == 250
        assert c.deliver("x\r\n").code == 250
    with d.connect(source=CLIENT) as c:
        hello(c, "pc")
        assert c.ask("RCPT TO:<alice@example.org>").code == 250
    wait_for("both", lambda: len(told(d, "observed")) == 2)
    assert told(d, "observed") == [("helo", "example.org", d.at("helo")),
                                   ("helo", "quirk=pc", d.at("helo"))]
    assert not told(d, "refused")
    count = 'smtpd_checks_total{check="helo",result="%s"}'
    assert figure(port, count % "observed") == "2"
    assert figure(port, count % "refused") == "0"


def speak_early(d, source):
    """Before it is accepted: so in the pause, if there is one."""
    with d.stopped():
        c = d.connect(source=source)
        c.send("EHLO client.example.com\r\n")
    assert c.reply().code == 220
    assert c.reply().code == 250
    assert c.ask("MAIL FROM:<s@example.com>").code == 250
    return c


def greet(d, source):
    with d.connect(source=source) as c:
        assert c.reply().code == 220


def test_pregreet(door):
    """Who speaks in the pause is refused; who waits is greeted at once when it
    comes again, over all workers."""
    d = door("pregreet-wait = 1s", top="workers = 4")
    with speak_early(d, CLIENT) as c:
        assert rcpt(c) == "550 5.7.1 You spoke before the greeting"
        assert c.ask("RSET").code == 250
        assert c.ask("MAIL FROM:<t@example.com>").code == 250
        assert rcpt(c) == "550 5.7.1 You spoke before the greeting"
    wait_for("its lines", lambda: len(told(d, "refused")) == 2)
    assert told(d, "refused")[0][::2] == ("pregreet", "default")
    greet(d, OTHER)
    # whoever had to wait again would be marked now
    for _ in range(8):
        with speak_early(d, OTHER) as c:
            assert c.ask("RCPT TO:<alice@example.org>").code == 250


def test_who_leaves_in_the_pause(door):
    """Whoever does not wait for the greeting is gone behind it, and has not
    waited."""
    port = free_port()
    d = door("pregreet-wait = 1s", limits="rate-connections = 0",
             listen=f'listen "127.0.0.1:{port}" {{ role = metrics }}')
    for _ in range(50):
        d.connect(source=CLIENT).close()
    wait_for("all of them", lambda: figure(
        port, 'smtpd_connections_total{role="mx"}') == "50")
    wait_for("all of them to go",
             lambda: figure(port, "smtpd_sessions") == "0")
    with speak_early(d, CLIENT) as c:
        assert rcpt(c) == "550 5.7.1 You spoke before the greeting"


def test_allowed(door):
    """What an ALLOW covers: that recipient alone, in either order, and its
    client for all of the session."""
    d = door("helo = reject", more="""access { rules = {
"allow recipient bob@example.org",
"allow client 198.51.100.8"
} }
""")
    no = "550 5.7.1 You are not example.org"
    with d.connect(source=CLIENT) as c:
        hello(c, "example.org")
        assert rcpt(c, "bob").startswith("250 ")
        assert rcpt(c) == no
        assert rcpt(c, "bob").startswith("250 ")
        assert c.ask("RSET").code == 250
        assert c.ask("MAIL FROM:<t@example.com>").code == 250
        assert rcpt(c) == no
        assert rcpt(c, "bob").startswith("250 ")
    with d.connect(source=OTHER) as c:
        hello(c, "example.org")
        assert rcpt(c).startswith("250 ")


def test_limits_have_their_lines(door):
    d = door("helo = reject", limits="rate-connections = 2/h\n"
             "rate-recipients = 1/h")
    with d.connect(source=CLIENT) as c:
        hello(c)
        assert c.ask("RCPT TO:<alice@example.org>").code == 250
        assert c.ask("RCPT TO:<alice@example.org>").code == 451
    for code in (220, 421):
        with d.connect(source=CLIENT) as c:
            assert c.reply().code == code
    wait_for("both", lambda: len(told(d, "refused")) == 2)
    # by two workers, in any order
    assert sorted(told(d, "refused")) == [
        ("rate-connections", "", d.at("rate-connections")),
        ("rate-recipients", "", d.at("rate-recipients"))]
