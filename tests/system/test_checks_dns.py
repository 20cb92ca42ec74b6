"""What the DNS says of clients and of senders, and what comes of it: real names
from a real server by a port of its own, and names that nobody answers for. In
a network namespace, where all addresses are this machine's."""

import re

import pytest

import names
import netns
import nsd
from daemon import free_port, wait_for

PORT = 5300
DNS = f'dns {{ servers = {{ "127.0.0.1:{PORT}" }} %s }}\n'
NAMED, UNNAMED, ELSEWHERE, MANY, PARTED = (
    f"192.0.2.{n}" for n in (10, 11, 12, 13, 14))
NIBBLES = ".".join(f"{0x20010db8 << 96 | 0x10:032x}"[::-1])
ZONES = {
    "example.test": [
        "mail A 192.0.2.10", "mail A 192.0.2.99", "mail AAAA 2001:db8::10",
        "other A 192.0.2.77", "parted A 192.0.2.14", "a0 A 192.0.2.13",
        "good MX 10 mail", "null MX 0 .", "plain A 192.0.2.10",
        "six AAAA 2001:db8::10", "nothing TXT nothing", "odd MX 10 .",
        "alias CNAME null"],
    "2.0.192.in-addr.arpa": [
        "10 PTR MAIL.example.test.", "12 PTR other.example.test.",
        "14 CNAME 14.parted.test.",
        *[f"13 PTR a{n}{'x' * 50 * (n > 0)}.example.test."
          for n in range(40)]],
    "parted.test": ["14 PTR parted.example.test."],
    "ip6.arpa": [f"{NIBBLES} PTR mail.example.test."],
}


@pytest.fixture(autouse=True)
def network():
    with netns.network("192.0.2.1/24", "2001:db8::10", "2001:db8::11"):
        yield


@pytest.fixture
def zones(start):
    with nsd.serving(start.folder(), PORT, ZONES):
        yield


@pytest.fixture
def lies(start):
    """A server that says nothing of what it is told to."""
    n = names.Names()
    n.serve("127.0.0.1", PORT)
    return n


@pytest.fixture
def checked(start):
    """checked(checks): with these lines."""
    def make(checks, dns="", **kwargs):
        return start(limits="rate-connections = 0  per-address = 1000",
                     extra=DNS % dns + f"checks {{\n{checks}\n}}\n", **kwargs)
    return make


def hello(d, source=NAMED, port=None):
    c = d.connect(port, source)
    assert c.reply().code == 220
    assert c.ask("EHLO client.example.com").code == 250
    return c


def rcpt(d, source=NAMED, sender="sender@good.example.test"):
    """What it hears to its first RCPT, and to one more."""
    with hello(d, source) as c:
        assert c.ask(f"MAIL FROM:<{sender}>").code == 250
        first = c.ask("RCPT TO:<alice@example.org>")
        assert c.ask("RCPT TO:<bob@example.org>").status == first.status
        return first


def line_of(d, text):
    return 1 + d.conf.read_text().splitlines().index(text)


def received(d, c, sender="sender@good.example.test"):
    reply = c.deliver("x\r\n", sender=sender)
    assert reply.code == 250, reply
    return d.message("alice@example.org", reply.id).received


# --- clients ---

@pytest.mark.parametrize("word, status", [
    ("observe", None), ("defer", "450 4.7.25"), ("reject", "550 5.7.25")])
def test_no_reverse_name(checked, zones, word, status):
    """Whoever has none is told or refused, with the line that says so."""
    d = checked(f"fcrdns = {word}")
    at = f"at={d.conf}:{line_of(d, f'fcrdns = {word}')}"
    if status:
        said = rcpt(d, UNNAMED)
        assert said.status == status and "No reverse name [" in repr(said)
    else:
        with hello(d, UNNAMED) as c:
            assert "(client" not in received(d, c)
    event = "refused" if status else "observed"
    wait_for("its line", lambda: re.search(
        rf" {event} .*client={UNNAMED} .*check=fcrdns value=none {at} ",
        d.log()))
    for source in NAMED, ELSEWHERE, MANY, PARTED, "127.0.0.1":
        assert rcpt(d, source).code == 250
    assert len(re.findall(f" {event} ", d.log())) == (2 if status else 1)


def test_received(checked, zones):
    """A name stands in Received if its addresses are the client's."""
    port = free_port()
    d = checked("fcrdns = reject", listen=f'listen "[::1]:{port}" {{ }}')
    for source, name in ((NAMED, "mail.example.test "),
                         (PARTED, "parted.example.test "),
                         (MANY, "a0.example.test "), (ELSEWHERE, "")):
        with hello(d, source) as c:
            assert (f"Received: from client.example.com ({name}[{source}])\n"
                    in received(d, c)), source
    with hello(d, "127.0.0.1") as c:
        assert "com ([127.0.0.1])\n" in received(d, c)
    for source, code in (("2001:db8::10", "250 2.1.5"),
                         ("2001:db8::11", "550 5.7.25")):
        with hello(d, source, port) as c:
            assert c.ask("MAIL FROM:<>").code == 250
            assert c.ask("RCPT TO:<alice@example.org>").status == code


# --- senders ---

SENDERS = {
    "good": "250", "plain": "250", "six": "250", "odd": "250",
    "null": "550 5.7.27", "alias": "550 5.7.27", "absent": "450 4.1.8",
    "nothing": "450 4.1.8",
}


@pytest.mark.parametrize("word", ["observe", "defer", "reject"])
def test_senders(checked, zones, word):
    """A domain that takes no mail is believed; one that is not there may come
    back, so it is never more than a 450."""
    d = checked(f"sender-domain = {word}")
    at = f"at={d.conf}:{line_of(d, f'sender-domain = {word}')}"
    with hello(d, UNNAMED) as c:
        for domain, status in SENDERS.items():
            if word == "observe":
                status = "250"
            elif word == "defer":
                status = status.replace("550 5", "451 4")
            sender = f"a@{domain}.example.test"
            assert c.ask(f"MAIL FROM:<{sender}>").code == 250
            for to in "alice", "bob":
                said = c.ask(f"RCPT TO:<{to}@example.org>")
                assert said.status.startswith(status), (domain, said)
            assert c.ask("RSET").code == 250
            if SENDERS[domain] == "250":
                continue
            value = '"null MX"' if "5.7" in SENDERS[domain] else '"not found"'
            event = "observed" if word == "observe" else "refused"
            wait_for(f"the line of {domain}", lambda: re.search(
                rf" {event} .*check=sender-domain value={value} {at} .*"
                f"from={sender} ", d.log()))
        for sender in "", "a@[192.0.2.1]", "a@example.org", "a@EXAMPLE.net":
            assert c.ask(f"MAIL FROM:<{sender}>").code == 250
            assert c.ask("RCPT TO:<alice@example.org>").code == 250
            assert c.ask("RSET").code == 250


# --- nobody answers ---

BOTH = "fcrdns = reject\nsender-domain = reject"


def test_silence(checked, lies):
    """What is not known refuses nobody, and those who wait may leave."""
    for zone in ("20", "21", "22"):
        lies.wrong[f"{zone}.2.0.192.in-addr.arpa"] = "silent"
    lies.wrong["silent.test"] = "silent"
    lies.wrong["broken.test"] = names.SERVFAIL
    d = checked(BOTH, "timeout = 300ms")
    with hello(d, "192.0.2.20") as c:
        # all of it at once, and in its order
        c.send("MAIL FROM:<a@silent.test>\r\nRCPT TO:<alice@example.org>\r\n"
               "RCPT TO:<nobody@example.org>\r\nDATA\r\n")
        assert [c.reply().code for _ in range(4)] == [250, 250, 550, 354]
        c.send("x\r\n.\r\n")
        assert c.reply().code == 250
        assert "com ([192.0.2.20])\n" in received(d, c, "a@broken.test")
    # they go while it is asked, in each way
    waiting = [hello(d, "192.0.2.21") for _ in range(20)]
    for i, c in enumerate(waiting):
        c.send("MAIL FROM:<a@silent.test>\r\nRCPT TO:<alice@example.org>\r\n"
               + "RSET\r\nMAIL FROM:<b@silent.test>\r\n" * (i % 2))
        c.close()
    assert rcpt(d, "192.0.2.22", "a@silent.test").code == 250


def test_dead_domains(checked, lies):
    """Many senders of domains that nobody answers for take no answer from the
    others."""
    for n in range(200):
        lies.wrong[f"dead{n}.test"] = "silent"
    lies.add("20.2.0.192.in-addr.arpa", "PTR", "mail.test")
    lies.add("mail.test", "A", "192.0.2.20")
    lies.add("null.test", "MX", (0, "."))
    d = checked(BOTH)
    dead = [hello(d, "192.0.2.20") for _ in range(200)]
    for n, c in enumerate(dead):
        c.send(f"MAIL FROM:<a@dead{n}.test>\r\n"
               "RCPT TO:<alice@example.org>\r\n")
    for sender, status in (("a@null.test", "550 5.7.27"),
                           ("a@mail.test", "250 2.1.5"),
                           ("a@gone.example", "450 4.1.8")):
        assert rcpt(d, "192.0.2.20", sender).status == status
    assert rcpt(d, "192.0.2.30").status == "550 5.7.25"
    for c in dead:
        assert [c.reply().code, c.reply().code] == [250, 250]
        c.close()


def test_no_server(checked):
    """Nobody listens there."""
    d = checked(BOTH, "timeout = 100ms")
    assert rcpt(d, UNNAMED, "a@null.test").code == 250
