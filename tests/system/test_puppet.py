"""What takes minutes, or a disk that fails in the right moment."""

import re

import pytest

import puppet
from daemon import wait_for


@pytest.fixture
def pulled(start, library):
    """pulled(**config): its strings are d.puppet."""
    def make(**kwargs):
        d = start.make(**{"top": "workers = 1", **kwargs})
        d.puppet = puppet.Puppet(d, library)
        return d.start()
    return make


def later(d, seconds):
    """Somebody comes, so that the loop looks at its clock. What it does now
    is done first: in the middle of a turn a deadline may not be set yet."""
    d.finish_turns()
    d.puppet.ahead += seconds
    with d.connect() as c:
        c.reply()


def test_no_is_no(pulled):
    """FAULT F2: 451 because the verdict takes too long, and then nothing is
    delivered, however late the commit ends; what comes next is."""
    d = pulled()
    with d.client() as c:
        c.begin("alice@example.org")
        assert c.ask("DATA").code == 354
        d.puppet.hold, before = 1, d.puppet.commits
        c.send("x\r\n.\r\n")
        wait_for("the commit", lambda: d.puppet.commits > before)
        later(d, 121)
        assert c.reply().status == "451 4.4.1"
        d.puppet.hold = 0
        wait_for("its end", lambda: re.search(
            r" (abandoned|delivered) ", d.log()))
        id = c.deliver("y\r\n", "alice@example.org").id
    assert [m.id for m in d.messages("alice@example.org")] == [id]
    assert d.log().count(" info abandoned ") == 1


def test_pressure(pulled):
    """FAULT F15: when the slots run short, who is idle has a tenth of the
    time that it was given; and all of it again when they do not."""
    d = pulled(limits="sessions = 10\nper-address = 10\nidle = 5m")
    with d.client() as idle:
        later(d, 31)
        assert idle.ask("NOOP").code == 250
        others = [d.client() for _ in range(8)]
        others.pop().close()
        others.append(d.client())
        later(d, 31)
        assert idle.reply().status == "421 4.4.2"
        assert idle.closed()


def test_broken_journal(pulled):
    """FAULT F15: who is in a transaction hears 421, and is not kept waiting
    for a disk that takes nothing."""
    d = pulled(deaths=True)
    with d.client() as c, d.client() as busy:
        assert c.deliver("x\r\n").code == 250
        busy.begin()
        assert busy.ask("DATA").code == 354
        d.puppet.fail = 1
        assert c.deliver("x\r\n").status == "451 4.3.0"
        c.send("MAIL FROM:<a@example.com>\r\nRCPT TO:<alice@example.org>\r\n"
               "DATA\r\nx\r\n.\r\n")  # or is it broken by now?
        assert busy.reply().status == "421 4.3.2"
        assert busy.closed()
        d.puppet.fail = 0
    assert "error journal-broken" in d.log()
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250
