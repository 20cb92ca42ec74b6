"""A server of the benchmark, and the two that are ours.

Each has a folder of its own on the disk of the run, below which it keeps all
that it writes. Nobody logs single messages, nobody asks a name server.
"""

import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import time

import disk
import processes

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / "build"
SMTPD = pathlib.Path(os.environ.get("SMTPD", BUILD / "smtpd"))
TOOLS = pathlib.Path(os.environ.get("BENCH_TOOLS", BUILD / "bench"))
RECIPIENT = "user@example.org"
SENDER = "sender@client.example.com"
START = 30  # seconds until it greets
SETTLE = 600  # seconds until what it took is in the Maildir


class Failed(Exception):
    """This server cannot be measured, and why."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """What a figure needs to know of one."""

    name = None
    behind = None  # what takes its mail, if not itself
    stores = True  # there is a Maildir to look into
    tls = True
    idle = 1000  # sessions that it can hold
    callers = 10000  # who may call at the same moment
    queue = ()  # folders below home that are empty when nothing waits

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.new = self.home / "mail" / "example.org" / "user" / "new"
        self.output = self.home / "output"
        self.port = free_port()
        self.process = None
        self.group = None
        self.sent = 0

    def why_not(self):
        """A reason to leave it out, or None."""

    def command(self):
        raise NotImplementedError

    def prepare(self):
        """Configuration and folders."""

    def start(self):
        self.prepare()
        self.group = processes.Group()
        with open(self.output, "ab") as out:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, preexec_fn=self.group.join, cwd=self.home)
        end = time.monotonic() + START
        while not self.greets():
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failed(f"does not start: {self.said()}")
            time.sleep(0.05)

    def said(self):
        return self.output.read_text(errors="replace").strip()[-500:]

    def greets(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as s:
                return s.recv(3) == b"220" and not s.send(b"QUIT\r\n") == 0
        except OSError:
            return False

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process and self.process.poll() is None:
            self.end()
            self.process.wait(START)
        if self.group:
            self.group.close()

    def end(self):
        """All of it: the first process of its name space takes the rest."""
        for pid in children(self.pid):
            os.kill(pid, signal.SIGKILL)

    # --- when is it done ---

    def delivered(self):
        try:
            with os.scandir(self.new) as entries:
                return sum(1 for _ in entries)
        except FileNotFoundError:
            return 0

    def waiting(self):
        """Something is left in the queue."""
        return any(files for folder in self.queue
                   for _, _, files in os.walk(self.home / folder))

    def checkpoint(self):
        """What its 250 promised no longer hangs on anything but the files."""


def children(pid):
    path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return [int(x) for x in path.read_text().split()]


def settled(server, count):
    """Waits until all that was sent has been stored for good. Looks rarely
    while much is missing: reading a large folder is work, too."""
    begin = time.monotonic()
    server.sent += count
    if not server.stores:
        return
    before, pause = server.delivered(), 0.02
    while (have := server.delivered()) != server.sent:
        if have > server.sent:
            raise Failed(f"{have} files for {server.sent} messages")
        if (time.monotonic() > begin + SETTLE
                or server.process.poll() is not None):
            raise Failed(f"{have} files for {server.sent} messages after "
                         f"{time.monotonic() - begin:.0f} s: {server.said()}")
        rate = (have - before) / pause
        pause = min(max((server.sent - have) / (rate or 1), 0.02), 0.5)
        before = have
        time.sleep(pause)
    while server.waiting():
        if time.monotonic() > begin + SETTLE:
            raise Failed("its queue never gets empty")
        time.sleep(0.02)
    server.checkpoint()


CONF = """
hostname = "mx.example.org"
user = "nobody"
workers = {workers}
spool = "{home}/spool"
message-size = 50M
listen "127.0.0.1:{port}" {{ }}
certificate "mx.example.org" {{
	chain = "{tools}/chain.pem"
	key = "{tools}/key.pem"
}}
limits {{ per-address = 10000 }}
journal {{ enabled = {journal} }}
log {{ level = error }}
{domain}
"""

DOMAIN = """
domain "example.org" {{
	users = {{ "user" }}
	aliases = {{ "postmaster: user", "abuse: user" }}
	deliver = "maildir:{home}/mail/%d/%u"
}}
"""


class Smtpd(Server):
    """Ours, with one worker: the load takes the other processor."""

    name = "smtpd"
    journal = "yes"
    workers = 1
    domain = DOMAIN

    def command(self):
        return [SMTPD, "-d", "-f", self.home / "smtpd.conf"]

    def prepare(self):
        (self.home / "smtpd.conf").write_text(CONF.format(
            home=self.home, port=self.port, tools=TOOLS,
            journal=self.journal, workers=self.workers,
            domain=self.domain.format(home=self.home)))

    def why_not(self):
        self.prepare()
        done = subprocess.run([SMTPD, "-n", "-f", self.home / "smtpd.conf"],
                              capture_output=True, text=True)
        wrong = re.search(r"^.*journal.*$", done.stderr, re.M)
        return wrong[0] if wrong and done.returncode > 1 else None

    def end(self):
        self.process.send_signal(signal.SIGTERM)

    def checkpoint(self):
        """Until no segment has a record that no checkpoint has passed."""
        while self.journal == "yes" and any(
                map(unpassed, self.home.glob("spool/journal/*/*.log"))):
            time.sleep(0.02)


def unpassed(segment):
    """Is there a record where the header says that all before is done?"""
    with open(segment, "rb") as f:
        pages = f.read(4144)
        turns = [struct.unpack_from("<8sIIQQQQ", pages, at)
                 for at in (0, 4096)]
        _, _, _, nonce, _, done, size = max(turns, key=lambda t: t[4])
        f.seek(done)
        head = f.read(8)
    return (nonce != 0 and done < size and len(head) == 8
            and struct.unpack("<Q", head)[0] == nonce)


class TwoWorkers(Smtpd):
    """The same as it comes: a worker for each processor."""

    name = "smtpd-2"
    workers = 2


class Unjournaled(Smtpd):
    """The same, each file synced before its 250."""

    name = "smtpd-nojournal"
    journal = "no"


class Canned(Server):
    """The bound: says 250 and does nothing."""

    name = "canned"
    stores = False
    tls = False

    def command(self):
        return [TOOLS / "canned", str(self.port)]

    def end(self):
        self.process.kill()
