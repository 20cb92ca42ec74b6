"""Clients that send without end, whatever the server does to them."""

import random
import socket
import threading
import time

from ledger import SENDER

GREETING = 0.5  # seconds: the worker of that queue may be dead
ANSWER = 20  # the disk may be slow
PAUSE = 0.015  # at most, so that the mailboxes do not grow out of hand


class Broken(Exception):
    """The connection, or the server's will to go on with it."""


class Wire:
    """One connection: pipelined commands out, reply by reply in."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), GREETING)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        while b"\r\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise Broken
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def reply(self):
        line = self.line()
        while line[3:4] == b"-":
            line = self.line()
        return line.decode()

    def close(self):
        self.socket.close()


class Client(threading.Thread):
    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load = load
        self.ledger = load.ledger
        self.rng = random.Random(load.ledger.seed - number)
        self.wire = None
        self.fault = None

    def run(self):
        try:
            while not self.load.ending:
                self.connection()
        except Exception as e:  # kept for the test, which must not miss it
            self.fault = e

    def connection(self):
        """One, until it breaks or has had enough; then a short pause."""
        try:
            self.wire = Wire(self.load.port)
        except OSError:
            return time.sleep(0.02)
        try:
            self.dialogue()
        except (OSError, Broken):
            time.sleep(0.005)
        finally:
            self.wire.close()

    def expect(self, code):
        reply = self.wire.reply()
        if not reply.startswith(code):
            self.odd(reply)
            raise Broken
        return reply

    def odd(self, reply):
        key = reply[:9]
        with self.load.lock:
            self.ledger.replies[key] += 1

    def dialogue(self):
        self.expect("220")
        self.wire.socket.settimeout(ANSWER)
        self.wire.send(b"EHLO client.example.com\r\n")
        self.expect("250")
        left = self.rng.choice((1, 1, 2, 5, 20))
        while left > 0 and not self.load.ending:
            batch = self.rng.choice((1, 1, 1, 2, 4))
            if self.rng.random() < 0.5:
                self.chunked([self.new() for _ in range(batch)])
            else:
                self.data(self.new(), self.rng.random() < 0.7)
                batch = 1
            left -= batch
            time.sleep(self.rng.uniform(0, PAUSE))
        if self.rng.random() < 0.5:
            self.wire.send(b"QUIT\r\n")
            self.expect("221")

    def new(self):
        return self.ledger.attempt(self.rng)

    def envelope(self, a):
        return [b"MAIL FROM:<%s>" % SENDER.encode(),
                *(b"RCPT TO:<%s>" % b.encode() for b in a.boxes)]

    def data(self, a, pipelined):
        commands = [*self.envelope(a), b"DATA"]
        if pipelined:
            self.wire.send(b"\r\n".join(commands) + b"\r\n")
        for c in commands:
            if not pipelined:
                self.wire.send(c + b"\r\n")
            self.expect("354" if c == b"DATA" else "250")
        text = b"\n" + self.ledger.text(a)
        text = text.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")
        self.wire.send(text[2:] + b".\r\n")
        self.answers([(a, 0)])

    def chunked(self, attempts):
        """Whole transactions behind one another, then all their replies."""
        out, expected = [], []
        for a in attempts:
            envelope = self.envelope(a)
            body = self.ledger.text(a).replace(b"\n", b"\r\n")
            cut = self.rng.choice((0, len(body) // 3))
            out += [c + b"\r\n" for c in envelope]
            if cut:
                out += [b"BDAT %d\r\n" % cut, body[:cut]]
            out += [b"BDAT %d LAST\r\n" % (len(body) - cut), body[cut:]]
            expected.append((a, len(envelope) + bool(cut)))
        self.wire.send(b"".join(out))
        self.answers(expected)

    def answers(self, expected):
        """expected: each attempt, and how many replies come before its own.
        """
        with self.load.lock:
            self.ledger.flying += len(expected)
        try:
            for a, before in expected:
                for _ in range(before):
                    self.expect("250")
                self.answer(a)
        finally:
            with self.load.lock:
                self.ledger.flying -= sum(not a.done for a, _ in expected)

    def answer(self, a):
        reply = self.wire.reply()
        with self.load.lock:
            a.done = True
            self.ledger.flying -= 1
            if reply.startswith("250 2.6.0 "):
                a.id = reply.split(" ")[2]
                self.ledger.answered += 1
        self.ledger.heard.set()
        if not a.id:
            self.odd(reply)


class Load:
    """with Load(...): the clients run; behind it each has ended well."""

    def __init__(self, ledger, port, clients=12):
        self.ledger = ledger
        self.port = port
        self.ending = False
        self.lock = threading.Lock()
        self.clients = [Client(self, n) for n in range(clients)]

    def __enter__(self):
        for c in self.clients:
            c.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        for c in self.clients:
            c.join(2 * ANSWER)
        faults = [c.fault for c in self.clients if c.fault]
        assert not faults, faults
        assert not any(c.is_alive() for c in self.clients)
