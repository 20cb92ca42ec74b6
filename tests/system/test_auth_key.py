"""spool/auth-key: one secret for all workers and all starts."""

import base64
import os
import re
import shutil
import subprocess

import pytest

from daemon import BINARY
from test_durability import calls, need_strace, traced
from test_reload import hup, settled
from secured import certificate, context


def with_users(d):
    line = subprocess.run([BINARY, "passwd", "alice"], input=b"secret\n",
                          check=True, capture_output=True).stdout
    (d.path / "passwords").write_bytes(line)
    d.conf.write_text(
        d.conf.read_text() + certificate(d.path, "mx.example.org")
        + f'auth {{ password-file = "{d.path}/passwords" }}\n')
    return d


def salt(d, user):
    """What somebody is told who asks for SCRAM as this user."""
    with d.connect(d.submission) as c:
        assert c.reply().code == 220
        assert c.ask("EHLO client.example.com").code == 250
        assert c.ask("STARTTLS").code == 220
        c.socket = context().wrap_socket(c.socket)
        assert c.ask("EHLO client.example.com").code == 250
        first = base64.b64encode(f"n,,n={user},r=nonce".encode()).decode()
        reply = c.ask(f"AUTH SCRAM-SHA-256 {first}")
        assert reply.code == 334
        fields = base64.b64decode(reply.text).decode().split(",")
    return fields[1]


def test_the_same_everywhere(start):
    """In each worker, after a reload and after a restart; of each user."""
    # each that asks for a salt, and goes, is a guess
    d = with_users(start.make(submission=True,
                              limits="rate-failed-logins = 0")).start()
    key = d.spool / "auth-key"
    assert key.stat().st_mode & 0o7777 == 0o600
    assert key.stat().st_uid == os.geteuid()
    secret = key.read_bytes()
    assert len(secret) == 32 and len(set(secret)) > 8
    told = {salt(d, "nobody-there") for _ in range(20)}
    hup(d)
    settled(d, 2)
    told |= {salt(d, "nobody-there") for _ in range(5)}
    d.stop()
    d.log_path.unlink()
    d.start()
    told |= {salt(d, "nobody-there") for _ in range(5)}
    assert len(told) == 1
    assert salt(d, "another") not in told
    assert key.read_bytes() == secret
    assert not (d.spool / "auth-key.new").exists()


def test_on_disk_before_anybody_is_told(start):
    """FAULT F12: the file is synced, named, and its folder synced."""
    need_strace()
    d = traced(with_users(start.make(submission=True)), "-y", "-e",
               "trace=fsync,rename,renameat,renameat2")
    d.start()
    d.stop()
    trace = (d.path / "trace").read_text().splitlines()
    master = trace[0].split()[0]
    seen = [f"{name}({args}" for name, args in calls("\n".join(
        line for line in trace if line.split()[0] == master))]
    named, = [i for i, x in enumerate(seen) if "rename" in x]
    assert re.match(r"fsync\(\d+<.*/auth-key.new>\) += 0", seen[named - 1])
    assert re.match(r"fsync\(\d+<.*/spool>\) += 0", seen[named + 1])


def test_none_without_users(start):
    d = start()
    assert not (d.spool / "auth-key").exists()


def damage(key, how):
    if how == "fifo":  # it would be waited for
        os.mkfifo(key)
    elif how == "directory":
        key.mkdir()
    elif how == "link":
        key.symlink_to("/etc/hostname")
    else:
        key.write_bytes(b"x" * int(how))


@pytest.mark.parametrize("how", ["0", "31", "33", "fifo", "directory", "link"])
def test_what_is_no_key(start, how):
    """It stops a reload, says which file it is, and nothing else."""
    d = with_users(start.make(submission=True))
    good = d.conf.read_text()
    d.conf.write_text("".join(x for x in good.splitlines(True)
                              if not x.startswith("auth {")))
    d.start()
    damage(d.spool / "auth-key", how)
    d.conf.write_text(good)
    hup(d, "error reload-failed")
    assert "error auth-key" in d.log() and "remove the file" in d.log()
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250
    key = d.spool / "auth-key"
    key.rmdir() if how == "directory" else key.unlink()
    hup(d)
    settled(d, 2)
    assert salt(d, "alice")


def test_who_lies_in_wait(start):
    """The spool is the workers': what they put there is not written to."""
    d = with_users(start.make(submission=True))
    d.spool.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(d.spool, "nobody")
    victim = d.path / "victim"
    victim.write_text("precious")
    os.link(victim, d.spool / "auth-key.new")
    d.start()
    assert victim.read_text() == "precious"
    assert (d.spool / "auth-key").stat().st_size == 32
    assert (d.spool / "auth-key").stat().st_ino != victim.stat().st_ino
