"""A milter that says what it is told to say, without any library."""

import contextlib
import socket
import struct
import threading

ALL = (6, 0x11, 0)  # it may edit, and answers to everything
QUICK = (6, 0x11, 0x0ff080)  # it answers when it has heard all

CONTINUE, ACCEPT, REJECT = b"c", b"a", b"r"
ESTABLISHED = b"\1"  # of TCP


def packet(what, data=b""):
    what = what.encode() if isinstance(what, str) else what
    return struct.pack(">I", len(what + data)) + what + data


def add(name, value):
    return packet("h", f"{name}\0{value}\0".encode())


def insert(n, name, value):
    return packet("i", struct.pack(">I", n) + f"{name}\0{value}\0".encode())


def change(n, name, value):
    return packet("m", struct.pack(">I", n) + f"{name}\0{value}\0".encode())


def reply(text):
    return packet("y", f"{text}\0".encode())


class Talk:
    """One conversation: what was said in it."""

    def __init__(self, milter, connection):
        self.milter = milter
        self.connection = connection
        self.heard = []  # (command, data)
        self.macros = {}
        self.over = threading.Event()

    def is_open(self):
        """They have not closed it, whether or not we have read so far."""
        with contextlib.suppress(OSError):
            return self.connection.getsockopt(
                socket.IPPROTO_TCP, socket.TCP_INFO, 1) == ESTABLISHED
        return False

    def of(self, command):
        return [data for c, data in self.heard if c == command]

    def headers(self):
        return [tuple(h.decode(errors="surrogateescape").split("\0")[:2])
                for h in self.of("L")]

    def body(self):
        return b"".join(self.of("B"))

    def run(self):
        stream = self.connection.makefile("rb")
        while len(head := stream.read(5)) == 5:
            size, command = struct.unpack(">Ic", head)
            data = stream.read(size - 1)
            if len(data) < size - 1:
                break
            self.take(command.decode(), data)

    def take(self, command, data):
        self.heard.append((command, data))
        if command == "D":
            words = data[1:].decode().split("\0")
            assert len(words) % 2 == 1 and not words[-1], data
            self.macros.update(zip(words[:-1:2], words[1::2]))
        say = self.milter.answer(self, command, data)
        if say is None:
            say = self.default(command)
        if say:
            self.connection.sendall(say)

    def default(self, command):
        options = self.milter.options
        if command == "O":
            return packet("O", struct.pack(">III", *options))
        if command == "E" or (options == ALL and command not in "DQ"):
            return packet(CONTINUE)
        return b""


class Milter:
    """answer(talk, command, data): what it says, or None for what any would
    say; with Milter.CLOSE raised it hangs up."""

    class CLOSE(Exception):
        pass

    def __init__(self, answer=None, options=ALL, at=("127.0.0.1", 0)):
        self.answer = answer or (lambda talk, command, data: None)
        self.options = options
        self.talks = []
        self.most = 0  # open at once
        self.listener = socket.socket(
            socket.AF_UNIX if isinstance(at, str) else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(at)
        self.listener.listen(100)
        name = self.listener.getsockname()
        self.socket = name if isinstance(at, str) else f"127.0.0.1:{name[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            talk = Talk(self, connection)
            self.talks.append(talk)
            self.most = max(self.most, sum(t.is_open() for t in self.talks))
            threading.Thread(target=self.hold, args=(talk,),
                             daemon=True).start()

    def hold(self, talk):
        try:
            with talk.connection:
                talk.run()
        except (Milter.CLOSE, OSError):
            pass
        talk.over.set()

    def block(self, name="first", more=""):
        return (f'milter "{name}" {{\n'
                f'\tsocket = "{self.socket}"\n\t{more}\n}}\n')

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
