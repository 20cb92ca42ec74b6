"""A file system of its own, whose power can be cut.

The ioctl ends all writing at once: what the kernel has not given to the
device is lost, and all that comes later fails. LOG_FLUSH writes the file
system's log first, so that names are there whose content is not; NO_FLUSH
does not, so that names are lost. Mounting it again replays that log.
"""

import fcntl
import os
import shutil
import struct
import subprocess

import pytest

from daemon import AS_ROOT, wait_for

SHUTDOWN = 0x8004587D  # _IOR('X', 125, uint32_t), of ext4 and of xfs
LOG_FLUSH, NO_FLUSH = 1, 2
MAKE = {"ext4": ["mkfs.ext4", "-q", "-m", "0", "-O", "has_journal"],
        "xfs": ["mkfs.xfs", "-q"]}


def tool(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/sbin:/usr/sbin")


class Disk:
    def __init__(self, kind, folder, image, size="2G"):
        if not AS_ROOT:
            pytest.skip("root alone may mount")
        if not tool(MAKE[kind][0]):
            pytest.skip(f"there is no {MAKE[kind][0]}")
        self.kind = kind
        self.folder = folder
        self.image = image
        self.mounted = False
        subprocess.run(["truncate", "-s", size, image], check=True)
        subprocess.run([*MAKE[kind], image], check=True,
                       capture_output=True)
        why = self.mount()
        if why:
            pytest.skip(f"cannot mount {kind} here: {why}")
        folder.chmod(0o755)

    def mount(self):
        """What went wrong, if anything did."""
        done = subprocess.run(
            ["mount", "-t", self.kind, "-o", "loop", self.image,
             self.folder], capture_output=True, text=True)
        self.mounted = not done.returncode
        return done.stderr.strip()

    def unmount(self):
        subprocess.run(["umount", self.folder], check=True)
        self.mounted = False

    def cut(self, flag):
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", flag))
        finally:
            os.close(fd)

    def attached(self):
        return subprocess.run(["losetup", "-j", self.image], check=True,
                              capture_output=True).stdout

    def power_on(self):
        """Nobody may have anything open on it. A mount namespace made by
        somebody else meanwhile keeps it, dead as it is; it is waited for.
        """
        self.unmount()
        wait_for("all let it go", lambda: not self.attached())
        why = self.mount()
        assert not why, why

    def remove(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.folder])
        self.image.unlink()
