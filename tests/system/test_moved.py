"""A mail root or a spool that is moved away, replaced or mounted over."""

import contextlib
import pathlib
import shutil
import subprocess
import threading

import pytest

from daemon import AS_ROOT, wait_for
from test_held import held
from test_journal import FAST

JOURNALS = pytest.mark.parametrize("journal", [FAST, "enabled = no"])


def command(*args):
    subprocess.run([str(a) for a in args], check=True)


def inside(d, path):
    """As the daemon sees it."""
    return pathlib.Path(f"/proc/{d.master()}/root{path}")


def has(mail, id):
    return [p for p in mail.glob("example.org/alice/new/*")
            if f".{id}_" in p.name]


def deliver(d):
    with d.client() as c:
        return c.deliver("x\r\n", "alice@example.org").id


def takes(d):
    with d.client() as c:
        c.ask("MAIL FROM:<a@example.com>")
        return c.ask("RCPT TO:<alice@example.org>").code == 250


@JOURNALS
def test_a_root_is_restored(start, journal):
    """FAULT B7: `mv mail old; cp -a old mail`: what comes then is there."""
    d = start(journal=journal)
    first = deliver(d)
    d.settled()
    command("mv", d.mail, d.path / "old")
    command("cp", "-a", d.path / "old", d.mail)
    ids = [first, deliver(d)]
    wait_for("both", lambda: all(has(d.mail, id) for id in ids))
    assert f"warn root-replaced path={d.mail} " in d.log()


@JOURNALS
def test_a_root_is_gone_and_comes_back(start, journal):
    """FAULT B7: meanwhile its mail is held."""
    d = start(journal=journal, top="workers = 1")
    deliver(d)
    d.settled()
    command("mv", d.mail, d.path / "old")
    with d.client() as c:
        reply = c.deliver("x\r\n", "alice@example.org")
    wait_for("the event", lambda: f"error root-gone path={d.mail} " in d.log())
    wait_for("its being held", lambda: held(d))
    command("mv", d.path / "old", d.mail)
    wait_for("its delivery", lambda: has(d.mail, reply.id))
    wait_for("an empty held/", lambda: not held(d))
    wait_for("the event", lambda: "info root-back " in d.log())
    assert "root-replaced" not in d.log()


@JOURNALS
def test_nothing_is_lost_on_the_way(start, journal):
    """FAULT B7: mail comes while the root is moved and restored, thrice: what
    was answered 250 is in the root that is there in the end."""
    d = start(journal=journal)
    deliver(d)
    end = threading.Event()
    ids = []

    def send():
        while not end.is_set():
            # 421 when its worker makes way for another
            with contextlib.suppress(AssertionError, OSError), (
                    d.client()) as c:
                c.ask("MAIL FROM:<a@example.com>")
                if c.ask("RCPT TO:<alice@example.org>").code != 250:
                    continue
                c.ask("DATA")
                c.send("x\r\n.\r\n")
                reply = c.reply()
                if reply.code == 250:
                    ids.append(reply.id)

    threads = [threading.Thread(target=send) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        for i in range(3):
            n, old = len(ids), d.path / f"old{i}"
            wait_for("some mail", lambda: len(ids) > n + 20)
            command("mv", d.mail, old)
            command("cp", "-a", old, d.mail)
            wait_for("the event", lambda: d.log().count("root-") > i)
        n = len(ids)
        wait_for("some mail", lambda: len(ids) > n + 20)
    finally:
        end.set()
        for t in threads:
            t.join()
    wait_for("an empty held/", lambda: not held(d))
    d.stop()
    names = {p.name.split("_")[0].split(".", 1)[1]
             for p in d.mail.glob("example.org/alice/new/*")}
    assert set(ids) <= names


@JOURNALS
@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_a_root_is_mounted_over(start, kind, journal):
    """FAULT B7: in a mount namespace of its own; and what is below comes
    back into use when the mount goes."""
    if not AS_ROOT:
        pytest.skip("root alone may mount")
    d = start.make(journal=journal, top="workers = 1")
    d.wrapper = ["unshare", "-m", "--propagation", "private"]
    d.start()
    deliver(d)
    d.settled()
    enter = ["nsenter", "-t", d.master(), "-m", "-r"]
    if kind == "ext4":
        image = d.path / "image"
        command("truncate", "-s", "16M", image)
        command("mkfs.ext4", "-q", "-m", "0", image)
        command(*enter, "mount", "-o", "loop", image, d.mail)
    else:
        command(*enter, "mount", "-t", "tmpfs", "-o", "size=8M", "x", d.mail)
    shutil.chown(inside(d, d.mail), "nobody")
    over = deliver(d)
    wait_for("its delivery", lambda: has(inside(d, d.mail), over))
    assert not has(d.mail, over)
    assert f"warn root-replaced path={d.mail} " in d.log()
    wait_for("an empty held/", lambda: not held(d))
    wait_for("250", lambda: takes(d))
    command(*enter, "umount", "-l", d.mail)
    below = deliver(d)
    wait_for("its delivery", lambda: has(d.mail, below))


@JOURNALS
def test_a_spool_is_moved_away(start, journal):
    """FAULT B7: an error, and no new mail until it is back; nor in another
    one that was made there meanwhile."""
    d = start(journal=journal, top="workers = 1")
    deliver(d)
    d.settled()
    command("mv", d.spool, d.path / "old")

    def ask(status):
        with d.client() as c:
            return c.ask("MAIL FROM:<a@example.com>").status == status
    wait_for("452", lambda: ask("452 4.3.1"))
    assert f"error spool-replaced path={d.spool} " in d.log()
    d.spool.mkdir()
    for _ in range(4):
        assert ask("452 4.3.1")
    assert not list(d.spool.iterdir())
    d.spool.rmdir()
    command("mv", d.path / "old", d.spool)
    wait_for("250", lambda: ask("250 2.1.0"))
    assert "info spool-back " in d.log()
    id = deliver(d)
    d.settled()
    assert has(d.mail, id)


def test_a_spool_is_moved_away_in_a_transaction(start):
    """FAULT B7: no 250 for what lies where no start will look."""
    d = start(journal="segment = 1M size = 64M checkpoint = 1h")
    with d.client() as c:
        c.begin("alice@example.org")
        assert c.ask("DATA").code == 354
        command("mv", d.spool, d.path / "old")
        c.send("x\r\n.\r\n")
        assert c.reply().status == "451 4.3.0"
        command("mv", d.path / "old", d.spool)
    assert "error spool-replaced" in d.log()
    assert "journal-" not in d.log()
