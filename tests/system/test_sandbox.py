"""What a worker can do that somebody took over: a client of build/hole/smtpd
has it make any call. Each case is refused in the sandbox, and succeeds without
it, or it would prove nothing. The daemon is of the same user as what it is
after: neither uid nor capability keeps it from anything.
"""

import contextlib
import ctypes
import errno
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess

import pytest

from daemon import AS_ROOT, TOP, wait_for

HOLE = TOP / "build" / "hole" / "smtpd"
WHO = "127.6.6.6"
USER = pwd.getpwnam("nobody").pw_uid if AS_ROOT else os.getuid()
ROOM = 4096
HERE = -100  # AT_FDCWD
REFUSED = (errno.ENOSYS, errno.EACCES, errno.EPERM, errno.EXDEV)

pytestmark = pytest.mark.skipif(
    os.uname().machine != "x86_64" or not HOLE.exists(),
    reason="the hole is for x86-64, and made by `make build/hole/smtpd`")

CALLS = {"pipe2": 293, "mmap": 9, "mprotect": 10, "socket": 41, "connect": 42,
         "sendto": 44, "sendmsg": 46, "recvmsg": 47, "getpeername": 52,
         "clone": 56, "execve": 59, "kill": 62, "fcntl": 72, "truncate": 76,
         "ptrace": 101, "setuid": 105, "openat": 257, "mkdirat": 258,
         "mknodat": 259, "unlinkat": 263, "linkat": 265, "symlinkat": 266,
         "renameat2": 316, "process_vm_readv": 310, "io_uring_setup": 425,
         "prlimit64": 302, "setsockopt": 54, "ioctl": 16}


class Killed(Exception):
    pass


class Refused(Exception):
    pass


class Hole:
    def __init__(self, d):
        self.d = d
        self.client = d.connect(source=WHO)
        self.room, self.fd = struct.unpack("<QQ", self.receive(16))

    def receive(self, n):
        data = b""
        while len(data) < n:
            try:
                more = self.client.socket.recv(n - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                raise Killed
            data += more
        return data

    def raw(self, name, *args):
        """Octets are put into its buffer. Returns result, errno, buffer."""
        room, numbers = b"", []
        for a in args:
            if isinstance(a, (bytes, str, os.PathLike)):
                a = a if isinstance(a, bytes) else os.fsencode(a) + b"\0"
                numbers.append(self.room + len(room))
                room += a + b"\0" * (-len(a) % 16)
            else:
                numbers.append(ctypes.c_uint64(a).value)
        numbers += [0] * (6 - len(numbers))
        self.client.send(struct.pack("<q6Q", CALLS[name], *numbers)
                         + room.ljust(ROOM, b"\0"))
        answer = self.receive(16 + ROOM)
        return *struct.unpack_from("<qq", answer), answer[16:]

    def __call__(self, name, *args):
        """What it returns; anything but a refusal is a fault of the test."""
        result, error, _ = self.raw(name, *args)
        if result != -1 or error == errno.EINPROGRESS:
            return result
        if error in REFUSED:
            raise Refused(name, errno.errorcode[error])
        raise AssertionError(f"{name}: {errno.errorcode[error]}")

    def fd_of(self, port):
        """Its descriptor for the client with this port."""
        for fd in range(3, 64):
            n, _, room = self.raw("getpeername", fd, b"\0" * 16, b"\x10\0\0\0")
            if not n and struct.unpack_from(">H", room, 2)[0] == port:
                return fd
        raise AssertionError("no such client")


@pytest.fixture
def victim():
    """A process of the same user, and no child of the daemon."""
    p = subprocess.Popen([shutil.which("sleep"), "600"],
                         **({"user": USER, "group": USER,
                             "extra_groups": []} if AS_ROOT else {}))
    wait_for("its own memory",
             lambda: os.stat(f"/proc/{p.pid}/mem").st_uid == USER)
    yield p.pid
    p.kill()
    p.wait()


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as s:
        yield s.getsockname()[1]


def address(port):
    return struct.pack("<H", socket.AF_INET) + struct.pack(
        ">H4s8x", port, socket.inet_aton("127.0.0.1"))


@pytest.fixture
def holed(start):
    def make(sandbox="yes", top="", **kwargs):
        d = start.make(top=f"sandbox = {sandbox}\nworkers = 2\n{top}",
                       binary=HOLE, deaths=True, **kwargs)
        (d.path / "other").mkdir()
        (d.path / "key").write_text("secret")
        (d.path / "key").chmod(0o600)
        if AS_ROOT:
            for path in d.path, d.path / "other", d.path / "key":
                shutil.chown(path, USER)
            d.wrapper = ["setpriv", f"--reuid={USER}", f"--regid={USER}",
                         "--clear-groups"]
        d.start()
        return d
    return make


# --- the cases: (hole, names of what there is) ---

def open_passwd(h, w):
    h("openat", HERE, "/etc/passwd", os.O_RDONLY)


def open_key(h, w):
    h("openat", HERE, h.d.path / "key", os.O_RDONLY)


def open_victims_memory(h, w):
    h("openat", HERE, f"/proc/{w['victim']}/mem", os.O_RDWR)


def list_parent(h, w):
    h("openat", HERE, h.d.path, os.O_RDONLY | os.O_DIRECTORY)


def write_beside(h, w):
    h("openat", HERE, h.d.path / "other" / "x", os.O_WRONLY | os.O_CREAT,
      0o600)


def mkdir_beside(h, w):
    h("mkdirat", HERE, h.d.path / "other" / "x", 0o700)


def unlink_beside(h, w):
    h("unlinkat", HERE, h.d.path / "key", 0)


def truncate_beside(h, w):
    h("truncate", h.d.path / "key", 0)


def link_in(h, w):
    h("linkat", HERE, h.d.path / "key", HERE, h.d.mail / "key", 0)


def move_out(h, w):
    h("mkdirat", HERE, h.d.mail / "x", 0o700)
    h("renameat2", HERE, h.d.mail / "x", HERE, h.d.path / "other" / "x", 0)


def make_fifo(h, w):
    h("mknodat", HERE, h.d.mail / "fifo", 0o10600, 0)


def make_link(h, w):
    h("symlinkat", "/etc/passwd", HERE, h.d.mail / "link")


def connect_tcp(h, w):
    h("connect", h("socket", socket.AF_INET, socket.SOCK_STREAM, 0),
      address(w["listener"]), 16)


def connect_udp(h, w):
    h("connect", h("socket", socket.AF_INET, socket.SOCK_DGRAM, 0),
      address(w["listener"]), 16)


def connect_mptcp(h, w):
    h("connect", h("socket", socket.AF_INET, socket.SOCK_STREAM, 262),
      address(w["listener"]), 16)


def connect_fast(h, w):
    """If it had a socket."""
    s = h.raw("socket", socket.AF_INET, socket.SOCK_STREAM, 0)[0]
    h("sendto", s, b"x", 1, socket.MSG_FASTOPEN, address(w["listener"]), 16)


def connect_again(h, w):
    """With a client's socket: forgets it, then connects it elsewhere."""
    fd = h.fd_of(w["client"])
    h("connect", fd, b"\0" * 16, 16)
    h("connect", fd, address(w["listener"]), 16)


def without_socket(h, *call):
    """Whoever hears that this is none has come as far as the kernel."""
    if h.raw(*call)[1] != errno.EBADF:
        raise Refused


def send_fast(h, w):
    without_socket(h, "sendto", -1, b"x", 1, socket.MSG_FASTOPEN, 0, 0)


def send_elsewhere(h, w):
    without_socket(h, "sendto", -1, b"x", 1, 0, address(w["listener"]), 16)


def send_message(h, w):
    without_socket(h, "sendmsg", -1, b"\0" * 56, 0)


def send_message_fast(h, w):
    """Whom it connects to stands in memory: no filter reads that."""
    without_socket(h, "sendmsg", -1, b"\0" * 56, socket.MSG_FASTOPEN)


def receive_message(h, w):
    without_socket(h, "recvmsg", -1, b"\0" * 56, 0)


def execute(h, w):
    done = h.d.mail / "done"
    words = b"/bin/sh\0-c\0".ljust(16, b"\0") + f"echo > {done}\0".encode()
    argv = struct.pack("<4Q", h.room, h.room + 8, h.room + 16, 0)
    room = words.ljust(1024, b"\0") + argv
    n = len(deaths(h.d))
    try:
        h("execve", room, h.room + 1024, 0)
    except Killed:
        wait_for("its end", lambda: len(deaths(h.d)) > n)
        if "Bad system call" in deaths(h.d)[-1]:
            raise
        wait_for("what it ran", done.exists)


def fork(h, w):
    h("clone", int(signal.SIGCHLD), 0, 0, 0, 0)


def trace(h, w):
    h("ptrace", 0x4206, w["victim"], 0, 0)  # PTRACE_SEIZE


def read_memory(h, w):
    h("process_vm_readv", w["victim"], 0, 0, 0, 0, 0)


def signal_master(h, w):
    h("kill", h.d.master(), int(signal.SIGCONT))


def signal_sibling(h, w):
    for pid in w["workers"]:
        h("kill", pid, int(signal.SIGCONT))


def own_master(h, w):
    """Data on this socket would send it any signal."""
    h("fcntl", h.fd, 8, h.d.master())  # F_SETOWN
    h("fcntl", h.fd, 10, int(signal.SIGKILL))  # F_SETSIG


def own_sibling(h, w):
    h("fcntl", h.fd, 10, int(signal.SIGKILL))
    h("fcntl", h.fd, 8, w["workers"][0])


def limit_master(h, w):
    h("prlimit64", h.d.master(), 7, 0, b"\0" * 16)


def map_code(h, w):
    h("mmap", 0, 4096, 7, 0x22, -1, 0)


def make_code(h, w):
    h("mprotect", h("mmap", 0, 4096, 3, 0x22, -1, 0), 4096, 7)


def stay_user(h, w):
    h("setuid", USER)


def listen_beside(h, w):
    h("setsockopt", h.fd, socket.SOL_SOCKET, socket.SO_REUSEADDR,
      b"\1\0\0\0", 4)


def ask_terminal(h, w):
    h("ioctl", h.fd, 0x541B, b"\0" * 4)  # FIONREAD


def ring(h, w):
    h("io_uring_setup", 4, b"\0" * 120)


FILES = [open_passwd, open_key, open_victims_memory, list_parent,
         write_beside, mkdir_beside, unlink_beside, link_in, move_out]
CALLED = [truncate_beside, make_fifo, make_link, connect_tcp, connect_udp,
          connect_mptcp, connect_fast, connect_again, send_fast,
          send_elsewhere, send_message, send_message_fast, receive_message,
          execute, fork, trace, read_memory, signal_master, signal_sibling,
          own_master, own_sibling, limit_master, map_code, make_code,
          stay_user, listen_beside, ask_terminal, ring]
CASES = FILES + CALLED
DEADLY = {execute, fork, trace, read_memory, ring}


def deaths(d):
    return [x for x in d.log().splitlines() if "worker-died" in x]


def attempt(d, case, victim, listener):
    """What came of it: "done", "refused" or "killed"."""
    clients = []
    while True:  # a client beside it at the same worker
        clients.append(d.connect())
        clients[-1].reply()
        h = Hole(d)
        world = {"victim": victim, "listener": listener,
                 "client": clients[-1].socket.getsockname()[1],
                 "workers": d.workers()}
        try:
            if case is connect_again:
                h.fd_of(world["client"])
            break
        except AssertionError:
            h.client.close()
    try:
        case(h, world)
        return "done"
    except Refused:
        return "refused"
    except Killed:
        return "killed"
    finally:
        h.client.close()
        for c in clients:
            c.close()


@pytest.mark.parametrize("case, landlock", [
    *[pytest.param(c, 9, id=c.__name__) for c in CASES],
    *[pytest.param(c, 0, id=f"{c.__name__}-calls") for c in CALLED]])
def test_hole(holed, victim, listener, case, landlock):
    """Calls without Landlock, too: older kernels have none."""
    d = holed(env={"SMTPD_LANDLOCK_MAX": str(landlock)})
    assert " sandbox seccomp=yes landlock=" in d.log()
    came = attempt(d, case, victim, listener)
    if case in DEADLY:
        assert came == "killed"
        wait_for("its end", lambda: any("Bad system call" in x
                                        for x in deaths(d)))
    else:
        assert came == "refused"
        assert "Bad system call" not in d.log()
    assert (d.path / "key").read_text() == "secret"
    assert not list((d.path / "other").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_hole_without_sandbox(holed, victim, listener, case):
    d = holed("no")
    assert 'sandbox seccomp="switched off" landlock=0' in d.log()
    assert attempt(d, case, victim, listener) == "done"


# --- with a need; what each Landlock holds ---

def connect_path(h, w):
    """The one thing that it needs."""
    h("connect", h("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0),
      unix(os.fsencode(h.d.path / "auth")), 110)


def connect_abstract(h, w):
    h("connect", h("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0),
      unix(b"\0" + os.fsencode(h.d.path / "abstract")), 110)


def unix(name):
    return struct.pack("<H", socket.AF_UNIX) + name.ljust(108, b"\0")


@pytest.mark.parametrize("landlock", [0, 1, 2, 4, 9])
def test_needs(holed, victim, listener, landlock):
    """Dovecot is asked over a Unix socket: other kinds stay refused, and what
    connect() gives beyond that is Landlock's to take."""
    d = holed(env={"SMTPD_LANDLOCK_MAX": str(landlock)},
              extra='auth { dovecot = "%s" }' % "/nowhere")
    with_path = d.conf.read_text().replace("/nowhere", f"{d.path}/auth")
    d.stop()
    d.conf.write_text(with_path)
    with contextlib.ExitStack() as servers:
        for name in f"{d.path}/auth", f"\0{d.path}/abstract".ljust(108, "\0"):
            s = servers.enter_context(socket.socket(socket.AF_UNIX))
            s.bind(name)
            s.listen(64)
        if AS_ROOT:
            shutil.chown(d.path / "auth", USER)
        d.start()
        real = int(re.findall(r"sandbox seccomp=yes landlock=(\d+)",
                              d.log())[-1])
        if real < min(landlock, 6) and landlock != 1:
            pytest.skip(f"this kernel has Landlock {real}")
        assert real == (0 if landlock == 1 else min(landlock, real))
        with d.client() as c:
            assert c.deliver("x\r\n").code == 250
        d.settled()
        expected = {connect_path: False, connect_tcp: True,
                    connect_udp: True, execute: True,
                    open_passwd: real >= 2, connect_again: real >= 4,
                    signal_master: True, connect_abstract: real >= 6}
        for case, refused in expected.items():
            came = attempt(d, case, victim, listener)
            assert (came != "done") == refused, (case, came)


def test_programs(holed, victim, listener):
    """Who starts them is sent descriptors; nothing else is let by."""
    d = holed(env={"SMTPD_LANDLOCK_MAX": "0"},
              extra='domain "p.example" { catch-all = "pipe:/bin/true" }')
    expected = {send_message: "done", send_message_fast: "refused",
                receive_message: "refused", connect_again: "refused",
                execute: "killed"}
    for case, what in expected.items():
        assert attempt(d, case, victim, listener) == what, case


@pytest.mark.parametrize("landlock", [0, 1, 2])
def test_required(holed, landlock):
    d = holed("no", env={"SMTPD_LANDLOCK_MAX": str(landlock)})
    d.stop()
    d.conf.write_text(d.conf.read_text().replace("= no\n", "= require\n", 1))
    if landlock == 2:
        d.start()
        assert "info sandbox seccomp=yes landlock=2 holds=files\n" in d.log()
        return
    d.start(wait=False)
    assert d.wait() == 70
    assert ('error sandbox-missing what="landlock 2 (Linux 5.19)"' in d.log())


def test_landlock_is_missing(holed):
    d = holed(env={"SMTPD_LANDLOCK_MAX": "0"})
    assert "warn sandbox seccomp=yes landlock=0\n" in d.log()


def test_a_line_for_each_generation(holed):
    """And none for a worker that is replaced."""
    d = holed()
    pattern = r'info sandbox seccomp=yes landlock=\d+ holds="files.*"\n'
    assert len(re.findall(pattern, d.log())) == 1
    for pid in d.workers():
        os.kill(pid, signal.SIGKILL)
    wait_for("others", lambda: d.log().count("worker-died") == 2
             and len(d.workers()) == 2)
    for pid in d.workers():
        wait_for("their service", lambda: "Seccomp:\t2" in status(pid))
    assert len(re.findall(pattern, d.log())) == 1
    os.kill(d.master(), signal.SIGHUP)
    wait_for("the reload", lambda: "info reloaded" in d.log())
    assert len(re.findall(pattern, d.log())) == 2


# --- the roots of earlier configurations ---

def test_a_root_that_was_removed(holed, victim, listener):
    """FAULT: held mail and journals name it, until a restart."""
    d = holed()
    with d.client() as c:
        c.deliver("x\r\n")
    d.settled()
    d.conf.write_text(d.conf.read_text().replace(
        f"{d.mail}/", f"{d.path}/mail2/"))
    old = d.mail / "example.org" / "alice" / "new"

    def look(h, w):
        h("openat", HERE, old, os.O_RDONLY | os.O_DIRECTORY)

    for _ in range(2):
        n = d.log().count("info reloaded")
        os.kill(d.master(), signal.SIGHUP)
        wait_for("the reload", lambda: d.log().count("info reloaded") > n)
        assert attempt(d, look, victim, listener) == "done"
    d.stop()
    d.start()
    assert attempt(d, look, victim, listener) == "refused"


# --- rights, and who may look inside ---

def status(pid):
    return pathlib.Path(f"/proc/{pid}/status").read_text()


def may_be_traced(pid):
    """Else its files in /proc are root's."""
    return os.stat(f"/proc/{pid}/mem").st_uid == USER


@pytest.mark.skipif(not AS_ROOT, reason="root alone can tell")
@pytest.mark.parametrize("sandbox", ["yes", "no"])
def test_who_may_look(holed, sandbox):
    d = holed(sandbox)
    assert not may_be_traced(d.master())
    assert all(may_be_traced(p) == (sandbox == "no") for p in d.workers())


@pytest.mark.skipif(not AS_ROOT, reason="root alone has any to give")
@pytest.mark.parametrize("sandbox", ["yes", "no"])
def test_capabilities_stay_behind(holed, sandbox):
    """CAP_NET_BIND_SERVICE of a unit with User= is the master's alone."""
    d = holed(sandbox)
    d.stop()
    d.wrapper += ["--inh-caps=+net_bind_service",
                  "--ambient-caps=+net_bind_service"]
    d.start()
    assert "CapAmb:\t0000000000000400" in status(d.master())
    for pid in d.workers():
        for kind in "Inh", "Prm", "Eff", "Amb":
            assert f"Cap{kind}:\t{0:016x}" in status(pid)
        assert "NoNewPrivs:\t1" in status(pid)
