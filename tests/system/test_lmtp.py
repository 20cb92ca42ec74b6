"""Mail goes to a real Dovecot by LMTP (RFC 2033), and 250 is what it said."""

import re
import threading

import pytest

import dovecot
from daemon import wait_for
from test_readme import block

USERS = {"alice": "secret", "bob": "secret"}


@pytest.fixture
def peer(start):
    why = dovecot.why_not()
    if why:
        pytest.skip(why)
    peers = []

    def launch(**kwargs):
        peers.append(dovecot.Dovecot(start.folder(), USERS, lmtp=True,
                                     **kwargs))
        return peers[-1].start()

    yield launch
    for p in peers:
        p.stop()


def before(start, to, **kwargs):
    """A daemon in front of it."""
    return start(domains=f'domain "example.org" {{{{ catch-all = "{to}" }}}}',
                 **kwargs)


def ours(mail):
    """The id that our Received line gives it."""
    return re.search(rb"\n\tby mx\.example\.org[^;]*? id ([0-9A-V.]+)", mail)[
        1].decode()


@pytest.mark.parametrize("how", ["unix", "tcp"])
def test_dovecot(start, peer, how):
    """The whole configuration is the catch-all."""
    p = peer()
    d = before(start, f"lmtp:{p.lmtp}" if how == "unix"
               else f"lmtp://127.0.0.1:{p.port}")
    with d.client() as c:
        assert c.ask("MAIL FROM:<x@example.com>").code == 250
        assert c.ask("RCPT TO:<alice@example.org>").code == 250
        no = c.ask("RCPT TO:<zoe@example.org>")
        assert no.status == "550 5.1.1" and "exist" in no.text
        assert c.ask("RCPT TO:<Bob+detail@example.org>").code == 250
        assert c.ask("DATA").code == 354
        c.send("Subject: x\r\n\r\n..dot\r\nend\r\n.\r\n")
        reply = c.reply()
        assert reply.code == 250
        mail = p.mail("alice") + p.mail("bob")  # there before it was said
        assert len(mail) == 2
        for m in mail:
            assert ours(m) == reply.id
            assert m.endswith(b"\nSubject: x\n\n.dot\nend\n")
            assert m.count(b"Return-Path: <x@example.com>") == 1
        assert c.deliver("second\r\n", "alice@example.org").code == 250
    took = f"{p.lmtp}" if how == "unix" else f"//127.0.0.1:{p.port}"
    wait_for("the log", lambda: len(re.findall(
        f' delivered .* route=lmtp:{took} peer=lmtp:{took} '
        r'reply="250 2\.0\.0 .* Saved" ms=\d+ size=\d+\n', d.log())) == 3)
    assert not d.files()


@pytest.mark.parametrize("code", [552, 452])
def test_over_quota(start, peer, code):
    """The room for a small one is not enough: no RCPT says so, but the end of
    the data does."""
    more = "lmtp_rcpt_check_quota = yes\n"
    if code == 452:
        more += "quota_full_tempfail = yes\n"
    p = peer(quota="10k", more=more)
    d = before(start, f"lmtp:{p.lmtp}")
    with d.client() as c:
        assert c.deliver("x" * 70 + "\r\n", "alice@example.org").code == 250
        full = c.deliver(("y" * 70 + "\r\n") * 200, "alice@example.org")
        assert full.status == f"{code} {code // 100}.2.2"
        assert c.deliver("small\r\n", "bob@example.org").code == 250


def test_over_quota_behind_the_data(start, peer):
    """Of two recipients one has room: it has the mail, and the other's copy
    is in failed, as the sender was told yes."""
    p = peer(quota="10k")
    d = before(start, f"lmtp:{p.lmtp}")
    with d.client() as c:
        assert c.deliver(("y" * 70 + "\r\n") * 100,
                         "alice@example.org").code == 250
        no = c.deliver(("y" * 70 + "\r\n") * 100, "alice@example.org")
        assert no.status == "552 5.2.2"
        mixed = c.deliver(("z" * 70 + "\r\n") * 100, "alice@example.org",
                          "bob@example.org")
        assert mixed.code == 250
    assert len(p.mail("alice")) == 1 and len(p.mail("bob")) == 1
    wait_for("it in failed", lambda: list(
        (d.spool / "failed" / "new").glob("*")))
    failed = [f.read_bytes()
              for f in (d.spool / "failed" / "new").glob("*")]
    assert len(failed) == 1
    assert re.search(rb"^X-Smtpd-Failed: <?alice@example.org>?: 552 5\.2\.2 ",
                     failed[0], re.M)
    wait_for("the log", lambda: (
        f" warn refused-late message={mixed.id} " in d.log()))


def test_an_alias_leads_there(start, peer):
    """And to a mailbox: each has a copy, and one yes is for both."""
    p = peer()
    d = start(domains="""
domain "example.org" {{
	users = {{ "carol" }}
	aliases = {{ "team: carol, lmtp:LMTP", "postmaster: carol",
	             "bob: lmtp:LMTP" }}
	deliver = "maildir:{mail}/%d/%u"
}}
""".replace("LMTP", str(p.lmtp)))
    with d.client() as c:
        c.ask("MAIL FROM:<x@example.com>")
        no = c.ask("RCPT TO:<team@example.org>")
        assert no.status == "550 5.1.1", no  # Dovecot knows no team
        assert c.ask("RSET").code == 250
        reply = c.deliver("for bob\r\n", "bob@example.org",
                          "carol@example.org")
        assert reply.code == 250
    wait_for("carol's", lambda: list(d.mail.glob(
        f"example.org/carol/new/*{reply.id}*")))
    assert d.message("carol@example.org", reply.id).body == b"for bob\n"
    assert [ours(m) for m in p.mail("bob")] == [reply.id]


def test_it_is_not_there(start, peer):
    """Whoever comes hears 451 without sending the body; and it comes back."""
    p = peer()
    d = before(start, f"lmtp:{p.lmtp}")
    p.stop()
    p.lmtp.unlink(missing_ok=True)
    with d.client() as c:
        c.ask("MAIL FROM:<x@example.com>")
        assert c.ask("RCPT TO:<alice@example.org>").status == "451 4.4.1"
    wait_for("the log", lambda: " route-down " in d.log())
    p.start()

    def taken():
        with d.client() as c:
            c.ask("MAIL FROM:<x@example.com>")
            if c.ask("RCPT TO:<alice@example.org>").code != 250:
                return False
            c.ask("RSET")
            return c.deliver("x\r\n", "alice@example.org").code == 250

    wait_for("its return", taken, 90)
    assert len(p.mail("alice")) == 1


def test_killed_in_the_middle(start, peer):
    """Of a thousand messages none is lost; twice is there only what went
    unanswered."""
    p = peer()
    d = before(start, f"lmtp:{p.lmtp}", top="workers = 2")
    begun = threading.Event()
    count = iter(range(1 << 20))
    sent, faults = [], []

    def send(first):
        try:
            for key in range(first, first + 100):
                wait_for("a yes", lambda: try_one(key), 120)
                sent.append(key)
        except Exception as e:  # seen by the test, not by the thread
            faults.append(e)

    def try_one(key):
        with d.client() as c:
            c.ask("MAIL FROM:<x@example.com>")
            reply = c.ask("RCPT TO:<alice@example.org>")
            if reply.code == 250:
                assert c.ask("DATA").code == 354
                c.send(f"Key: {key}.\r\n\r\nx\r\n.\r\n")
                reply = c.reply()
        assert reply.code in (250, 451), reply
        if next(count) == 300:
            begun.set()
        return reply.code == 250

    threads = [threading.Thread(target=send, args=(100 * i,))
               for i in range(10)]
    for t in threads:
        t.start()
    assert begun.wait(60)
    p.stop()
    p.start()
    for t in threads:
        t.join()
    assert not faults and len(sent) == 1000
    copies = {}
    for m in p.mail("alice"):
        key = int(re.search(rb"^Key: (\d+)\.$", m, re.M)[1])
        copies.setdefault(key, []).append(ours(m))
    assert sorted(copies) == list(range(1000))
    unanswered = set(re.findall(r" unanswered message=(\S+)", d.log()))
    for found in copies.values():
        assert len(set(found) - unanswered) <= 1, found


def test_readme(start, peer):
    """Its four lines, and Dovecot's, as printed."""
    p = peer(more="lmtp_rcpt_check_quota = yes\n")
    heading = "## In front of a Dovecot"
    assert "    lmtp_rcpt_check_quota = yes\n" in block(
        heading, "protocols = imap lmtp").replace("\n", "\n    ")
    text = block(heading, "hostname = ").replace("/run/dovecot/lmtp",
                                                 str(p.lmtp))
    assert text.count("\n") == 4
    d = start.make(domains="")
    d.conf.write_text(d.conf.read_text().replace(
        "hostname = mx.example.org\n", "") + text)
    d.start()
    with d.client() as c:
        assert c.ask("MAIL FROM:<x@example.com>").code == 250
        assert c.ask("RCPT TO:<zoe@example.org>").status == "550 5.1.1"
        assert c.ask("RSET").code == 250
        assert c.deliver("x\r\n", "alice@example.org").code == 250
    assert len(p.mail("alice")) == 1
