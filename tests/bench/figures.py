"""What is measured: each figure knows how it is run against one server that
has just been started on an empty disk, and returns a row of numbers."""

import time

import load
import processes
from peers import Failed, settled

KIB, MIB = 1 << 10, 1 << 20
SESSIONS = 20
BULK = 1600  # MiB of mail, to see what memory that takes
STEADY = 60  # seconds until memory is at rest
ROOM = 0.7  # of the disk that one run may fill


class Figure:
    key = None
    title = None
    unit = "/s"
    only = None  # names of the servers, if not all
    behind = None
    needs_tls = False
    rounds = None

    def serves(self, server):
        return (server.behind == self.behind
                and (not self.only or server.name in self.only)
                and (server.tls or not self.needs_tls))

    def calibrate(self, server, seconds):
        """How much to do for a run of that many seconds."""

    def longer(self, plan, row, seconds):
        """A larger plan, if that run was too short to count; or None."""

    def run(self, server, plan, seconds):
        raise NotImplementedError


class Mail(Figure):
    """Messages until all of them are stored for good."""

    pace = "accepted"  # what says how many are enough

    def __init__(self, key, title, length=4 * KIB, sessions=SESSIONS,
                 keep=False, only=None, factor=1.0, fixed=0):
        self.key, self.title = key, title
        self.length, self.sessions = length, sessions
        self.keep, self.only = keep, only
        self.factor = factor  # of the seconds asked for
        self.fixed = fixed    # so many messages, however long it takes
        if length >= MIB:
            self.unit = "MB/s"

    def most(self, server):
        """As much as there is room for."""
        return int(ROOM * server.room / (self.length + 4 * KIB))

    def clients(self, server):
        return min(self.sessions, server.callers)

    def calibrate(self, server, seconds):
        if self.fixed:
            return self.fixed
        count = self.sessions * (2 if self.length >= MIB else 10)
        for part in (0.05, 0.2):
            rate = self.run(server, count, 0)[self.pace]
            count = max(int(rate * seconds * part * self.factor), count)
        return self.plan(server, self.run(server, count, 0)[self.pace],
                         seconds)

    def plan(self, server, rate, seconds):
        count = max(int(rate * seconds * 1.15 * self.factor),
                    4 * self.sessions)
        return min(count, self.most(server))

    def longer(self, plan, row, seconds):
        wanted = seconds * self.factor
        if (self.fixed or row["seconds"] >= wanted
                or plan >= row["most"]):
            return None
        return min(int(plan * wanted * 1.15 / row["seconds"]), row["most"])

    def send(self, server, count):
        """Seconds of the client's CPU."""
        return load.mail(server.port, count, self.length,
                         self.clients(server), self.keep)

    def run(self, server, plan, seconds):
        with processes.Peak(server.group) as peak:
            cpu, begin = server.group.cpu(), time.monotonic()
            generator = self.send(server, plan)
            accepted = time.monotonic() - begin
            settled(server, plan)
            took = time.monotonic() - begin
            cpu = server.group.cpu() - cpu
        rate = plan / took
        return {
            "rate": rate * self.length / 1e6 if self.length >= MIB else rate,
            "messages": rate, "accepted": plan / accepted,
            "cpu": cpu / plan * 1e6, "peak": peak.kib, "seconds": took,
            "count": plan, "generator": generator / accepted,
            "most": self.most(server)}


class Hello(Figure):
    def __init__(self, key, title, tls=False):
        self.key, self.title, self.needs_tls = key, title, tls

    def run(self, server, plan, seconds):
        clients = min(SESSIONS, server.callers)
        load.hello(server.port, 1, clients, self.needs_tls)
        with processes.Peak(server.group) as peak:
            cpu = server.group.cpu()
            rate, count, generator = load.hello(
                server.port, seconds, clients, self.needs_tls)
            cpu = server.group.cpu() - cpu
        return {"rate": rate, "cpu": cpu / count * 1e6, "peak": peak.kib,
                "seconds": count / rate, "count": count,
                "generator": generator}


class IdleSessions(Figure):
    key = "idle"
    title = "idle sessions, KiB each"
    unit = "KiB"
    rounds = 1

    def run(self, server, plan, seconds):
        # A tenth first: what is allocated once is not any session's.
        few, all_of_them = server.idle // 10, server.idle
        with load.Idle(server.port, few):
            before = steady(server.group)
            with load.Idle(server.port, all_of_them - few):
                after = steady(server.group)
        return {"rate": (after - before) / (all_of_them - few),
                "peak": after, "count": all_of_them, "seconds": 0}


def steady(group):
    """Its memory, once that has been the same for a second; servers free
    what they needed to start a little later."""
    end = time.monotonic() + STEADY
    seen = [group.memory()]
    while len(seen) < 5 or max(seen[-5:]) - min(seen[-5:]) > seen[-1] / 200:
        if time.monotonic() > end:
            raise Failed("its memory never comes to rest")
        time.sleep(0.25)
        seen.append(group.memory())
    return seen[-1]


OURS = ("smtpd", "smtpd-nojournal")
SCALE = (1, 20, 200, 1000, 5000)

FIGURES = [
    Mail("one", "4 KiB, one message per connection"),
    Mail("many", "4 KiB, many per connection", keep=True),
    Mail("large", "10 MiB messages", length=10 * MIB, sessions=4),
    Hello("hello", "connect, EHLO, QUIT"),
    Hello("starttls", "STARTTLS handshakes", tls=True),
    IdleSessions(),
    *(Mail(f"scale-{n}", f"4 KiB, many per connection, {n:,} sessions",
           sessions=n, keep=True, only=OURS[:1], factor=0.5) for n in SCALE),
    *(Mail(f"memory-{n}", f"memory at {n} MiB messages", only=OURS[:1],
           length=n * MIB, sessions=4, fixed=BULK // n) for n in (1, 40)),
]


def measured(figure, server, plan, seconds):
    row = figure.run(server, plan, seconds)
    if row["count"] == 0:
        raise Failed("nothing was done")
    return row
