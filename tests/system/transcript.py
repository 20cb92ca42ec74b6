"""Dialogues against the daemon: the same files as tests/unit/dialogue.h says.

The reader is the second one, written apart from the one in C.
"""

import re
import select
import socket

from daemon import DEADLINE, TOP

FOLDER = TOP / "tests" / "dialogues"
ESCAPE = re.compile(r"\\(?:([rnt0\\}])|x([0-9a-fA-F]{2})"
                    r"|\{(\d+):((?:[^\\}]|\\.)*)\})")
OCTETS = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\", "}": "}"}
PATH = re.compile(r'<((?:"(?:\\.|[^"\\])*"|[^">])*)>')
SLOW = 700  # octets at either end of a longer line that are sent one by one


def unescape(text):
    def octets(m):
        if m[1]:
            return OCTETS[m[1]]
        if m[2]:
            return chr(int(m[2], 16))
        return unescape(m[4]) * int(m[3])

    return ESCAPE.sub(octets, text)


def octets(text):
    """A C: or M: line; a single backslash at its end takes the CRLF away."""
    slashes = len(text) - len(text.rstrip("\\"))
    if slashes % 2:
        return unescape(text[:-1]).encode("latin-1")
    return unescape(text).encode("latin-1") + b"\r\n"


# client: what is written for our clients, and what they say before all else
CLIENTS = {
    "bare-newline=normalize":
        ('client "127.0.0.0/8" { bare-newline = normalize }', b""),
    "proxy=local":
        ('client "127.0.0.1" { proxy = yes }',
         b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"),
    "greylisted":
        ('client "127.0.0.1" { proxy = yes }  checks { greylist = defer }\n'
         "greylist { delay = 1h }",
         b"PROXY TCP4 192.0.2.1 192.0.2.25 1025 25\r\n"),
}


class Dialogue:
    def __init__(self, path):
        self.name = path.stem
        self.config = {}
        self.client, self.first = "", b""
        self.closes = False
        self.batches = []  # (lines that are sent, patterns that answer)
        self.bodies = []
        self.envelopes = {}  # by the index of the body: sender, recipients
        last = ""
        for line in path.read_text("ascii").splitlines():
            if line and line[0] != "#":
                kind, text = line.split(": ", 1)
                getattr(self, "read_" + kind)(text, last)
                last = kind
            else:
                last = ""

    def read_config(self, text, _):
        key, value = text.split("=")
        self.config[key] = value

    def read_client(self, text, _):
        self.client, self.first = CLIENTS[text]

    def read_C(self, text, last):
        if last != "C":
            self.batches.append(([], []))
        self.batches[-1][0].append(octets(text))

    def read_S(self, text, _):
        if not self.batches:
            self.batches.append(([], []))
        m = re.fullmatch(r"\\\{(\d+):(.*)\}", text)
        if text == "close":
            self.closes = True
        elif m:
            self.batches[-1][1].extend([m[2]] * int(m[1]))
        else:
            self.batches[-1][1].append(text)

    def read_E(self, text, _):
        sender, *recipients = PATH.findall(text)
        self.envelopes[len(self.bodies)] = sender, sorted(recipients)

    def read_M(self, text, last):
        if last != "M":
            self.bodies.append(b"")
        self.bodies[-1] += octets(text)


def load_all():
    return [Dialogue(p) for p in sorted(FOLDER.glob("*.smtp"))]


def pattern(text):
    """What a line must match, with the session in brackets where it must be."""
    rest = text.endswith("...")
    r = re.escape(text[:-3] if rest else text)
    r = r.replace(re.escape("<id>"), r"(?P<id>[0-9A-V]{16}\.\d+)")
    if rest:
        r += ".*"
    if text[0] in "45" and text[3] == " ":
        r += r" \[[0-9A-V]{16}\]"
    return r


def pieces(lines, how):
    if how == "whole":
        yield b"".join(lines)
    elif how == "line":
        yield from lines
    else:
        for line in lines:
            middle = line[SLOW:-SLOW] if len(line) > 2 * SLOW else b""
            tail = line[SLOW + len(middle):]
            yield from (bytes([c]) for c in line[:SLOW])
            yield from (middle[i:i + 997] for i in range(0, len(middle), 997))
            yield from (bytes([c]) for c in tail)


class Run:
    """One dialogue, once; keeps the ids of what was accepted."""

    def __init__(self, port, wrap=None, first=b""):
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.socket.sendall(first)
        if wrap:
            self.socket, self.buffer = wrap(self.socket)
        self.ended = False
        self.ids = []
        self.sessions = set()

    def take(self):
        data = self.socket.recv(65536)
        self.ended = self.ended or not data
        self.buffer += data

    def send(self, data):
        """Reads meanwhile, as a client must; a server may close."""
        while data and not self.ended:
            r, w, _ = select.select([self.socket], [self.socket], [], DEADLINE)
            assert r or w, "the server neither reads nor writes"
            if r or (hasattr(self.socket, "pending")
                     and self.socket.pending()):
                self.take()
            elif w:
                try:
                    data = data[self.socket.send(data):]
                except (BrokenPipeError, ConnectionResetError):
                    return

    def peek(self):
        while b"\r\n" not in self.buffer and not self.ended:
            self.take()
        return self.buffer.split(b"\r\n", 1)[0].decode("latin-1")

    def expect(self, text):
        if text.endswith("-*"):
            while self.peek().startswith(text[:4]):
                self.buffer = self.buffer.split(b"\r\n", 1)[1]
            return
        line = self.peek()
        m = re.fullmatch(pattern(text), line)
        assert m, f"expected {text!r}, got {line!r}"
        self.buffer = self.buffer.split(b"\r\n", 1)[1]
        if "id" in m.groupdict():
            self.ids.append(m["id"])
        self.sessions.update(re.findall(r"\b[0-9A-V]{16}\b", line))

    def finish(self, closes):
        if not closes:
            # under TLS too: the end of the connection, not of TLS
            socket.socket.shutdown(self.socket, socket.SHUT_WR)
        while not self.ended:
            self.take()
        assert self.buffer == b"", f"said too much: {self.buffer[:400]}"
        assert len(self.sessions) <= 1
        self.socket.close()


def run(dialogue, port, how, wrap=None):
    """whole: all of it at once; else batch by batch, by line or by byte."""
    r = Run(port, wrap, dialogue.first)
    if how == "whole":
        r.send(b"".join(b"".join(lines) for lines, _ in dialogue.batches))
    for lines, patterns in dialogue.batches:
        if how != "whole":
            for piece in pieces(lines, how):
                r.send(piece)
        for text in patterns:
            r.expect(text)
    r.finish(dialogue.closes)
    return r.ids


def check_stored(dialogue, ids, stored):
    """What was delivered is what the dialogue shows, and nothing else."""
    assert len(ids) == len(dialogue.bodies)
    assert {m.id for m in stored} == set(ids)
    for i, body in enumerate(dialogue.bodies):
        copies = [m for m in stored if m.id == ids[i]]
        for m in copies:
            assert m.body == body.replace(b"\r\n", b"\n")
        if i in dialogue.envelopes:
            sender, recipients = dialogue.envelopes[i]
            assert {m.sender for m in copies} == {sender}
            assert sorted(m.to for m in copies) == recipients
