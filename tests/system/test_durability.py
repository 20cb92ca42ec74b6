"""250 means that it is on disk; and what happens when there is no room."""

import os
import re
import select
import shutil
import subprocess

import pytest

from daemon import AS_ROOT, NO_JOURNAL, wait_for

CALL = re.compile(r"(?P<pid>\d+) +(?:(?P<name>\w+)\((?P<args>.*)"
                  r"|<\.\.\. \w+ resumed>(?P<rest>.*))$")


def need_strace():
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    done = subprocess.run(["strace", "-o", "/dev/null", "true"],
                          capture_output=True, text=True)
    if done.returncode:
        pytest.skip(done.stderr.strip())


def traced(d, *options):
    """A sanitizer's search for leaks cannot run while it is traced."""
    d.env = {"ASAN_OPTIONS": "detect_leaks=0"}
    d.wrapper = ["strace", "-f", "-o", str(d.path / "trace"), *options]
    return d


def calls(text):
    """(name, rest of the line): in the order in which they ended, but for
    what sends, in the order in which it began."""
    begun = {}
    for m in filter(None, map(CALL.match, text.splitlines())):
        name, args = m["name"], m["args"]
        unfinished = args and args.endswith("<unfinished ...>")
        if unfinished:
            begun[m["pid"]] = (name, args)
        elif args is None:
            name, args = begun.pop(m["pid"], ("", ""))
            args += m["rest"]
        sends = name.startswith(("send", "write"))
        if (sends and m["name"]) or not (sends or unfinished):
            yield name, args


class Disk:
    """What is safe on it, going by the calls."""

    def __init__(self, mail):
        self.mail = str(mail)
        self.synced = set()  # files and folders
        self.made_in = set()  # folders that have a new one in them
        self.published = {}  # file name: its folder
        self.answered = []

    def see(self, name, args):
        if not args.endswith(" = 0") and not name.startswith(("send", "w")):
            return
        if name in ("fsync", "fdatasync"):
            path = re.match(r"\d+<(.*?)>", args)[1]
            self.synced.add(path)
            self.made_in.discard(path)
        elif name == "mkdirat":
            parent = re.match(r"\d+<(.*?)>", args)[1]
            if parent.startswith(self.mail):
                self.made_in.add(parent)
        elif name in ("renameat2", "renameat", "linkat"):
            m = re.match(r'\d+<(.*?)>, "(.*?)", \d+<(.*?)>, "(.*?)"', args)
            assert f"{m[1]}/{m[2]}" in self.synced, f"not synced: {args}"
            self.published[m[4]] = m[3]
            self.synced.discard(m[3])
        elif "250 2.6.0" in args:
            self.accept(re.search(r"250 2\.6\.0 (\S+) accepted", args)[1])

    def accept(self, id):
        mine = [n for n in self.published if f".{id}_" in n]
        assert len(mine) == 2, self.published
        for n in mine:
            assert self.published[n] in self.synced, f"its folder: {n}"
        assert not self.made_in, f"made and not synced: {self.made_in}"
        self.answered.append(id)


def test_250_comes_behind_the_fsyncs(start):
    """WIRE 27: file, then rename, then folder, then 250: for each copy."""
    need_strace()
    d = traced(start.make(top="workers = 1", journal=NO_JOURNAL), "-y", "-s", "64", "-e",
               "trace=fsync,fdatasync,renameat,renameat2,linkat,mkdirat,"
               "sendto,sendmsg,write,writev")
    d.start()
    with d.client() as c:
        # the first one makes the mailbox
        ids = [c.deliver("x" * size + "\r\n", "alice@example.org",
                         "bob@example.org").id for size in (10, 60000)]
    d.stop()
    disk = Disk(d.mail)
    for name, args in calls((d.path / "trace").read_text(errors="replace")):
        disk.see(name, args)
    assert disk.answered == ids


def prepare(d):
    """The start needs no luck."""
    for p in (d.spool, d.mail, *(d.spool / name for name in (
            "tmp", "failed", "journal", "held", "damaged"))):
        p.mkdir()
        if AS_ROOT:
            shutil.chown(p, "nobody")


HELD, NO, FULL = "250 2.6.0", "451 4.3.0", "452 4.3.1"


@pytest.mark.parametrize("fault, statuses", [
    ("fsync:error=EIO", [NO]),
    ("fsync:error=EIO:when=3+3", [HELD, NO]),
    ("fsync:error=ENOSPC", [NO]),
    ("fsync:error=EDQUOT", [NO]),
    ("renameat2:error=EIO", [HELD]),
    ("renameat2:error=EIO:when=2+2", [HELD]),
    ("mkdirat:error=EACCES:when=2+", [HELD]),
    ("writev:error=ENOSPC:when=2+2", [HELD]),
    ("pwrite64:error=ENOSPC", [FULL]),
    ("pwrite64:error=EIO", [NO]),
])
def test_faults_of_the_disk(start, fault, statuses):
    """WIRE 26, 27: whatever fails on the way: each copy is in its mailbox or
    held, or it is 4xx, and there is nothing but copies that were placed before
    that."""
    need_strace()
    call = fault.split(":")[0]
    d = traced(start.make(top="workers = 1", journal=NO_JOURNAL), "-e",
               f"trace={call}", "-e", f"inject={fault}")
    prepare(d)
    d.start()
    with d.client() as c:
        reply = c.deliver(BIG * 200, "alice@example.org", "bob@example.org")
        assert reply.status in statuses, reply
        files = [m.path.parts[-3] for m in d.messages()]
        assert len(set(files)) == len(files)
        held = [p for p in (d.spool / "held").iterdir()
                if p.suffix != ".body"]
        assert len(held) == (reply.code == 250 and len(files) < 2)
        if reply.code != 250:
            assert d.leftovers() == []
            # only what failed later can have placed one before
            assert not files or "when" in fault
        assert d.files(folder="tmp") == []
        assert c.ask("NOOP").code == 250


def test_a_slow_disk_holds_up_nobody_else(start):
    """WIRE 4: fsync takes its time on a thread; the loop goes on."""
    need_strace()
    d = traced(start.make(top="workers = 1", journal=NO_JOURNAL), "-e",
               "trace=fsync", "-e", "inject=fsync:delay_enter=1000000:when=1")
    d.start()
    with d.client() as slow, d.client() as quick:
        slow.begin()
        assert slow.ask("DATA").code == 354
        slow.send("x\r\n.\r\n")
        for _ in range(10):
            assert quick.ask("NOOP").code == 250
        assert not select.select([slow.socket], [], [], 0)[0]
        assert slow.reply().code == 250


BIG = b"x" * 997 + b"\r\n"


def test_no_room_at_mail(start, mounted):
    """WIRE 26, 27: what does not fit is 452, at MAIL if it said so."""
    if not AS_ROOT:
        pytest.skip("root alone may mount")
    d = start.make()
    mounted("ext4", d.path / "small", "32M")
    d.conf.write_text(d.conf.read_text()
                      .replace(str(d.spool), f"{d.path}/small/spool")
                      .replace(f"maildir:{d.mail}",
                               f"maildir:{d.path}/small/mail"))
    d.spool, d.mail = d.path / "small" / "spool", d.path / "small" / "mail"
    d.start()
    with d.client() as c:
        assert c.ask("MAIL FROM:<a@example.com> SIZE=40000000").status == (
            "452 4.3.1")
        assert c.ask("MAIL FROM:<a@example.com> SIZE=1000").code == 250
        c.ask("RSET")
        # it did not say so: told behind the dot, and nothing stays
        c.begin("alice@example.org")
        assert c.ask("DATA").code == 354
        for _ in range(40):
            c.send(BIG * 1024)
        c.send(b".\r\n")
        assert c.reply().status == "452 4.3.1"
        assert d.files() == [] and d.leftovers() == []
        # and there is room again
        wait_for("room", lambda: c.ask("MAIL FROM:<a@example.com>").code
                 == 250)
        c.ask("RSET")
        reply = c.deliver("small\r\n")
        assert reply.code == 250, reply
    assert len(d.files()) == 1


def test_no_room_in_the_mailbox(start, full):
    """WIRE 27: one of two disks is full: its copy is held, the other placed."""
    if not AS_ROOT:
        pytest.skip("root alone may mount")
    d = start.make(journal=NO_JOURNAL + " reserve = 0%")
    filler = full(d, "bob")
    d.start()
    with d.client() as c:
        id = c.deliver(BIG * 100, "alice@example.org", "bob@example.org").id
        d.message("alice@example.org", id)
        assert not d.files("bob@example.org")
        assert c.deliver("x\r\n", "alice@example.org").code == 250
        filler.unlink()
        wait_for("its delivery", lambda: d.files("bob@example.org"))
        assert d.message("bob@example.org", id).body == (
            BIG * 100).replace(b"\r\n", b"\n")


@pytest.mark.parametrize("size", [1, 300])
def test_mailbox_that_cannot_be_written(start, size):
    """WIRE 20, 27: 250, and held until it can be; the other has its own at
    once; what comes meanwhile is 450, or 450 at the dot."""
    d = start(journal=NO_JOURNAL, top="workers = 1")
    bob = d.mail / "example.org" / "bob"
    with d.client() as c, d.client() as late:
        c.deliver("x\r\n", "alice@example.org", "bob@example.org")
        late.begin("bob@example.org")
        for name in "tmp", "new":
            (bob / name).chmod(0o500)
        if not AS_ROOT and os.access(bob / "new", os.W_OK):
            pytest.skip("modes mean nothing here")
        id = c.deliver(BIG * size, "alice@example.org", "bob@example.org").id
        d.message("alice@example.org", id)
        c.ask("MAIL FROM:<a@example.com>")
        assert c.ask("RCPT TO:<bob@example.org>").status == "450 4.2.1"
        assert late.ask("DATA").code == 354
        late.send("y\r\n.\r\n")
        assert late.reply().status == "450 4.2.1"
        for name in "tmp", "new":
            (bob / name).chmod(0o700)
        wait_for("its delivery", lambda: len(d.files("bob@example.org")) == 2)
        assert d.message("bob@example.org", id).body == (
            BIG * size).replace(b"\r\n", b"\n")
        wait_for("an empty held/", lambda: not any(
            (d.spool / "held").iterdir()))
    assert " warn held message=" + id in d.log()


def test_a_mailbox_and_held_cannot_be_written(start):
    """WIRE 27: 451, and nothing but the copy that was placed before."""
    d = start(journal=NO_JOURNAL, top="workers = 1")
    bob = d.mail / "example.org" / "bob"
    with d.client() as c:
        c.deliver("x\r\n", "alice@example.org", "bob@example.org")
        for p in bob / "tmp", bob / "new", d.spool / "held":
            p.chmod(0o500)
        if not AS_ROOT and os.access(bob / "new", os.W_OK):
            pytest.skip("modes mean nothing here")
        reply = c.deliver("y\r\n", "alice@example.org", "bob@example.org")
        assert reply.status == "451 4.3.0"
        assert len(d.files("alice@example.org")) == 2
        for p in bob / "tmp", bob / "new", d.spool / "held":
            p.chmod(0o700)
        # nothing is held for it, and so it gets the next one
        assert c.deliver("z\r\n", "bob@example.org").code == 250
        assert len(d.files("bob@example.org")) == 2
    assert re.search(" error held .* help=.*it is refused", d.log())
