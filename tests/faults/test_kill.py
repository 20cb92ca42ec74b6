"""kill -9 under load: no 250 is ever forgotten, or kept twice."""

import subprocess
import time

import pytest

from audit import returns, youth
from daemon import NO_JOURNAL, wait_for
from load import Load
from reader import Reader
from scene import CHECKPOINT


def shuffled(rng, **counts):
    kinds = [kind for kind, n in counts.items() for _ in range(n)]
    return rng.sample(kinds, len(kinds))


def kill_all_of(scene, kinds):
    """At random moments: some right behind the start, some later."""
    for kind in kinds:
        time.sleep(scene.rng.uniform(0, 0.8))
        if scene.rng.random() < 0.75:
            scene.more()
        scene.kill(kind)
    scene.more()


def few(journal):
    """Without a journal there is less to go wrong, and less time for it."""
    return journal == NO_JOURNAL


@pytest.mark.parametrize("part", range(2))
def test_killed(scene, journal, part):
    """Workers, masters and all of them, a hundred times in both parts."""
    s = scene()
    kinds = shuffled(s.rng, worker=20, master=15, all=15)
    s.start()
    with Load(s.ledger, s.daemon.port):
        kill_all_of(s, kinds[:15] if few(journal) else kinds)
    s.settle()
    s.audit()


def test_killed_beside_a_reader(scene, journal):
    """A file that is renamed while replay looks for it is still there."""
    s = scene()
    kinds = shuffled(s.rng, worker=14, master=4, all=12)
    s.start()
    with Reader(s, "move"):
        with Load(s.ledger, s.daemon.port):
            kill_all_of(s, kinds[:10] if few(journal) else kinds)
        s.settle()
    s.audit()


# --- beside somebody who removes mail ---

class Bound:
    """How old a message may be that comes back: its checkpoint had begun
    when it was delivered, so the next one had to begin, and end."""

    def __init__(self, scene):
        self.scene = scene
        self.slowest = 0

    def seconds(self):
        begin = time.monotonic()
        subprocess.run(["sync", "-f", self.scene.disk], check=True)
        self.slowest = max(self.slowest, time.monotonic() - begin)
        return CHECKPOINT + 2 * self.slowest + 1


def old(reader, since, bound):
    """Removed, and too old by now to be excused if they come back."""
    limit = time.time() - bound.seconds()
    return [r for r in reader.removals() if since < r["arrived"] < limit]


def test_killed_beside_a_remover(scene, journal, capsys):
    """Only what was younger than a checkpoint may come back."""
    s = scene()
    bound, since = Bound(s), time.time()
    s.start()
    with Reader(s, "remove") as reader:
        with Load(s.ledger, s.daemon.port, clients=4):
            for _ in range(2 if few(journal) else 8):
                wait_for("mail removed long after its checkpoint", lambda:
                         len(old(reader, since, bound)) >= 10)
                time.sleep(s.rng.uniform(0, 1.5 * CHECKPOINT))
                s.kill("all")
                since = time.time()
            s.more()
        s.settle()
    s.audit()
    removals = reader.removals()
    back = returns(removals, s.daemon.mail)
    with capsys.disabled():
        print(f" {len(removals)} removed, {len(back)} came back", end="")
    print("the oldest of them when a kill came: %.1f s of %.1f" % (
        max([youth(r, s.kills) for r in back], default=0), bound.seconds()))
    bad = [r for r in back if youth(r, s.kills) > bound.seconds()]
    assert not bad, (bad[:5], s.kills)
    if few(journal):
        assert not back, back[:5]
