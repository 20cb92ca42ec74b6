"""One Dovecot that takes mail by LMTP, and two mailers in front of it: what
each of them costs, without what Dovecot does for both."""

import sys
import time

import mailers
import peers
import processes

sys.path.append(str(peers.TOP / "tests/system"))
import dovecot  # noqa: E402

USERS = 20


class Behind:
    """A mailer with a Dovecot, whose processes are another group."""

    behind = "Dovecot"

    def __init__(self, home):
        super().__init__(home)
        self.store = None
        self.others = None
        self.serving = processes.Workers([])

    def why_not(self):
        return dovecot.why_not() or super().why_not()

    def start(self):
        path = self.home / "store"
        path.mkdir()
        self.store = dovecot.Dovecot(
            path, {f"user{i + 1}": "x" for i in range(USERS)}, lmtp=True,
            quota=None)
        self.others = processes.Group()
        self.store.start(self.others.join)
        super().start()

    def stop(self):
        super().stop()
        if self.store:
            self.store.stop()
        if self.others:
            self.others.close()

    def delivered(self):
        return sum(sum(1 for _ in box.iterdir())
                   for box in (self.home / "store/mail").glob("*/new"))


class Smtpd(Behind, peers.Smtpd):
    """The whole of it is a catch-all; its route holds mail if it must."""

    domain = """
domain "example.org" {{ catch-all = "route:store" }}
route "store" {{
	to = "lmtp:{home}/store/lmtp"
	when-down = hold
}}
"""

    def start(self):
        super().start()
        self.serving = processes.Workers(peers.children(self.pid))

    def wait_held(self, count):
        folder, end = self.home / "spool/held", time.monotonic() + peers.START
        while (have := sum(x.suffix != ".body" and x.name[0] != "."
                           for x in folder.iterdir())) != count:
            if time.monotonic() > end:
                raise peers.Failed(f"{have} held, not {count}")
            time.sleep(0.02)


class Postfix(Behind, mailers.Postfix):
    """Queue file synced before 250; lmtp(8) keeps its connections."""

    services = """
lmtp      unix - - n - - lmtp
scache    unix - - n - 1 scache
"""
    main = mailers.MAIN + """
virtual_transport = lmtp:unix:{home}/store/lmtp
lmtp_destination_concurrency_limit = 20
"""


BOTH = [Smtpd, Postfix]
