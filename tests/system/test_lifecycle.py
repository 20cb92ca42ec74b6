"""Starting, stopping, dying; what is inherited, what is told."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from daemon import (AS_ROOT, BINARY, DEADLINE, TOP, children, gone, state_of,
                    wait_for)
from preload import preload


def refused(d):
    try:
        d.connect().close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


def test_term_finishes_what_is_in_flight(start):
    """WIRE 3, 27: SIGTERM: a transaction ends well, idle sessions get 421."""
    d = start()
    busy, idle, mail = d.client(), d.client(), d.client()
    busy.begin("alice@example.org")
    assert busy.ask("DATA").code == 354
    busy.send("first half\r\n")
    os.kill(d.master(), signal.SIGTERM)
    wait_for("a port that is closed", lambda: refused(d))
    assert mail.ask("MAIL FROM:<a@example.com>").status == "421 4.3.2"
    assert mail.closed()
    assert idle.reply().status == "421 4.3.2"
    assert idle.closed()
    busy.send("second half\r\n.\r\n")
    id = busy.reply().id
    assert busy.ask("MAIL FROM:<a@example.com>").status == "421 4.3.2"
    assert busy.closed()
    assert d.wait() == 0
    assert d.message("alice@example.org", id).body == (
        b"first half\nsecond half\n")


def test_term_is_not_held_up_forever(start):
    """WIRE 3: behind `drain` the transaction in flight gets 421 too."""
    d = start(top="drain = 1s")
    with d.client() as c:
        c.begin("alice@example.org")
        assert c.ask("DATA").code == 354
        c.send("half\r\n")
        os.kill(d.master(), signal.SIGTERM)
        assert c.reply().status == "421 4.3.2"
        assert c.closed()
    assert d.wait() == 0
    assert d.files() == []


def test_term_behind_the_dots(start):
    """WIRE 28: they sent their dots and went; then we are told to go."""
    d = start()
    clients = [d.client() for _ in range(20)]
    for c in clients:
        c.begin("carol@example.org")
        assert c.ask("DATA").code == 354
    for i, c in enumerate(clients):
        c.send(f"number {i}\r\n.\r\n")
        c.close()
    os.kill(d.master(), signal.SIGTERM)
    assert d.wait() == 0
    assert sorted(m.body for m in d.messages()) == sorted(
        f"number {i}\n".encode() for i in range(20))
    assert d.leftovers() == []


def test_term_twice(start):
    """Asked again, it does not wait for what is in flight."""
    d = start()
    with d.client() as c:
        c.begin("alice@example.org")
        assert c.ask("DATA").code == 354
        os.kill(d.master(), signal.SIGTERM)
        wait_for("stopping", lambda: " stopping " in d.log())
        os.kill(d.master(), signal.SIGTERM)
        assert c.reply().status == "421 4.3.2"
        assert c.closed()
    assert d.wait() == 0
    assert d.files() == []


def test_int_is_like_term(start):
    """From the terminal: the whole process group gets it."""
    d = start()
    for pid in [*d.workers(), d.master()]:
        os.kill(pid, signal.SIGINT)
    assert d.wait() == 0


def test_hangup_is_survived(start):
    d = start()
    for pid in [d.master(), *d.workers()]:
        os.kill(pid, signal.SIGHUP)
    with d.client() as c:
        assert c.ask("NOOP").code == 250


def test_killed_worker_is_replaced(start):
    """The port keeps accepting; the new worker serves who waited."""
    d = start(deaths=True, top="workers = 1")
    for _ in range(3):
        old = d.workers()
        assert len(old) == 1
        os.kill(old[0], signal.SIGKILL)
        with d.connect() as c:  # queued in the master's socket meanwhile
            assert c.reply().code == 220
        assert d.workers() != old
    assert d.log().count("worker-died") == 3
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250


def test_killed_worker_leaves_nothing_behind(start):
    """WIRE 28: nor of the message that it was reading."""
    d = start(deaths=True, top="workers = 1")
    with d.client() as c:
        c.begin()
        assert c.ask("DATA").code == 354
        c.send(b"x" * 998 + b"\r\n" * 300)
        os.kill(d.workers()[0], signal.SIGKILL)
        with pytest.raises((ConnectionResetError, AssertionError)):
            c.reply()
    with d.client() as c:
        assert c.ask("NOOP").code == 250
    assert d.files() == [] and d.leftovers() == []


def test_killed_worker_leaves_no_count_behind(start):
    """The sessions that died with it are not counted any more."""
    d = start(deaths=True, top="workers = 1", limits="per-address = 3")
    held = [d.client() for _ in range(3)]
    with d.connect() as c:
        assert c.reply().code == 421
    old = d.workers()
    os.kill(old[0], signal.SIGKILL)
    wait_for("a new worker", lambda: d.workers() not in ([], old))
    again = [d.client() for _ in range(3)]
    for c in held + again:
        c.close()


def test_killed_master_takes_its_workers_along(start):
    """No worker outlives its master, and the spool is free again."""
    d = start()
    workers = d.workers()
    os.kill(d.master(), signal.SIGKILL)
    d.wait()

    wait_for("the workers' end", lambda: all(gone(p) for p in workers))
    d.log_path.unlink()
    d.status = None
    d.start()
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250


def test_killed_master_leaves_slow_workers(start):
    """The next one waits for a port until they have found out."""
    d = start()
    workers = d.workers()
    for p in workers:
        os.kill(p, signal.SIGSTOP)
    os.kill(d.master(), signal.SIGKILL)
    d.wait()
    d.log_path.unlink()
    d.status = None
    d.start(wait=False)
    wait_for("a master that has come to its ports",
             lambda: (d.spool / "lock").read_text() == f"{d.process.pid}\n")
    wait_for("a master that waits",
             lambda: state_of(f"/proc/{d.process.pid}/stat") in "SZ")
    for p in workers:
        os.kill(p, signal.SIGCONT)
    wait_for("ready in the log", d.is_ready)
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250


SPIN = r"""
#include <fcntl.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

int
epoll_wait(int fd, struct epoll_event *e, int n, int ms)
{
	while (faccessat(AT_FDCWD, "%s", F_OK, 0) == 0)
		;
	return (int)syscall(SYS_epoll_pwait, fd, e, n, ms, NULL, 8);
}
"""


def test_killed_master_takes_hanging_workers_along(start):
    """FAULT A7: a worker whose loop does not turn ends with its master, too,
    ten seconds behind the drain."""
    d = start.make(top="drain = 1s")
    spin = d.path / "spin"
    preload(d, SPIN % spin)
    d.start()
    workers = d.workers()
    spin.touch()

    def all_spin():
        with d.connect():  # which wakes one of them
            return all(state_of(f"/proc/{p}/stat") == "R" for p in workers)

    wait_for("loops that hang", all_spin)
    os.kill(d.master(), signal.SIGKILL)
    d.wait()
    wait_for("the workers' end", lambda: all(gone(p) for p in workers))


LATE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int
sigaction(int sig, const struct sigaction *new, struct sigaction *old)
{
	int (*next)(int, const struct sigaction *, struct sigaction *) =
	    (int (*)(int, const struct sigaction *, struct sigaction *))
		dlsym(RTLD_NEXT, "sigaction");
	int r = next(sig, new, old);

	if (sig == SIGTERM && new && new->sa_handler == SIG_DFL)
		%s;
	return r;
}
"""


def test_hurried_at_its_end(start):
    """A second SIGTERM reaches a worker that has left its loop."""
    d = start.make()
    preload(d, LATE % "raise(sig)")
    d.start()
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250
    d.stop()


def test_killed_master_takes_those_along_who_hang_at_their_end(start):
    """FAULT A7: out of its loop a worker hears nothing of the pipe."""
    d = start.make(top="drain = 1s")
    there = d.mail / "there"
    preload(d, LATE % f'''{{
		char name[512];
		snprintf(name, sizeof(name), "{there}/%d", (int)getpid());
		close(open(name, O_CREAT | O_WRONLY, 0600));
		for (;;)
			poll(NULL, 0, -1);
	}}''')
    d.start()
    there.mkdir()
    there.chmod(0o777)
    workers = d.workers()
    os.kill(d.master(), signal.SIGTERM)
    wait_for("workers that hang", lambda: len(list(there.iterdir())) ==
             len(workers))
    os.kill(d.master(), signal.SIGKILL)
    d.wait()
    wait_for("the workers' end", lambda: all(gone(p) for p in workers))


def test_second_instance(start):
    """FAULT D13, D19: refuses, names who holds the spool, whose pid is in
    its lock, and says how to signal it."""
    d = start()
    second = subprocess.run([BINARY, "-d", "-f", str(d.conf)],
                            capture_output=True, text=True, timeout=DEADLINE)
    assert second.returncode == 70
    pid = d.master()
    assert f" pid={pid} " in second.stderr
    assert f'help="kill -HUP {pid} ' in second.stderr
    assert (d.spool / "lock").read_text() == f"{pid}\n"
    with d.client() as c:
        assert c.ask("NOOP").code == 250
    d.stop()
    assert (d.spool / "lock").read_text() == ""


def test_second_instance_in_a_container(start):
    """FAULT D19: the first has no pid there, and 0 is no advice."""
    if not AS_ROOT:
        pytest.skip("root alone may unshare")
    d = start()
    second = subprocess.run(
        ["unshare", "-p", "--fork", BINARY, "-d", "-f", str(d.conf)],
        capture_output=True, text=True, timeout=DEADLINE)
    assert second.returncode == 70
    line, = (x for x in second.stderr.splitlines() if "already-running" in x)
    assert "container" in line and "kill" not in line and "pid=" not in line


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_lock_that_is_something_else(start, kind):
    """FAULT D13: no pid is written through a name that leads elsewhere."""
    d = start.make()
    other = d.path / "other"
    other.write_text("precious")
    d.spool.mkdir(mode=0o700)
    if AS_ROOT:
        shutil.chown(d.spool, "nobody")
    if kind == "link":
        os.link(other, d.spool / "lock")
    else:
        os.mkfifo(d.spool / "lock")
    d.start(wait=False)
    assert d.wait() == 70
    assert f"error lock spool={d.spool} " in d.log()
    assert other.read_text() == "precious"


def test_port_in_use(start):
    d = start()
    other = start.make()
    other.conf.write_text(other.conf.read_text().replace(
        f"127.0.0.1:{other.port}", f"127.0.0.1:{d.port}"))
    with socket.socket() as s:  # no SO_REUSEPORT on this one
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        other.conf.write_text(other.conf.read_text().replace(
            f"127.0.0.1:{d.port}", f"127.0.0.1:{port}"))
        other.start(wait=False)
        assert other.wait() == 70
    assert str(port) in other.log()


def test_second_instance_with_another_spool(start):
    """FAULT A7: it shares no port with the first; whose sessions do not keep
    it out once its port is closed."""
    d, second = start(), start.make()
    second.conf.write_text(second.conf.read_text().replace(
        f"127.0.0.1:{second.port}", f"127.0.0.1:{d.port}"))
    second.port = d.port
    second.start(wait=False)
    assert second.wait() == 70
    assert re.search(rf"error listen .*port={d.port} .*ss -ltnp", second.log())
    with d.client() as c:
        c.begin()
        os.kill(d.master(), signal.SIGTERM)
        wait_for("a port that is closed", lambda: refused(d))
        second.status = None
        second.log_path.unlink()
        second.start()
        with second.client() as other:
            assert other.ask("NOOP").code == 250


def test_restart_serves_at_once(start):
    """Stopped and started again on the same port and spool."""
    d = start()
    with d.client() as c:
        c.ask("QUIT")
    d.stop()
    d.status = None
    d.log_path.unlink()
    d.start()
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250


HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_listen_fds(start):
    """Sockets handed over by a service manager, shared by all workers."""
    d = start.make()
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", d.port))
        s.listen(100)
        d.fds = (s.fileno(),)
        d.wrapper = [sys.executable, "-c", HAND_OVER, str(s.fileno())]
        d.start()
    d.wrapper = []  # exec: the process itself is the master
    assert "inherited" in d.log()
    for _ in range(8):
        with d.client() as c:
            assert c.ask("NOOP").code == 250


def test_listen_fds_of_somebody_else(start):
    """LISTEN_PID of another process: not ours, not used."""
    d = start(env={"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    assert "inherited" not in d.log()
    with d.client() as c:
        assert c.ask("NOOP").code == 250


def test_notify(start):
    """READY=1 once it serves, STOPPING=1 when it is asked to leave."""
    d = start.make()
    path = d.path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(DEADLINE)
        d.env = {"NOTIFY_SOCKET": str(path)}
        d.start(wait=False)
        assert b"READY=1" in s.recv(4096).split(b"\n")
        with d.client() as c:
            assert c.ask("NOOP").code == 250
        os.kill(d.master(), signal.SIGTERM)
        assert b"STOPPING=1" in s.recv(4096).split(b"\n")
        assert d.wait() == 0


def test_notify_to_one_who_does_not_listen(start):
    """FAULT A7: he keeps nobody waiting."""
    d = start.make()
    path = d.path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        s.bind(str(path))
        other.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                other.sendto(b"x", str(path))
        d.env = {"NOTIFY_SOCKET": str(path)}
        d.start()
        with d.client() as c:
            assert c.ask("NOOP").code == 250
        os.kill(d.master(), signal.SIGTERM)
        assert d.wait() == 0


def test_background(start):
    """Without -d: the parent leaves when it serves, and says how it went."""
    d = start.make()
    done = subprocess.run([BINARY, "-f", str(d.conf)], timeout=DEADLINE,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=open(d.log_path, "wb"))
    assert done.returncode == 0
    locks = subprocess.run([BINARY, "-d", "-f", str(d.conf)],
                           capture_output=True, text=True, timeout=DEADLINE)
    assert locks.returncode == 70
    pid = int(re.search(r"already-running.* pid=(\d+)", locks.stderr)[1])
    try:
        with d.client() as c:
            assert c.deliver("x\r\n").code == 250
        assert len(children(pid)) == 2
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_for("its end", lambda: gone(pid))


def test_background_with_its_log_on_a_terminal(start):
    """FAULT D13: it is said that the log ends with the terminal."""
    d = start.make()
    ours, theirs = os.openpty()
    done = subprocess.run([BINARY, "-f", str(d.conf)], timeout=DEADLINE,
                          stdin=theirs, stdout=theirs, stderr=theirs,
                          start_new_session=True)
    os.close(theirs)
    assert done.returncode == 0
    os.kill(int((d.spool / "lock").read_text()), signal.SIGTERM)
    log = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the other end open
        while data := os.read(ours, 65536):
            log += data
    os.close(ours)
    assert (b' warn log-on-terminal why="it ends with this terminal" '
            b'help="write log { to = syslog }, or smtpd -d 2>>FILE"') in log


def test_background_that_fails(start):
    d = start.make(top='spool = "/proc/nowhere"')
    done = subprocess.run([BINARY, "-f", str(d.conf)], timeout=DEADLINE,
                          capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    assert done.returncode != 0
    assert "/proc/nowhere" in done.stderr


@pytest.mark.skipif(not AS_ROOT, reason="needs root: it drops privileges")
def test_privileges_are_dropped(start):
    """FAULT F8: workers are the user, without the groups that root came with,
    and cannot go back."""
    import pwd
    nobody = pwd.getpwnam("nobody")
    d = start.make()
    d.wrapper = ["setpriv", "--groups=4,27"]
    d.start()
    for pid in d.workers():
        with open(f"/proc/{pid}/status") as f:
            status = dict(line.split(":\t", 1) for line in f if ":\t" in line)
        assert status["Uid"].split() == [str(nobody.pw_uid)] * 4
        assert status["Gid"].split() == [str(nobody.pw_gid)] * 4
        assert status["Groups"].split() == []
        assert int(status["CapEff"], 16) == 0
        assert int(status["CapPrm"], 16) == 0


@pytest.mark.skipif(not AS_ROOT, reason="needs root to become another user")
@pytest.mark.parametrize("user, lines", [("smtpd", 1), ("nobody", 0)])
def test_started_as_another_user(start, user, lines):
    """user and group are ignored then, with one line; but for that user."""
    import pwd
    nobody = pwd.getpwnam("nobody")
    d = start.make(top=f"user = {user}")
    os.chown(d.path, nobody.pw_uid, nobody.pw_gid)
    d.wrapper = ["setpriv", f"--reuid={nobody.pw_uid}",
                 f"--regid={nobody.pw_gid}", "--clear-groups"]
    d.start()
    d.wrapper = []
    assert d.log().count("user-ignored") == lines
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250


@pytest.mark.skipif(not AS_ROOT, reason="needs root: it looks the user up")
def test_user_is_missing(start):
    """Exit 78, with the command that makes it."""
    d = start.make(top="user = no-such-user-here")
    d.start(wait=False)
    assert d.wait() == 78
    assert "useradd" in d.log() and "no-such-user-here" in d.log()


RUN_NEEDS = ("cat chmod chown id ip mkdir mkfifo mktemp rm setpriv sh test "
             "touch").split()


@pytest.mark.skipif(not AS_ROOT, reason="needs root: a network of its own")
@pytest.mark.parametrize("installed", ["telnet", "swaks"])
def test_make_run_says_what_to_try(start, installed):
    """FAULT D19: when it serves, and of what is not there the package."""
    import shutil
    d = start.make()
    there = d.path / "bin"
    there.mkdir()
    for name in RUN_NEEDS:
        (there / name).symlink_to(shutil.which(name))
    (there / installed).symlink_to(shutil.which("test"))
    (d.path / "build").mkdir()
    (d.path / "build" / "smtpd").symlink_to(os.path.realpath(BINARY))
    p = subprocess.Popen(
        [shutil.which("unshare"), "-n", "sh", "-c",
         'ip link set lo up && exec "$0"', TOP / "tests" / "run"],
        cwd=d.path, env={**os.environ, "PATH": str(there)}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True)
    lines = []
    while not lines or "Ctrl-C" not in lines[-1]:
        lines.append(p.stdout.readline())
        assert lines[-1], lines
    os.killpg(p.pid, signal.SIGINT)
    rest = p.communicate(timeout=DEADLINE)[0]
    assert p.returncode == 0 and " info stopped " in rest
    text = "".join(lines)
    assert text.index(" info ready ") < text.index("Try:")
    for name in "telnet", "swaks":
        assert text.count(f"       {name} ") == 1
        assert (f"(from the package {name})" in text) == (name != installed)


@pytest.mark.skipif(not AS_ROOT, reason="needs root: it mounts")
def test_reload_says_nothing_of_the_spool_again(start):
    """FAULT D19: what a start has said of the spool, a reload does not."""
    d = start.make(top="spool-volatile = yes")
    d.wrapper = ["unshare", "-m", "sh", "-c",
                 f'mkdir -p "{d.spool}" && mount -t tmpfs tmpfs "{d.spool}" '
                 f'&& chmod 755 "{d.spool}" && chown nobody "{d.spool}" '
                 '&& exec "$0" "$@"']
    d.start()
    d.wrapper = []
    assert d.log().count("NOT DURABLE") == 1
    os.kill(d.master(), signal.SIGHUP)
    wait_for("the reload", lambda: " reloaded " in d.log())
    assert d.log().count("NOT DURABLE") == 1


def test_unit_tries_again():
    """FAULT D9: systemd gives up after five starts in ten seconds."""
    unit = (TOP / "src" / "smtpd.service").read_text()
    assert "\nRestart=on-failure\n" in unit
    assert int(re.search(r"\nRestartSec=(\d+)s\n", unit)[1]) * 5 > 10
