"""Milters: what they are told, what they may do, and all that they may do
wrong. Whatever one says, a message is refused whole or goes on whole."""

import json
import os
import re
import struct
import subprocess
import threading

import pytest

import dovecot
from daemon import BINARY, free_port, wait_for
from preload import FAST, preload
from scripted import (ACCEPT, ALL, CONTINUE, QUICK, REJECT, Milter, add,
                      change, insert, packet, reply)
from test_check import check

HEADER = ("From: x@example.com\r\nSubject:  odd  \r\n\tfolded \r\n"
          "X-Last:nothing\r\n")
SMALL = HEADER + "\r\n.dot\r\nend\r\n"
LARGE = HEADER + "\r\n" + "a line of a large message\r\n" * 20000
DOWN = "451 4.7.1"


@pytest.fixture
def milter():
    all_of_them = []

    def launch(*args, **kwargs):
        all_of_them.append(Milter(*args, **kwargs))
        return all_of_them[-1]

    yield launch
    for m in all_of_them:
        m.close()


def says(command, what):
    """The same to each of these commands."""
    def answer(talk, heard, data):
        if heard != command:
            return None
        if what is None:
            raise Milter.CLOSE
        return what
    return answer


def send(d, message, *to, sender="x@example.com"):
    with d.client() as c:
        return c.deliver(message, *(to or ["alice@example.org"]),
                         sender=sender)


def status(d):
    r = subprocess.run([BINARY, "status", "-f", str(d.conf), "--json"],
                       capture_output=True, text=True, timeout=60)
    return json.loads(r.stdout)


# --- what it is told ---


@pytest.mark.parametrize("options", [ALL, QUICK], ids=["all", "quick"])
@pytest.mark.parametrize("message", [SMALL, LARGE], ids=["small", "large"])
def test_told(start, milter, options, message):
    m = milter(options=options)
    d = start(extra=m.block())
    with d.client() as c:
        assert c.ask("MAIL FROM:<x@example.com> SIZE=1000 BODY=8BITMIME"
                     ).code == 250
        assert c.ask("RCPT TO:<alice@example.org>").code == 250
        assert c.ask("RCPT TO:<nobody@example.org>").code == 550
        assert c.ask("RCPT TO:<bob@example.org>").code == 250
        assert c.ask("DATA").code == 354
        c.send(message.replace("\r\n.", "\r\n..") + ".\r\n")
        answer = c.reply()
    assert answer.code == 250
    t, = m.talks
    assert t.over.wait(10)
    # the order of the protocol, whatever the pace
    order = "".join(c for c, _ in t.heard if c != "D")
    assert re.fullmatch("OCHMRRTLLLNB+EQ", order)
    assert t.of("C")[0].startswith(b"unknown\0004")
    assert t.of("C")[0].endswith(b"127.0.0.1\0")
    assert t.of("H") == [b"client.example.com\0"]
    assert t.of("M") == [b"<x@example.com>\0SIZE=1000\0BODY=8BITMIME\0"]
    assert t.of("R") == [b"<alice@example.org>\0", b"<bob@example.org>\0"]
    assert t.headers() == [("From", "x@example.com"),
                           ("Subject", " odd  \n\tfolded "),
                           ("X-Last", "nothing")]
    assert t.body() == message.split("\r\n\r\n", 1)[1].encode()
    assert t.macros["i"] == answer.id
    assert t.macros["j"] == t.macros["{daemon_name}"] == "mx.example.org"
    assert t.macros["{daemon_port}"] == str(d.port)
    assert t.macros["{client_addr}"] == "127.0.0.1"
    assert t.macros["{mail_addr}"] == "x@example.com"
    assert t.macros["{rcpt_addr}"] == "bob@example.org"
    assert "{auth_type}" not in t.macros
    for address in "alice@example.org", "bob@example.org":
        f = d.message(address, answer.id)
        assert f.body == message.replace("\r\n", "\n").encode()


def test_unix_socket_and_chunks(start, milter):
    folder = start.folder()
    m = milter(at=str(folder / "sock"))
    os.chmod(folder / "sock", 0o666)
    d = start(extra=m.block())
    with d.client() as c:
        assert c.ask("MAIL FROM:<>").code == 250
        assert c.ask("RCPT TO:<alice@example.org>").code == 250
        c.send("BDAT 10\r\nSubject: a")
        assert c.reply().code == 250
        c.send("BDAT 8 LAST\r\nb\r\n\r\nxyz")
        answer = c.reply()
    assert answer.code == 250
    t, = m.talks
    assert t.headers() == [("Subject", "ab")] and t.body() == b"xyz\r\n"
    assert t.of("M") == [b"<>\0"]
    assert d.message("alice@example.org", answer.id).body == (
        b"Subject: ab\n\nxyz")


def test_whose_messages(start, milter):
    """Those of its role, and not those of clients without."""
    mx, submission = milter(), milter()
    d = start(extra=mx.block("mx", "role = mx")
              + submission.block("sub", "role = submission"))
    assert send(d, SMALL).code == 250
    assert (len(mx.talks), len(submission.talks)) == (1, 0)
    d = start(extra=mx.block() + 'client "127.0.0.0/8" { milter = no }')
    answer = send(d, SMALL)
    assert answer.code == 250 and len(mx.talks) == 1
    assert d.message("alice@example.org", answer.id).body == (
        SMALL.replace("\r\n", "\n").encode())


# --- what it does ---

EDITS = [insert(0, "Authentication-Results", "mx.example.org;\r\n\tspf=pass"),
         insert(1, "X-First", "1"),
         change(1, "Subject", "plain"),
         change(1, "X-Last", ""),
         add("X-Spam", "no")]
EDITED = ("X-First: 1\nFrom: x@example.com\nSubject: plain\nX-Spam: no\n")


@pytest.mark.parametrize("message", [SMALL, LARGE], ids=["small", "large"])
def test_edits(start, milter, message):
    m = milter(says("E", b"".join(EDITS) + packet(ACCEPT)))
    d = start(extra=m.block())
    answer = send(d, message, "alice@example.org", "bob@example.org")
    assert answer.code == 250
    for address in "alice@example.org", "bob@example.org":
        path = wait_for("it", lambda a=address: [
            p for p in d.files(a) if answer.id in p.name])[0]
        raw = path.read_bytes()
        assert int(re.search(r",S=(\d+)", path.name)[1]) == len(raw)
        assert re.match(
            rb"Return-Path: <x@example\.com>\nDelivered-To: "
            + address.encode() +
            rb"\nAuthentication-Results: mx\.example\.org;\n\tspf=pass\n"
            rb"Received: from client\.example\.com ", raw)
        head, body = raw.split(b"\n\n", 1)
        assert (head + b"\n").endswith(EDITED.encode())
        assert body == message.split("\r\n\r\n", 1)[1].replace(
            "\r\n", "\n").encode()
    assert re.search(rf" filtered message={answer.id} edits=5 ms=", d.log())


def test_untouched_is_untouched(start, milter):
    """Octet for octet, whatever it is."""
    odd = ("A:\r\nb : c\r\n\td\xe4\r\nC: \t \r\n e\r\nA: \x01\r\n"
           "Received: x\r\n\r\nbody\r\n")
    m = milter(says("E", add("Z", "1") + packet(CONTINUE)))
    d = start(extra=m.block())
    answer = send(d, odd)
    assert d.message("alice@example.org", answer.id).body == odd.replace(
        "\r\n", "\n").replace("\n\nbody", "\nZ: 1\n\nbody").encode()


def test_chain(start, milter):
    first = milter(says("E", b"".join(EDITS) + packet(CONTINUE)))
    second = milter(says("E", change(1, "X-Spam", "yes") + packet(ACCEPT)),
                    options=QUICK)
    d = start(extra=first.block("a") + second.block("b"))
    answer = send(d, SMALL)
    assert answer.code == 250
    assert [n for n, _ in second.talks[0].headers()] == [
        "Authentication-Results", "X-First", "From", "Subject", "X-Spam"]
    path, = (p for p in d.files("alice@example.org") if answer.id in p.name)
    assert b"\nX-Spam: yes\n\n.dot\nend\n" in path.read_bytes()


def test_forged_results(start, milter):
    """In our name nobody has written any yet."""
    message = ("Authentication-Results: (c) MX.example.org; spf=pass\r\n"
               "Authentication-Results: other.example; dkim=pass\r\n"
               + SMALL)
    m = milter()
    d = start(extra=m.block())
    answer = send(d, message)
    assert m.talks[0].headers()[0] == (
        "Authentication-Results", "other.example; dkim=pass")
    assert d.message("alice@example.org", answer.id).body == message.split(
        "\r\n", 1)[1].replace("\r\n", "\n").encode()
    assert " forged=1 " in d.log()
    # without a milter nobody would write any, and nobody deletes
    d = start()
    answer = send(d, message)
    assert d.message("alice@example.org", answer.id).body == (
        message.replace("\r\n", "\n").encode())


SAYS = [
    (packet(REJECT), "550 5.7.1", "A filter refuses this message"),
    (packet("t"), "451 4.7.1", "try again later"),
    (reply("554 5.6.0 50%% spam"), "554 5.6.0", "50% spam"),
    (reply("450-4.2.0 one\r\n450 4.2.0 two"), "450 4.2.0", "one two"),
]


def test_refusals(start, milter):
    """At any point, and the whole message."""
    m = milter()
    d = start(extra=m.block())
    for command in "CHMRTLNBE":
        for say, want, text in SAYS:
            m.answer = says(command, say)
            no = send(d, SMALL, "alice@example.org", "bob@example.org")
            assert no.status == want and text in no.text, command
    m.answer = says("M", packet("4"))
    with d.client() as c:
        assert c.deliver(SMALL, "alice@example.org").status == "421 4.7.1"
        assert c.closed()
    assert re.search(r' refused .*reply="554 5\.6\.0 50% spam \[.*'
                     r'check="milter \\"first\\"" at=\S+smtpd\.conf:\d+',
                     d.log())
    assert not d.files() and not d.leftovers()


def test_discard(start, milter):
    """250, and nothing comes of it."""
    m = milter(says("B", packet("d")))
    d = start(extra=m.block())
    for message in SMALL, LARGE:
        answer = send(d, message)
        assert answer.code == 250
        assert re.search(rf" discarded message={answer.id} .*"
                         r'check="milter \\"first\\""', d.log())
    assert not d.leftovers()


# --- what it does wrong ---

LIES = {
    "no-options": ("O", packet(CONTINUE)),
    "version-7": ("O", packet("O", struct.pack(">III", 7, 0, 0))),
    "version-1": ("O", packet("O", struct.pack(">III", 1, 0, 0))),
    "short-options": ("O", packet("O", b"\0\0\0\6")),
    "huge": ("M", b"\xff\xff\xff\xffc"),
    "empty": ("M", b"\0\0\0\0"),
    "unknown": ("M", packet("!")),
    "not-a-byte": ("E", packet(b"\xff")),
    "new-body": ("E", packet("b", b"other") + packet(CONTINUE)),
    "new-sender": ("E", packet("e", b"<a@b>\0") + packet(CONTINUE)),
    "new-recipient": ("E", packet("+", b"<a@b>\0") + packet(CONTINUE)),
    "other-recipient": ("E", packet("2", b"<a@b>\0") + packet(CONTINUE)),
    "no-recipient": ("E", packet("-", b"<a@b>\0") + packet(CONTINUE)),
    "quarantine": ("E", packet("q", b"why\0") + packet(CONTINUE)),
    "early-edit": ("N", add("X", "1") + packet(CONTINUE)),
    "skip-not-agreed": ("B", packet("s")),
    "edit-without-end": ("E", packet("h", b"X\0y") + packet(CONTINUE)),
    "edit-with-more": ("E", packet("h", b"X\0y\0z\0") + packet(CONTINUE)),
    "no-index": ("E", packet("m", b"X") + packet(CONTINUE)),
    "bad-name": ("E", add("A B", "1") + packet(CONTINUE)),
    "colon-name": ("E", add("A:", "1") + packet(CONTINUE)),
    "no-name": ("E", add("", "1") + packet(CONTINUE)),
    "bare-cr": ("E", add("X", "a\rb") + packet(CONTINUE)),
    "one-of-many": ("E", b"".join(EDITS) + add("A B", "1")
                    + packet(CONTINUE)),
    "many": ("E", add("X", "1") * 1001 + packet(CONTINUE)),
    "much": ("E", add("X", "a" * 100000) * 3 + packet(CONTINUE)),
    "much-above": ("E", insert(0, "X", "a" * 40000) * 2 + packet(CONTINUE)),
    "progress": ("E", packet("p") * 10001 + packet(CONTINUE)),
    "good-reply": ("M", reply("250 2.0.0 Ok")),
    "odd-reply": ("M", reply("550 4.7.1 No")),
    "no-reply": ("M", packet("y")),
}


def test_lies(start, milter):
    m = milter()
    d = start(extra=m.block())
    for lie, (command, say) in LIES.items():
        m.answer = says(command, say)
        assert send(d, SMALL).status == DOWN, lie
    assert " filter-down " in d.log() and not d.files() and not d.leftovers()
    m.answer = says("E", packet(ACCEPT))
    assert send(d, SMALL).code == 250
    assert re.search(rf" filter-up .* suppressed=\d+\n", d.log())


def test_header_cannot_be_ended(start, milter):
    """What a value would end is folded."""
    m = milter(says("E", add("X", "a\r\n\r\nbody") + add("Y", "1\nZ: 2")
                    + packet(CONTINUE)))
    d = start(extra=m.block())
    answer = send(d, "A: b\r\n\r\nreal\r\n")
    assert d.message("alice@example.org", answer.id).body == (
        b"A: b\nX: a\n body\nY: 1\n Z: 2\n\nreal\n")


def test_dies_at_each_octet(start, milter):
    say = b"".join(EDITS[:2]) + packet(CONTINUE)
    at = [0]

    def answer(talk, command, data):
        if command == "E":
            talk.connection.sendall(say[:at[0]])
            raise Milter.CLOSE

    m = milter(answer)
    d = start(extra=m.block())
    with d.client() as c:
        for at[0] in range(len(say)):
            no = c.deliver("A: b\r\n\r\nc\r\n", "alice@example.org")
            if no.code == 421:  # too many in one session
                break
            assert no.status == DOWN
        at[0] = len(say)
    assert send(d, "A: b\r\n\r\nc\r\n").code == 250
    assert len(d.files()) == 1


def test_dies_anywhere(start, milter):
    m = milter()
    d = start(extra=m.block())
    for command in "ODCHMRTLNBE":
        m.answer = says(command, None)
        assert send(d, SMALL).status == DOWN, command
    assert not d.files() and not d.leftovers()


# --- whoever gets it gets it edited ---


def test_journal_has_it(start, milter):
    """A crash behind 250 does not undo what a milter did."""
    m = milter(says("E", b"".join(EDITS) + packet(ACCEPT)))
    d = start(extra=m.block())
    answers = [send(d, message) for message in (SMALL, LARGE)]
    d.kill()
    journal = b"".join(p.read_bytes() for p in d.spool.rglob("*.log"))
    assert b"X-First: 1\nFrom: x@example.com\nSubject: plain\n" in journal
    assert b"Authentication-Results: mx.example.org;\n\tspf=pass\nReceived" in (
        journal)
    m.close()
    d.start()
    for answer, message in zip(answers, (SMALL, LARGE)):
        path, = wait_for("it", lambda a=answer: [
            p for p in d.mail.glob("example.org/alice/new/*")
            if a.id in p.name])
        assert path.read_bytes().endswith(
            (EDITED + "\n" + message.split("\r\n\r\n", 1)[1].replace(
                "\r\n", "\n")).encode())


def test_servers_get_it(start, milter):
    """By LMTP, with our own Received below what a milter put on top."""
    why = dovecot.why_not()
    if why:
        pytest.skip(why)
    p = dovecot.Dovecot(start.folder(), {"alice": "secret"}, lmtp=True)
    m = milter(says("E", b"".join(EDITS) + packet(ACCEPT)))
    try:
        p.start()
        d = start(extra=m.block(), domains='domain "example.org" '
                  f'{{{{ catch-all = "lmtp:{p.lmtp}" }}}}')
        assert send(d, SMALL).code == 250
        mail, = p.mail("alice")
        assert re.search(rb"\nAuthentication-Results: mx\.example\.org;\n"
                         rb"\tspf=pass\nReceived: from client\.example", mail)
        assert mail.endswith((EDITED + "\n.dot\nend\n").encode())
    finally:
        p.stop()


def test_check_asks_it(start, milter):
    """What a message would hear; and nothing is delivered."""
    m = milter(says("E", reply("554 5.6.0 Spam")))
    d = start(extra=m.block())
    path = d.path / "message"
    for message in SMALL, LARGE:
        path.write_text(message)
        r = check(d, "--ip", "198.51.100.9", "--rcpt", "alice@example.org",
                  str(path))
        assert r.returncode == 2, r.stdout + r.stderr
        assert re.search(r'<- 554 5\.6\.0 Spam \[\w+\] +milter "first", '
                         r'\S+smtpd\.conf:\d+', r.stdout)
        assert m.talks[-1].body() == message.split("\r\n\r\n", 1)[1].encode()
    n = len(m.talks)
    r = check(d, "--ip", "198.51.100.9", "--rcpt", "alice@example.org",
              "--no-milter", str(path))
    assert r.returncode == 0 and len(m.talks) == n
    m.answer = says("E", b"".join(EDITS) + packet(ACCEPT))
    r = check(d, "--ip", "198.51.100.9", "--rcpt", "alice@example.org")
    assert r.returncode == 0 and len(m.talks) == n + 1
    assert not d.files()


@pytest.mark.parametrize("when", ["accept", "defer", "reject"])
def test_when_down(start, milter, when):
    m = milter()
    d = start(extra=m.block(more=f"when-down = {when}"))
    assert send(d, SMALL).code == 250
    m.close()
    for message in SMALL, LARGE, SMALL, SMALL, SMALL, SMALL:
        answer = send(d, message)
        assert answer.status == {"accept": "250 2.6.0", "defer": DOWN,
                                 "reject": "550 5.7.1"}[when]
        if when == "accept":
            assert d.message("alice@example.org", answer.id).body == (
                message.replace("\r\n", "\n").encode())
    assert len(d.files()) == (7 if when == "accept" else 1)
    # and it comes back
    port = int(m.socket.rsplit(":", 1)[1])
    m = milter(at=("127.0.0.1", port))
    # by that one of two workers, too, which has missed it
    wait_for("it is asked again", lambda: send(d, SMALL).code == 250
             and m.talks and " filter-up " in d.log())
    assert "error=\"Connection refused\"" in d.log()


def test_status(start, milter):
    """Its state and its connections, or why it is of no use."""
    asked = threading.Event()

    def answer(talk, command, data):
        if command == "E":
            asked.set()
            return b""

    m = milter(answer)
    d = start(top="workers = 1", extra=m.block(more="connections = 7"))
    with d.client() as c:
        for command in "MAIL FROM:<>", "RCPT TO:<alice@example.org>", "DATA":
            c.ask(command)
        c.send(SMALL + ".\r\n")
        assert asked.wait(10)
        assert status(d)["milter"] == ["first up; 1 of 7 connections"]
        m.talks[0].connection.sendall(packet(CONTINUE))
        assert c.reply().code == 250
    m.close()
    assert send(d, SMALL).status == DOWN
    said = status(d)
    assert re.fullmatch(r"first down \d+ s in 1 of 1 workers: no connection; "
                        "0 of 7 connections", *said["milter"])
    milter(at=("127.0.0.1", int(m.socket.rsplit(":", 1)[1])))
    assert send(d, SMALL).code == 250
    assert status(d)["milter"] == ["first up; 0 of 7 connections"]


def test_down_for_a_minute(start):
    """Only then somebody should look at it."""
    d = start.make(top="workers = 1", extra='milter "first" { socket = '
                   f'"127.0.0.1:{free_port()}" }}\n')
    preload(d, FAST)
    d.start()
    assert send(d, SMALL).status == DOWN
    fault = "a milter is down: the log says why"
    wait_for("a fault", lambda: fault in status(d)["fault"])


def test_silence(start, milter):
    """For as long as it may take, and no longer."""
    m = milter(says("E", b""))
    d = start(extra=m.block(more="timeout = 1s"))
    assert send(d, SMALL).status == DOWN
    assert 'reason="no answer in time"' in d.log()
    m.answer = lambda talk, command, data: (
        packet("p") * 100 + packet(CONTINUE) if command == "E" else None)
    assert send(d, SMALL).code == 250


def test_observed(start, milter):
    m = milter(says("E", b"".join(EDITS) + reply("554 5.6.0 Spam")))
    d = start(extra=m.block(more="observe = yes"))
    answer = send(d, SMALL)
    assert answer.code == 250
    assert d.message("alice@example.org", answer.id).body == (
        SMALL.replace("\r\n", "\n").encode())
    assert re.search(rf' observed message={answer.id} .*'
                     r'reply="554 5\.6\.0 Spam"', d.log())


def test_client_goes_away(start, milter):
    """The milter has the last word, and nothing stays of what it refuses."""
    asked = threading.Event()

    def answer(talk, command, data):
        if command == "E":
            asked.set()
            return b""

    m = milter(answer)
    d = start(extra=m.block())
    with d.client() as c:
        c.ask("MAIL FROM:<x@example.com>")
        c.ask("RCPT TO:<alice@example.org>")
        c.ask("DATA")
        c.send(SMALL + ".\r\n")
        assert asked.wait(10)
    # nothing is read while a question is open: its end is seen in time
    m.talks[0].connection.sendall(packet("t"))
    assert m.talks[0].over.wait(10)
    wait_for("the session is over", lambda: not d.leftovers())
    assert not d.files()


def test_many_at_once(start, milter):
    """The others wait in line; a worker always has one."""
    m = milter()
    d = start(extra=m.block(more="connections = 3"))
    answers = []

    def client():
        with d.client() as c:
            for _ in range(5):
                answers.append(c.deliver(SMALL, "alice@example.org").code)

    threads = [threading.Thread(target=client) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert answers == [250] * 100
    # two workers may both take the last one, or have none
    assert 0 < m.most <= 3 + 2


def test_header_too_big(start, milter):
    m = milter()
    d = start(extra=m.block(), top="message-size = 10M")
    head = "X-Long: 789\r\n" * 30000
    assert send(d, head + "\r\nx\r\n").status == "552 5.3.4"
    d = start()
    assert send(d, head + "\r\nx\r\n").code == 250
    assert not m.talks
