"""smtpd why: what is kept of sessions that were refused or broke off."""

import contextlib
import os
import re
import subprocess

import pytest

from daemon import AS_ROOT, BINARY, NO_JOURNAL, wait_for
from test_auth import plain, secure
from test_status import tool

KEPT = ("refused", "insecure", "lost", "abandoned", "undelivered")
ONLY_KEPT = ("left", "passed")
ID = re.compile(r"\[([0-9A-V]{16})\]")


def why(d, id):
    r = tool(d, "why", id)
    assert r.stderr == ""
    return r


def kept(d, id):
    r = why(d, id)
    assert r.returncode == 0, r.stdout
    return r.stdout.splitlines()


def event(line):
    return line.split(" ")[2]


def logged(d, id):
    return [line for line in d.log().splitlines()
            if id in line and event(line) in KEPT]


def files(d):
    return sorted((d.spool / "why").iterdir())


def octets(d):
    return sum(p.stat().st_size for p in files(d))


def quiet(start, **kwargs):
    """What it logs is not asked for: it serves when it answers."""
    d = start.make(**kwargs).start(wait=False)

    def answers():
        with contextlib.suppress(ConnectionRefusedError):
            d.connect().close()
            return True
    wait_for("its answer", answers)
    return d


def refused(d, recipient="nobody@example.org"):
    """Of a whole session, the id."""
    with d.client() as c:
        c.ask("MAIL FROM:<a@example.com>")
        id = ID.search(c.ask(f"RCPT TO:<{recipient}>").text)[1]
        c.ask("QUIT")
    return id


def same(line):
    """Without the last digits of its time: each has looked at the clock."""
    return re.sub(r"^(\S{19})\S* ", "", line)


def assert_agree(d, id):
    """Log and ring: the same lines in the same order."""
    lines = [x for x in kept(d, id) if event(x) not in ONLY_KEPT]
    assert lines
    wait_for("them in the log", lambda: len(logged(d, id)) == len(lines))
    assert list(map(same, lines)) == list(map(same, logged(d, id)))


def test_agree(start):
    d = start(top="workers = 2")
    ids = [refused(d, f"nobody{i}@example.org") for i in range(5)]
    with d.client() as c:  # in one session, with more than have a line
        for i in range(15):
            ids.append(ID.search(c.ask(f"MAIL FROM:<{i}").text)[1])
        c.ask("QUIT")
    with d.client() as c:  # lost in the middle
        c.begin()
        ids.append(ID.search(c.ask("FOO").text)[1])
        c.ask("DATA")
        c.send("x")
    wait_for("the loss", lambda: "lost" in map(event, kept(d, ids[-1])))
    for id in set(ids):
        assert_agree(d, id)
    # as a reply has it, and as a message is called
    for text in f"[{ids[0]}]", f"{ids[0]}.1", ids[0].lower():
        assert why(d, text).stdout == why(d, ids[0]).stdout


def test_login(submissions):
    d = submissions()
    with secure(d) as c:
        id = ID.search(c.ask("AUTH PLAIN " + plain("alice", "no")).text)[1]
    wait_for("the end of it", lambda: "left" in map(event, kept(d, id)))
    assert_agree(d, id)
    text = why(d, id).stdout
    assert "mechanism=PLAIN login=alice" in text
    assert plain("alice", "no") not in text
    with d.connect(d.implicit) as c:
        c.send("EHLO in clear\r\n")
        c.line()
    wait_for("its line", lambda: " insecure " in d.log())
    id = re.search(r" insecure session=(\S+)", d.log())[1]
    assert_agree(d, id)


def test_left(start):
    """Of those who spoke and went without a word; not of the others."""
    d = start(top="workers = 1", extra="log { level = trace }")
    for command in "QUIT", None:
        with d.client() as c:
            if command:
                c.ask(command)
    d.connect().close()
    wait_for("three ends", lambda: d.log().count(" trace left ") == 3)
    left = [re.search(r"session=(\S+)", x)[1]
            for x in d.log().splitlines() if " trace left " in x]
    assert sorted(why(d, id).returncode for id in left) == [0, 1, 1]


def test_levels(start):
    """Whatever the log leaves out; and in its format, in order of time."""
    d = quiet(start, extra='log { level = error format = json }')
    id = refused(d)
    assert id not in d.log()
    line, *_ = kept(d, id)
    assert re.match(r'\{"time":"2\S{23}Z?","level":"info","event":"refused"',
                    line), line


def test_nothing(start):
    d = start(extra="log { keep = 0 }")
    id = refused(d)
    r = why(d, id)
    assert r.returncode == 1
    assert re.fullmatch(
        f"nothing kept of {id} \\(2\\S*T\\S*Z, from the id\\): accepted, "
        "older than the ring, or another server's. grep it in the log.\n",
        r.stdout), r.stdout
    assert files(d) == []
    time = "06H0P74FUNFARFNF"
    assert "2026-11-24T08:11:56Z, from the id" in why(d, time).stdout


@pytest.mark.parametrize("arguments", [
    [], ["x"], ["06H0P74FUNFARFNF", "x"], ["-x"], ["06H0P74FUNFARFNW"],
    ["06H0P74FUNFARFNFx"], ["\x1b[2J06H0P74FUNFARF"]])
def test_usage(start, arguments):
    r = subprocess.run([BINARY, "why", *arguments], capture_output=True,
                       text=True, timeout=60)
    assert r.returncode == 64 and r.stdout == ""
    assert "\x1b" not in r.stderr and r.stderr.count("\n") == 1


@pytest.mark.skipif(not AS_ROOT, reason="needs another user")
def test_forbidden(start):
    d = start()
    r = tool(d, "why", refused(d), user=1234, group=1234, extra_groups=[])
    assert r.returncode == 4 and "Permission denied" in r.stderr


def test_accepted_costs_nothing(start):
    """No octet on the way to 250."""
    d = start(top="workers = 2")
    for _ in range(4):
        with d.client() as c:
            for _ in range(5):
                assert c.deliver("x\r\n").code == 250
            c.ask("QUIT")
    d.settled()
    assert len(files(d)) == 4 and octets(d) == 0
    refused(d)
    assert octets(d) > 0


def many(d, n, name):
    """So many refusals in one session, and so of one worker: ten in a row
    have a line each, then comes a message. Its id."""
    with d.client() as c:
        for first in range(0, n, 100):
            c.send("".join(
                "MAIL FROM:<a@example.com>\r\n" + "".join(
                    f"RCPT TO:<{name}{i}@example.org>\r\n"
                    for i in range(ten, ten + 10)) +
                "RCPT TO:<alice@example.org>\r\nBDAT 3 LAST\r\nx\r\n"
                for ten in range(first, first + 100, 10)))
            codes = [c.reply().code for _ in range(130)]
            assert codes == 10 * ([250] + 10 * [550] + [250, 250])
        reply = c.ask("FOO")
        c.ask("QUIT")
    return ID.search(reply.text)[1]


def names(lines, name):
    return [int(m[1]) for m in (
        re.search(rf" info refused .* rcpt={name}(\d+)@", x) for x in lines)
        if m]


def test_ten_thousand(start):
    """With log.keep = 64M and two workers the last 10,000 refusals of one of
    them are there, and no file is larger than its half."""
    d = quiet(start, top="workers = 2", journal=NO_JOURNAL,
              extra="log { keep = 64M level = warn }"
              'access { rules = { "observe sender @x.example" } }',
              domains="""
domain "example.org" {{
	users = {{ "alice" }}
	aliases = {{ "postmaster: alice", "abuse: alice" }}
	deliver = "discard:"
}}
""")
    id = many(d, 10000, "nobody")
    lines = kept(d, id)
    assert names(lines, "nobody") == list(range(10000))
    # each with its trail behind it
    assert list(map(event, lines)) == 10001 * ["refused", "passed"]
    assert sum(p.stat().st_size > 0 for p in files(d)) == 1


def test_bounded(start):
    d = quiet(start, top="workers = 1", extra="log { keep = 64K level = warn }")
    id = many(d, 1000, "nobody")
    found = names(kept(d, id), "nobody")
    assert found == list(range(found[0], 1000)) and len(found) > 30
    assert [p.name for p in files(d)] == ["0.a", "0.b"]
    for p in files(d):
        assert 0 < p.stat().st_size <= 32768
        assert p.stat().st_mode & 0o777 == 0o600


def test_reload(start):
    """Who comes goes on where another was; a slot that is gone leaves nothing
    behind."""
    d = start(top="workers = 2")
    ids = [refused(d) for _ in range(20)]
    assert tool(d, "reload", "--wait").returncode == 0
    ids += [refused(d) for _ in range(20)]
    for id in ids:
        assert "refused" in map(event, kept(d, id))
    assert len(files(d)) == 4
    d.stop()
    d.conf.write_text(d.conf.read_text().replace("workers = 2", "workers = 1"))
    d.start()
    assert [p.name for p in files(d)] == ["0.a", "0.b"]
    assert any(why(d, id).returncode == 0 for id in ids)
    assert "refused" in map(event, kept(d, refused(d)))


def test_strange_files(start):
    """Nothing that lies there is followed, and nobody waits for it."""
    d = start(top="workers = 1")
    id = refused(d)
    lines = kept(d, id)
    d.stop()
    folder = d.spool / "why"
    secret = d.path / "secret"
    secret.write_text(f"2026-11-24T08:11:56.123Z info refused {id} secret\n")
    target = d.path / "target"
    with contextlib.suppress(FileNotFoundError):
        (folder / "0.b").unlink()
    os.mkfifo(folder / "0.b")
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to(secret)
    (folder / "hard").mkdir()
    (folder / "odd").write_bytes(
        f"\x1b[2J {id} \x9b\n{id}\0{id}\n{'x' * 100000}{id}\n".encode())
    (folder / "odd").chmod(0o644)
    shown = kept(d, id)
    assert [x for x in shown if x in lines] == lines
    text = "\n".join(shown)
    assert "secret" not in text and "\x1b[" not in text and "\x9b" not in text
    (folder / "0.a").unlink()
    (folder / "0.a").symlink_to(target)
    d.start()
    assert "refused" in map(event, kept(d, refused(d)))
    assert not target.exists()
    assert all((folder / f"0.{x}").is_file() for x in "ab")
    assert not any((folder / f"0.{x}").is_symlink() for x in "ab")


def test_unusable(start):
    """Mail goes on, and the log says so."""
    d = start(top="workers = 1")
    d.stop()
    for p in files(d):
        p.unlink()
    (d.spool / "why").rmdir()
    (d.spool / "why").symlink_to(d.path)
    d.start()
    assert " warn why-lost error=" in d.log()
    id = refused(d)
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250
    r = tool(d, "why", id)
    assert r.returncode == 70 and "why" in r.stderr
