"""send: messages to user1, user2, … at example.org, from a process for each,
one behind the other on one connection, a command at a time.

send.py PORT COUNT LENGTH SESSIONS UNKNOWN: if UNKNOWN is not 0, each message
whose number it divides has a recipient more, who must be unknown: another one
each time.
"""

import os
import socket
import sys

HEAD = b"From: <sender@client.example.com>\r\nSubject: x\r\n\r\n"
LINE = b"x" * 70 + b"\r\n"


def body(length):
    text = HEAD + LINE * (length // len(LINE) + 1)
    return text[:length - 2] + b"\r\n.\r\n"


def expect(sock, code):
    got = sock.recv(4096)
    while got and not (got.endswith(b"\n")
                       and got.split(b"\n")[-2][3:4] == b" "):
        got += sock.recv(4096)
    if not got.startswith(code):
        raise SystemExit(f"send: {got!r} instead of {code!r}")


def session(port, which, numbers, text, unknown):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def say(what, code):
            sock.sendall(what)
            expect(sock, code)

        expect(sock, b"220")
        say(b"EHLO client.example.com\r\n", b"250")
        for n in numbers:
            say(b"MAIL FROM:<sender@client.example.com>\r\n", b"250")
            if unknown and n % unknown == 0:
                say(b"RCPT TO:<nobody%d.%d@example.org>\r\n"
                    % (os.getpid(), n), b"550")
            say(b"RCPT TO:<user%d@example.org>\r\n" % which, b"250")
            say(b"DATA\r\n", b"354")
            say(text, b"250")
        say(b"QUIT\r\n", b"221")


def main():
    port, count, length, sessions, unknown = map(int, sys.argv[1:])
    text = body(length)
    pids = []
    for i in range(1, sessions + 1):
        if not (pid := os.fork()):
            session(port, i, range(i, count + 1, sessions), text, unknown)
            os._exit(0)
        pids.append(pid)
    bad = [pid for pid in pids if os.waitpid(pid, 0)[1]]
    return f"send: {len(bad)} sessions failed" if bad else 0


sys.exit(main())
