"""The audit sees what it is there to see: each fault, planted."""

import random

import pytest

from audit import Audit, returns, youth
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


def test_how_old_it_was():
    r = {"arrived": 50}
    assert youth(r, [10, 53, 52, 60]) == 2
    assert youth(r, [49]) == float("inf")
