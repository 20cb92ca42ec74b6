"""A greylist that nodes share: two daemons, and a real Redis that is killed,
stopped, wants a password, or lies."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

import netns
from daemon import DEADLINE, free_port, wait_for
from postfix import PEERS
from test_greylist import ANY, OTHER, TEXT, come_back, send, sent

SERVER = PEERS / "usr/bin/redis-server"
pytestmark = pytest.mark.skipif(
    not SERVER.exists(), reason=f"no Redis below {PEERS}: make peers")


class Redis:
    def __init__(self, path, password=None):
        self.port = free_port()
        self.password = password
        self.socket = path / "redis.sock"
        self.command = [SERVER, "--port", str(self.port), "--bind",
                        "127.0.0.1", "--save", "", "--dir", str(path),
                        "--unixsocket", str(self.socket),
                        "--unixsocketperm", "777",
                        *(["--requirepass", password] if password else [])]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            cwd="/")
        wait_for("Redis", self.is_there)

    def is_there(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, *words):
        """Its whole answer to one command, raw."""
        with socket.create_connection(("127.0.0.1", self.port),
                                      DEADLINE) as s:
            if self.password:
                s.sendall(f'AUTH "{self.password}"\r\n'.encode())
                assert s.recv(5, socket.MSG_WAITALL) == b"+OK\r\n"
            s.sendall(" ".join(words).encode() + b"\r\nQUIT\r\n")
            return s.makefile("rb").read().removesuffix(b"+OK\r\n").decode()


@pytest.fixture(autouse=True)
def network():
    with netns.network("192.0.2.1/24"):
        yield


@pytest.fixture
def redis(start):
    made = []

    def make(**kwargs):
        made.append(Redis(start.folder(), **kwargs))
        made[-1].start()
        return made[-1]
    yield make
    for r in made:
        r.kill()


def node(start, server, more="", delay="1s"):
    d = start(limits=ANY, extra="checks { greylist = defer }\n"
              f"greylist {{ delay = {delay}  after = 2 }}\n"
              f'redis {{ server = "{server}"  timeout = 200ms  {more} }}\n')
    return d


def up(r, *nodes):
    """Each of their workers has come to it, and has heard its PONG."""
    wait_for("all workers", lambda: 2 * len(nodes) == r.ask(
        "CLIENT", "LIST").count(" cmd=ping "))
    for d in nodes:
        d.finish_turns()


def values(d):
    return re.findall(r'value="192\.0\.2\.0/24 ([a-z ]+)"', d.log())


def down(d, why):
    """Both workers say so."""
    wait_for(why, lambda: 2 == len(re.findall(
        rf' warn redis-down .*why="{re.escape(why)}', d.log())))


def test_two_nodes(start, redis):
    r = redis()
    a = node(start, f"127.0.0.1:{r.port}")
    b = node(start, r.socket)
    up(r, a, b)
    # one sends it away, the other one takes it
    assert TEXT in send(a)
    wait_for("it has waited", lambda: sent(b))
    # and the first knows that by itself, or is told
    assert sent(a)
    assert TEXT in send(a, "a@example.net")
    # two have passed at one of them: the client is known at both
    come_back(a, "a@two.example", OTHER)
    wait_for("the other", lambda: sent(a, "a@example.net"))
    wait_for("its client is known",
             lambda: ":c:" in r.ask("KEYS", "*"))
    assert sent(b, "a@three.example")
    keys = r.ask("KEYS", "*")
    assert re.fullmatch(r"\*\d+\r\n(\$40\r\nsmtpd:[gc]:[0-9a-f]{32}\r\n)+",
                        keys)
    for d in a, b:
        assert "redis-down" not in d.log()


def test_password(start, redis, tmp_path):
    r = redis(password="se cret")
    (tmp_path / "password").write_text("se cret\n")
    (tmp_path / "wrong").write_text("geheim\n")
    a = node(start, f"127.0.0.1:{r.port}",
             f'password-file = "{tmp_path}/password"')
    up(r, a)
    assert TEXT in send(a)
    assert ":g:" in r.ask("KEYS", "*")
    assert "redis-down" not in a.log()
    for more in "", f'password-file = "{tmp_path}/wrong"':
        b = node(start, f"127.0.0.1:{r.port}", more)
        down(b, "it does not let us in")
        assert TEXT in send(b)
        assert "geheim" not in b.log()
    c = node(start, f"127.0.0.1:{r.port}",
             f'password-file = "{tmp_path}/password"')
    wait_for("what a node knows", lambda: sent(c))


def test_killed(start, redis):
    """Then each of them is by itself; and it comes back."""
    r = redis()
    d = node(start, f"127.0.0.1:{r.port}")
    up(r, d)
    r.kill()
    wait_for("both", lambda: d.log().count("redis-down") == 2)
    come_back(d)
    r.start()
    wait_for("both again", lambda: d.log().count(" redis-up ") == 2)
    assert TEXT in send(d, "a@example.net")
    assert ":g:" in r.ask("KEYS", "*")
    assert d.log().count("redis-down") == 2


def test_it_was_never_there(start):
    d = node(start, f"127.0.0.1:{free_port()}")
    down(d, "Connection refused")
    come_back(d)


def test_stopped(start, redis):
    """Nobody waits for long, and after five times for nothing."""
    r = redis()
    d = node(start, f"127.0.0.1:{r.port}")
    up(r, d)
    os.kill(r.process.pid, signal.SIGSTOP)
    try:
        wait_for("five times at each", lambda: TEXT in send(
            d, f"a@{time.monotonic_ns()}.example")
            and d.log().count('why="it does not answer in time"') == 2)
        come_back(d)
    finally:
        os.kill(r.process.pid, signal.SIGCONT)
    wait_for("both again", lambda: d.log().count(" redis-up ") == 2)
    assert TEXT in send(d, "a@example.net")


class Liar:
    """Lets in, and then says the same to each command."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                s = self.listener.accept()[0]
                threading.Thread(target=self.serve, args=(s,),
                                 daemon=True).start()

    def serve(self, s):
        with contextlib.suppress(OSError):
            while True:
                said = s.recv(65536)
                if not said:
                    return
                if b"PING" in said:
                    s.sendall(b"+PONG\r\n")
                    continue
                for part in self.answer:
                    s.sendall(part)


def memory(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"^VmHWM:\s+(\d+)", f.read(), re.M)[1])


@pytest.mark.parametrize("answer", [
    [b"*4294967295\r\n"], [b"*2147483647\r\n" * 9],
    [b"$2147483646\r\n", *[b"x" * 65536] * 1000],
    [b"x" * 300000], [b"+OK\r\n" * 99999],
    [b"-ERR no\r\n" * 3], [b":-1\r\n" * 3], [b"$-1\r\n" * 3]])
def test_liars(start, answer):
    """It costs nobody anything: no memory, no worker, no mail."""
    liar = Liar(answer)
    d = node(start, f"127.0.0.1:{liar.port}")
    come_back(d)
    for i in range(20):
        assert TEXT in send(d, f"a@{i}.example")
    for pid in d.workers():
        assert memory(pid) < 200000
    liar.listener.close()
