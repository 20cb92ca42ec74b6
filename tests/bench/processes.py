"""What a server costs: all of its processes, those that have ended too.

A control group of its own counts them. /proc cannot: some servers have
children that nobody waits for, and what those used is lost with them (three
quarters of Exim).
"""

import os
import pathlib
import threading
import time

EMPTY = 30  # seconds until what was killed is gone


def hierarchy():
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, where, kind = line.split()[:3]
        if kind == "cgroup2":
            return pathlib.Path(where)
    raise SystemExit("bench: needs a cgroup2 file system, to count CPU")


class Group:
    """The processes of one server."""

    made = 0

    def __init__(self):
        Group.made += 1
        self.path = hierarchy() / f"smtpd-bench-{os.getpid()}-{Group.made}"
        self.path.mkdir()

    def join(self):
        """For the child that is about to become the server."""
        (self.path / "cgroup.procs").write_text("0")

    def pids(self):
        text = (self.path / "cgroup.procs").read_text()
        return [int(x) for x in text.split()]

    def cpu(self):
        """Seconds of user and system."""
        for line in (self.path / "cpu.stat").read_text().splitlines():
            name, value = line.split()
            if name == "usage_usec":
                return int(value) / 1e6
        raise SystemExit(f"bench: {self.path} does not count CPU")

    def memory(self):
        """KiB, each shared page counted by its share."""
        return sum(pss(pid) for pid in self.pids())

    def close(self):
        end = time.monotonic() + EMPTY
        while self.pids() and time.monotonic() < end:
            time.sleep(0.02)
        self.path.rmdir()


class Workers:
    """Those of the first process's children that are there from the start to
    the end: all of them live as long as it does."""

    def __init__(self, pids):
        self.pids = pids

    def cpu(self):
        """Seconds of user and system."""
        return sum(map(cpu, self.pids))

    def memory(self):
        """KiB of the largest one."""
        return max(map(pss, self.pids), default=0)


def pss(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def cpu(pid):
    """Seconds of user and system of one process."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    user, system = text.rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Peak:
    """The most memory that was seen meanwhile."""

    EVERY = 0.25

    def __init__(self, group):
        self.group = group
        self.kib = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while True:
            self.kib = max(self.kib, self.group.memory())
            if self.over.wait(self.EVERY):
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
