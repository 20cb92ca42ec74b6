"""The fixtures of tests/system, and both ways to make a message durable."""

import importlib.util
import os
import pathlib
import random
import sys
import time

SYSTEM = pathlib.Path(__file__).resolve().parents[1] / "system"
sys.path[:0] = [str(pathlib.Path(__file__).parent), str(SYSTEM)]

import pytest  # noqa: E402

from daemon import NO_JOURNAL  # noqa: E402


def system_conftest():
    """Under a name of its own: pytest calls every conftest just that."""
    spec = importlib.util.spec_from_file_location(
        "system_conftest", SYSTEM / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


theirs = system_conftest()
pytest_sessionstart = theirs.pytest_sessionstart
base, start, mounted = theirs.base, theirs.start, theirs.mounted


@pytest.fixture
def rng():
    """SEED=n repeats the choices of a run, though not its moments."""
    seed = int(os.environ.get("SEED", time.time_ns() % 10**9))
    print(f"SEED={seed}")
    return random.Random(seed)


@pytest.fixture(params=["no", "yes"])
def journal(request):
    """What the configuration says about it: off, and on.

    Small segments and a short checkpoint: both are gone through many times
    within seconds. "long": many checkpoints in each segment.
    """
    if request.param == "no":
        return NO_JOURNAL
    if request.param == "long":
        return "segment = 16M size = 256M checkpoint = 200ms"
    return "segment = 1M size = 256M checkpoint = 1s"


@pytest.fixture
def scene(start, rng, journal):
    """scene(): a daemon to be killed; in the end nobody of it is left."""
    from scene import Scene

    scenes = []

    def make(**kwargs):
        scenes.append(Scene(start, rng, journal, **kwargs))
        return scenes[-1]

    yield make
    for s in scenes:
        s.end()


@pytest.fixture
def on_disk(scene):
    """on_disk(kind, ...): a scene on a file system of its own."""
    from disk import Disk

    made = []

    def make(kind, **kwargs):
        s = scene(**kwargs)
        made.append((s, Disk(kind, s.disk, s.daemon.path / "image")))
        return made[-1]

    yield make
    for s, disk in made:
        s.end()
        disk.remove()
