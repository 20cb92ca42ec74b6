"""Where our lines end and a stranger's octets begin."""

import email

import pytest

from daemon import JOURNAL, NO_JOURNAL, wait_for
from test_held import held, without_permission

# In memory, and in a file of its own.
BODIES = [begin + rest for begin in (b" x: y\r\n", b"\tx\r\n", b"  \r\nx\r\n")
          for rest in (b"", b"text\r\n" * 50000)]


def by_data(c, body, to):
    return c.deliver(body, to).id


def by_bdat(c, body, to):
    c.begin(to)
    c.send(b"BDAT 1\r\n" + body[:1])
    assert c.reply().code == 250
    c.send(b"BDAT %d LAST\r\n" % (len(body) - 1) + body[1:])
    return c.reply().id


def check(m, body):
    """Our date is whole, and nothing of the body is in the header."""
    assert m.body == b"\n" + body.replace(b"\r\n", b"\n")
    head = email.message_from_bytes(m.raw)
    assert head["Received"].endswith(" +0000")
    assert head.keys() == ["Return-Path", "Delivered-To", "Received"]
    assert head.get_payload().encode() == m.body[1:]


@pytest.mark.parametrize("send", [by_data, by_bdat])
@pytest.mark.parametrize("journal", [JOURNAL, NO_JOURNAL])
def test_a_body_that_begins_with_a_blank(start, journal, send):
    """WIRE 31: an empty line of ours is between it and our lines.

    FAULT C2: it continued our Received line, date included.
    """
    d = start(journal=journal)
    with d.client() as c:
        sent = {send(c, body, "alice@example.org"): body for body in BODIES}
        plain = c.deliver("x: y\r\n").id
    for id, body in sent.items():
        check(d.message("alice@example.org", id), body)
    assert d.message("alice@example.org", plain).body == b"x: y\n"


NORMALIZE = 'client "127.0.0.0/8" { bare-newline = normalize }'


@pytest.mark.parametrize("journal", [JOURNAL, NO_JOURNAL])
def test_bare_newlines(start, journal):
    """WIRE 24: a bare LF is a line end in the Maildir, a bare CR an octet.

    FAULT C13: in memory, and in a file of its own.
    """
    d = start(journal=journal, extra=NORMALIZE)
    with d.client() as c:
        for n in 1, 30000:
            body = b"a\nb\rc\r\n\n" * n + b"\n.\n.\r.\r\r\n"
            for send in by_data, by_bdat:
                m = d.message("alice@example.org",
                              send(c, body, "alice@example.org"))
                assert m.body == body.replace(b"\r\n", b"\n")
        # on every way out it is a blank: it does not go on with our lines
        for body in b"\r a\r\n", b"\r\r\nx\r\n":
            m = d.message("alice@example.org",
                          by_data(c, body, "alice@example.org"))
            assert m.body == b"\n" + body.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("journal", [JOURNAL, NO_JOURNAL])
def test_held_and_delivered_later(start, journal):
    """FAULT C2, C13: the same for mail that had to wait."""
    d = start(extra=NORMALIZE, journal=journal)
    body = BODIES[1] + b"a\nb\rc\r\n"
    with d.client() as c:
        assert c.deliver("first\r\n", "bob@example.org").code == 250
        d.settled()
        undo = without_permission(d.mail / "example.org" / "bob")
        id = c.deliver(body, "bob@example.org").id
        wait_for("its being held", lambda: held(d))
        undo()
        wait_for("its delivery",
                 lambda: not held(d) and len(d.files("bob@example.org")) == 2)
    check(d.message("bob@example.org", id), body)
