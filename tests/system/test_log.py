"""The log: what a client says cannot forge a line, nor a key."""

import json
import re

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
