"""A server of SMTP or LMTP that says what a test wants, on a Unix socket or on
127.0.0.1. It takes all mail unless it is told otherwise:

    with Liar(lmtp=True, RCPT=["250 ok", "452 4.2.2 full"], dot=CLOSE) as liar:
        ... liar.where ... liar.mails ... liar.lines ...

What it says is by verb, and `greeting` and `dot` (LMTP: one each): a text, of
which several lines are several lines; SILENCE; CLOSE, or a text and CLOSE; or
a function of the session and its line that returns one of these. Of a list
each is said once and the last from then on, over all connections.
"""

import contextlib
import os
import socket
import threading
import time

SILENCE = object()
CLOSE = object()
READS_NOTHING = object()  # from here on


class Session:
    def __init__(self, liar, sock):
        self.liar, self.sock = liar, sock
        self.file = sock.makefile("rb")
        self.sender, self.rcpts = None, []

    def send(self, data):
        for at in range(len(data)) if self.liar.slow else [None]:
            self.sock.sendall(data if at is None else data[at:at + 1])
            if at is not None:
                time.sleep(self.liar.slow)

    def say(self, verb, line="", taken=None):
        """The code, or None for what is no reply; taken: a mail, noted before
        anybody hears 250."""
        what = self.liar.next_of(verb)
        if callable(what):
            what = what(self, line)
        text, then = what if isinstance(what, tuple) else (what, None)
        code = text[:3] if isinstance(text, str) else ""
        if taken and code[:1] == "2":
            self.liar.mails.append(taken)
        if isinstance(text, str):
            self.send(text.replace("\n", "\r\n").encode() + b"\r\n")
        if READS_NOTHING in (text, then):
            self.liar.stopped.wait()
        if CLOSE in (text, then):
            raise EOFError
        return int(code) if code.isdigit() else None

    def body(self):
        lines = []
        for line in self.file:
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line[:1] == b"." else line)
        raise EOFError

    def take(self):
        mail = self.body()
        for rcpt in self.rcpts if self.liar.lmtp else [list(self.rcpts)]:
            self.say("dot", rcpt, taken=(self.sender, rcpt, mail))
        self.rcpts = []

    def run(self):
        self.say("greeting")
        for raw in self.file:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            verb = line.split(" ")[0].upper()
            self.liar.lines.append(line)
            code = self.say(verb, line)
            if verb == "MAIL" and code == 250:
                self.sender, self.rcpts = line, []
            elif verb == "RCPT" and code == 250:
                self.rcpts.append(line)
            elif verb == "RSET":
                self.rcpts = []
            elif verb == "DATA" and code == 354:
                self.take()


class Liar:
    DEFAULTS = {"greeting": "220 liar", "DATA": "354 go", "QUIT":
                ("221 bye", CLOSE), "EHLO": "250-liar\n250 PIPELINING",
                "LHLO": "250-liar\n250 PIPELINING"}

    def __init__(self, path=None, lmtp=False, slow=0, **script):
        self.lmtp, self.slow, self.script = lmtp, slow, script
        self.mails, self.lines = [], []
        self.connections = 0
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.socks = set()
        self.sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.sock.bind(str(path) if path else ("127.0.0.1", 0))
        if path:
            os.chmod(path, 0o666)
        self.sock.listen(100)
        scheme = "lmtp" if lmtp else "smtp"
        self.port = None if path else self.sock.getsockname()[1]
        self.where = (f"{scheme}:{path}" if path
                      else f"{scheme}://127.0.0.1:{self.port}")
        threading.Thread(target=self.accept, daemon=True).start()

    def next_of(self, verb):
        with self.lock:
            what = self.script.get(verb, self.DEFAULTS.get(verb, "250 ok"))
            if isinstance(what, list):
                what = what.pop(0) if len(what) > 1 else what[0]
            return what

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock = self.sock.accept()[0]
                with self.lock:
                    self.connections += 1
                    self.socks.add(sock)
                threading.Thread(target=self.talk, args=[sock],
                                 daemon=True).start()

    def talk(self, sock):
        with contextlib.suppress(OSError, EOFError):
            Session(self, sock).run()
        with self.lock:
            self.socks.discard(sock)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    def stop(self):
        """Nobody listens, and who was there has gone."""
        self.stopped.set()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        with self.lock:
            socks = list(self.socks)
        for sock in socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
