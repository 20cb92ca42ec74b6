"""Who writes for the first time: real clients from elsewhere are told to come
again, and who did is known over restarts, reloads and upgrades."""

import contextlib
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
import time

import pytest

import netns
from daemon import BINARY, DEADLINE, wait_for
from preload import FAST, preload

ON = "checks { greylist = defer }  greylist { delay = 1s }\n"
SLOW = "checks { greylist = defer }  greylist { delay = 1h  window = 1d }\n"
ANY = "rate-connections = 0"
CLIENT, OTHER = "192.0.2.1", "192.0.2.9"
TEXT = "451 4.7.1 Greylisted, come back in "
HEADER, BLOCK, BLOCKS = 4096, 65536, 128


@pytest.fixture(autouse=True)
def network():
    with netns.network("192.0.2.1/24", "198.51.100.7", "203.0.113.7"):
        yield


def make(start, extra, limits=ANY, **kwargs):
    return start.make(extra=extra, limits=limits, **kwargs)


def begin(start, extra):
    return make(start, extra).start()


@contextlib.contextmanager
def session(d, source=CLIENT):
    with d.connect(source=source) as c:
        assert c.reply().code == 220
        assert c.ask("EHLO client.example.com").code == 250
        yield c


def data(c, sender="a@example.com", rcpt="alice@example.org"):
    """What is said to DATA, or behind the dot."""
    c.begin(rcpt, sender=sender)
    reply = c.ask("DATA")
    if reply.code != 354:
        return repr(reply)
    c.send("Subject: x\r\n\r\nx\r\n.\r\n")
    return repr(c.reply())


def send(d, sender="a@example.com", source=CLIENT, rcpt="alice@example.org"):
    with session(d, source) as c:
        return data(c, sender, rcpt)


def sent(d, *args, **kwargs):
    return send(d, *args, **kwargs).startswith("250")


def come_back(d, *args, **kwargs):
    """Sent away once, and again and again until it has waited."""
    assert TEXT in send(d, *args, **kwargs)
    wait_for("it has waited", lambda: sent(d, *args, **kwargs))


def checks(d):
    return re.findall(r"check=greylist value=\"([^\"]*)\"", d.log())


# --- what a client sees ---

def test_it_comes_back(start):
    d = begin(start, ON)
    assert send(d).startswith(f"{TEXT}1 seconds [")
    wait_for("it has waited", lambda: sent(d))
    assert sent(d)
    assert len(d.files()) == 2
    # each of them is somebody else
    assert TEXT in send(d, "a@example.net")
    assert TEXT in send(d, "")
    assert TEXT in send(d, rcpt="bob@example.net")
    assert TEXT in send(d, source="198.51.100.7")
    # and these are not
    assert sent(d, "b@EXAMPLE.com", OTHER, "bob@example.org")


def test_too_early(start):
    d = begin(start, SLOW)
    with session(d) as c:
        for _ in range(2):
            assert re.search(TEXT + r"3(600|5\d\d) seconds", data(c))
            assert c.ask("RSET").code == 250
        # in the same transaction, too
        assert TEXT in data(c)
        assert c.ask("DATA").code == 451
    wait_for("each in the log", lambda: len(checks(d)) == 4)
    assert checks(d) == ["192.0.2.0/24 new"] + 3 * ["192.0.2.0/24 early"]
    line = next(x for x in d.log().splitlines() if "check=greylist" in x)
    assert " refused " in line and f" at={d.conf}:" in line
    assert "from=a@example.com" in line


def test_bdat(start):
    """To the first chunk, whose octets are no commands."""
    d = begin(start, ON)

    def chunk(c):
        c.begin(sender="a@example.com")
        c.send("BDAT 6 LAST\r\nQUIT\r\n")
        return c.reply()

    with session(d) as c:
        assert TEXT in repr(chunk(c))
        assert c.ask("NOOP").code == 250

        def passes():
            assert c.ask("RSET").code == 250
            return chunk(c).code == 250
        wait_for("it has waited", passes)
    assert len(d.files()) == 1


def test_whoever_only_asks(start):
    """A server that looks whether an address exists; and one for none."""
    d = begin(start, ON)
    with session(d) as c:
        c.begin(sender="")
        assert c.ask("QUIT").code == 221
    with session(d) as c:
        assert c.ask("MAIL FROM:<a@example.com>").code == 250
        assert c.ask("RCPT TO:<nobody@example.org>").code == 550
        assert c.ask("DATA").code == 554
    assert checks(d) == []
    assert not (d.spool / "greylist").exists()
    d.stop()
    assert not (d.spool / "greylist").exists()


def test_this_machine(start):
    """Its programs do not come again."""
    d = begin(start, ON)
    assert sent(d, source="127.0.0.1")


def test_who_is_not_asked(start):
    """This machine; who is allowed; and all recipients, or not all."""
    d = begin(start, ON + 'access { rules = {'
              '"allow client 198.51.100.0/24",'
              '"allow recipient alice@example.org" } }')
    assert sent(d, source="127.0.0.1", rcpt="bob@example.org")
    assert sent(d, source="198.51.100.7", rcpt="bob@example.org")
    assert sent(d)
    with session(d) as c:
        c.begin("alice@example.org", "bob@example.org")
        assert c.ask("DATA").code == 451


def test_observe(start):
    d = begin(start, ON.replace("defer", "observe"))
    assert sent(d)
    wait_for("the line", lambda: checks(d) == ["192.0.2.0/24 new"])
    assert re.search(r" observed .*451 4\.7\.1 Greylisted", d.log())
    wait_for("it is known", lambda: sent(d) and len(checks(d)) == len(
        [x for x in checks(d) if x != "192.0.2.0/24 new"]) + 1)


def test_a_known_client(start):
    d = begin(start, ON.replace("1s", "1s  after = 2"))
    come_back(d, "a@example.com")
    assert TEXT in send(d, "a@example.net")
    wait_for("both", lambda: sent(d, "a@example.net"))
    assert sent(d, "a@new.example", OTHER)
    assert TEXT in send(d, "a@new.example", "198.51.100.7")


# --- what lasts ---

def test_restart(start):
    d = begin(start, ON)
    come_back(d)
    assert TEXT in send(d, "a@example.net")
    for _ in range(2):
        d.stop()
        s = (d.spool / "greylist").stat()
        assert s.st_size == HEADER + BLOCKS * (BLOCK + 4)
        assert stat.S_IMODE(s.st_mode) == 0o600
        assert s.st_uid == (d.spool / "journal").stat().st_uid
        assert not list(d.spool.glob("greylist.*"))
        d.start()
        assert sent(d)
    # it has waited meanwhile, or goes on to wait
    wait_for("the other", lambda: sent(d, "a@example.net"))
    assert TEXT in send(d, "a@new.example")


def reload(d):
    """Whoever comes to one of the old workers while it leaves is told 421."""
    before = d.workers()
    os.kill(d.master(), signal.SIGHUP)
    wait_for("only new ones", lambda: len(d.workers()) == 2
             and not set(before) & set(d.workers()))


def test_it_was_off_for_a_while(start):
    d = begin(start, ON)
    come_back(d)
    d.stop()
    text = d.conf.read_text()
    d.conf.write_text(text.replace("greylist = defer", "greylist = off"))
    d.start()
    assert sent(d, "a@new.example")
    d.conf.write_text(text)
    reload(d)
    assert TEXT in send(d, "a@other.example")
    assert sent(d)


def test_reloads(start):
    d = begin(start, ON)
    come_back(d)
    for _ in range(20):
        reload(d)
        assert sent(d)
    assert TEXT in send(d, "a@new.example")


def crc32c(octets, crc=0):
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    crc = ~crc & 0xFFFFFFFF
    for o in octets:
        crc = table[(crc ^ o) & 255] ^ crc >> 8
    return ~crc & 0xFFFFFFFF


def full(d, when):
    """Each word is of somebody who passed then."""
    words = struct.pack("=8192Q", *(
        i * 0x9E3779B97F4A7C15 << 40 & 2**64 - 1 | 1 << 39 | when
        for i in range(8192)))
    head = struct.pack("=Qq16s", 0x313059455247444D, when * 1000, os.urandom(16))
    head += struct.pack("=I", crc32c(head))
    block = words + struct.pack("=I", crc32c(words))
    (d.spool / "greylist").write_bytes(
        head.ljust(HEADER, b"\0") + BLOCKS * block)


def upgrade(d):
    r = subprocess.run([BINARY, "upgrade", "--wait", "-f", str(d.conf)],
                       capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr + d.log()[-2000:]


def test_upgrade_of_a_full_one(start):
    d = begin(start, ON)
    d.stop()
    full(d, int(time.time()) - 1000)
    d.start()
    assert "greylist-damaged" not in d.log()
    come_back(d)
    come_back(d, "a@example.net")
    for _ in range(2):
        before = d.workers()
        upgrade(d)
        wait_for("the old ones' end",
                 lambda b=before: not set(b) & set(d.workers()))
        assert sent(d)
        assert sent(d, "a@example.net")
    d.stop()
    octets = (d.spool / "greylist").read_bytes()[HEADER:]
    words = [w for block in struct.iter_unpack("=8192Q4x", octets)
             for w in block]
    passed = [w for w in words if w >> 39 & 1]
    # each new one took one place: these two, whom they belong to, for good
    assert len(words) - 4 <= len(passed) <= len(words)
    assert "greylist-damaged" not in d.log()


# --- what is damaged, or no file of ours ---

def test_damage(start):
    d = begin(start, ON)
    come_back(d)
    d.stop()
    good = (d.spool / "greylist").read_bytes()
    with open(d.spool / "greylist", "r+b") as f:
        for block in range(BLOCKS):  # all but one
            place = HEADER + block * (BLOCK + 4)
            if not any(good[place:place + BLOCK]):
                f.seek(place + 77)
                f.write(b"x")
    d.start()
    assert re.search(r" warn greylist-damaged .*blocks=12[67] ", d.log())
    assert sent(d)
    d.stop()
    (d.spool / "greylist").write_bytes(b"\0" + good[1:])
    d.start()
    assert d.log().count("greylist-damaged") == 2
    come_back(d)


@pytest.mark.parametrize("how", ["fifo", "link", "short", "directory"])
def test_no_file(start, how):
    d = make(start, ON)
    d.spool.mkdir(mode=0o700)
    shutil.chown(d.spool, "nobody")
    file = d.spool / "greylist"
    victim = d.path / "victim"
    victim.write_text("mine")
    if how == "fifo":
        os.mkfifo(file)
    elif how == "link":
        file.symlink_to(victim)
    elif how == "short":
        file.write_text("x")
    else:
        file.mkdir()
    d.start()
    assert " warn greylist-damaged " in d.log()
    come_back(d)
    d.stop()
    assert victim.read_text() == "mine"
    if how == "directory":
        assert " warn greylist-not-saved " in d.log()
        return
    assert file.is_file() and not file.is_symlink()
    d.start()
    assert sent(d)


def test_a_crash(start):
    """All of it dies: who passed since the file was written waits again, and
    what lay half written is gone."""
    d = begin(start, ON)
    come_back(d)
    d.stop()
    d.start()
    come_back(d, "a@example.net")
    d.kill()
    (d.spool / "greylist.5.new").write_text("half")
    d.start()
    assert sent(d)
    assert TEXT in send(d, "a@example.net")
    assert not list(d.spool.glob("greylist.*"))


# --- who writes it ---

def test_every_ten_minutes(start):
    d = make(start, ON)
    preload(d, FAST)
    d.start()
    file = d.spool / "greylist"
    for sender in "a@example.com", "a@example.net":
        come_back(d, sender)
        assert not file.exists()
        wait_for("ten of its minutes", file.exists, 2 * DEADLINE)
        file.unlink()
    assert "greylist-not-saved" not in d.log()
