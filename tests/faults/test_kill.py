"""kill -9 under load: no 250 is ever forgotten, or kept twice."""

import collections
import time

import pytest

from audit import returns
from daemon import FILE_NAME, NO_JOURNAL, wait_for
from journals import Death, Watch, segments
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

def excused(removal, deaths):
    """It came back from the journal of a kill, and was too young to pass."""
    id = FILE_NAME.match(removal["name"])["id"]
    return any(death.excuses(id, removal["arrived"]) for death in deaths
               if death.at >= removal["arrived"])


def passed(watch, spool, since):
    """Some journal of now has gone on by two checkpoints."""
    now = set(segments(spool))
    passes = collections.Counter()
    for segment in list(watch.turns):
        if segment[0] in now:
            passes[segment[0].parent] += watch.since(segment, since)
    return any(n > 1 for n in passes.values())


@pytest.mark.parametrize("journal", ["no", "yes", "long"],
                         indirect=True)
def test_killed_beside_a_remover(scene, journal, capsys):
    """Only what was younger than a checkpoint may come back."""
    s = scene()
    watch, deaths, since = Watch(s.daemon.spool), [], time.time()
    s.on_death = lambda: deaths.append(Death(watch, s.daemon.log()))
    s.start()
    with Reader(s, "remove") as reader, watch:
        with Load(s.ledger, s.daemon.port, clients=4):
            for _ in range(2 if few(journal) else 8):
                wait_for("mail removed", lambda: sum(
                    r["arrived"] > since for r in reader.removals()) >= 10)
                if not few(journal):
                    wait_for("two checkpoints", lambda:
                             passed(watch, s.daemon.spool, since))
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
    bad = [r for r in back if not excused(r, deaths)]
    assert not bad, (len(bad), bad[:5], s.kills)
    if few(journal):
        assert not back, back[:5]
