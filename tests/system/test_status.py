"""What the master says of itself, and who is believed to be it."""

import ctypes
import fcntl
import hashlib
import json
import os
import re
import signal
import struct
import subprocess
import sys

import pytest

from daemon import AS_ROOT, BINARY, TOP, gone, sanitized, wait_for
from preload import FAST, preload
from secured import certificate

HOLE = TOP / "build" / "hole" / "smtpd"

pytestmark = pytest.mark.skipif(not AS_ROOT, reason="as the service's root")


def tool(d, *arguments, **kwargs):
    return subprocess.run(
        [BINARY, arguments[0], "-f", str(d.conf), *arguments[1:]],
        capture_output=True, text=True, timeout=60, **kwargs)


def status(d):
    r = tool(d, "status", "--json")
    assert r.stderr == "" and r.stdout.isascii()
    return r.returncode, json.loads(r.stdout)


@pytest.mark.parametrize("command", [
    "status", "reload", "stop", "upgrade", "held", "dns", "probe"])
def test_no_such_file(command, tmp_path):
    """Each says so, and what to do."""
    r = subprocess.run([BINARY, command, "-f", str(tmp_path / "none")],
                       capture_output=True, text=True, timeout=60)
    assert r.returncode == 78 and r.stdout == ""
    assert r.stderr == (f"{tmp_path}/none: error: cannot be read: No such "
                        "file or directory; name another file with -f, or "
                        "try -f builtin\n")


def test_serves(start):
    d = start(top="workers = 2")
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250
        assert c.ask("MAIL FROM:<>").code == 250
        code, said = status(d)
    assert code == 0
    assert said["pid"] == str(d.master())
    assert said["serving"] == "generation 1, 2 workers"
    assert said["file"] == str(d.conf)
    assert said["sessions"] == "1 of 10000"
    assert said["messages"] == "1 taken, 0 refused, 0 deferred"
    assert said["fault"] == [] and len(said["worker"]) == 2
    pids = {int(re.match(r"\d pid (\d+), ", w)[1]) for w in said["worker"]}
    assert pids == set(d.workers())
    text = tool(d, "status")
    assert text.returncode == 0
    assert text.stdout.startswith(f"pid         {d.master()}\nversion ")
    assert "serving     generation 1, 2 workers\n" in text.stdout


def test_nowhere_to_say_it(start):
    """What was not written is no answer."""
    d = start()
    with open("/dev/full", "w") as full:
        r = subprocess.run([BINARY, "status", "-f", d.conf], stdout=full,
                           stderr=subprocess.PIPE, text=True)
    assert r.returncode == 70 and "No space left on device" in r.stderr


def test_stopped(start):
    d = start()
    assert tool(d, "stop").returncode == 0
    assert gone(d.process.pid) and d.wait() == 0
    for name in "status", "reload", "stop":
        r = tool(d, name)
        assert r.returncode == 3 and "not running" in r.stderr


def test_stop_now(start):
    d = start(top="drain = 5m")
    with d.client() as c:
        c.begin()
        c.ask("DATA")
        assert tool(d, "stop", "--now").returncode == 0
        assert d.wait() == 0


def test_usage(start):
    d = start()
    for arguments in ["status", "--wait"], ["reload", "-f"], ["stop", "x"]:
        r = subprocess.run([BINARY, *arguments], capture_output=True)
        assert r.returncode == 64 and b"usage: smtpd " in r.stderr
    r = subprocess.run([BINARY, "help"], capture_output=True, text=True)
    assert r.returncode == 0 and r.stderr == ""
    assert "smtpd reload [-f file] [--wait]\n" in r.stdout
    assert status(d)[0] == 0


def test_reload(start):
    """Each hears of its own; a file with an error is not even sent."""
    d = start(top="workers = 1")
    for generation in 2, 3:
        r = tool(d, "reload", "--wait")
        assert r.returncode == 0
        assert r.stdout.startswith(f"reloaded: generation {generation}, ")
    good = d.conf.read_text()
    d.conf.write_text(good + "bogus = 1\n")
    r = tool(d, "reload")
    line = good.count("\n") + 1
    assert r.returncode == 78
    assert r.stderr.startswith(f"{d.conf}:{line}: error: ")
    assert "reload-failed" not in d.log()
    assert status(d)[1]["reloads"] == "2"
    # sent all the same, it is told from then on
    os.kill(d.master(), signal.SIGHUP)
    wait_for("a failure", lambda: "reload-failed" in d.log())
    code, said = status(d)
    assert code == 1 and said["fault"] == ["the last reload failed"]
    assert f"failed: {d.conf}:{line}: " in said["reload"]
    d.conf.write_text(good)
    assert tool(d, "reload", "--wait").returncode == 0
    assert status(d)[0] == 0


def test_reload_waits(start):
    """Two generations are there: the third is promised, not awaited."""
    d = start(top="workers = 1 drain = 2m")
    fast = start.make()
    preload(fast, FAST)
    with d.client() as c:
        c.begin()
        assert tool(d, "reload").returncode == 0
        code, said = status(d)
        assert code == 0
        assert "; leaving: 1 workers, 1 sessions, until 2" in said["serving"]
        r = tool(d, "reload", env={**os.environ, **fast.env})
        assert r.returncode == 2 and "leaving: 1 workers" in r.stdout
        assert status(d)[1]["waits"]
        assert c.ask("RSET").code in (250, 421)
        c.close()
    wait_for("the second", lambda: status(d)[1]["reloads"] == "2")


def test_worker_that_dies(start):
    d = start(top="workers = 1", deaths=True)
    first = d.workers()
    os.kill(first[0], signal.SIGKILL)
    second = wait_for("another", lambda: set(d.workers()) - set(first))
    os.kill(second.pop(), signal.SIGKILL)
    said = wait_for("a fault", lambda: [s for code, s in [status(d)] if code])
    assert said[0]["fault"] == ["worker 0 died: the log says why"]
    assert re.match(r"0 waits \d+ ms for its start", said[0]["worker"][0])
    wait_for("another", lambda: status(d)[0] == 0)


def test_mail_that_waits(start):
    """Held is no fault by itself; what has failed is."""
    d = start(top="expire = 3s", limits="errors = 1000")
    with d.client() as c:
        assert c.deliver("first\r\n", "alice@example.org").code == 250
        d.settled()
        box = d.mail / "example.org" / "alice"
        for folder in "tmp", "new":
            (box / folder).chmod(0o500)
        assert c.deliver("second\r\n", "alice@example.org").code == 250
    said = wait_for("held mail", lambda: [
        s for code, s in [status(d)] if "held 1 messages" in s["journal"]])
    assert said[0]["journal"].endswith("held 1 messages, 1M of 1024M")
    said = wait_for("failed mail", lambda: [
        s for code, s in [status(d)] if code])
    assert said[0]["fault"] == [
        "mail has failed: somebody should look at it"]
    assert re.fullmatch(
        rf"1 copies, newest 2\S+Z, in {d.spool}/failed/new",
        said[0]["failed"])
    for folder in "tmp", "new":
        (box / folder).chmod(0o700)


def test_disk(start):
    d = start()
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250
    code, said = status(d)
    assert code == 0 and len(said["disk"]) == 2
    for line, name in zip(said["disk"], [str(d.spool), "of mailboxes"]):
        assert re.fullmatch(
            re.escape(name) + r" \d+% free, mail refused below \d+%", line)


@pytest.mark.parametrize("days, code", [(90, 0), (13, 1)])
def test_certificate(start, days, code):
    d = start.make()
    d.conf.write_text(d.conf.read_text()
                      + certificate(d.path, "mx.example.org", days=days))
    d.start()
    r, said = status(d)
    assert r == code
    assert said["fault"] == ["a certificate ends within 14 days"] * code
    key = subprocess.check_output(
        ["openssl", "x509", "-in", d.path / "mx.example.org.pem", "-pubkey",
         "-noout"])
    der = subprocess.check_output(["openssl", "pkey", "-pubin", "-outform",
                                   "DER"], input=key)
    line, = said["certificate"]
    assert re.fullmatch(
        r"mx\.example\.org until 2\S+Z, TLSA 3 1 1 "
        + hashlib.sha256(der).hexdigest(), line)


def test_renewal_that_waits(start):
    d = start.make()
    preload(d, FAST)
    d.conf.write_text(d.conf.read_text()
                      + certificate(d.path, "mx.example.org"))
    d.start()
    d.conf.write_text(d.conf.read_text() + "\n")
    certificate(d.path, "mx.example.org")
    wait_for("a word", lambda: "certificate-waits" in d.log())
    code, said = status(d)
    assert code == 1 and "renewed certificate waits" in said["fault"][0]
    assert tool(d, "reload", "--wait").returncode == 0
    assert status(d)[0] == 0


@pytest.mark.skipif(sanitized(), reason="its workers have no sandbox")
def test_sandbox(start):
    d = start()
    assert status(d)[1]["sandbox"].startswith("no-new-privs, seccomp, ")


@pytest.mark.skipif(sanitized() or not HOLE.exists(),
                    reason="that one has no sandbox to take from")
@pytest.mark.parametrize("landlock", ["0", "2"])
def test_less_sandbox_than_the_kernel_has(start, landlock):
    """Of a kernel that could do more, and was told not to."""
    d = start(binary=HOLE, env={"SMTPD_LANDLOCK_MAX": landlock})
    code, said = status(d)
    if landlock == "2":
        assert code == 0
        assert said["sandbox"] == "no-new-privs, seccomp, landlock 2 (files)"
        return
    assert said["sandbox"] == "no-new-privs, seccomp, no landlock"
    assert code == 1 and "this kernel could" in said["fault"][0]


# --- who is believed ---

def spare(start):
    """A daemon that never ran, with its spool: whoever has its lock?"""
    d = start.make()
    d.spool.mkdir(mode=0o700)
    return d


def test_older_master(start):
    """Which the signal would kill: it is not sent."""
    d = spare(start)
    code = ("import fcntl,signal,sys\n"
            f"f = open({str(d.spool / 'lock')!r}, 'w')\n"
            "fcntl.lockf(f, fcntl.LOCK_EX)\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])\n"
            "print('locked', flush=True)\n"
            "sys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", code], text=True,
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as old:
        assert old.stdout.readline() == "locked\n"
        for name in "status", "reload", "stop":
            r = tool(d, name)
            assert r.returncode == 70 and "restart it once" in r.stderr
        old.stdin.close()
        assert old.wait() == 0


LOCKED = """
import fcntl, os, sys
f = open(sys.argv[1], "w")
fcntl.lockf(f, fcntl.LOCK_EX)
os.setuid(12345)
print("locked", flush=True)
sys.stdin.read()
"""


def test_lock_of_a_stranger(start):
    """Whoever is neither root nor the spool's owner is no master of ours."""
    d = spare(start)
    with subprocess.Popen(
            [sys.executable, "-c", LOCKED, str(d.spool / "lock")], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout.readline() == "locked\n"
        r = tool(d, "stop")
        assert r.returncode == 4 and "another user's process" in r.stderr
        stranger.stdin.close()
        assert stranger.wait() == 0


def test_any_uid(start):
    """As in a container: the user of the configuration does not exist."""
    d = start.make(top="user = nobody-of-that-name")
    os.chown(d.path, 12345, 12345)
    d.wrapper = ["setpriv", "--reuid=12345", "--regid=12345",
                 "--clear-groups"]
    d.start()
    d.wrapper = []
    assert status(d)[0] == 0
    assert tool(d, "stop").returncode == 0 and d.wait() == 0


def test_lock_of_nobody(start):
    """Any worker can have one: its holder is -1, and kill(-1) is everybody."""
    d = spare(start)
    with open(d.spool / "lock", "w") as f:
        fcntl.fcntl(f, 37, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))
        for name in "status", "stop":
            r = tool(d, name)
            assert r.returncode == 4 and "cannot be seen" in r.stderr


@pytest.mark.parametrize("what", ["fifo", "link", "directory"])
def test_lock_that_is_none(start, what):
    d = spare(start)
    lock = d.spool / "lock"
    if what == "fifo":
        os.mkfifo(lock)
    elif what == "link":
        (d.path / "elsewhere").touch()
        lock.symlink_to(d.path / "elsewhere")
    else:
        lock.mkdir()
    assert tool(d, "status").returncode == 70


def test_planted(start):
    """What lies there is not read, and what was begun is swept away."""
    d = start()
    d.spool.joinpath("status").symlink_to(d.conf)
    before = d.conf.read_text()
    d.spool.joinpath("status.0123456789abcdef").write_text("x")
    d.spool.joinpath("status.link").symlink_to(d.conf)
    assert status(d)[0] == 0
    assert d.conf.read_text() == before
    assert not list(d.spool.glob("status.*"))
    assert not d.spool.joinpath("status").is_symlink()
    d.spool.joinpath("status").unlink()
    d.spool.joinpath("status").mkdir()  # a name that cannot be had
    r = tool(d, "status", env={**os.environ, **fast_env(start)})
    assert r.returncode == 70 and "no answer" in r.stderr
    wait_for("a word", lambda: "warn status spool=" in d.log())
    d.spool.joinpath("status").rmdir()
    assert status(d)[0] == 0


def fast_env(start):
    d = start.make()
    preload(d, FAST)
    return d.env


def test_forged(start):
    """By whoever may write in the spool, but is not the master."""
    d = start()
    forged = f"pid {d.master()} 1\nfault \x1b[2Jforged\n"
    assert status(d)[0] == 0
    os.kill(d.master(), signal.SIGSTOP)
    try:
        path = d.spool / "status"
        path.unlink()
        path.write_text(forged)
        r = tool(d, "status", env={**os.environ, **fast_env(start)})
        assert r.returncode == 70 and "forged" not in r.stdout + r.stderr
        head = f"pid {d.master()} {start_of(d.master())}\n"
        path.unlink()
        path.write_text(head + "fault x\n")
        os.chown(path, 65534, 65534)
        r = tool(d, "status", env={**os.environ, **fast_env(start)})
        assert r.returncode == 70
    finally:
        os.kill(d.master(), signal.SIGCONT)
    assert status(d)[0] == 0


def start_of(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[19]


def test_signals_to_the_whole_unit(start):
    """USR1 ends nobody; of USR2 see test_upgrade."""
    d = start(top="workers = 2")
    workers = d.workers()
    for pid in [d.master(), *workers]:
        os.kill(pid, signal.SIGUSR1)
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250
    assert d.workers() == workers and status(d)[0] == 0


def test_not_root(start):
    d = start()
    libc = ctypes.CDLL(None)

    def somebody():
        libc.setresgid(12345, 12345, 12345)
        libc.setresuid(12345, 12345, 12345)

    for name in "status", "reload", "stop":
        r = tool(d, name, preexec_fn=somebody)
        assert r.returncode == 4, r
    assert status(d)[0] == 0
