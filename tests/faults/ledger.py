"""What was sent, and what was answered: the truth that mail is held to.

A message is not kept but made again, from the ledger's seed and its number:
so the ledger of a long run stays small, and the audit does not believe what
the load remembers.
"""

import collections
import itertools
import random
import re
import threading

HEAD = re.compile(rb"X-Attempt: (\d+)\n\n")
# Lines of about fifty octets, of every value but CR, dots in front included.
LINES = bytes.maketrans(b"\r\x80\x81\x82", b"\n\n\n\n")
DOMAIN = "example.org"
SENDER = "ledger@example.com"


class Attempt:
    """One message, offered once: who tries again makes another."""

    __slots__ = ("number", "size", "boxes", "id", "done")

    def __init__(self, number, size, boxes):
        self.number = number
        self.size = size
        self.boxes = boxes
        self.id = None  # smtpd's name for it: there once its 250 was read
        self.done = False  # answered somehow: a 4xx is not a 250


class Ledger:
    def __init__(self, rng, boxes):
        self.seed = rng.getrandbits(64)
        self.boxes = boxes
        self.attempts = {}
        self.replies = collections.Counter()  # that are not 2xx and 3xx
        self.answered = 0
        self.heard = threading.Event()  # one was answered
        self.flying = 0  # sent to the last octet, and no reply yet
        self.numbers = itertools.count(1)

    def text(self, a):
        """As it is stored: LF ends a line."""
        head = b"X-Attempt: %d\n\n" % a.number
        rest = random.Random(self.seed + a.number).randbytes(a.size)
        return head + rest.translate(LINES)[:-1] + b"\n"

    def attempt(self, rng):
        """Mostly small; some around the limit of inline; a few large."""
        kind = rng.random()
        if kind < 0.90:
            size = rng.randint(1 << 10, 20 << 10)
        elif kind < 0.985:
            size = rng.randint(40 << 10, 150 << 10)
        else:
            size = rng.randint(1 << 20, 3 << 19)
        boxes = rng.sample(self.boxes, rng.choice((1, 1, 1, 2, 2, 3)))
        a = Attempt(next(self.numbers), size, tuple(boxes))
        self.attempts[a.number] = a
        return a

    def summary(self):
        return (f"{len(self.attempts)} sent, {self.answered} answered, "
                f"other replies: {dict(self.replies)}")
