"""Mail goes to programs: in the sandbox, by a process that has none."""

import contextlib
import os
import re
import signal

import pytest

from daemon import children, gone, wait_for

SMALL = "Subject: x\r\n\r\n..dot\r\nend\r\n"
LARGE = "Subject: x\r\n\r\n" + ("y" * 70 + "\r\n") * 20000

# It does what the local part says.
PROGRAM = """#!/bin/sh
cd "{out}" || exit 70
case $LOCAL in
keep*)	cat >"$MESSAGE_ID" && env >"$MESSAGE_ID.env" ;;
hang*)	echo $$ >pid.new && mv pid.new pid && exec sleep 1000 ;;
wait*)	echo $$ >pid.new && mv pid.new pid && read x <go ;;
exit*)	echo "told by $1"; exit ${{LOCAL#exit}} ;;
esac
"""
DOMAINS = """
domain "example.org" {{
	deliver = "maildir:{mail}/%d/%u"
	users = {{ "alice" }}
	aliases = {{ "keepboth: alice, pipe:{path}/program both",
	    "exit67: alice, pipe:{path}/program both" }}
	catch-all = "pipe:{path}/program a b"
}}
"""


@pytest.fixture
def made(start):
    def make(**kwargs):
        d = start.make(domains=DOMAINS, **kwargs)
        d.out = d.path / "out"
        d.out.mkdir()
        d.out.chmod(0o777)
        program = d.path / "program"
        program.write_text(PROGRAM.format(out=d.out))
        program.chmod(0o755)
        return d.start()

    return make


def runner(d):
    """Of each worker that has one; a pid and its worker's."""
    return {child: w for w in d.workers() for child in children(w)}


def sockets(pid):
    """Those that it has open; None when some of them close meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return [fd for fd in os.listdir(f"/proc/{pid}/fd")
                if "socket" in os.readlink(f"/proc/{pid}/fd/{fd}")]


def ask(d, local):
    with d.client() as c:
        return c.deliver(SMALL, f"{local}@example.org")


def hang(d, c, local):
    """A message whose program does not end; its pid."""
    c.begin(f"{local}@example.org")
    assert c.ask("DATA").code == 354
    c.send("x\r\n.\r\n")
    wait_for("the program", (d.out / "pid").exists)
    return int((d.out / "pid").read_text())


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["memory", "file"])
def test_a_program_has_it(made, body):
    d = made()
    with d.client() as c:
        reply = c.deliver(body, "keep+detail@example.org")
    assert reply.code == 250
    got = (d.out / reply.id).read_bytes()
    top, rest = got.split(b"Subject: ", 1)
    assert re.fullmatch(rb"Return-Path: <sender@example\.com>\n"
                        rb"Delivered-To: keep\+detail@example\.org\n"
                        rb"Received: from client\.example\.com (?:.*\n)+?"
                        rb"\t.*\n", top)
    assert b"Subject: " + rest == body.replace("\r\n", "\n").encode()
    env = dict(line.split("=", 1) for line in
               (d.out / f"{reply.id}.env").read_text().splitlines())
    for shell in "PWD", "OLDPWD", "_", "SHLVL":
        env.pop(shell, None)
    assert env == {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/",
        "LC_ALL": "C.UTF-8", "SENDER": "sender@example.com",
        "RECIPIENT": "keep+detail@example.org",
        "ORIGINAL_RECIPIENT": "keep+detail@example.org",
        "LOCAL": "keep+detail", "DOMAIN": "example.org",
        "EXTENSION": "detail", "CLIENT_ADDRESS": "127.0.0.1",
        "CLIENT_HELO": "client.example.com", "LOGIN": "",
        "MESSAGE_ID": reply.id, "SIZE": str(len(got))}
    assert not d.leftovers()


def test_nobody_looks_inside(made):
    """The programs are the same user, and may not trace who starts them; nor
    has it what its worker had before the sandbox."""
    d = made()
    assert len(runner(d)) == 2
    for pid in runner(d):
        wait_for("one socket", lambda: sockets(pid) == ["3"])
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0
        with open(f"/proc/{pid}/status") as f:
            status = dict(line.split(":\t", 1) for line in f)
        assert status["Uid"] != "0\t0\t0\t0\n"
        assert status["NoNewPrivs"] == "1\n"
        assert int(status["CapPrm"], 16) == int(status["CapAmb"], 16) == 0


def test_what_it_says(made):
    d = made()
    assert ask(d, "exit0").code == 250
    no = ask(d, "exit77")
    assert no.status == "550 5.7.1" and " told by a [" in no.text
    assert ask(d, "exit75").status == "451 4.3.0"
    assert ask(d, "exit70").status == "451 4.3.5"
    wait_for("the log", lambda: re.search(
        ' error route-misconfigured .*"exit 70"', d.log()))


def test_both(made):
    """Nobody has what the program refuses, and both what it takes."""
    d = made()
    assert ask(d, "keepboth").code == 250
    assert ask(d, "exit67").status == "550 5.1.1"
    d.stop()
    assert len(d.files("alice@example.org")) == 1


def test_a_drain_waits_for_it(made):
    d = made()
    os.mkfifo(d.out / "go")
    (d.out / "go").chmod(0o666)
    with d.client() as c:
        hang(d, c, "wait")
        os.kill(d.master(), signal.SIGTERM)
        wait_for("draining", lambda: " draining " in d.log())
        (d.out / "go").write_text("go\n")
        assert c.reply().code == 250


def test_a_worker_that_dies_takes_it_along(made):
    d = made(top="workers = 1", deaths=True)
    with d.client() as c:
        pid = hang(d, c, "hang")
        os.kill(d.workers()[0], signal.SIGKILL)
        wait_for("its end", lambda: gone(pid))
        assert c.closed()
    assert ask(d, "exit0").code == 250  # by another


def test_the_runner_dies(made):
    """The worker is replaced; until then it takes what is for no program."""
    d = made(top="workers = 1", deaths=True)
    with d.client() as c, d.client() as other:
        pid = hang(d, c, "hang")
        other.begin("alice@example.org")
        (old, worker), = runner(d).items()
        os.kill(old, signal.SIGKILL)
        assert c.reply().status == "451 4.4.2"
        wait_for("its end", lambda: gone(pid))
        no = other.ask("RCPT TO:<exit0@example.org>")
        assert no.status == "451 4.3.0" and "No program can" in no.text
        assert other.ask("DATA").code == 354
        other.send("x\r\n.\r\n")
        assert other.reply().code == 250
    wait_for("its end", lambda: gone(worker))
    wait_for("the log", lambda: " error runner-lost " in d.log())
    wait_for("the mail", lambda: len(d.files("alice@example.org")) == 1)
    assert ask(d, "exit0").code == 250
