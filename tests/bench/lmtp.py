"""What is measured of mailers in front of a Dovecot: their own CPU, and until
when all messages are in its mailboxes."""

import time

import load
import processes
from figures import MIB, Mail
from peers import settled

KNOWN, UNKNOWN = 0, 100  # each so many messages somebody unknown


class Lmtp(Mail):
    behind = "Dovecot"
    pace = "messages"  # a queue says yes long before
    unknown = KNOWN

    def send(self, server, count):
        return load.spread(server.port, count, self.length,
                           self.clients(server), self.unknown)

    def run(self, server, plan, seconds):
        store, workers = server.others.cpu(), server.serving.cpu()
        with processes.Peak(server.serving) as peak:
            row = super().run(server, plan, seconds)
        row["store"] = (server.others.cpu() - store) / plan * 1e6
        row["worker"] = (server.serving.cpu() - workers) / plan * 1e6
        row["worker-peak"] = peak.kib
        return row


class Unknown(Lmtp):
    """The same messages with and without, a quarter each, forth and back;
    some before, which make the mailboxes."""

    def run(self, server, plan, seconds):
        rows, self.unknown = [], KNOWN
        super().run(server, 10 * self.sessions, seconds)
        for self.unknown in (KNOWN, UNKNOWN, UNKNOWN, KNOWN):
            rows.append(super().run(server, max(plan // 4, self.sessions),
                                    seconds))
        known, unknown = rows[::3], rows[1:3]
        took = sum(r["seconds"] for r in unknown)
        return {**unknown[1],
                "rate": sum(r["count"] for r in unknown) / took,
                "share": sum(r["seconds"] for r in known) / took,
                "seconds": sum(r["seconds"] for r in rows),
                "count": sum(r["count"] for r in rows)}


class Held(Lmtp):
    """Sent at first, then taken while nobody is there to take them."""

    def run(self, server, plan, seconds):
        row = super().run(server, plan, seconds)
        server.store.stop()
        begin = time.monotonic()
        self.send(server, plan)
        row["taken"] = plan / (time.monotonic() - begin)
        server.wait_held(plan)
        server.store.start(server.others.join)
        before = server.delivered()
        while server.delivered() == before:
            time.sleep(0.01)
        cpu, begin = server.group.cpu(), time.monotonic()
        settled(server, plan)
        rate = plan / (time.monotonic() - begin)
        row["cpu"] = (server.group.cpu() - cpu) / plan * 1e6
        row["share"] = rate / row["rate"]
        row["rate"] = rate
        return row


FIGURES = [
    Lmtp("lmtp", "to Dovecot: 4 KiB, many per connection"),
    Lmtp("lmtp-large", "to Dovecot: 10 MiB messages", length=10 * MIB,
         sessions=4),
    Unknown("lmtp-unknown", "to Dovecot: 1 % unknown users",
            only=("smtpd",)),
    Held("lmtp-held", "to Dovecot: what was held", only=("smtpd",),
         fixed=5000),
]
