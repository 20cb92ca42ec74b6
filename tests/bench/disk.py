"""The file system of the benchmark: an ext4 with a journal, on a loop device.

All spools and mailboxes are on it. Each run has a new one, because what was
deleted before makes creating files slower for a minute; and the file below it
is written whole once, because a block's first use costs more than its second.
"""

import ctypes
import os
import pathlib
import subprocess
import time

GONE = 30  # seconds until the device is free
INODES = 4_000_000
MIB = 1 << 20


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout.strip()


def sync(path):
    """All of its file system, and nothing else's."""
    fd = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd):
            raise OSError(ctypes.get_errno(), "syncfs")
    finally:
        os.close(fd)


class Disk:
    def __init__(self, image, mount, gigabytes):
        self.image = pathlib.Path(image)
        self.mount = pathlib.Path(mount)
        self.size = gigabytes << 30
        self.loop = None

    def fill(self):
        """A file of the same size is one of ours from before."""
        if self.image.exists() and self.image.stat().st_size == self.size:
            return
        zeros = bytes(4 * MIB)
        with open(self.image, "wb") as f:
            for _ in range(self.size // len(zeros)):
                f.write(zeros)
            os.fsync(f.fileno())

    def fresh(self):
        """An empty file system; returns where it is."""
        self.away()
        run("mkfs.ext4", "-q", "-F", "-N", str(INODES),
            "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1",
            self.image)
        self.mount.mkdir(parents=True, exist_ok=True)
        self.loop = run("losetup", "-f", "--show", "--direct-io=on",
                        self.image)
        # No thread of the kernel shall write inode tables meanwhile.
        run("mount", "-o", "noatime,noinit_itable", self.loop, self.mount)
        return self.mount

    def away(self):
        if not self.loop:
            return
        run("umount", self.mount)
        run("losetup", "-d", self.loop)
        self.loop = None
        # Name spaces that are just ending may hold it for a moment.
        end = time.monotonic() + GONE
        while run("losetup", "-j", self.image):
            if time.monotonic() > end:
                raise SystemExit(f"{self.image}: its loop device stays")
            time.sleep(0.05)

    def __str__(self):
        return (f"ext4 with a journal, {self.size >> 30} GiB, {INODES:,} "
                "inodes, noatime, new for each run, on a loop device with "
                f"direct I/O over a written file in {self.image.parent}")
