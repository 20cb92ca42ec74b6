"""The log: what a client says cannot forge a line, nor a key."""

import contextlib
import json
import os
import re
import signal
import socket

import pytest

from daemon import AS_ROOT, Client, wait_for

EVENT = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|trace) "
    r"[A-Za-z-]+( [A-Za-z-]+)?"
    r'( [a-z_]+=("(?:[^"\\\x00-\x1f\x7f]|\\.)*"|[^\s"=]*))*')

NASTY = [
    b'MAIL FROM:<"a b"@example.com> FOO=1 event=accepted',
    b'MAIL FROM:<"x\\" accepted=yes"@example.com>',
    b'RCPT TO:<"nobody\\" event=\\"forged"@example.org>',
    b"RCPT TO:<nobody@example.org> event=forged",
    b'EHLO x" event="forged',
    b"EHLO \x1b[2Jx",
    b"NOOP \\u000a{\"event\":\"forged\"}",
    b"FOO\n2026-11-24T08:11:56.123Z info forged x=y",
    b"FOO\r2026-11-24T08:11:56.123Z info forged x=y",
    b"FOO\0 event=forged",
    b"VRFY \xff\xfe\xc3\x28 \xe2\x80\xa8 forged",
    b"MAIL FROM:<\xc2\x85forged@example.com> SMTPUTF8",
    b"\\\"\\\\\" event=forged",
    b"x" * 1900 + b' "\\',
    b"}],{\"event\":\"forged\"}",
]


def lines(d):
    """Split at newlines alone: U+2028 and its like are text."""
    d.finish_turns()
    text = d.log_path.read_bytes().decode()
    assert text.endswith("\n")
    return text[:-1].split("\n")


def provoke(d):
    for command in NASTY:
        with d.client() as c:
            c.ask("MAIL FROM:<a@example.com>")
            c.send(command + b"\r\n")
            c.reply()
            c.ask("QUIT")
    with d.client() as c:
        c.ask('MAIL FROM:<"x\\" recipients=9 y=\\"z"@example.com>')
        c.ask("RCPT TO:<alice@example.org>")
        c.ask("DATA")
        c.send("x\r\n.\r\n")
        assert c.reply().code == 250
    d.stop()


def test_text(start):
    d = start(extra="log { level = trace }")
    provoke(d)
    for line in lines(d):
        assert EVENT.fullmatch(line), line
        assert " forged" not in line.split('"')[0]
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]", line), line
    events = [line.split(" ")[2] for line in lines(d)]
    assert "forged" not in events
    assert events.count("accepted") == 1


def test_json(start):
    d = start(extra="log { format = json\nlevel = trace }")
    provoke(d)
    events = [json.loads(line) for line in lines(d)]
    assert all(set(e) >= {"time", "level", "event"} for e in events)
    assert "forged" not in {e["event"] for e in events}
    accepted = [e for e in events if e["event"] == "accepted"]
    assert len(accepted) == 1
    assert accepted[0]["recipients"] == 1
    assert accepted[0]["from"] == '"x\\" recipients=9 y=\\"z"@example.com'
    for line in lines(d):
        assert len(json.loads(line, object_pairs_hook=list)) == len(
            json.loads(line)), "a key twice"


def test_refusal_is_found_by_its_id(start):
    """The id in the reply is the id in the log, with who and what."""
    d = start(extra="log { format = json }")
    with d.client() as c:
        c.ask("MAIL FROM:<a@example.com>")
        reply = c.ask("RCPT TO:<nobody@example.org>")
        id = re.search(r"\[([0-9A-V]{16})\]$", reply.text)[1]
    d.stop()
    events = [json.loads(line) for line in lines(d)]
    found = [e for e in events if e.get("session") == id]
    assert any("550 5.1.1" in str(e.get("reply")) and
               e.get("client") == "127.0.0.1" and
               "nobody@example.org" in str(e) for e in found), found


JSON = "log { format = json\nlevel = trace }"


def events(d, name):
    return [e for e in map(json.loads, lines(d)) if e["event"] == name]


def test_accepted(start):
    """FAULT F18: the whole line, each field of it."""
    d = start(extra=JSON)
    with d.client() as c:
        id = c.deliver("x\r\n", "alice@example.org", "bob@example.org").id
    d.stop()
    event, = events(d, "accepted")
    del event["time"]
    assert event.pop("ms") >= 0
    assert event == {
        "level": "info", "event": "accepted", "message": id,
        "client": "127.0.0.1", "helo": "client.example.com",
        "from": "sender@example.com", "rcpt": "alice@example.org",
        "recipients": 2, "size": 3, "quirks": 0}


def reset(c):
    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        b"\1\0\0\0\0\0\0\0")
    c.close()


def test_refused_messages(start):
    """FAULT D1: whatever is refused in a transaction has its sender, its
    first recipient, how many there are, and the size."""
    d = start(extra=JSON, top="message-size = 64K")
    bodies = ["bare\nLF\r\n", "Received: x\r\n" * 101, "x" * 70000 + "\r\n",
              "too big\r\n" * 8000]
    with d.client() as c:
        for body in bodies:
            reply = c.deliver(body, "alice@example.org", "bob@example.org",
                              sender="")
            assert reply.code > 500
        c.ask("MAIL FROM:<a@example.com> SIZE=70000")
        c.begin("bob@example.org", sender="b@example.com")
        c.ask("MAIL FROM:<c@example.com>")
        c.ask("RCPT TO:<nobody@example.org>")
    d.stop()
    said = [(e["from"], e.get("rcpt"), e["recipients"], e["size"])
            for e in events(d, "refused")]
    assert said == [
        *(("<>", "alice@example.org", 2, len(body)) for body in bodies),
        ("a@example.com", None, 0, 70000),
        ("b@example.com", "bob@example.org", 1, 0),
        ("b@example.com", "nobody@example.org", 1, 0)]


def test_deadline_in_a_message(start):
    """FAULT D1: one that is too slow, too; and an accepted one from <>."""
    d = start(extra=JSON, limits="idle = 1s")
    with d.client() as c:
        assert c.deliver("x\r\n", sender="").code == 250
        c.begin(sender="")
        assert c.ask("DATA").code == 354
        c.send("slow\r\n")
        assert c.reply().status == "421 4.4.2"
    d.stop()
    refused, = events(d, "refused")
    accepted, = events(d, "accepted")
    assert "command" not in refused
    assert refused["from"] == accepted["from"] == "<>"
    assert [refused[k] for k in ("rcpt", "recipients", "size")] == [
        "alice@example.org", 1, 6]


def test_lost(start):
    """FAULT D2: a client that goes in the middle of a message leaves a line,
    and each session one at trace level."""
    d = start(extra=JSON)
    for i, command in enumerate(["RSET", "NOOP", "DATA", "BDAT 9\r\nxyz"]):
        for end in Client.close, reset:
            c = d.client()
            c.begin("bob@example.org", "alice@example.org", sender=f"{i}@a.b")
            c.send(command + "\r\n")
            if not command.startswith("BDAT"):
                c.reply()
            if command == "DATA":
                c.send(b"xyz\r\n")
            end(c)
    with d.client() as c:
        c.ask("QUIT")
    d.connect().close()
    wait_for("their ends", lambda: len(events(d, "left")) == 10)
    d.stop()
    lost = events(d, "lost")
    assert {e["reason"] for e in lost} == {"closed",
                                           "Connection reset by peer"}
    assert {e["rcpt"] for e in lost} == {"bob@example.org"}
    assert {e["helo"] for e in lost} == {"client.example.com"}
    assert sorted((e["from"], e["octets"] > 0, e["phase"]) for e in lost) == [
        ("1@a.b", False, "command")] * 2 + [("2@a.b", True, "body")] * 2 + [
        ("3@a.b", True, "body")] * 2
    sessions = [e["session"] for e in events(d, "connect")]
    left = events(d, "left")
    assert sorted(e["session"] for e in left) == sorted(sessions)
    assert all(set(e) >= {"phase", "seconds", "commands", "refusals"}
               for e in left)


SPELLINGS = [
    "AUTH PLAIN {}", "auth plain {}", " AUTH PLAIN {}", "AUTH\tPLAIN {}",
    "AUTHPLAIN {}", "AUTH=PLAIN {}", "AUTH  PLAIN {}", "XAUTH {}", "{}",
    "AUTH LOGIN\r\n{}\r\n{}", "AUTH PLAIN\r\n{}", "AUTH PLAIN {}\r\n{} x",
    "AUTH LOGIN {}\nx", "{}\nx", "\0AUTH PLAIN {}", "AUTH PLAIN {}" + "A" * 13000,
    "{}" + "A" * 3000, "RSET x\r\nAUTH PLAIN\r\n{}", "AUTH PLAIN {} {}"]


def test_no_password(start):
    """FAULT D4: in no spelling, in no state, whatever is refused."""
    d = start(extra=JSON, limits="errors = 1000\nidle = 1s", submission=True)
    secret = "AGFsaWNlAGh1bnRlcjI="
    for port in d.port, d.submission:
        for spelling in SPELLINGS:
            with d.connect(port) as c:
                c.send("EHLO c.example.com\r\n" + spelling.replace(
                    "{}", secret) + "\r\nQUIT\r\n")
                while c.line() is not None:
                    pass
        with d.connect(port) as c:
            c.send("EHLO c.example.com\r\nAUTH PLAIN " + secret)
            while c.line() is not None:
                pass
    d.stop()
    assert len(events(d, "refused")) > 2 * len(SPELLINGS)
    assert secret not in d.log()


def test_many_refusals(start):
    """FAULT A6: ten in a row have a line each, the others one together."""
    d = start(extra=JSON, limits="errors = 1000")
    with d.client() as c:
        for many in 10, 11, 500:
            c.send("RCPT TO:<x>\r\n" * many)
            assert {c.reply().code for _ in range(many)} == {503}
            if many < 500:
                assert c.deliver("x\r\n").code == 250
        assert c.ask("DATA").code == 503
    d.stop()
    refused = events(d, "refused")
    assert [e["suppressed"] for e in refused if "suppressed" in e] == [1, 491]
    assert len(refused) == 10 + 11 + 11


@pytest.fixture
def piped(start):
    """piped(**config): its log is a FIFO; the end that reads, and the
    daemon, which serves."""
    fds = []

    def make(**kwargs):
        d = start.make(**kwargs)
        fifo = d.path / "fifo"
        os.mkfifo(fifo, 0o600)
        fds.append(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))
        d.wrapper += ["sh", "-c", f'exec "$0" "$@" 2>"{fifo}"']
        return fds[-1], d

    yield make
    for fd in fds:
        os.close(fd)


def serves(d):
    with contextlib.suppress(ConnectionError):
        return d.client()


def read_some(fd, data):
    with contextlib.suppress(BlockingIOError):
        data += os.read(fd, 1 << 20)
    return data


def refuse(d, n=10):
    with d.client() as c:
        c.begin()
        c.send("RCPT TO:<nobody@example.org>\r\n" * n)
        for _ in range(n):
            assert c.reply().status == "550 5.1.1"


def deliver(d):
    with d.client() as c:
        assert c.deliver("x\r\n", "carol@example.org").code == 250
    new = d.mail / "example.org" / "carol" / "new"
    wait_for("its mail", lambda: list(new.glob("*")))


def test_reader_stopped(piped):
    """FAULT A7: mail goes on while nobody reads the log; when somebody does
    again, one line of each worker says how many lines are lost."""
    fd, d = piped()
    d.start(wait=False)
    wait_for("service", lambda: serves(d)).close()
    for _ in range(1000):
        refuse(d)
    deliver(d)
    data = bytearray()
    wait_for("the number of lines", lambda: read_some(fd, data).count(
        b" warn log-lost lines=") == 2)
    os.kill(d.master(), signal.SIGTERM)
    wait_for("the last line", lambda: b" stopped " in read_some(fd, data))
    assert d.wait() == 0
    read_some(fd, data)
    assert data.endswith(b"\n")
    log = data.decode().splitlines()
    for line in log:
        assert EVENT.fullmatch(line), line
    lost = [int(n) for n in re.findall(r" log-lost lines=(\d+)", "\n".join(log))]
    assert len(lost) == 2 and all(lost)
    refused = sum(" refused " in line for line in log)
    assert refused + sum(lost) >= 10000 > refused


@pytest.mark.parametrize("opens", [
    True, pytest.param(False, marks=pytest.mark.skipif(
        not AS_ROOT, reason="needs root to become another user"))])
def test_reader_never_reads(piped, opens):
    """FAULT A7: from the start; whether or not stderr can be opened anew."""
    import pwd
    nobody = pwd.getpwnam("nobody")
    fd, d = piped()
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(fd, b"x" * 4096)
    if not opens:  # the FIFO is root's
        os.chown(d.path, nobody.pw_uid, nobody.pw_gid)
        # a sanitizer would have its last word, and wait for the reader
        d.env = {"ASAN_OPTIONS": "detect_leaks=0"}
        d.wrapper += ["setpriv", f"--reuid={nobody.pw_uid}",
                      f"--regid={nobody.pw_gid}", "--clear-groups"]
    d.start(wait=False)
    wait_for("service", lambda: serves(d)).close()
    refuse(d)
    deliver(d)
    os.kill(d.master(), signal.SIGTERM)
    assert d.wait() == 0


def test_file_that_may_not_grow(start):
    """Lines are lost, and nothing else."""
    d = start.make(top="workers = 1", journal="segment = 1M size = 64M")
    d.wrapper = ["prlimit", f"--fsize={2 << 20}"]
    d.start()
    workers = d.workers()
    os.truncate(d.log_path, 2 << 20)
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250
    assert d.workers() == workers
    os.kill(d.master(), signal.SIGHUP)
    wait_for("new workers",
             lambda: set(d.workers()).isdisjoint(workers) and d.workers())
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250
