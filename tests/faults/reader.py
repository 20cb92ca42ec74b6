"""Mail readers: they move, flag and remove mail while smtpd delivers it.

A process of its own, reader.py MAILBOXES TRASH LOG MODE SEED, until its
standard input ends. Removed mail goes to the trash, so that the audit can
still see what it was; each removal is a line of the log.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time

FLAGS = ("", "F", "S", "RS", "FRS")


def names(folder):
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


class Mover:
    """As a reader with the mailbox open: what is new is seen at once, and
    flags change, in files that are being looked for. What it has already
    stays in new, for the audit: renaming would make one of two."""

    def __init__(self, rng):
        self.rng = rng
        self.known = set()

    def visit(self, box):
        for name in names(box / "new"):
            if name not in self.known:
                os.rename(box / "new" / name, box / "cur" / f"{name}:2,")
                self.known.add(name)
        seen = names(box / "cur")
        for name in self.rng.sample(seen, min(200, len(seen))):
            flags = f"{name.split(':')[0]}:2,{self.rng.choice(FLAGS)}"
            os.rename(box / "cur" / name, box / "cur" / flags)


class Remover:
    """A third is removed at once, a third within seconds, a third never."""

    def __init__(self, rng, trash, log):
        self.rng = rng
        self.trash = pathlib.Path(trash)
        self.log = open(log, "a", buffering=1)
        self.seen = {}  # (box, name): arrived, to be removed
        self.times = {}  # how often it was removed

    def visit(self, box):
        for name in names(box / "new"):
            path, key = box / "new" / name, (box.name, name)
            if key not in self.seen:
                arrived = min(path.stat().st_ctime, time.time())
                wait = self.rng.choice((0, self.rng.uniform(0, 6), 10**6))
                self.seen[key] = arrived, arrived + wait
            if self.seen[key][1] <= time.time():
                self.remove(path, key)
            elif self.rng.random() < 0.1:
                os.rename(path, box / "cur" / f"{name}:2,")
        for name in names(box / "cur"):
            key = box.name, name.split(":")[0]
            if self.seen[key][1] <= time.time():
                self.remove(box / "cur" / name, key)

    def remove(self, path, key):
        box, name = key
        nth = self.times[key] = self.times.get(key, 0) + 1
        folder = self.trash / box
        folder.mkdir(parents=True, exist_ok=True)
        os.rename(path, folder / f"{name}:{nth}")
        self.log.write(json.dumps(
            {"box": box, "name": name, "nth": nth,
             "arrived": self.seen.pop(key)[0], "removed": time.time()})
            + "\n")


def main(mailboxes, trash, log, mode, seed):
    rng = random.Random(int(seed))
    reader = Mover(rng) if mode == "move" else Remover(rng, trash, log)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()),
                     daemon=True).start()
    while not ended.is_set():
        for box in names(mailboxes):
            reader.visit(pathlib.Path(mailboxes) / box)
        time.sleep(0.001)  # not the whole of a processor


class Reader:
    """with Reader(...): it reads; behind it, it has ended well."""

    def __init__(self, scene, mode):
        self.log = scene.daemon.path / "removals"
        self.command = [sys.executable, "-B", __file__,
                        scene.daemon.mail / "example.org", scene.trash,
                        self.log, mode, scene.rng.getrandbits(32)]

    def __enter__(self):
        self.log.touch()
        self.process = subprocess.Popen(map(str, self.command),
                                        stdin=subprocess.PIPE)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(30) == 0

    def removals(self):
        """So far; the last line may be half written."""
        text = self.log.read_text()
        return [json.loads(line)
                for line in text[:text.rfind("\n") + 1].splitlines()]


if __name__ == "__main__":
    main(*sys.argv[1:])
