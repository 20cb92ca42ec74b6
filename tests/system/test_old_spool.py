"""What a daemon of commit 67148b4 left behind is read as ever.

old_spool.tar.gz is its folder, killed at a moment when two journals had
records of all kinds: mail that was placed and not yet passed, of which a power
cut and a reader then took some; mail whose rename a library held up, small and
large; and mail for carol, whose mailbox is a file. Some of hers was held and
some had expired before. answers.json says who was answered 250 for what. The
records name their root /proc/self/cwd/mail: below wherever a daemon starts.
"""

import json
import pathlib
import shutil
import subprocess

import pytest

from daemon import AS_ROOT, NO_JOURNAL, Message, files_below, wait_for

SPOOL = pathlib.Path(__file__).with_name("old_spool.tar.gz")
FAST = "segment = 1M size = 64M checkpoint = 200ms"


def unpack(d):
    subprocess.run(["tar", "-xzmf", SPOOL, "--no-same-owner", "-C", d.path],
                   check=True)
    if AS_ROOT:
        for top in d.spool, d.mail:
            for path in top, *top.rglob("*"):
                shutil.chown(path, "nobody")
    return json.loads((d.path / "answers.json").read_text())


def body(tag, size):
    return f"X-Tag: {tag}\n\n" + ("z" * 70 + "\n") * (size // 72)


def copies(d, answer, user):
    """Each is whole."""
    found = [path for folder in ("new", "cur")
             for path in (d.mail / "example.org" / user / folder).glob("*")
             if f".{answer['id']}_" in path.name]
    for path in found:
        name = path.name.removesuffix(":2,S")
        message = Message(path.rename(path.with_name(name)))
        assert message.to == f"{user}@example.org"
        assert message.body.decode() == body(answer["tag"], answer["size"])
    return len(found)


def held(d, answer):
    return sum(path.name.startswith(f"{answer['id']}-")
               and path.suffix != ".body"
               for path in (d.spool / "held").iterdir())


@pytest.mark.parametrize("journal", [FAST, NO_JOURNAL])
def test_all_is_read(start, journal):
    """Once in its mailbox, or held; and what is held arrives, too."""
    d = start.make(journal=journal)
    said = unpack(d)
    expired, = files_below(d.spool / "failed")
    expired_octets = expired.read_bytes()
    d.start()
    wait_for("both journals", lambda: d.log().count(" info recovered ") == 2)
    for answer in said["answered"]:
        for user in answer["to"]:
            there = copies(d, answer, user)
            kept = user == "carol" and held(d, answer)
            assert there + kept == 1, (answer, there, kept)
    carol = d.mail / "example.org" / "carol"
    carol.unlink()
    wait_for("all that is held", lambda: not files_below(d.spool / "held"))
    hers = [a for a in said["answered"] if "carol" in a["to"]]
    assert len(hers) == 4
    assert all(copies(d, answer, "carol") == 1 for answer in hers)
    assert expired.read_bytes() == expired_octets
    assert f".{said['failed']['id']}_" in expired.name
    assert " error " not in d.log()
