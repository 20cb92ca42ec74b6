"""The reserve of a disk, and who may use it."""

import os
import shutil

import pytest

from daemon import AS_ROOT, wait_for
from test_held import boxes, held, without_permission

MANY = """
domain "example.org" {{
	users = {{ %s }}
	aliases = {{ "postmaster: alice", "abuse: alice", "all: %s" }}
	deliver = "maildir:{mail}/%%d/%%u"
}}
""" % (", ".join(f'"u{i}"' for i in range(40)) + ', "alice"',
       ", ".join(f"u{i}" for i in range(40)))


def with_disk(start, mounted, **kwargs):
    """Its mail has a disk of 8 MB, of which a quarter is the reserve."""
    if not AS_ROOT:
        pytest.skip("root alone may mount")
    d = start.make(journal="segment = 1M size = 64M reserve = 25%", **kwargs)
    mounted("tmpfs", d.mail, "8M")
    d.mail.chmod(0o700)
    shutil.chown(d.mail, "nobody")
    return d.start()


def free(d):
    s = os.statvfs(d.mail)
    return s.f_bavail / s.f_blocks


@pytest.mark.parametrize("size", [50, 300])
def test_an_alias_of_many(start, mounted, size):
    """FAULT A5: room for one copy is none for forty: 452 at the dot; and for
    several messages at once, none that is answered 250 uses the reserve."""
    d = with_disk(start, mounted, domains=MANY, top="workers = 2")
    body = ("x" * 998 + "\r\n") * size
    with d.client() as c:
        assert c.deliver(body, "alice@example.org").code == 250
        if size * 40 > 6000:
            assert c.deliver(body, "all@example.org").status == "452 4.3.1"
    clients = [d.client() for _ in range(8)]
    for c in clients:
        c.begin(*[f"u{i}@example.org" for i in range(60 * 50 // size // 8)])
        assert c.ask("DATA").code == 354
        c.send(body)
    for c in clients:
        c.send(".\r\n")
    codes = [c.reply().status for c in clients]
    assert set(codes) <= {"250 2.6.0", "452 4.3.1"}, codes
    d.settled()
    assert free(d) >= 0.25
    assert not held(d)


def test_a_round_of_held_mail_leaves_the_reserve(start, mounted):
    """FAULT A5: what is held is not written into the reserve either."""
    d = with_disk(start, mounted)
    alice, = boxes(d, "alice")
    undo = without_permission(alice)
    with d.client() as c:
        id = c.deliver("x\r\n", "alice@example.org").id
    file, = wait_for("its being held", lambda: held(d))
    filler = d.mail / "filler"
    with open(filler, "wb") as f:
        f.write(b"x" * 6300000)
    assert free(d) < 0.25
    undo()
    before = file.stat().st_mtime_ns
    wait_for("the next try", lambda: file.stat().st_mtime_ns != before)
    assert held(d) == [file] and len(d.files("alice@example.org")) == 1
    filler.unlink()
    wait_for("its delivery", lambda: [
        p for p in (alice / "new").iterdir() if f".{id}_" in p.name])
