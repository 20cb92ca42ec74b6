"""The audit sees what it is there to see: each fault, planted."""

import random
import struct

import pytest

from audit import Audit, returns
from journals import (ALIGN, FIRST, HEAD, HEADER, MAIL, PAGE, Death,
                      Watch, waiting)
from ledger import DOMAIN, SENDER, Ledger

BOX = f"u0@{DOMAIN}"


class Planted:
    """Three messages in a mailbox, the last of them not answered."""

    def __init__(self, tmp_path):
        self.ledger = Ledger(random.Random(1), [BOX])
        self.mail = tmp_path
        self.box = tmp_path / DOMAIN / "u0"
        for folder in ("new", "cur", "tmp"):
            (self.box / folder).mkdir(parents=True)
        self.paths = [self.put(n) for n in range(3)]
        self.ledger.attempts[3].id = None

    def put(self, n):
        a = self.ledger.attempt(random.Random(n))
        a.boxes = (BOX,)
        a.id = f"{n:016d}.1"
        return self.write("new", a)

    def write(self, folder, a, to=BOX):
        raw = (f"Return-Path: <{SENDER}>\nDelivered-To: {to}\n"
               "Received: from x\n\tby y\n").encode() + self.ledger.text(a)
        id = a.id or "0123456789ABCDEF.1"
        path = (self.box / folder /
                f"1.{id}_0.mx.example.org,S={len(raw)}")
        path.write_bytes(raw)
        return path

    def faults(self, **kwargs):
        return Audit(self.ledger, self.mail).run(**kwargs).faults


@pytest.fixture
def planted(tmp_path):
    p = Planted(tmp_path)
    assert p.faults() == []
    return p


def one(faults, text):
    assert len(faults) == 1 and text in faults[0], faults


def test_read_mail_is_mail(planted):
    """cur, with flags, and what was never answered and is not there."""
    planted.paths[0].rename(
        planted.box / "cur" / (planted.paths[0].name + ":2,RS"))
    planted.paths[2].unlink()
    (planted.box / "tmp" / "anything").write_bytes(b"half")
    assert planted.faults() == []


def test_missing(planted):
    planted.paths[0].rename(planted.box / "tmp" / "x")
    one(planted.faults(), "missing")


def test_all_faults_and_not_the_first(planted):
    planted.paths[0].unlink()
    planted.paths[1].unlink()
    assert len(planted.faults()) == 2


def test_removed_is_not_missing(planted, tmp_path):
    trash = tmp_path / "trash" / "u0"
    trash.mkdir(parents=True)
    planted.paths[0].rename(trash / planted.paths[0].name)
    assert planted.faults(trash=tmp_path / "trash") == []


@pytest.mark.parametrize("which", [0, 2])
def test_doubled(planted, which):
    """Of what was not answered as well."""
    path = planted.paths[which]
    (planted.box / "cur" / (path.name + ":2,")).write_bytes(
        path.read_bytes())
    one(planted.faults(), "2 times")


@pytest.mark.parametrize("which", [0, 2])
def test_shortened(planted, which):
    path = planted.paths[which]
    path.write_bytes(path.read_bytes()[:-10])
    size, text = planted.faults()
    assert "octets are there" in size and "differs at" in text


def test_empty(planted):
    planted.paths[0].write_bytes(b"")
    size, begins, missing = planted.faults()
    assert "0 octets" in size and "begins with b''" in begins
    assert "missing" in missing


@pytest.mark.parametrize("which", [0, 2])
@pytest.mark.parametrize("where", [-1, -500])
def test_flipped(planted, which, where):
    raw = bytearray(planted.paths[which].read_bytes())
    raw[where] ^= 1
    planted.paths[which].write_bytes(raw)
    one(planted.faults(), "differs at")


def test_zeros_at_the_end(planted):
    raw = planted.paths[0].read_bytes()
    planted.paths[0].write_bytes(raw[:-512] + bytes(512))
    one(planted.faults(), "differs at")


def test_swapped(planted):
    """Each whole, in the other's file: an id is not a message."""
    a, b = planted.paths[:2]
    x, y = a.read_bytes(), b.read_bytes()
    a.write_bytes(y)
    b.write_bytes(x)
    assert sum("was answered as" in f for f in planted.faults()) == 2


def test_of_somebody_else(planted):
    a = planted.ledger.attempts[1]
    planted.paths[0].unlink()
    planted.write("new", a, to=f"u1@{DOMAIN}")
    one(planted.faults(), "is headed")
    planted.write("new", a)
    a.boxes = (f"u1@{DOMAIN}",)
    faults = planted.faults()
    assert any("was for" in f for f in faults)
    assert any("missing" in f for f in faults)


def test_never_sent(planted):
    del planted.ledger.attempts[3]
    one(planted.faults(), "never sent")


def test_a_name_that_is_not_ours(planted):
    (planted.box / "new" / "x").write_bytes(b"x")
    one(planted.faults(), "no name of ours")


def test_what_came_back(planted):
    """Still there, or removed again; not what went and stayed away."""
    def removal(path, nth):
        return {"box": "u0", "name": path.name, "nth": nth, "arrived": 50}

    here, twice, gone = planted.paths
    log = [removal(here, 1), removal(twice, 1), removal(gone, 1),
           removal(twice, 2)]
    here.rename(planted.box / "cur" / (here.name + ":2,S"))
    twice.unlink()
    gone.unlink()
    assert returns(log, planted.mail) == log[:2]


class Segment:
    """A journal of one segment, with as many records as ids."""

    NONCE = 0x1122334455667788

    def __init__(self, spool, ids):
        self.path = spool / "journal" / "J" / "1.log"
        self.path.parent.mkdir(parents=True)
        text = bytearray(b"\0" * FIRST)
        for id in ids:
            envelope = struct.pack("<I", len(id)) + id.encode()
            text += HEAD.pack(self.NONCE, len(text), MAIL, 0, len(envelope),
                              0, 600, len(id)) + id.encode() + b"b" * 600
            text += b"\0" * (-len(text) % ALIGN)
        self.path.write_bytes(text)
        self.key = self.path, self.NONCE

    def header(self, turn, done):
        with self.path.open("r+b") as f:
            f.seek(turn % 2 * PAGE)
            f.write(HEADER.pack(b"smtpdjnl", 1, 0, self.NONCE, turn, done,
                                0))


def test_what_a_journal_still_holds(tmp_path):
    """From the newer header's mark on."""
    s = Segment(tmp_path, ["a", "b", "c"])
    assert waiting(tmp_path) == {}
    s.header(7, FIRST + 2 * ALIGN)
    assert waiting(tmp_path) == {s.key: ["b", "c"]}
    s.header(6, 0)
    assert waiting(tmp_path) == {s.key: ["b", "c"]}
    s.header(8, FIRST + 4 * ALIGN)
    assert waiting(tmp_path) == {s.key: ["c"]}


def test_passes_are_seen(tmp_path):
    s = Segment(tmp_path, ["a"])
    watch = Watch(tmp_path)
    s.header(1, 0)
    for now, turn in enumerate([1, 2, 2, 3]):
        s.header(turn, 0)
        watch.look(s.path, now)
    assert watch.passes == {s.key: [1, 3]}
    assert [watch.since(s.key, t) for t in (1, 2, 4)] == [2, 1, 0]


def test_an_excuse(tmp_path):
    """Two passes since all up to it were delivered are one too many."""
    s = Segment(tmp_path, ["a", "b"])
    s.header(1, 0)
    watch = Watch(tmp_path)
    watch.passes[s.key] += [60, 70]
    death = Death(
        watch, "2026-11-24T08:11:56.500Z info delivered message=x rcpt=")
    watch.passes[s.key] += [80]  # of the recovery
    assert death.said == {"x": 1795507916.5}

    def excuses(id, said, arrived=50):
        death.said = said
        return death.excuses(id, arrived)

    assert not excuses("b", {"a": 60, "b": 50})
    assert excuses("b", {"a": 61, "b": 50})
    assert excuses("b", {"b": 50})  # a was still under way
    assert excuses("a", {"a": 61}) and not excuses("a", {"a": 60})
    assert excuses("a", {}, arrived=61) and not excuses("a", {})  # replayed
    assert not excuses("c", {})  # from nowhere
