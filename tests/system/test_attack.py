"""A few do all they can; nobody else notices."""

import collections
import contextlib
import multiprocessing
import os
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from daemon import DEADLINE, Client
from secured import certificate
from tls_attack import TLS12, TLS13, Attacker

ONE, TWO, THREE = "127.9.0.1", "127.9.0.2", "127.9.0.3"
EACH = 12
ROUNDS = 10000  # more than anybody waits for
HELD = 500  # connections that one client keeps, more than it may have
KINDS = {TLS13: (ONE, Attacker.new_keys), TLS12: (TWO, Attacker.hellos)}

fork = multiprocessing.get_context("fork")


def attack(port, version, stop, ready, count):
    """Again and again, until told or until nobody listens any more."""
    source, talk = KINDS[version]
    done = 0
    with contextlib.suppress(OSError):
        for _ in range(ROUNDS):
            if stop.is_set():
                break
            a = Attacker(port, source, version)
            if a.secured:
                ready.release()
                talk(a)
                done += 1
            a.close()
    count.put((version, done))


def knock(port, stop, ready):
    """Connections as fast as they come, and none of them is closed soon."""
    held = collections.deque()
    with contextlib.suppress(OSError):
        for n in range(ROUNDS):
            if stop.is_set():
                break
            held.append(socket.create_connection(
                ("127.0.0.1", port), source_address=(THREE, 0)))
            if n == HELD:
                ready.release()
            if n >= HELD:
                held.popleft().close()


class Wave:
    """Twelve of each kind, all of them inside TLS before it goes on."""

    def __init__(self, port):
        self.stop, self.count = fork.Event(), fork.Queue()
        self.ready = fork.Semaphore(0)
        self.all = [
            fork.Process(target=attack, args=(
                port, version, self.stop, self.ready, self.count))
            for version in KINDS for _ in range(EACH)]
        self.all.append(fork.Process(
            target=knock, args=(port, self.stop, self.ready)))

    def begin(self):
        for p in self.all:
            p.start()
        for _ in self.all:
            assert self.ready.acquire(timeout=DEADLINE)

    def end(self):
        """How many sessions there were of each kind."""
        self.stop.set()
        done = dict.fromkeys(KINDS, 0)
        for _ in range(EACH * len(KINDS)):
            version, n = self.count.get(timeout=DEADLINE)
            done[version] += n
        for p in self.all:
            p.join()
        return done


@pytest.fixture
def wave():
    """wave(port): begins one, and ends what is left of it."""
    waves = []

    def begin(port):
        waves.append(Wave(port))
        waves[-1].begin()
        return waves[-1]

    yield begin
    for w in waves:
        for p in w.all:
            p.kill()


def probe(port, i):
    with Client(port, f"127.10.{i // 100}.{1 + i % 100}") as c:
        assert c.reply().code == 220
        if i % 10 == 0:
            assert c.ask("EHLO client.example.com").code == 250
            return c.deliver("hello\r\n").id
    return None


def probes(port, n):
    with ThreadPoolExecutor(20) as pool:
        try:
            return list(pool.map(lambda i: probe(port, i), range(n)))
        finally:
            pool.shutdown(cancel_futures=True)  # one is enough to fail


def test_nobody_else_notices(start, wave):
    """FAULT A1, A2: what is no data, and what is refused already, take the
    service from nobody, and end."""
    d = start.make(extra=certificate(start.folder(), "mx.example.org"))
    d.start()
    w = wave(d.port)
    ids = probes(d.port, 200)
    assert len({m.id for m in d.messages()} & set(ids)) == 20
    os.kill(d.master(), signal.SIGTERM)  # in the middle of it
    assert d.wait() == 0
    done = w.end()
    for version, reason in ((TLS13, "Too many TLS records without data"),
                            (TLS12, "No second handshake")):
        source, _ = KINDS[version]
        ended = rf' client={source} reply="421 4\.(?:7\.0 {reason}|3\.2 Going)'
        assert len(re.findall(ended, d.log())) == done[version] >= EACH
        assert reason in d.log()
    assert f" client={THREE} " in d.log()
