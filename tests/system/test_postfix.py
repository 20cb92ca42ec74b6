"""Postfix as the sender: its load generator, and its queue with smtp(8)."""

import concurrent.futures
import random
import re
import subprocess

import pytest

import postfix
from daemon import Client, Message, wait_for

MESSAGES = 10000
SENDERS = 20


@pytest.fixture
def sink(start):
    return start(limits="per-address = 1000")


@pytest.mark.parametrize("options", [
    ["-c", "-l", "4096", "-m", "1000", "-s", "20"],
    ["-c", "-l", "4096", "-m", "500", "-s", "20", "-d"],
    ["-c", "-l", "300000", "-m", "50", "-s", "10", "-r", "2"],
], ids=["session-each", "one-session", "large"])
def test_smtp_source(sink, options):
    """WIRE 33: Postfix's load generator has nothing to complain about."""
    if not postfix.SOURCE.exists():
        pytest.skip(f"no Postfix below {postfix.PEERS}: make peers")
    n = int(options[options.index("-m") + 1])
    done = subprocess.run(
        [postfix.SOURCE, *options, "-f", "a@example.com", "-t",
         "x@example.net", f"127.0.0.1:{sink.port}"],
        env=postfix.peer_environment(), capture_output=True, text=True,
        timeout=120)
    assert done.returncode == 0, done.stderr
    assert "fatal" not in done.stderr and "warning" not in done.stderr
    assert len(sink.files()) == n
    assert sink.leftovers() == []


def body(i):
    """A header and a text, each in its own way strange; always the same."""
    r = random.Random(i)
    kind = i % 10
    head = f"Subject: message {i}\r\nX-Number: {i}\r\n"
    if kind == 0:
        text = ""
    elif kind == 1:
        text = "".join(r.choice([".", "..", "...", ".x", "x.", ""]) + "\r\n"
                       for _ in range(r.randrange(1, 40)))
    elif kind == 2:
        text = "".join(r.choice("abc.") * r.randrange(900, 999) + "\r\n"
                       for _ in range(r.randrange(1, 8)))
    elif kind == 3:
        text = "".join("".join(chr(r.randrange(160, 256)) for _ in range(
            r.randrange(1, 200))) + "\r\n" for _ in range(20))
    elif kind == 4:
        text = "\r\n" * r.randrange(1, 50)
    elif kind == 5:
        text = "From here on\r\n>From there\r\n.\tdot\r\n \r\n\t\r\n"
    elif kind == 6:
        text = "x" * 998 + "\r\n" + "." + "y" * 997 + "\r\n"
    elif kind == 7:
        text = "".join("".join(chr(r.randrange(1, 127)) for _ in range(70))
                       .translate({10: 32, 13: 32}) + "\r\n"
                       for _ in range(r.randrange(1, 400)))
    elif kind == 8:
        text = "=?utf-8?q?=00?=\r\n--boundary\r\n\x7f\x00\x1a\r\n"
        text = text.replace("\x00", "\x01")
    else:
        text = "plain text, line %d\r\n" * r.randrange(1, 2000)
    return (head + "\r\n" + text).encode("latin-1")


def inject(entry, numbers):
    with Client(entry) as c:
        assert c.reply().code == 220
        assert c.ask("EHLO sender.example.com").code == 250
        for i in numbers:
            reply = c.deliver(body(i), f"user{i}@example.net",
                              sender=f"from{i}@example.com",
                              params=" BODY=8BITMIME")
            assert reply.code == 250, reply
        c.ask("QUIT")


THEIRS = re.compile(rb"Received: from sender\.example\.com [^\n]*\n"
                    rb"(?:[\t ][^\n]*\n)+")


def number_and_text(message):
    """What Postfix was given, without the line that it put on top."""
    theirs = THEIRS.match(message.body)
    assert theirs, message.body[:400]
    text = message.body[theirs.end():]
    return int(re.search(rb"^X-Number: (\d+)$", text, re.M)[1]), text


def test_queue(sink):
    """WIRE 25, 27, 33: ten thousand through Postfix's queue: none deferred,
    every octet equal behind our header lines."""
    why = postfix.why_not()
    if why:
        pytest.skip(why)
    sender = postfix.Postfix(sink.path, sink.port)
    try:
        sender.start()
        with concurrent.futures.ThreadPoolExecutor(SENDERS) as pool:
            for done in [pool.submit(inject, sender.entry,
                                     range(k, MESSAGES, SENDERS))
                         for k in range(SENDERS)]:
                done.result()
        wait_for("the whole queue", lambda: len(
            re.findall(r" status=", sender.log())) >= MESSAGES, 180)
        log = sender.log()
    finally:
        sender.stop()
    statuses = re.findall(r" status=(\w+)", log)
    assert statuses.count("sent") == len(statuses) == MESSAGES
    assert not re.search(r"lost connection|smtp\[\d+\]: warning", log)
    seen = set()
    for path in sink.files():
        m = Message(path)
        i, text = number_and_text(m)
        assert i not in seen
        seen.add(i)
        assert text == body(i).replace(b"\r\n", b"\n"), i
        assert m.sender == f"from{i}@example.com"
        assert f"\tfor <user{i}@example.net>;" in m.received
    assert len(seen) == MESSAGES
    assert sink.leftovers() == []
