"""Fixtures: smtpd with a folder of its own, in the foreground, on loopback."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import pytest  # noqa: E402

import puppet  # noqa: E402
from daemon import BINARY, Daemon  # noqa: E402


def pytest_sessionstart(session):
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"{BINARY} is not there: build it, or set SMTPD", 2)


@pytest.fixture(scope="session")
def base():
    """Not pytest's own folder: workers that are nobody must get through."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="smtpd-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


class Factory:
    def __init__(self, base):
        self.base = base
        self.daemons = []

    def folder(self):
        path = pathlib.Path(tempfile.mkdtemp(dir=self.base))
        path.chmod(0o755)
        return path

    def make(self, **kwargs):
        d = Daemon(self.folder(), **kwargs)
        self.daemons.append(d)
        return d

    def __call__(self, **kwargs):
        return self.make(**kwargs).start()

    def end(self):
        faults = []
        for d in self.daemons:
            try:
                if d.process and d.status is None:
                    d.stop()
            except AssertionError as e:
                faults.append(e)
            finally:
                d.kill()
                shutil.rmtree(d.path, ignore_errors=True)
        if faults:
            raise faults[0]


@pytest.fixture(scope="session")
def world(base):
    """world(client, **config): the daemon of the dialogues, one of each."""
    factory = Factory(base)
    known = {}

    def get(client="", **config):
        key = (client, *sorted(config.items()))
        if key not in known:
            size = config.pop("message-size", None)
            known[key] = factory(
                submission=True,
                top=f"message-size = {size}" if size else "",
                limits="\n".join(f"{k} = {v}" for k, v in config.items()),
                extra=client)
        return known[key]

    yield get
    factory.end()


@pytest.fixture(scope="session")
def smtpd(world):
    """The one that most tests share. Who leaves it broken fails the run."""
    return world()


@pytest.fixture
def start(base):
    """start(**config): one for this test alone."""
    factory = Factory(base)
    yield factory
    factory.end()


@pytest.fixture
def secured(base):
    """secured(**config): one with a certificate."""
    from secured import Secured  # which needs what is here
    factory = Secured(base)
    yield factory
    factory.end()


@pytest.fixture
def submissions(base):
    """submissions(**config): one where people log in."""
    from secured import Submission
    factory = Submission(base)
    yield factory
    factory.end()


@pytest.fixture(scope="session")
def library(base):
    """What a puppet preloads."""
    return puppet.build(base)


@pytest.fixture
def mounted(base):
    """mounted(kind, path, size): a small file system there; root only."""
    undo = []

    def mount(kind, path, size):
        path.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs"]
        if kind == "ext4":
            image = pathlib.Path(tempfile.mkstemp(dir=base)[1])
            undo.append(["rm", "-f", str(image)])
            subprocess.run(["truncate", "-s", size, image], check=True)
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True,
                           capture_output=True)
            command = ["mount", "-o", "loop", str(image)]
        done = subprocess.run([*command, str(path)], capture_output=True,
                              text=True)
        if done.returncode:
            pytest.skip(f"cannot mount here: {done.stderr.strip()}")
        undo.append(["umount", "-l", str(path)])
        shutil.chown(path, "nobody", "nogroup")
        path.chmod(0o700)

    yield mount
    for command in reversed(undo):
        subprocess.run(command, capture_output=True)


@pytest.fixture
def full(mounted):
    """full(daemon, user): a mailbox on a disk of its own, without room;
    what fills it is returned. Root only."""
    def fill(d, user):
        box = d.mail / "example.org" / user
        mounted("tmpfs", box, "256k")
        with open(box / "filler", "wb") as f:
            try:
                f.write(b"x" * (1 << 20))
            except OSError:
                pass
        for path in (d.mail, d.mail / "example.org"):
            shutil.chown(path, "nobody", "nogroup")
        return box / "filler"

    return fill
