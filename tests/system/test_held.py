"""Mail for a mailbox that cannot take it is held, and comes when it can."""

import re
import shutil

import pytest

from daemon import AS_ROOT, JOURNAL, NO_JOURNAL, wait_for
from test_durability import need_strace, traced


PATIENT = "errors = 1000"  # of 450s that are asked for until they end


def boxes(d, *users):
    """Made by their first message, so that a test can spoil them."""
    with d.client() as c:
        for user in users:
            assert c.deliver("first\r\n", f"{user}@example.org").code == 250
    d.settled()
    return [d.mail / "example.org" / user for user in users]


def held(d):
    return [p for p in (d.spool / "held").iterdir()
            if not p.name.startswith(".")]


def without_permission(box):
    (box / "tmp").chmod(0o500)
    (box / "new").chmod(0o500)
    return lambda: [(box / x).chmod(0o700) for x in ("tmp", "new")]


def a_file_in_its_place(box):
    box.rename(box.with_suffix(".away"))
    box.write_text("not a folder")

    def undo():
        box.unlink()
        box.with_suffix(".away").rename(box)
    return undo


def a_link_in_its_place(box):
    box.rename(box.with_suffix(".away"))
    box.symlink_to(box.with_suffix(".away"))

    def undo():
        box.unlink()
        box.with_suffix(".away").rename(box)
    return undo


BOTH = pytest.mark.parametrize("journal", [JOURNAL, NO_JOURNAL])


@BOTH
@pytest.mark.parametrize("size", [10, 300000])
@pytest.mark.parametrize("spoil, error", [
    (without_permission, "Permission denied"),
    (a_file_in_its_place, "Not a directory"),
    (a_link_in_its_place, "Symbolic links are not followed"),
])
def test_held_until_the_cause_is_gone(start, spoil, error, size, journal):
    """WIRE 20, 27: 250, then held; new mail 450; all others as ever; once.

    FAULT C7: what is not full is not said to be, and the log says why.
    """
    d = start(limits=PATIENT, journal=journal)
    alice, bob = boxes(d, "alice", "bob")
    undo = spoil(alice)
    body = "x" * 998 + "\r\n"
    with d.client() as c:
        id = c.deliver(body * (size // 1000 + 1), "alice@example.org",
                       "bob@example.org").id
        wait_for("its being held", lambda: held(d))
        assert len(d.files("bob@example.org")) == 2
        wait_for("450", lambda: refused(c, "alice@example.org"))
        for event, level in ("refused", "info"), ("held", "warn"):
            line, *_ = re.findall(f" {level} {event} .*", d.log())
            assert f'error="{error}"' in line, line
        for _ in range(10):
            assert c.deliver("y\r\n", "bob@example.org").code == 250
        undo()
        wait_for("its delivery", lambda: [
            p for p in (alice / "new").iterdir() if f".{id}_" in p.name])
        assert d.message("alice@example.org", id).body == (
            body * (size // 1000 + 1)).replace("\r\n", "\n").encode()
        wait_for("an empty held/", lambda: not held(d))
        wait_for("250 again",
                 lambda: not refused(c, "alice@example.org"))
        assert c.deliver("z\r\n", "alice@example.org").code == 250
    assert len(d.files("alice@example.org")) == 3
    assert len(d.files("bob@example.org")) == 12
    # by whichever worker, which says so behind its round
    wait_for("its line",
             lambda: "info delivered message=" + id in d.log())


SHUT = "450 4.2.1"


def refused(c, address, status=SHUT):
    c.ask("RSET")
    assert c.ask("MAIL FROM:<a@example.com>").code == 250
    reply = c.ask(f"RCPT TO:<{address}>")
    c.ask("RSET")
    assert reply.status in (status, "250 2.1.5"), reply
    return reply.status == status


def test_held_between_rcpt_and_the_dot(start):
    """FAULT C7: the same answer, and the reason in the log."""
    d = start(top="workers = 1")
    alice, = boxes(d, "alice")
    without_permission(alice)
    with d.client() as first, d.client() as second:
        first.begin("alice@example.org")
        assert second.deliver("x\r\n", "alice@example.org").code == 250
        wait_for("450", lambda: refused(second, "alice@example.org"))
        assert first.ask("DATA").code == 354
        first.send("y\r\n.\r\n")
        assert first.reply().status == SHUT
    at_rcpt, at_dot = re.findall(" refused .*", d.log())
    for line in at_rcpt, at_dot:
        assert 'reply="450 4.2.1 ' in line
        assert 'error="Permission denied"' in line
    assert re.search(" undelivered .* mailbox=example.org/alice "
                     r'error="Permission denied"', d.log()), d.log()
    assert len(held(d)) == 1


def test_over_quota(start, full):
    """WIRE 20, 27: a full mailbox holds its own mail, and nobody else's."""
    if not AS_ROOT:
        pytest.skip("root alone may mount")
    d = start.make(journal="segment = 1M size = 64M reserve = 0%")
    filler = full(d, "bob")
    d.start()
    with d.client() as c:
        id = c.deliver("x" * 900 + "\r\n", "alice@example.org",
                       "bob@example.org").id
        wait_for("its being held", lambda: held(d))
        wait_for("452", lambda: refused(c, "bob@example.org", "452 4.2.2"))
        assert len(d.files("alice@example.org")) == 1
        filler.unlink()
        wait_for("its delivery", lambda: d.files("bob@example.org"))
        d.message("bob@example.org", id)


def test_a_slow_mailbox_keeps_nobody(start):
    """One is waited for; mail for others goes past it."""
    need_strace()
    d = start(top="workers = 1")
    alice, bob = boxes(d, "alice", "bob")
    d.stop()
    traced(d, "-P", str(alice / "tmp"), "-e", "trace=renameat2", "-e",
           "inject=renameat2:delay_enter=8000000:when=1")
    d.start()

    def new(box):
        return len(list((box / "new").iterdir()))

    with d.client() as c:
        assert c.deliver("slow\r\n", "alice@example.org").code == 250
        wait_for("its being written", lambda: list((alice / "tmp").iterdir()))
        assert c.deliver("other\r\n", "bob@example.org").code == 250
        wait_for("the other one", lambda: new(bob) == 2)
        assert new(alice) == 1
        wait_for("the slow one", lambda: new(alice) == 2)


@BOTH
def test_over_a_restart(start, journal):
    """What is held is there after a stop, and after a kill -9."""
    d = start(deaths=True, journal=journal)
    alice, = boxes(d, "alice")
    undo = without_permission(alice)
    with d.client() as c:
        id = c.deliver("x\r\n", "alice@example.org").id
    wait_for("its being held", lambda: held(d))
    d.stop()
    assert held(d)
    d.start()
    d.kill()
    d.start()
    with d.client() as c:
        wait_for("450", lambda: refused(c, "alice@example.org"))
    undo()
    wait_for("its delivery", lambda: [
        p for p in (alice / "new").iterdir() if f".{id}_" in p.name])
    d.message("alice@example.org", id)


@BOTH
def test_expired(start, journal):
    """In the end it is in `failed`, with the reason, and is not lost."""
    d = start(top="expire = 3s", limits=PATIENT, journal=journal)
    alice, = boxes(d, "alice")
    undo = without_permission(alice)
    with d.client() as c:
        id = c.deliver("Subject: x\r\n\r\nx\r\n", "alice@example.org").id
        failed = d.spool / "failed" / "new"
        path, = wait_for("failed", lambda: failed.exists() and
                         list(failed.iterdir()))
        assert f".{id}_" in path.name
        text = path.read_bytes()
        assert path.name.endswith(f",S={len(text)}")
        lines = text.split(b"\n")
        assert lines[0] == b"Return-Path: <sender@example.com>"
        assert lines[1] == (b"X-Smtpd-Failed: alice@example.org: "
                            b"Permission denied")
        assert lines[2] == b"Delivered-To: alice@example.org"
        assert text.endswith(b"\nSubject: x\n\nx\n")
        wait_for("an empty held/", lambda: not held(d))
        undo()
        wait_for("250 again",
                 lambda: not refused(c, "alice@example.org"))
    wait_for("its line", lambda: "error failed message=" + id in d.log())
    assert len(d.files("alice@example.org")) == 1


def test_each_reason_is_its_own(start):
    """Of many for one mailbox, all say why, not that another was first."""
    d = start(top="expire = 3s")
    alice, = boxes(d, "alice")
    without_permission(alice)
    clients = [d.client() for _ in range(20)]
    for c in clients:
        c.begin("alice@example.org")
        assert c.ask("DATA").code == 354
    for c in clients:
        c.send("x\r\n.\r\n")
    taken = [r for r in [c.reply() for c in clients] if r.code == 250]
    assert len(taken) > 1
    failed = d.spool / "failed" / "new"
    wait_for("all of them in failed", lambda: failed.exists() and len(
        list(failed.iterdir())) == len(taken))
    for p in failed.iterdir():
        assert p.read_bytes().split(b"\n")[1] == (
            b"X-Smtpd-Failed: alice@example.org: Permission denied")


def test_one_mailbox_is_not_the_limit(start):
    """FAULT A4: more than `held` waits for one; the others go on."""
    d = start(journal="segment = 1M size = 64M held = 1M")
    alice, = boxes(d, "alice")
    without_permission(alice)
    with d.client() as c:
        c.deliver("x" * 998 + "\r\n" + "y" * 998 + "\r\n" * 1100000,
                  "alice@example.org")
        wait_for("450", lambda: refused(c, "alice@example.org"))
        # a round has counted it, in this worker or the other
        path, = [p for p in held(d) if p.suffix != ".body"]
        was = path.stat().st_mtime_ns
        wait_for("an attempt", lambda: path.stat().st_mtime_ns != was)
        assert c.deliver("x\r\n", "bob@example.org").code == 250
        for _ in range(4):
            with d.client() as other:
                assert other.deliver("y\r\n", "bob@example.org").code == 250
        assert refused(c, "alice@example.org")
    assert "held-full" not in d.log()


def many(domain, root, names):
    users = ", ".join(f'"{u}"' for u in (*names, "bob"))
    return f"""
domain "{domain}" {{{{
	users = {{{{ {users} }}}}
	aliases = {{{{ "postmaster: bob", "abuse: bob",
	    "all: {", ".join(names)}" }}}}
	deliver = "maildir:{{mail}}/{root}/%u"
}}}}
"""


@BOTH
def test_full(start, journal):
    """FAULT A4: 452 at MAIL when two roots use up their halves, and of what
    it is full."""
    names = [f"u{n}" for n in range(8)]
    d = start.make(top="workers = 1", domains=many(
        "example.org", "one", names) + many("example.net", "two", names),
        journal=journal + " held = 1M")
    d.mail.mkdir()
    for root in "one", "two":
        (d.mail / root).mkdir()
        for user in names:
            (d.mail / root / user).write_text("not a folder")
    if AS_ROOT:
        for root in "one", "two":
            shutil.chown(d.mail / root, "nobody")
    d.start()
    body = ("x" * 998 + "\r\n") * 700
    with d.client() as c:
        for n, domain in enumerate(("example.org", "example.net"), 1):
            assert c.deliver(body, f"all@{domain}").code == 250
            wait_for("its being held", lambda: len(
                [p for p in held(d) if p.suffix != ".body"]) == n)
        reply = wait_for("452", lambda: says_full(d))
        assert "held mail" in reply.text
        line = wait_for("the log", lambda: re.findall(
            " error held-full .*", d.log()))[0]
        assert " octets=1048576 limit=1048576 " in line
        assert re.search(f" root={d.mail}/(one|two) mailboxes=8 ", line)
        for user in names:
            (d.mail / "one" / user).unlink()
        wait_for("250", lambda: not says_full(d))
        assert c.deliver("y\r\n", "bob@example.net").code == 250
    assert len(re.findall(" held-full ", d.log())) == 1


def says_full(d):
    with d.client() as c:  # one each: many 4xx end a session
        reply = c.ask("MAIL FROM:<a@example.com>")
    assert reply.status in ("250 2.1.0", "452 4.3.1"), reply
    return reply if reply.code == 452 else None


def test_directories_that_are_no_mailboxes(start):
    """FAULT A4, C7: lost+found is nobody; what is not ours to write is a
    mailbox that takes no mail, before anything is held for it."""
    d = start.make(domains="""
domain "example.org" {{
	users = {{ "bob" }}
	users-from = "{mail}"
	aliases = {{ "postmaster: bob", "abuse: bob" }}
	deliver = "maildir:{mail}/%u"
}}
""")
    d.mail.mkdir(mode=0o755)
    for name in "lost+found", "carol", "dave":
        (d.mail / name).mkdir(mode=0o700)
    if AS_ROOT:
        for path in d.mail, d.mail / "carol", d.mail / "dave":
            shutil.chown(path, "nobody")
    (d.mail / "dave").chmod(0o500)
    d.start()
    with d.client() as c:
        assert c.ask("MAIL FROM:<a@example.com>").code == 250
        reply = c.ask("RCPT TO:<lost+found@example.org>")
        assert reply.status == "550 5.1.1"
        assert c.ask("RCPT TO:<dave@example.org>").status == SHUT
        assert c.ask("RSET").code == 250
        assert c.deliver("x\r\n", "carol@example.org").code == 250
    line, = re.findall(" info refused .*450 4.2.1.*", d.log())
    assert 'error="Permission denied"' in line
    assert not held(d)
