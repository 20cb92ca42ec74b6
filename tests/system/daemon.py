"""One smtpd under test: its configuration, its process, its mail."""

import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SMTPD", str(TOP / "build" / "smtpd"))
AS_ROOT = os.geteuid() == 0
DEADLINE = 30  # seconds that anything may take; waiting ends much earlier

DOMAINS = """
domain "example.org" {{
	users = {{ "alice", "bob", "carol", "\\"odd user\\"" }}
	aliases = {{ "postmaster: alice", "abuse: alice", "team: alice, bob" }}
	deliver = "maildir:{mail}/%d/%u"
}}
domain "example.net" {{
	catch-all = "bob@example.org"
	aliases = {{ "abuse: bob@example.org" }}
	deliver = "maildir:{mail}/%d/%u"
}}
"""

# Small, since each of many daemons writes its segments out first.
JOURNAL = "segment = 1M size = 64M"
NO_JOURNAL = "enabled = no"

FAULTS = re.compile(
    r"Sanitizer|runtime error:|Assertion|worker-died|worker-failed")
OUR_LINES = re.compile(
    rb"Return-Path: <(?P<sender>[^\n]*)>\n"
    rb"Delivered-To: (?P<to>[^\n]*)\n"
    rb"(?P<received>Received: from [^\n]*\n(?:[\t ][^\n]*\n)+)")
ACCEPTED = re.compile(rb"\baccepted\W+message\W+([0-9A-V]{16}\.\d+)")
DELIVERED = re.compile(
    rb"\b(?:delivered|discarded|held)\W+message\W+([0-9A-V]{16}\.\d+)")
FILE_NAME = re.compile(
    r"\d+\.(?P<id>[0-9A-V]{16}\.\d+)_\d+\.mx\.example\.org,S=(?P<size>\d+)$")


def sanitized():
    with open(BINARY, "rb") as f:
        return b"__asan_init" in f.read()


def free_port():
    """One that the system gives to nobody meanwhile: a daemon that is down for
    a moment could not come back."""
    ports = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    while True:
        port = random.SystemRandom().randrange(10000, int(ports.split()[0]))
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait_for(what, condition, deadline=DEADLINE):
    """Returns what the condition returns once it is true."""
    end = time.monotonic() + deadline
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.01)


class Message:
    """A file of a Maildir: our lines on top, and what was sent."""

    def __init__(self, path):
        self.path = path
        self.raw = path.read_bytes()
        self.name = FILE_NAME.match(path.name)
        assert self.name, path.name
        assert int(self.name["size"]) == len(self.raw), path
        self.id = self.name["id"]
        ours = OUR_LINES.match(self.raw)
        assert ours, self.raw[:400]
        self.sender = ours["sender"].decode()
        self.to = ours["to"].decode()
        self.received = ours["received"].decode()
        self.body = self.raw[ours.end():]


class Daemon:
    def __init__(self, path, top="", listen="", limits="", extra="",
                 domains=DOMAINS, submission=False, env=None, wrapper=(),
                 fds=(), rlimit=None, deaths=False, journal=JOURNAL,
                 binary=BINARY):
        self.binary = str(binary)
        self.path = pathlib.Path(path)
        self.spool = self.path / "spool"
        self.mail = self.path / "mail"
        self.conf = self.path / "smtpd.conf"
        self.log_path = self.path / "log"
        self.port = free_port()
        self.submission = free_port()
        self.env = env or {}
        self.wrapper = list(wrapper)
        self.fds = fds
        self.rlimit = rlimit
        self.deaths = deaths  # workers are meant to die
        self.process = None
        self.begun = 0  # where in the log the last start is
        self.tallied = None  # the log file that was read for these two,
        self.tallied_to = 0  # and up to where
        self.accepted, self.delivered = set(), set()
        self.status = None
        if submission:
            listen += (f'listen "127.0.0.1:{self.submission}" '
                       "{ role = submission }")
        defaults = {"hostname": "mx.example.org", "workers": "2",
                    "user": "nobody", "spool": f'"{self.spool}"'}
        if on_memory(self.path):
            defaults["spool-volatile"] = "yes"
        self.conf.write_text("".join(
            f"{k} = {v}\n" for k, v in defaults.items()
            if not re.search(rf"^{k} *=", top, re.M)) + f"""{top}
listen "127.0.0.1:{self.port}" {{ }}
{listen}
limits {{ {limits} }}
journal {{ {journal} }}
{extra}
{domains.format(mail=self.mail, path=self.path)}
""")

    # --- the process ---

    def start(self, wait=True):
        def prepare():
            if self.rlimit:
                import resource
                resource.setrlimit(resource.RLIMIT_NOFILE,
                                   (self.rlimit, self.rlimit))

        with open(self.log_path, "ab") as log:
            self.begun = log.tell()
            self.process = subprocess.Popen(
                [*self.wrapper, self.binary, "-d", "-f", str(self.conf)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.env}, pass_fds=self.fds,
                preexec_fn=prepare, cwd=self.path)
        if wait:
            wait_for("ready in the log", self.is_ready)
        return self

    def is_ready(self):
        self.status = self.process.poll()
        assert self.status is None, self.log()
        log = self.log()[self.begun:]
        return " info ready " in log or '"event":"ready"' in log

    def finish_turns(self):
        """Lines are written when a turn is over; but a worker that spins is
        not waited for."""
        if self.process and self.status is None:
            end = time.monotonic() + 1
            with contextlib.suppress(OSError, IndexError):
                while not all(map(waits, self.workers())) and (
                        time.monotonic() < end):
                    time.sleep(0.001)

    def log(self):
        self.finish_turns()
        return self.log_path.read_text(errors="surrogateescape")

    def wait(self):
        self.status = self.process.wait(DEADLINE)
        return self.status

    def stop(self):
        """Politely; everything must have gone well."""
        if self.process and self.status is None:
            if self.process.poll() is None:
                os.kill(self.master(), signal.SIGTERM)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("does not stop\n" + self.log()[-4000:])
        log = self.log()
        assert self.status == 0, f"exit {self.status}\n{log[-1500:]}"
        for line in log.splitlines():
            if self.deaths and "worker-died" in line:
                continue
            assert not FAULTS.search(line), "\n".join(
                x for x in log.splitlines() if FAULTS.search(x))[:4000]

    def kill(self):
        """All at once: stopped first, so that none sees another's end."""
        if self.process and self.process.poll() is None:
            pids = [self.master(), *self.workers(), self.process.pid]
            for sig in signal.SIGSTOP, signal.SIGKILL:
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, sig)
            self.status = self.process.wait()
            wait_for("they die", lambda: all(map(gone, pids)))

    def master(self):
        """Our child, or its child when a wrapper such as strace is between."""
        pid = self.process.pid
        while self.wrapper:
            if os.path.samefile(f"/proc/{pid}/exe", self.binary):
                break
            pid = children(pid)[0]
        return pid

    def workers(self):
        return children(self.master())

    @contextlib.contextmanager
    def stopped(self):
        """Its workers do nothing; what comes meanwhile waits for them."""
        pids = self.workers()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            wait_for("they stop", lambda: all(
                state_of(f"/proc/{pid}/stat") == "T" for pid in pids))
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    # --- its mail ---

    def settled(self):
        """What was answered with 250 is in its mailbox, or held."""
        if NO_JOURNAL in self.conf.read_text():
            return
        wait_for("the delivery of all that was accepted",
                 lambda: self.tally() <= self.delivered)

    def tally(self):
        """The ids of what was accepted by now; each line is read once."""
        self.finish_turns()
        with open(self.log_path, "rb") as f:
            s = os.fstat(f.fileno())
            if s.st_ino != self.tallied or s.st_size < self.tallied_to:
                self.tallied, self.tallied_to = s.st_ino, 0
                self.accepted, self.delivered = set(), set()
            f.seek(self.tallied_to)
            new = f.read()
        new = new[:new.rfind(b"\n") + 1]
        self.tallied_to += len(new)
        self.accepted |= ids(ACCEPTED, new)
        self.delivered |= ids(DELIVERED, new)
        return self.accepted

    def files(self, address=None, folder="new"):
        self.settled()
        user, domain = (address or "*@*").rsplit("@", 1)
        return sorted(self.mail.glob(f"{domain}/{user}/{folder}/*"))

    def messages(self, address=None):
        return [Message(p) for p in self.files(address)]

    def message(self, address, id):
        """The one file of this message in this mailbox. What a route took is
        delivered before that, and so is no sign of it."""
        found = wait_for(f"{id} in its mailbox", lambda: [
            p for p in self.files(address) if f".{id}_" in p.name])
        assert len(found) == 1, (id, found)
        return Message(found[0])

    def leftovers(self):
        """What a message that was not accepted must not leave behind."""
        accepted = self.tally()
        return self.files(folder="tmp") + [
            p for p in files_below(self.spool)
            if p.name not in ("lock", "attempts") and p.parent.name != "why"
            and p.suffix != ".log" and p.stem not in accepted]

    # --- its clients ---

    def connect(self, port=None, source=None, host=None):
        return Client(port or self.port, source, host)

    def client(self):
        """Greeted, and has said EHLO."""
        c = self.connect()
        assert c.reply().code == 220
        assert c.ask("EHLO client.example.com").code == 250
        return c


def files_below(folder):
    """Whatever comes and goes meanwhile: a journal that was replayed."""
    return [pathlib.Path(path, name) for path, _, names in os.walk(folder)
            for name in names]


def ids(pattern, log):
    return {m.decode() for m in re.findall(pattern, log)}


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


def waits(pid):
    """Its loop has nothing to do; or it is stopped, or gone."""
    try:
        with open(f"/proc/{pid}/wchan") as f:
            where = f.read()
    except OSError:
        return True
    state = state_of(f"/proc/{pid}/stat")
    return "poll" in where or state in "TZX" or (
        where in ("", "0") and state == "S")


def gone(pid):
    """It has ended, whether or not somebody has asked for its status; each
    thread of it: the first is a zombie while another still renames a file."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return all(state_of(f"/proc/{pid}/task/{task}/stat") in "ZX"
               for task in tasks)


def state_of(stat):
    """As in proc(5); X when it is gone."""
    try:
        with open(stat) as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def on_memory(path):
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(path)], check=True,
                          capture_output=True, text=True).stdout.strip()
    return kind in ("tmpfs", "ramfs")


def scrape(port):
    """What a listener for metrics shows."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics",
                                timeout=DEADLINE) as r:
        assert r.status == 200
        assert r.headers["Content-Type"].startswith(
            "text/plain; version=0.0.4")
        return r.read().decode()


def pss(pid):
    """Process memory in KiB, each shared page counted by its share. Without
    programs and libraries: a share of these grows when another daemon ends."""
    with open(f"/proc/{pid}/smaps_rollup") as f:
        kinds = dict(line.split()[:2] for line in f if line.startswith("Pss_"))
    return int(kinds["Pss_Anon:"]) + int(kinds["Pss_Shmem:"])


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Reply:
    def __init__(self, lines):
        self.lines = lines
        self.code = int(lines[-1][:3])
        self.text = lines[-1][4:]

    def __repr__(self):
        return "\n".join(self.lines)

    @property
    def status(self):
        return f"{self.code} {self.text.split(' ')[0]}"

    @property
    def id(self):
        """The message's, of a 250 after the dot."""
        return re.fullmatch(r"2\.6\.0 ([0-9A-V]{16}\.\d+) accepted",
                            self.text)[1]


class Client:
    """A socket that waits for replies, and does what it is told."""

    def __init__(self, port, source=None, host=None):
        host = host or ("::1" if ":" in (source or "") else "127.0.0.1")
        self.socket = socket.create_connection(
            (host, port), DEADLINE,
            source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        self.socket.sendall(data)

    def line(self):
        """One line without CRLF; None at the end."""
        while b"\r\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                assert not self.buffer, self.buffer
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("utf-8", "surrogateescape")

    def reply(self):
        lines = [self.line()]
        while lines[-1] is not None and lines[-1][3:4] == "-":
            lines.append(self.line())
        assert lines[-1] is not None, lines
        return Reply(lines)

    def ask(self, command):
        self.send(command + "\r\n")
        return self.reply()

    def begin(self, *recipients, sender="sender@example.com", params=""):
        assert self.ask(f"MAIL FROM:<{sender}>{params}").code == 250
        for r in recipients or ("alice@example.org",):
            reply = self.ask(f"RCPT TO:<{r}>")
            assert reply.code == 250, reply

    def deliver(self, body, *recipients, **kwargs):
        """The whole transaction; the reply behind the dot."""
        self.begin(*recipients, **kwargs)
        assert self.ask("DATA").code == 354
        if isinstance(body, str):
            body = body.encode()
        self.send(re.sub(rb"(^|\r\n)\.", rb"\1..", body) + b".\r\n")
        return self.reply()

    def closed(self):
        """The server closes properly, and says nothing more."""
        return self.line() is None

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
