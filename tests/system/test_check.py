"""smtpd check: what would be said to a client, as a real session says it."""

import os
import random
import re
import subprocess

import pytest

from daemon import AS_ROOT, BINARY, DEADLINE, sanitized
from scripted import REJECT, Milter, packet
from test_access import elsewhere  # noqa: F401
from secured import PASSWORDS
from test_auth import plain, secure

RULES = [
    "reject client 198.51.100.7: 550 5.7.1 No mail from here",
    "observe client 198.51.100.8",
    "reject helo .bad.example",
    "defer helo slow.example: 450 4.7.0 Come back",
    "reject sender @spam.example: 521 5.7.9 No",
    "observe sender good@spam.example",
    "defer sender <>",
    "allow recipient postmaster@example.org",
    "reject recipient carol@example.org",
    "defer recipient @.example.org",
]
CLIENTS = ["198.51.100.7", "198.51.100.8", "198.51.100.9"]
HELOS = ["client.example.com", "a.bad.example", "slow.example",
         "mx.example.org", "[198.51.100.9]", "odd_name", "-x-", "a b"]
SENDERS = ["a@b.test", "x@spam.example", "good@spam.example", "", "a@b@c",
           "\xfc@b.test", "a" * 300 + "@b.test"]
RCPTS = ["alice@example.org", "Alice+x@example.org", "nobody@example.org",
         "postmaster@example.org", "carol@example.org", "team@example.org",
         "postmaster", "x@example.net", "x@elsewhere.example",
         "x@sub.example.org", "abuse@example.org", "<", "\"odd user\"@"
         "example.org"]


def check(d, *arguments, **kwargs):
    return subprocess.run(
        [BINARY, "check", "-f", str(d.conf), *arguments],
        capture_output=True, text=True, timeout=60, **kwargs)


def plainly(line):
    """Without the ids of sessions and messages."""
    line = re.sub(r" \[[0-9A-V]{16}\]$", "", line)
    return re.sub(r"[0-9A-V]{16}\.1 accepted", "ID accepted", line)


def replies(r):
    """As they were read; what stands right of them is of no client's."""
    found = re.findall(r"^<- (.*?)(?:  +.*)?$", r.stdout, re.M)
    return [plainly(x) for x in found]


def live(d, client, helo, sender, rcpt):
    said = []
    with d.connect(source=client) as c:
        commands = iter([f"EHLO {helo}", f"MAIL FROM:<{sender}>",
                         f"RCPT TO:<{rcpt}>", "DATA", "x: y\r\n\r\nz\r\n."])
        while True:
            reply = c.reply()
            said += reply.lines
            command = next(commands, None)
            if reply.code >= 400 or not command:
                return [plainly(x) for x in said]
            c.send(command + "\r\n")


@pytest.fixture
def ruled(start):
    rules = ",\n".join(f'"{r}"' for r in RULES)
    return lambda **kwargs: start(
        extra=f"access {{ rules = {{\n{rules} }} }}\n"
        "checks { helo = reject }\n"
        'client "0.0.0.0/0" { limits = no }', **kwargs)


def cases(n):
    """Each value once, and then as they come; the same every time."""
    dice = random.Random(13)
    known = CLIENTS, HELOS, SENDERS, RCPTS
    for i in range(n):
        yield tuple(x[i] if i < len(x) else dice.choice(x) for x in known)


def test_as_live(elsewhere, ruled):  # noqa: F811
    """200 clients hear the same from a daemon that runs, and beside it."""
    d = ruled()
    outcomes = {0: 0, 1: 0, 2: 0}
    for client, helo, sender, rcpt in cases(200):
        r = check(d, "--ip", client, "--helo", helo, "--from", sender,
                  "--rcpt", rcpt)
        assert replies(r) == live(d, client, helo, sender, rcpt), (
            client, helo, sender, rcpt)
        outcomes[r.returncode] += 1
        last = replies(r)[-1]
        assert r.returncode == {"2": 0, "4": 1, "5": 2}[last[0]]
    assert all(outcomes.values()), outcomes


def reasons(r):
    """Of the last line that has one, and the trail."""
    return [m[1] for m in re.finditer(r"^<- .*?   *(.*)$", r.stdout, re.M)]


def test_reasons(ruled):
    d = ruled()
    lines = d.conf.read_text().splitlines()
    first = lines.index("access { rules = {") + 2
    users = next(i for i, x in enumerate(lines, 1) if "users = " in x)

    def why(*arguments):
        return reasons(check(d, "--ip", "192.0.2.1", *arguments))

    assert why("--from", "x@spam.example", "--rcpt", "a@b.test") == [
        f"access sender @spam.example, {d.conf}:{first + 4}"]
    assert why("--from", "a@b.test", "--rcpt", "alice@example.org") == [
        f"user alice, {d.conf}:{users} → "
        f"maildir:{d.mail}/example.org/alice"]
    assert why("--from", "a@b.test", "--rcpt", "team@example.org") == [
        f"alias team, {d.conf}:{users + 1} → "
        f"maildir:{d.mail}/example.org/alice + "
        f"maildir:{d.mail}/example.org/bob"]
    assert why("--from", "a@b.test", "--rcpt", "x@example.net") == [
        f"catch-all, {d.conf}:{users + 5} → "
        f"maildir:{d.mail}/example.org/bob"]
    assert why("--from", "a@b.test", "--helo", "mx.example.org", "--rcpt",
               "alice@example.org")[0].startswith("helo ")
    # and whom no block has
    assert why("--from", "a@b.test", "--rcpt", "x@elsewhere.example") == [
        'no domain block is for "elsewhere.example"']
    assert why("--from", "a@b.test", "--rcpt", "nobody@example.org") == [
        'domain "example.org" has no such user, alias or catch-all']
    # what passed says what was looked up
    r = check(d, "--ip", "192.0.2.1", "--from", "a@b.test", "--rcpt",
              "alice@example.org")
    for kind in "client", "sender", "recipient":
        assert f"   access pass {kind} default\n" in r.stdout
    assert "PROXY" not in r.stderr
    # the trail is behind the replies, once
    r = check(d, "--ip", "198.51.100.7", "--rcpt", "a@b.test")
    trail = (f"access reject client 198.51.100.7 {d.conf}:{first}")
    assert r.stdout.count(trail) == 1
    r = check(d, "--ip", "198.51.100.8", "--from", "a@b.test", "--rcpt",
              "alice@example.org")
    assert r.returncode == 0
    assert ("   access observed reject client 198.51.100.8 "
            f"{d.conf}:{first + 1}\n") in r.stdout


def everything(*folders):
    """Each name, and how it looks."""
    found = {}
    for folder in folders:
        for path, names, files in os.walk(folder):
            for name in [".", *names, *files]:
                s = os.lstat(os.path.join(path, name))
                found[path, name] = (s.st_ino, s.st_size, s.st_mtime_ns,
                                     s.st_mode, s.st_uid)
    return found


def test_changes_nothing(ruled, tmp_path):
    """No file, of a daemon that is down, or of one that runs."""
    d = ruled()
    with d.connect() as c:
        c.reply()
        c.ask("EHLO client.example.com")
        assert c.deliver("x\r\n").code == 250
    d.stop()
    before = everything(d.spool, d.mail)
    large = tmp_path / "large"
    large.write_text("a: b\n\n" + 200000 * "0123456789\n..\n")
    for more in [], ["--from", "x@spam.example"], [str(large)]:
        r = check(d, "--ip", "192.0.2.1", "--from", "a@b.test", "--rcpt",
                  "team@example.org", *more)
        assert r.returncode == (2 if "--from" in more else 0), r.stdout
    assert everything(d.spool, d.mail) == before
    # and the daemon still finds its mail, and its lock
    d.start()
    check(d, "--ip", "192.0.2.1", "--from", "a@b.test", "--rcpt",
          "alice@example.org")
    assert len(d.files()) == 1


def test_message(ruled, tmp_path):
    """It is really sent: what is wrong with one is found."""
    d = ruled(top="message-size = 64K")

    def send(data):
        path = tmp_path / "message"
        path.write_bytes(data)
        r = check(d, "--ip", "192.0.2.1", "--from", "a@b.test", "--rcpt",
                  "alice@example.org", str(path))
        return r.returncode, replies(r)[-1]

    assert send(b"a: b\n\n.\n..\nx") == (0, "250 2.6.0 ID accepted")
    assert send(b"a: b\r\n\r\nx\r\n")[0] == 0
    assert send(b"")[0] == 0
    assert send(b"a: b\n\n" + 70000 * b"x\n")[1].startswith("552 5.3.4")
    assert send(b"a: b\n\nx\ry\n")[1].startswith("550 5.6.0") or (
        send(b"a: b\n\nx\ry\n")[0] == 2)
    r = check(d, "--ip", "192.0.2.1", "--from", "a@b.test", "--rcpt",
              "alice@example.org", "/nowhere")
    assert r.returncode == 70 and "/nowhere: No such file" in r.stderr


def test_user(submissions):
    """As who has logged in there."""
    d = submissions()

    def ask(sender, rcpt):
        r = check(d, "--ip", "127.0.0.1", "--user", "alice", "--helo",
                  "client.example.com", "--from", sender, "--rcpt", rcpt)
        with secure(d) as c:
            c.ask("AUTH PLAIN " + plain("alice", PASSWORDS["alice"]))
            reply = c.ask(f"MAIL FROM:<{sender}>")
            if reply.code < 400:
                reply = c.ask(f"RCPT TO:<{rcpt}>")
        shown = replies(r)
        said = plainly(repr(reply))
        assert said in shown
        assert reply.code < 400 or shown[-1] == said
        return r.returncode

    assert ask("alice@example.org", "bob@example.org") == 0
    assert ask("bob@example.org", "bob@example.org") == 2
    assert ask("alice@example.org", "x@elsewhere.example") == 2


def test_behind_a_balancer(start):
    """The client is known, whether or not one of its network has to say who
    it speaks for."""
    d = start.make(extra='client "192.0.2.0/24" { proxy = yes }\n')
    d.start()
    r = check(d, "--ip", "192.0.2.1", "--from", "a@b.test", "--rcpt",
              "alice@example.org")
    assert r.returncode == 0, r.stdout
    assert "proxy = yes of this address" in r.stderr


def test_milter(start):
    """It sees a real message, and is heard."""
    told = []

    def refuse(talk, heard, data):
        told.append(heard)
        return packet(REJECT) if heard == "E" else None

    m = Milter(refuse)
    try:
        d = start.make(extra=m.block())
        d.start()
        d.stop()
        asked = ["--ip", "192.0.2.1", "--from", "a@b.test", "--rcpt",
                 "alice@example.org"]
        r = check(d, *asked)
        assert r.returncode == 2 and "A filter refuses" in replies(r)[-1]
        assert "B" in told
        assert m.talks[0].over.wait(DEADLINE)  # it has heard the last of it
        told.clear()
        assert check(d, "--no-milter", *asked).returncode == 0
        assert not told
    finally:
        m.close()


@pytest.mark.parametrize("arguments,text", [
    ([], "usage: "),
    (["--ip", "192.0.2.1"], "usage: "),
    (["--rcpt", "a@b.test"], "usage: "),
    (["--ip", "192.0.2.1", "--rcpt", "a@b.test", "x", "y"], "usage: "),
    (["--ip", "192.0.2.1", "--rcpt", "a@b.test", "--ask-me"], "usage: "),
    (["--ip", "a@b.test", "--rcpt", "a@b.test"],
     'smtpd check: --ip "a@b.test": that is an address of mail: write --from '
     "or --rcpt for it"),
    (["--ip", "mx.test", "--rcpt", "a@b.test"], "write an IP"),
    (["--ip", "192.0.2.1", "--from", "192.0.2.2", "--rcpt", "a@b.test"],
     'smtpd check: --from "192.0.2.2": that is an IP: write --ip for it'),
    (["--ip", "192.0.2.1", "--rcpt", "2001:db8::1"],
     "that is an IP: write --ip for it"),
    (["--ip", "192.0.2.1", "--rcpt", "a@b.test>\r\nDATA"],
     "it is no address"),
    (["--ip", "192.0.2.1", "--rcpt", "a@b.test", "--helo", "a\nb"],
     "it is no name"),
])
def test_usage(arguments, text):
    r = subprocess.run([BINARY, "check", *arguments], capture_output=True,
                       text=True, timeout=60)
    assert r.returncode == 64 and r.stdout == ""
    assert text in r.stderr


def test_configuration(start):
    d = start.make(extra='access { rules = { "deny" } }')
    r = check(d, "--ip", "192.0.2.1", "--rcpt", "a@b.test")
    assert r.returncode == 78 and r.stdout == ""
    assert "a rule begins with" in r.stderr


@pytest.mark.skipif(not AS_ROOT or sanitized(),
                    reason="needs another user, and to be traced")
def test_becomes_the_user(ruled):
    """What is root's alone is read before that: here a message, whose folder
    the user cannot enter."""
    d = ruled()
    folder = d.path / "root"
    folder.mkdir(mode=0o700)
    (folder / "message").write_text("a: b\n\nx\n")
    r = subprocess.run(
        ["strace", "-f", "-e", "trace=setresuid,setuid,openat", BINARY,
         "check", "-f", str(d.conf), "--ip", "192.0.2.1", "--from",
         "a@b.test", "--rcpt", "alice@example.org",
         str(folder / "message")], capture_output=True, text=True,
        timeout=60)
    assert r.returncode == 0, r.stdout
    uid = r.stderr.index("uid(65534")
    assert r.stderr.index(str(folder / "message")) < uid
    assert uid < r.stderr.index(f'"{d.spool}"')
