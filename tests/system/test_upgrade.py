"""Another program in the master's process: nobody notices, and one that is
not good changes nothing."""

import collections
import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading

import pytest

from daemon import (AS_ROOT, BINARY, DEADLINE, children, gone, state_of,
                    wait_for)
from preload import FAST, preload
from test_lifecycle import HAND_OVER
from test_status import status

pytestmark = pytest.mark.skipif(not AS_ROOT, reason="as the service's root")

# What a program that replaces smtpd does, before it is smtpd again: `trial` is
# the descriptor of the client that a trial greets, or None.
SCRIPT = """#!/usr/bin/python3
import os, re, signal, sys, time
trial = re.search("trial=([0-9]+)", os.environ["SMTPD_UPGRADE"])
trial = trial and int(trial[1])
{text}
os.execv({real!r}, sys.argv)
"""


# In a trial, until there is a file of this name.
WAIT = """if trial: open({0!r} + ".begun", "w").close()
while trial and not os.path.exists({0!r}): time.sleep(0.01)"""


def make(start, **kwargs):
    """With a binary of its own, which can be replaced."""
    d = start.make(**kwargs)
    d.binary = str(d.path / "smtpd")
    shutil.copy(BINARY, d.binary)
    return d


def install(d, content=None, mode=0o755):
    """As package managers do: another file of the same name."""
    new = d.path / "new"
    if content is None:
        shutil.copy(BINARY, new)
    else:
        new.write_text(content)
    new.chmod(mode)
    new.rename(d.binary)


def script(d, text):
    install(d, SCRIPT.format(text=text, real=str(d.path / "real")))
    shutil.copy(BINARY, d.path / "real")


def upgrade(d, *arguments, **kwargs):
    return subprocess.run(
        [BINARY, "upgrade", "-f", str(d.conf), *arguments],
        capture_output=True, text=True, timeout=60, **kwargs)


def upgraded(d, generation):
    r = upgrade(d, "--wait")
    assert r.returncode == 0, r.stderr + d.log()[-2000:]
    assert r.stdout.startswith(f"upgraded: generation {generation}, 2 workers")
    assert r.stderr == ""


def trial(d):
    """Its process id, while there is one."""
    for pid in children(d.master()):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/environ", "rb") as f:
                if b"trial=" in f.read():
                    return pid
    return None


def serves(d):
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250


def descriptors(pid):
    """What each leads to, but for numbers that the kernel gives."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(re.sub(r"\[\d+\]", "",
                                os.readlink(f"/proc/{pid}/fd/{fd}")))
    return collections.Counter(found)


def sockets(pid):
    """Their numbers."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            m = re.fullmatch(r"socket:\[(\d+)\]",
                             os.readlink(f"/proc/{pid}/fd/{fd}"))
            found |= {m[1]} if m else set()
    return found


def unix_sockets():
    with open("/proc/net/unix") as f:
        return {line.split()[6] for line in f}


def same_descriptors(d, before):
    """Once it has nothing to do: it may be writing its status."""
    wait_for(f"just {before}", lambda: descriptors(d.master()) == before)


def memory(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"^VmRSS:\s+(\d+)", f.read(), re.M)[1])


def left(d):
    """Nobody of an earlier generation is there any more."""
    wait_for("the old ones' end", lambda: len(d.workers()) == 2)


def rests(d):
    """What it had of those who have gone is closed, too."""
    wait_for("a master that sleeps",
             lambda: state_of(f"/proc/{d.master()}/stat") == "S")


# --- one that is good ---

def test_upgrade(start):
    d = make(start)
    d.start()
    before = d.workers()
    lock = (d.spool / "lock").stat().st_ino
    with d.client() as old:
        old.begin()
        install(d)
        upgraded(d, 2)
        with d.connect() as new:
            assert new.reply().code == 220
        assert old.ask("DATA").code == 354
        old.send("x\r\n.\r\n")
        assert old.reply().code == 250
    assert os.path.samefile(f"/proc/{d.master()}/exe", d.binary)
    left(d)
    assert not set(before) & set(d.workers())
    assert (d.spool / "lock").stat().st_ino == lock
    assert (d.spool / "lock").read_text() == f"{d.master()}\n"
    second = subprocess.run([d.binary, "-d", "-f", str(d.conf)],
                            capture_output=True, text=True, timeout=DEADLINE)
    assert second.returncode == 70 and "already-running" in second.stderr
    code, said = status(d)
    assert code == 0 and said["upgrades"] == "1"
    assert said["upgrade"].endswith("Z good")
    assert said["serving"] == "generation 2, 2 workers"
    assert re.search(r" info upgraded from=\S+ to=\S+ workers=2\n", d.log())
    serves(d)


def test_the_name_of_a_file_that_was_removed(start):
    """/proc/self/exe says "(deleted)"; and argv[0] is no path."""
    d = make(start)
    d.wrapper = ["sh", "-c", 'exec "$@"', "sh"]
    real, d.binary = d.binary, "smtpd"
    d.env = {"PATH": f"{d.path}:{os.environ['PATH']}"}
    d.start()
    d.wrapper, d.binary = [], real
    for generation in 2, 3:
        install(d)
        assert os.readlink(f"/proc/{d.master()}/exe").endswith(" (deleted)")
        upgraded(d, generation)
        left(d)
    serves(d)


def test_changed_configuration(start):
    """It is read anew; what takes a restart stays."""
    d = make(start)
    d.start()
    text = d.conf.read_text().replace(
        f'spool = "{d.spool}"', f'spool = "{d.path}/elsewhere"')
    d.conf.write_text(text.replace("hostname = mx.", "hostname = mail."))
    os.kill(d.master(), signal.SIGUSR2)
    wait_for("the new one", lambda: " info upgraded " in d.log())
    assert "spool cannot change while smtpd runs" in d.log()
    assert not (d.path / "elsewhere").exists()
    with d.connect() as c:
        assert c.reply().text.startswith("mail.example.org ")


def test_background(start):
    """It does not go there again."""
    d = make(start)
    done = subprocess.run([d.binary, "-f", str(d.conf)], timeout=DEADLINE,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=open(d.log_path, "wb"))
    assert done.returncode == 0
    pid = int((d.spool / "lock").read_text())
    try:
        upgraded_ = upgrade(d, "--wait")
        assert upgraded_.returncode == 0, upgraded_.stderr
        assert os.getsid(pid) == pid
        assert int((d.spool / "lock").read_text()) == pid
        serves(d)
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_for("its end", lambda: gone(pid))


@contextlib.contextmanager
def notified(d):
    """What is said to a service manager: texts, with who said them."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        s.bind(str(d.path / "notify"))
        s.settimeout(DEADLINE)
        d.env = {"NOTIFY_SOCKET": str(d.path / "notify")}

        def hear():
            text, extra, _, _ = s.recvmsg(4096, 4096)
            pid = struct.unpack("iii", extra[0][2])[0]
            assert pid == d.master()
            return text.decode().split("\n")[0]

        yield hear


def test_notify(start):
    d = make(start)
    with notified(d) as hear:
        d.start()
        assert hear() == "READY=1"
        script(d, "assert not trial or 'NOTIFY_SOCKET' not in os.environ")
        upgraded(d, 2)
        assert [hear(), hear()] == ["RELOADING=1", "READY=1"]
        left(d)
        install(d, "nothing\n")
        assert upgrade(d).returncode == 1
        assert [hear(), hear()] == ["RELOADING=1", "READY=1"]
        d.stop()
        assert hear() == "STOPPING=1"


def test_handed_over_sockets(start):
    """Those of a service manager are shared by all, and stay so."""
    d = make(start)
    with socket.socket() as s:
        s.bind(("127.0.0.1", d.port))
        s.listen(100)
        d.fds = (s.fileno(),)
        d.wrapper = [sys.executable, "-c", HAND_OVER, str(s.fileno())]
        d.start()
    d.wrapper = []
    for generation in 2, 3:
        upgraded(d, generation)
        left(d)
        serves(d)
    assert d.log().count("info inherited") == 1


def test_signals_to_the_whole_unit(start):
    """USR2 kills nobody, not even one on trial."""
    d = make(start)
    d.start()
    go = d.path / "go"
    script(d, WAIT.format(str(go)))
    os.kill(d.master(), signal.SIGUSR2)
    pid = wait_for("a trial", lambda: trial(d))
    for p in [d.master(), *d.workers()]:  # with the trial
        os.kill(p, signal.SIGUSR2)
    assert pid in d.workers() and status(d)[1]["waits"]
    go.touch()
    wait_for("the new one", lambda: " info upgraded " in d.log())
    left(d)
    code, said = status(d)
    assert code == 0 and said["upgrades"] == "1"
    serves(d)


# --- one that is not ---

BAD = {
    "crashes": ("if trial: os.kill(os.getpid(), signal.SIGSEGV)",
                "died in its trial: Segmentation fault"),
    "ends": ("if trial: sys.exit(3)", "status 3, and did not greet"),
    "says nothing": ("if trial: sys.exit(0)", "status 0, and did not greet"),
    "crashes behind its greeting": (
        "if trial:\n\tos.write(trial, b'220 x\\r\\n')\n"
        "\tos.kill(os.getpid(), signal.SIGSEGV)", "Segmentation fault"),
    "fails behind its greeting": (
        "if trial:\n\tos.write(trial, b'220 x\\r\\n')\n\tsys.exit(70)",
        "status 70"),
    "421": ("if trial:\n\tos.write(trial, b'421 4.3.2 No\\x1b\\r\\n')\n"
            "\tsys.exit(0)", "421 4.3.2 No"),
    "other options": ("sys.argv.append('-x')", "status 64"),
    "another format": (
        "if trial: os.environ['SMTPD_UPGRADE'] = '2 0 trial=%d' % trial",
        "its environment is of another smtpd"),
    "another key": (
        "import mmap\nn = int(os.environ['SMTPD_UPGRADE'].split()[1])\n"
        "os.pwrite(n, b'smtpx', 0)", "what this one does not know"),
    "a socket less": (
        "n = int(os.environ['SMTPD_UPGRADE'].split()[1])\n"
        "rows = os.pread(n, 99999, 0).decode().split('\\0')\n"
        "os.close(next(int(r.split()[2]) for r in rows if r[:7] == 'socket '))",
        "a listening socket was not handed over"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_trial(start, what):
    d = make(start)
    d.start()
    workers = d.workers()
    before = descriptors(d.master())
    text, why = BAD[what]
    script(d, text)
    r = upgrade(d)
    assert r.returncode == 1 and why in r.stderr and "\x1b" not in r.stderr
    assert "error upgrade-failed " in d.log()
    code, said = status(d)
    assert code == 1 and said["fault"] == ["the last upgrade failed"]
    assert d.workers() == workers
    same_descriptors(d, before)
    serves(d)
    script(d, "")
    upgraded(d, 2)
    assert status(d)[0] == 0


@pytest.mark.parametrize("content, mode, why", [
    ("no program\n", 0o755, "Exec format error"),
    ("#!/nowhere\n", 0o755, "No such file or directory"),
    (None, 0o644, "Permission denied")])
def test_no_program(start, content, mode, why):
    d = make(start)
    d.start()
    workers = d.workers()
    install(d, content, mode)
    r = upgrade(d)
    assert r.returncode == 1
    assert r.stderr.endswith(f"{d.binary} cannot be run: {why}\n")
    assert d.workers() == workers
    serves(d)
    install(d)
    upgraded(d, 2)


def test_bad_configuration(start):
    d = make(start)
    d.start()
    good = d.conf.read_text()
    d.conf.write_text(good + "bogus = 1\n")
    r = upgrade(d)
    assert r.returncode == 1
    line = good.count("\n") + 1
    assert f"failed: {d.conf}:{line}: " in r.stderr
    serves(d)


def test_another_lock(start):
    """Whoever removed it may start a second one; this one says so."""
    d = make(start)
    d.start()
    (d.spool / "lock").rename(d.spool / "lock.old")
    (d.spool / "lock").touch()
    os.kill(d.master(), signal.SIGUSR2)
    wait_for("a failure", lambda: "upgrade-failed" in d.log())
    assert "the lock in the spool is another file now" in d.log()
    (d.spool / "lock.old").rename(d.spool / "lock")
    upgraded(d, 2)


def test_replaced_during_its_trial(start):
    """What was not tried is not run."""
    d = make(start)
    d.start()
    go = d.path / "go"
    script(d, WAIT.format(str(go)))
    os.kill(d.master(), signal.SIGUSR2)
    wait_for("a trial", (d.path / "go.begun").exists)
    install(d)
    go.touch()
    wait_for("a failure", lambda: "upgrade-failed" in d.log())
    assert "replaced during its trial" in d.log()
    upgraded(d, 2)


@pytest.mark.parametrize("text", [
    "", "os.write(trial, b'220 x\\r\\n')"], ids=["before", "behind"])
def test_trial_that_hangs(start, text):
    """Before and behind its greeting; meanwhile the master does its work."""
    d = make(start, deaths=True)
    preload(d, FAST)
    d.start()
    script(d, f"if trial:\n\t{text or 'pass'}\n"
              "\tsignal.sigwait([signal.SIGRTMIN])")
    os.kill(d.master(), signal.SIGUSR2)
    pid = wait_for("a trial", lambda: trial(d))
    wait_for("an end", lambda: "upgrade-failed" in d.log())
    assert "has not ended its trial within 15 s" in d.log()
    assert gone(pid)
    serves(d)


def test_work_during_a_trial(start):
    """A worker dies and is replaced, status is answered, a reload waits."""
    d = make(start, deaths=True)
    d.start()
    go = d.path / "go"
    script(d, WAIT.format(str(go)))
    os.kill(d.master(), signal.SIGUSR2)
    pid = wait_for("a trial", lambda: trial(d))
    dead = [p for p in d.workers() if p != pid][0]
    os.kill(dead, signal.SIGKILL)
    wait_for("another", lambda: len(d.workers()) == 3
             and dead not in d.workers())
    assert status(d)[0] == 0
    os.kill(d.master(), signal.SIGHUP)
    serves(d)
    ours = sockets(d.master()) & unix_sockets()
    assert len(ours) == 1  # its end of the trial's client
    wait_for("nobody else who has it",  # as each has when it is forked
             lambda: not [p for p in d.workers() if sockets(p) & ours])
    go.touch()
    wait_for("the reload of the new one",
             lambda: status(d)[1]["reloads"] == "1")
    said = status(d)[1]
    assert said["upgrades"] == "1" and said["upgrade"].endswith(" good")
    serves(d)


def test_term_during_a_trial(start):
    d = make(start)
    d.start()
    script(d, "if trial: signal.sigwait([signal.SIGRTMIN])")
    os.kill(d.master(), signal.SIGUSR2)
    pid = wait_for("a trial", lambda: trial(d))
    os.kill(d.master(), signal.SIGTERM)
    assert d.wait() == 0 and gone(pid)


# --- between the trial and the end ---

def test_worker_that_dies_meanwhile(start):
    """Killed when the old program has gone, and the new one does not serve."""
    d = make(start, top="workers = 1", deaths=True)
    d.start()
    old = d.workers()[0]
    script(d, f"if not trial: os.kill({old}, signal.SIGKILL)")
    r = upgrade(d, "--wait")
    assert r.returncode == 0, r.stderr
    serves(d)
    wait_for("its funeral", lambda: "worker-died" in d.log())
    assert old not in d.workers() and d.log().count("worker-died") == 1


def broken_then(start, **kwargs):
    """One whose configuration breaks behind its trial."""
    d = make(start, deaths=True, **kwargs)
    d.start()
    good = d.conf.read_text()
    script(d, f"if not trial: open({str(d.conf)!r}, 'a').write('bogus = 1\\n')")
    r = upgrade(d)
    assert r.returncode == 1 and f"{d.conf}:" in r.stderr
    return d, good


def test_broken_then_mended(start):
    d, good = broken_then(start)
    workers = d.workers()
    code, said = status(d)
    assert code == 1 and "the last upgrade failed" in said["fault"]
    assert len(said["worker"]) == 2
    serves(d)
    assert d.workers() == workers
    d.conf.write_text(good)
    os.kill(d.master(), signal.SIGHUP)  # or when its time has come
    wait_for("new workers", lambda: " info upgraded " in d.log())
    left(d)
    assert status(d)[0] == 0
    serves(d)


def test_broken_then_replaced(start):
    """The way back is the same."""
    d, good = broken_then(start)
    d.conf.write_text(good)
    install(d)
    upgraded(d, 2)
    left(d)
    serves(d)


def test_broken_then_stopped(start):
    d, _ = broken_then(start)
    serves(d)
    os.kill(d.master(), signal.SIGTERM)
    assert d.wait() == 0


def test_broken_then_nobody_left(start):
    """Exit 70, so that a service manager starts it anew."""
    d, _ = broken_then(start)
    workers = d.workers()
    os.kill(workers[0], signal.SIGKILL)
    # nobody is started without a configuration
    wait_for("its funeral", lambda: "worker-died" in d.log())
    os.kill(workers[1], signal.SIGKILL)
    assert d.wait() == 70
    assert "none is left" in d.log()
    assert d.log().count("worker-died") == 2


def test_tries_again(start):
    d = make(start)
    # not so fast that a trial, which may take 15 s, ends before it has begun
    preload(d, FAST.replace("TIMES = 40", "TIMES = 5"))
    d.start()
    good = d.conf.read_text()
    script(d, f"if not trial: open({str(d.conf)!r}, 'a').write('bogus = 1\\n')")
    os.kill(d.master(), signal.SIGUSR2)
    wait_for("four tries", lambda: d.log().count("upgrade-failed") >= 4)
    d.conf.write_text(good)
    wait_for("new workers", lambda: " info upgraded " in d.log())
    serves(d)


# --- many ---

class Load:
    """One message for each connection, from several clients."""

    def __init__(self, d, clients=4):
        self.d, self.accepted, self.faults = d, [], []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,))
                        for i in range(clients)]

    def one(self, name):
        with self.d.connect() as c:
            assert c.reply().code == 220
            assert c.ask("EHLO client.example.com").code == 250
            reply = c.ask("MAIL FROM:<sender@example.com>")
            if reply.code == 421:  # it leaves: the sender comes again
                return
            assert reply.code == 250, reply
            assert c.ask("RCPT TO:<alice@example.org>").code == 250
            assert c.ask("DATA").code == 354
            c.send(f"{name}\r\n.\r\n")
            assert c.reply().code == 250
            self.accepted.append(name)

    def run(self, client):
        n = 0
        while not self.over.is_set():
            n += 1
            try:
                self.one(f"{client}.{n}")
            except Exception as e:  # refused, reset, an end, a wrong reply
                self.faults.append(repr(e))
                return

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join()


def test_many_under_load(start):
    """WIRE 28: nobody refused or reset, each 250 is one file; and the master
    is no larger in the end."""
    d = make(start)
    d.start()

    def said():
        with contextlib.suppress(FileNotFoundError):
            return (d.spool / "status").read_text()
        return ""

    def change(what, n):
        os.kill(d.master(), what)
        key = "upgrades" if what == signal.SIGUSR2 else "reloads"
        wait_for(f"{key} {n}", lambda: f"\n{key} {n}\n" in said())

    with Load(d) as load:
        change(signal.SIGUSR2, 1)
        for n in range(1, 6):
            change(signal.SIGHUP, n)
        left(d)
        rests(d)
        before, rss = descriptors(d.master()), memory(d.master())
        for n in range(6, 101):
            change(signal.SIGHUP, n)
            if n % 5 == 0:
                change(signal.SIGUSR2, n // 5)
    left(d)
    assert load.faults == []
    assert status(d)[1]["upgrades"] == "20"
    bodies = [m.body.decode().strip() for m in d.messages()]
    assert sorted(bodies) == sorted(load.accepted)
    assert len(bodies) > 100
    same_descriptors(d, before)
    assert memory(d.master()) <= rss * 1.05
