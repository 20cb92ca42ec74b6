"""The journals of a scene, as their files tell: include/journal/record.h.

A segment is one use of a file: its path and its nonce. A pass is a change of
its header: a checkpoint, or a recovery, has said how much needs nothing more.
"""

import collections
import datetime
import re
import struct
import threading
import time

from reader import names

HEADER = struct.Struct("<8sIIQQQQ")  # magic version crc nonce turn done size
HEAD = struct.Struct("<QQIIIIQI")  # .. envelope's length .. body's; id's length
PAGE, FIRST, ALIGN, HEAD_LEN = 4096, 8192, 512, 40
MAIL = 1
DELIVERED = re.compile(r"^(\S+) info delivered message=(\S+) ", re.M)


def header(f):
    """(nonce, turn, done) of the newer one, or None."""
    found = []
    for at in (0, PAGE):
        f.seek(at)
        raw = f.read(HEADER.size)
        if len(raw) == HEADER.size and raw.startswith(b"smtpdjnl"):
            _, _, _, nonce, turn, done, _ = HEADER.unpack(raw)
            found.append((turn, nonce, done))
    if not found:
        return None
    turn, nonce, done = max(found)
    return nonce, turn, done


def records(text, nonce, at):
    """The ids of the records from there on, in their order."""
    ids = []
    at = max(at, FIRST)
    while at + HEAD.size <= len(text):
        its, offset, kind, _, envelope, _, body, n = HEAD.unpack_from(text, at)
        if (its, offset) != (nonce, at):
            at += ALIGN
            continue
        begin = at + HEAD.size
        ids.append(text[begin:begin + n].decode())
        size = HEAD_LEN + envelope + (body if kind == MAIL else 0)
        at += -(-size // ALIGN) * ALIGN
    return ids


def segments(spool):
    """Also while journals come and go."""
    folder = spool / "journal"
    return [folder / j / name for j in names(folder)
            for name in names(folder / j) if name.endswith(".log")]


def waiting(spool):
    """{segment: ids}: what whoever reads the journals next will deliver."""
    found = {}
    for path in segments(spool):
        with path.open("rb") as f:
            head = header(f)
            f.seek(0)
            if head:
                nonce, _, done = head
                found[path, nonce] = records(f.read(), nonce, done)
    return found


def delivered(text):
    """{id: when its last copy was said to be delivered} of a log."""
    return {id: datetime.datetime.fromisoformat(
                when.replace("Z", "+00:00")).timestamp()
            for when, id in DELIVERED.findall(text)}


class Watch:
    """with Watch(spool): sees each pass of each segment."""

    def __init__(self, spool):
        self.spool = spool
        self.turns = {}
        # segment: the moments at which its next pass had not yet been
        self.passes = collections.defaultdict(list)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def run(self):
        before = time.time()
        while not self.ended.wait(0.01):
            now = time.time()
            for path in segments(self.spool):
                self.look(path, before)
            before = now

    def look(self, path, before):
        try:
            with path.open("rb") as f:
                head = header(f)
        except FileNotFoundError:
            return
        if not head:
            return
        nonce, turn, _ = head
        last = self.turns.setdefault((path, nonce), turn)
        if turn != last:
            self.turns[path, nonce] = turn
            self.passes[path, nonce].append(before)

    def since(self, segment, when):
        """How many passes surely came after that."""
        return sum(p >= when for p in list(self.passes.get(segment, ())))


class Death:
    """What a kill of all left behind: the journals, and a log."""

    def __init__(self, watch, log):
        self.at = time.time()
        self.passes = {s: list(p) for s, p in list(watch.passes.items())}
        self.journal = waiting(watch.spool)
        self.said = delivered(log)

    def excuses(self, id, arrived):
        """Was it right to keep this one? Returns why, or None.

        Records pass in their order: none before those above it, and none by
        a checkpoint that had begun when the last of these was delivered.
        """
        for segment, ids in self.journal.items():
            if id not in ids:
                continue
            when = max(self.said.get(i, arrived if i == id else float("inf"))
                       for i in ids[:ids.index(id) + 1])
            n = sum(p >= when for p in self.passes.get(segment, []))
            return None if n > 1 else f"passed over {n} times"
        return None
