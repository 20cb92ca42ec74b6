"""A daemon that is killed and started again, its mail, and its ledger."""

import os
import re
import signal
import time

from audit import FOLDERS, Audit
from daemon import DEADLINE, FAULTS, gone, wait_for
from ledger import DOMAIN, Ledger

CHECKPOINT = 1  # seconds: see journal in conftest.py
USERS = [f"u{n}" for n in range(6)]
JOURNAL = re.compile(
    r" error (?!worker-died)|quarantine|recovered|held|journal|checkpoint")
DOMAINS = f"""
domain "{DOMAIN}" {{{{
	users = {{{{ {", ".join(f'"{u}"' for u in USERS)} }}}}
	aliases = {{{{ "postmaster: u0", "abuse: u0" }}}}
	deliver = "maildir:{{path}}/disk/mail/%d/%u"
}}}}
"""


def locked(pids):
    """The inodes that these hold a flock on: without the device, which some
    file systems call by another name here than in stat()."""
    with open("/proc/locks") as f:
        lines = [line.split() for line in f]
    return {int(line[5].split(":")[2]) for line in lines
            if line[1] == "FLOCK" and int(line[4]) in pids}


def names(folder):
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


class Scene:
    """Mail and spool are in one folder, which may be a disk of its own."""

    def __init__(self, start, rng, journal, workers=4, domains=DOMAINS):
        self.rng = rng
        self.daemon = d = start.make(
            top=f"workers = {workers}", journal=journal, domains=domains,
            limits="per-address = 1000", deaths=True)
        self.disk = d.path / "disk"
        self.disk.mkdir()
        self.trash = self.disk / "trash"
        d.conf.write_text(d.conf.read_text().replace(
            str(d.spool), str(self.disk / "spool")))
        d.spool, d.mail = self.disk / "spool", self.disk / "mail"
        self.ledger = Ledger(rng, [f"{u}@{DOMAIN}" for u in USERS])
        self.logs = []
        self.cut = set()  # the logs of lives whose disk went away
        self.kills = []  # when
        self.on_death = lambda: None  # of all

    # --- the process ---

    def start(self, wait=True):
        """Each life has a log of its own: ready is looked for in that."""
        self.daemon.log_path = self.daemon.path / f"log.{len(self.logs)}"
        self.logs.append(self.daemon.log_path)
        self.daemon.start(wait)

    def everybody(self):
        """Each process of ours that lives, and those whose master died."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if os.fsencode(self.daemon.conf) in f.read():
                        found.append(int(pid))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return [p for p in found if not gone(p)]

    def strays(self):
        return set(self.everybody()) - {self.daemon.process.pid,
                                        *self.daemon.workers()}

    def send(self, pids):
        """SIGKILL, in any order."""
        self.signal(self.rng.sample(sorted(pids), len(pids)), signal.SIGKILL)
        self.kills.append(time.time())

    @staticmethod
    def signal(pids, sig):
        for pid in pids:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass

    def kill(self, what):
        getattr(self, f"kill_{what}")()

    def kill_worker(self):
        workers = wait_for("a worker", self.daemon.workers)
        self.send([self.rng.choice(workers)])

    def kill_master(self):
        """Its workers find out and leave, beside those of the next one."""
        self.send([self.daemon.process.pid])
        self.daemon.status = self.daemon.process.wait()
        self.start()

    def kill_all(self):
        """Now and then again, before they have come up."""
        self.end()
        if self.rng.random() < 0.25:
            self.start(wait=False)
            time.sleep(self.rng.uniform(0, 0.05))
            self.end()
        self.start()

    def freeze(self):
        """Nobody does anything any more: who that is."""
        stopped = set()
        while found := set(self.everybody()) - stopped:
            self.signal(found, signal.SIGSTOP)
            stopped |= found
        return stopped

    def end(self):
        """Nobody is left when this returns, and no lock. All stop before the
        first dies: a master would start the next worker, which reads back
        the journal of the one that was killed."""
        if self.daemon.process:
            stopped = self.freeze()
            self.send(stopped)
            wait_for("they die", lambda: all(map(gone, stopped)))
            self.daemon.status = self.daemon.process.wait()
            self.on_death()

    def was_cut(self):
        self.cut.add(self.daemon.log_path)

    # --- progress ---

    def more(self, n=5):
        """Answers go on: a kill among clients that all wait shows little."""
        enough = self.ledger.answered + n
        wait_for("answers", lambda: self.ledger.answered >= enough)

    def delivered(self):
        """(mailbox, id) of all mail, by the names of the files alone."""
        return {(box, ".".join(name.split("_")[0].split(".")[1:]))
                for box in USERS
                for folder in (*(self.daemon.mail / DOMAIN / box / f
                                 for f in FOLDERS), self.trash / box)
                for name in names(folder)}

    def journals(self):
        """But for those that were given up, which the verdict is about."""
        folder = self.daemon.spool / "journal"
        return [folder / name for name in names(folder)
                if not name.startswith("quarantine")]

    def replayed(self):
        """Each journal is held, and by the worker whose own it is."""
        all = self.journals()
        workers = self.daemon.workers()
        held = locked(workers)
        try:
            own = [j for j in all if os.stat(j).st_ino in held]
        except FileNotFoundError:  # done with at this moment
            return False
        return len(own) == len(all) <= len(workers)

    def settled(self):
        have = self.delivered()
        return self.replayed() and all(
            (box.split("@")[0], a.id) in have
            for a in list(self.ledger.attempts.values()) if a.id
            for box in a.boxes)

    def settle(self):
        """Until all is delivered; if that never comes, the audit says why."""
        wait_for("workers without a master leave", lambda: not self.strays())
        end = time.monotonic() + DEADLINE
        while not self.settled() and time.monotonic() < end:
            time.sleep(0.1)

    # --- the verdict ---

    def audit(self):
        """While it runs, and again behind a clean stop: then no journal is
        left that could still deliver."""
        self.assert_clean()
        self.daemon.stop()
        self.assert_clean("behind the stop")
        print(self.ledger.summary())
        self.check_logs()
        self.check_spool()
        odd = [r for r in self.ledger.replies if r.startswith("5")]
        assert not odd, self.ledger.summary()

    def look(self):
        """What is wrong with the mail."""
        return Audit(self.ledger, self.daemon.mail).run(self.trash).faults

    def assert_clean(self, when=""):
        faults = self.look()
        if faults:
            self.explain()
        assert not faults, (
            f"{len(faults)} faults {when}; {self.ledger.summary()}\n"
            + "\n".join(faults[:40]))

    def logged(self, what):
        return [(path, line) for path in self.logs
                for line in path.read_text(errors="replace").splitlines()
                if what.search(line)]

    def explain(self):
        """What the journals were about, for whoever reads the failure."""
        for path, line in self.logged(JOURNAL):
            print(path.name, line)
        print(*(j.name for j in self.journals()))

    def check_logs(self):
        """A worker dies by our hand, or gives up without a disk."""
        for path, line in self.logged(FAULTS):
            given_up = path in self.cut and re.search(
                r"worker-failed|worker-died(?!.*signal=)", line)
            fine = "signal=Killed" in line or given_up
            if not fine:
                print(path.read_text(errors="replace")[-20000:])
            assert fine, line

    def check_spool(self):
        """Nothing was given up or put aside, and nothing waits."""
        spool = self.daemon.spool
        kept = [*names(spool / "held"), *names(spool / "damaged"),
                *names(spool / "journal")]
        if kept:
            self.explain()
        assert not kept, kept
