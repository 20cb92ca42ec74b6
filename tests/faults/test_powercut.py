"""The power goes under load: what was answered is there, whole, and once."""

import shutil
import subprocess
import time

import pytest

from daemon import DEADLINE, NO_JOURNAL, wait_for
from disk import LOG_FLUSH, NO_FLUSH
from load import Load
from scene import CHECKPOINT

FLAGS = pytest.mark.parametrize(
    "flag", [LOG_FLUSH, NO_FLUSH], ids=["flush", "noflush"])


def many(s):
    """Several clients have sent their last octet, and have no answer."""
    wait_for("answers in flight", lambda: s.ledger.flying >= 3)


def one(s):
    """A client has just read its answer, and no other client's sync comes
    to the help of one that was forgotten."""
    s.ledger.heard.clear()
    assert s.ledger.heard.wait(DEADLINE)


MOMENTS = ((many, 12), (one, 2))


def cut_once(s, disk, flag, seconds, moment, clients):
    """An answer that still comes behind the cut is held to as any other."""
    other = s.ledger.replies
    with Load(s.ledger, s.daemon.port, clients):
        s.more(20)
        time.sleep(seconds)
        moment(s)
        before = sum(other.values())
        disk.cut(flag)
        s.was_cut()
        wait_for("what it says now", lambda:
                 sum(other.values()) > before or not s.ledger.flying)
        s.end()
    disk.power_on()


def cuts(s, disk, flag, n):
    """On one file system: spool and mailboxes get old."""
    for i in range(n):
        cut_once(s, disk, flag, s.rng.uniform(0, 1.5), *MOMENTS[i % 2])
        s.start()
        s.settle()
        s.assert_clean(f"behind cut {i}")


def few(journal, n):
    return max(1, n // 3) if journal == NO_JOURNAL else n


@FLAGS
def test_cut(on_disk, journal, flag):
    """ext4, twenty times with both flags."""
    s, disk = on_disk("ext4")
    s.start()
    cuts(s, disk, flag, few(journal, 10))
    s.audit()


@FLAGS
def test_cut_on_xfs(on_disk, journal, flag):
    s, disk = on_disk("xfs")
    s.start()
    cuts(s, disk, flag, few(journal, 4))
    s.audit()


@pytest.mark.parametrize("journal", ["no"], indirect=True)
def test_a_directory_that_xfs_gave_up(on_disk):
    """Its fsync says all is well while the log behind it is thrown away."""
    s, disk = on_disk("xfs")
    for i in range(8):
        s.start()
        cut_once(s, disk, NO_FLUSH, 0.2, many, clients=16)
        s.start()
        s.settle()
        s.assert_clean(f"behind cut {i}")
        s.end()


@pytest.mark.parametrize("journal, calls", [
    ("no", "fsync"), ("yes", "fdatasync"), ("yes", "syncfs"),
], indirect=["journal"])
@FLAGS
def test_a_cut_bites(on_disk, calls, flag):
    """Without one of its syncs mail is lost, and the audit sees it: a cut
    that did no harm here would prove nothing above."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    s, disk = on_disk("ext4")
    s.daemon.wrapper = [
        "strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e",
        f"trace={calls}", "-e", f"inject={calls}:retval=0"]
    s.start()
    # the folders are there: what is missing later is mail
    with Load(s.ledger, s.daemon.port):
        s.more(200)
    subprocess.run(["sync", "-f", s.disk], check=True)
    cut_once(s, disk, flag, 2 * CHECKPOINT + 0.5, *MOMENTS[0])
    s.daemon.wrapper = []
    s.start()
    wait_for("all that replay finds", s.replayed)
    faults = s.look()
    print(len(faults), "faults;", s.ledger.summary())
    assert faults
