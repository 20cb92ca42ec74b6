"""Rates of clients that are not on this machine, from many addresses at once:
in a network namespace, where all of them are."""

import os
import re
import signal

import pytest

import netns
from daemon import free_port, wait_for



@pytest.fixture(autouse=True)
def network():
    with netns.network("192.0.2.1/24", "172.17.0.1", "2001:db8:0:1::1",
                       "2001:db8:0:1::2", "2001:db8:0:2::1"):
        yield


def greeting(d, source):
    with d.connect(source=source) as c:
        return c.reply()


def codes(d, source, times):
    return [greeting(d, source).code for _ in range(times)]


def test_connections(start):
    """FAULT A2: each address has its own rate, over all workers; who is over
    it is told how much it is, takes nothing from the others, and has few
    lines."""
    d = start(limits="rate-connections = 5/h", top="workers = 4")
    for i in range(10, 50):
        assert codes(d, f"192.0.2.{i}", 5) == [220] * 5
    for i in range(10, 50):
        said = greeting(d, f"192.0.2.{i}")
        assert said.status == "421 4.7.0"
        assert "at most 5 an hour [" in repr(said)
    assert codes(d, "192.0.2.9", 300) == [220] * 5 + [421] * 295
    assert codes(d, "192.0.2.8", 1) == [220]
    assert codes(d, "127.0.0.1", 20) == [220] * 20

    def said_of():
        return [line for line in d.log().splitlines() if " refused " in line]

    wait_for("all of them in the log", lambda: 40 + 295 == sum(
        1 + int(re.search(r" suppressed=(\d+)", line)[1])
        - (" client=" not in line) for line in said_of()))
    assert len(said_of()) < 100


def test_client_blocks(start):
    """The longest prefix says who has no limits, wherever it stands."""
    d = start(limits="rate-connections = 1/h  per-address = 1", extra="""
client "192.0.2.200" { }
client "192.0.2.128/25" { limits = no }
client "192.0.0.0/16" { bare-newline = normalize }
""")
    assert codes(d, "192.0.2.7", 2) == [220, 421]
    assert codes(d, "192.0.2.199", 9) == [220] * 9
    assert codes(d, "192.0.2.200", 2) == [220, 421]
    several = [d.connect(source="192.0.2.201") for _ in range(3)]
    assert [c.reply().code for c in several] == [220] * 3


def test_reload(start):
    """A new generation counts on; and with its own rate."""
    d = start(limits="rate-connections = 3/h")
    assert codes(d, "192.0.2.7", 4) == [220] * 3 + [421]
    os.kill(d.master(), signal.SIGHUP)
    wait_for("the reload", lambda: " reloaded " in d.log())
    assert codes(d, "192.0.2.7", 1) == [421]
    d.conf.write_text(d.conf.read_text().replace("= 3/h", "= 0"))
    os.kill(d.master(), signal.SIGHUP)
    wait_for("the second one", lambda: d.log().count(" reloaded ") == 2)
    wait_for("nobody with the old rate", lambda: 220 in codes(
        d, "192.0.2.7", 1))


def test_ipv6(start):
    """A client is a /64."""
    port = free_port()
    d = start(listen=f'listen "[::1]:{port}" {{ }}',
              limits="rate-connections = 2/h")

    def code(source):
        with d.connect(port, source) as c:
            return c.reply().code

    assert code("2001:db8:0:1::1") == code("2001:db8:0:1::2") == 220
    assert code("2001:db8:0:1::1") == code("2001:db8:0:1::2") == 421
    assert code("2001:db8:0:2::1") == 220


def test_commands(start):
    """MAIL and RCPT beyond their rates are 451, and the session goes on."""
    d = start(limits="rate-messages = 2/h  rate-recipients = 3/h")
    with d.connect(source="192.0.2.7") as c:
        assert c.reply().code == 220
        assert c.ask("EHLO client.example.com").code == 250
        assert c.ask("MAIL FROM:<>").code == 250
        assert c.ask("RCPT TO:<nobody@example.org>").code == 550
        assert c.ask("RCPT TO:<alice@example.org>").code == 250
        assert c.ask("RSET").code == 250
        assert c.ask("MAIL FROM:<>").code == 250
        assert c.ask("RCPT TO:<alice@example.org>").code == 250
        assert c.ask("RCPT TO:<alice@example.org>").status == "451 4.7.0"
        assert c.ask("RSET").code == 250
        assert c.ask("MAIL FROM:<>").status == "451 4.7.0"
        assert c.ask("NOOP").code == 250
    wait_for("both in the log", lambda: d.log().count("reply=\"451 4.7.0") == 2)


def test_observe_and_help(start):
    """Let in and told; and what to do about a NAT."""
    d = start(limits="rate-connections = 1/h  observe = yes")
    assert codes(d, "172.17.0.1", 3) == [220] * 3
    wait_for("the line", lambda: " observed " in d.log())
    line = next(x for x in d.log().splitlines() if " observed " in x)
    assert "client=172.17.0.1" in line and "421 4.7.0 Too many" in line
    assert r'client \"172.17.0.1\" { limits = no }' in line
    assert " refused " not in d.log()
