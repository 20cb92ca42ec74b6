"""The journal: what comes before 250, and what the disk may do to it."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from daemon import DEADLINE, NO_JOURNAL, Message, wait_for
from test_durability import calls, need_strace, traced

FAST = "segment = 1M size = 64M checkpoint = 200ms"
LARGE = ("z" * 998 + "\r\n") * 200


class Log:
    """What is on the disk, going by the calls of one worker."""

    def __init__(self):
        self.written = b""
        self.synced = b""
        self.answered = []

    def see(self, name, args):
        if name == "pwritev":
            self.written += args.encode()
        elif name == "fdatasync" and ".log>" in args:
            self.synced = self.written
        elif "250 2.6.0" in args:
            id = re.search(r"250 2\.6\.0 (\S+) accepted", args)[1]
            assert id.encode() in self.synced, f"not on disk: {id}"
            self.answered.append(id)


def test_250_comes_behind_the_commit(start):
    """WIRE 27: one pwritev and one fdatasync hold all that is answered."""
    need_strace()
    d = traced(start.make(top="workers = 1", journal=FAST), "-y", "-s",
               "400", "-e", "trace=pwritev,fdatasync,sendto,sendmsg,write")
    d.start()
    with d.client() as c:
        ids = [c.deliver("x\r\n", "alice@example.org",
                         "bob@example.org").id for _ in range(3)]
    d.stop()
    log = Log()
    for name, args in calls((d.path / "trace").read_text(errors="replace")):
        log.see(name, args)
    assert log.answered == ids


def test_large_250_comes_behind_file_and_folder(start):
    """WIRE 27: a body of its own has its octets and its name on disk."""
    need_strace()
    d = traced(start.make(top="workers = 1", journal=FAST), "-y", "-s", "64",
               "-e", "trace=linkat,fsync,fdatasync,sendto,sendmsg,write")
    d.start()
    with d.client() as c:
        id = c.deliver(LARGE, "alice@example.org", "bob@example.org").id
    d.stop()
    seen = []
    for name, args in calls((d.path / "trace").read_text(errors="replace")):
        if name in ("linkat", "fsync", "fdatasync"):
            seen.append(f"{name} {args}")
        elif "250 2.6.0" in args:
            break
    own = [i for i, x in enumerate(seen) if f"{id}.body" in x]
    assert own and seen[own[0]].startswith("linkat")
    assert seen[own[0] - 1].startswith("fsync")  # the file
    assert seen[own[0] + 1].startswith("fsync")  # its folder
    assert any(x.startswith("fdatasync") for x in seen[own[0] + 2:])


def test_a_slow_disk_gathers_one_commit(start):
    """While one commit runs, all that comes waits for the next, together."""
    need_strace()
    d = traced(start.make(top="workers = 1", journal=FAST), "-e",
               "trace=fdatasync,pwritev", "-e",
               "inject=fdatasync:delay_enter=300000")
    d.start()
    clients = [d.client() for _ in range(12)]
    for c in clients:
        c.begin("alice@example.org")
        assert c.ask("DATA").code == 354
    for c in clients:
        c.send("x\r\n.\r\n")
    for c in clients:
        assert c.reply().code == 250
        c.close()
    d.stop()
    trace = (d.path / "trace").read_text()
    assert len(re.findall(r"pwritev\(", trace)) < 6


class Ledger:
    """Who was promised what, by several clients at once."""

    def __init__(self, d):
        self.d = d
        self.lock = threading.Lock()
        self.promised, self.refused, self.unknown = set(), {}, set()

    def client(self, k, n, name):
        c = None
        for i in range(n):
            tag = f"{name}{k}-{i}"
            body = f"X-Tag: {tag}\r\n\r\n" + (
                LARGE if i % 10 == 9 else "y" * 70 + "\r\n")
            try:
                c = c or self.d.client()
                reply = c.deliver(body, "alice@example.org",
                                  "bob@example.org")
            except (OSError, AssertionError, TypeError):
                c = None
                with self.lock:
                    self.unknown.add(tag)
                continue
            with self.lock:
                if reply.code == 250:
                    self.promised.add(tag)
                else:
                    self.refused[tag] = reply.status
        if c:
            c.close()

    def run(self, clients=4, each=30, name=""):
        threads = [threading.Thread(target=self.client, args=(k, each, name))
                   for k in range(clients)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return self

    def holds(self):
        """All that was promised is there, and nothing that was refused."""
        for box in self.d.mail.glob("example.org/*"):
            found = [re.search(rb"X-Tag: (\S+)", Message(p).body)[1].decode()
                     for p in (box / "new").iterdir()]
            assert len(found) == len(set(found)), "something is there twice"
            assert self.promised <= set(found)
            assert not set(self.refused) & set(found)


def on_ext4(d, mounted):
    """syncfs() is asked only where it is trusted: not every folder is that."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(d.path)], check=True,
                          capture_output=True, text=True).stdout.strip()
    if kind in ("ext2/ext3", "xfs", "btrfs", "f2fs"):
        return
    if os.geteuid():
        pytest.skip(f"{kind} here, and root alone may mount")
    disk = d.path / "disk"
    mounted("ext4", disk, "200M")
    d.conf.write_text(d.conf.read_text().replace(str(d.mail), f"{disk}/mail"))
    d.mail = disk / "mail"


def faulty(start, *faults, deaths=False, mounted=None):
    need_strace()
    names = ",".join(sorted({f.split(":")[0] for f in faults}))
    options = ["-e", f"trace={names}"]
    for f in faults:
        options += ["-e", f"inject={f}"]
    d = traced(start.make(top="workers = 1", journal=FAST, deaths=deaths),
               *options)
    if mounted:
        on_ext4(d, mounted)
    return d.start()


def settle(d, ledger):
    """What is in the journal or held comes, at the latest after a restart."""
    d.stop()
    d.wrapper, d.env = [], {}
    d.start()
    wait_for("nothing but their own journals", lambda: len(
        list((d.spool / "journal").iterdir())) <= len(d.workers()))
    wait_for("nothing held", lambda: not list((d.spool / "held").iterdir()))
    ledger.holds()


@pytest.mark.parametrize("fault", [
    "pwritev:error=EIO:when=3",
    "pwritev:error=ENOSPC:when=5",
    "fdatasync:error=EIO:when=4",
    "fdatasync:error=ENOSPC:when=6",
])
def test_one_commit_fails(start, fault):
    """DESIGN 6: 451 for that batch, another file, and the old one is kept."""
    d = faulty(start, fault)
    ledger = Ledger(d).run()
    assert set(ledger.refused.values()) == {"451 4.3.0"}
    assert not ledger.unknown and len(ledger.promised) > 50
    wait_for("the old file", lambda: list((d.spool / "damaged").iterdir()))
    assert "error journal-commit" in d.log()
    settle(d, ledger)


def test_two_commits_fail(start):
    """421 for all, and whoever comes back finds a new worker."""
    d = faulty(start, "pwritev:error=EIO:when=20..21", deaths=True)
    ledger = Ledger(d).run(each=40)
    assert ledger.refused
    assert "error journal-broken" in d.log()
    wait_for("its end", lambda: "worker-died" in d.log())

    def taken():
        ledger.client("new", 1, "")
        return "new-0" in ledger.promised or ledger.refused.clear()
    refused = dict(ledger.refused)
    wait_for("a new worker that takes mail", taken)
    ledger.refused = refused
    settle(d, ledger)


@pytest.mark.parametrize("fault", [
    "syncfs:error=EIO:when=1", "syncfs:error=EIO", "syncfs:error=ENOSPC",
])
def test_sync_fails(start, mounted, fault):
    """Nothing is freed for it: each record is written anew."""
    d = faulty(start, fault, mounted=mounted)
    ledger = Ledger(d).run()
    assert not ledger.refused and not ledger.unknown
    wait_for("the failure", lambda: "error sync-failed" in d.log())
    settle(d, ledger)


def test_what_a_failed_sync_has_lost(start, mounted):
    """Files that lost their octets before or while it failed, as when pages
    were dropped: each is written anew, though the next sync succeeds."""
    d = faulty(start, "syncfs:error=EIO:delay_enter=1000000:when=1",
               mounted=mounted)
    bodies = {}
    end = time.monotonic() + DEADLINE
    with d.client() as c:
        while "error sync-failed" not in d.log():
            assert time.monotonic() < end
            n = len(bodies)
            id = c.deliver(f"number {n}\r\n", "alice@example.org").id
            bodies[id] = f"number {n}\n".encode()
            path, = [p for p in d.files("alice@example.org")
                     if f".{id}_" in p.name]
            if "error sync-failed" not in d.log():
                os.truncate(path, 0)
    assert len(bodies) > 2

    def whole():
        return all(p.stat().st_size for p in d.files("alice@example.org"))
    wait_for("all octets of all", whole)
    assert {m.id: m.body for m in d.messages("alice@example.org")} == bodies


@pytest.mark.parametrize("fault", [
    "pwrite64:error=EIO:when=5+3", "pwrite64:error=ENOSPC:when=7+2",
    "fsync:error=EIO:when=14+3", "renameat2:error=EIO:when=3+5",
    "renameat2:error=EDQUOT:when=2+2", "writev:error=ENOSPC:when=3+4",
])
def test_other_faults(start, fault):
    """Whatever fails on the way, now and then: the ledger holds."""
    d = faulty(start, fault, deaths=True)
    ledger = Ledger(d).run(each=20)
    assert ledger.promised
    settle(d, ledger)


def test_checkpoint_fails_beside_a_commit(start):
    """Its file is retired while it is being written to, and no sooner over."""
    d = faulty(start, "pwrite64:error=EIO:when=4+2",
               "fdatasync:delay_enter=30000", deaths=True)
    ledger = Ledger(d).run(clients=8, each=60)
    wait_for("the failure", lambda: "error checkpoint-failed" in d.log())
    assert not re.search(r"worker-died .* signal=", d.log())
    settle(d, ledger)


def test_no_room_for_a_segment(start, mounted):
    """WIRE 26: 452, and 250 again once there is room."""
    if os.geteuid():
        pytest.skip("root alone may mount")
    d = start.make(journal="segment = 8M size = 256M reserve = 0%",
                   top="workers = 1")
    mounted("ext4", d.spool, "12M")
    filler = d.spool / "filler"
    with open(filler, "wb") as f:
        try:
            f.write(b"x" * (16 << 20))
        except OSError:
            pass
    d.start()
    with d.client() as c:
        reply = c.ask("MAIL FROM:<a@example.com>")
        if reply.code == 250:
            c.ask("RCPT TO:<alice@example.org>")
            c.ask("DATA")
            c.send("x\r\n.\r\n")
            reply = c.reply()
        assert reply.status == "452 4.3.1"
        filler.unlink()
        wait_for("room", lambda: c.ask("RSET") and c.ask(
            "MAIL FROM:<a@example.com>").code == 250)
        c.ask("RSET")
        wait_for("250", lambda: c.deliver("x\r\n").code == 250)
    assert d.files()


def test_announced_and_not_sent(start):
    """WIRE 26: who only says how much will come keeps nobody else out."""
    d = start(journal="segment = 1M size = 8M inline = 64K",
              top="workers = 1", limits="per-address = 1000")
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            c = stack.enter_context(d.client())
            assert c.ask("MAIL FROM:<a@example.com> SIZE=50000000").code == 250
        with d.client() as c:
            assert c.deliver("x\r\n").code == 250
        # and yet there is a limit to what may be on its way at once
        codes = set()
        for _ in range(40):
            c = stack.enter_context(d.client())
            codes.add(c.ask("MAIL FROM:<a@example.com>").status)
        assert codes == {"250 2.1.0", "452 4.3.1"}
    with d.client() as c:
        wait_for("room", lambda: c.ask("RSET") and c.ask(
            "MAIL FROM:<a@example.com>").code == 250)


def test_switched_off(start):
    """What the journal had accepted comes without one, too."""
    d = start(journal=FAST, deaths=True)
    with d.client() as c:
        ids = [c.deliver("first\r\n", "alice@example.org").id]
    d.settled()
    box = d.mail / "example.org" / "alice"
    for name in ("tmp", "new"):
        (box / name).chmod(0o500)
    with d.client() as c:
        ids.append(c.deliver("second\r\n", "alice@example.org").id)
        wait_for("its being held",
                 lambda: list((d.spool / "held").iterdir()))
    d.kill()
    d.conf.write_text(d.conf.read_text().replace(
        "journal { " + FAST, "journal { " + NO_JOURNAL))
    for name in ("tmp", "new"):
        (box / name).chmod(0o700)
    d.start()
    wait_for("its delivery", lambda: len(list((box / "new").iterdir())) == 2)
    wait_for("empty journals",
             lambda: not list((d.spool / "journal").iterdir()))
    assert sorted(m.id for m in d.messages("alice@example.org")) == sorted(ids)


@pytest.mark.parametrize("large", [False, True])
def test_a_journal_that_cannot_be_read_now(start, large):
    """It stays as it is, and is read back when it can be."""
    need_strace()
    d = start(journal="segment = 1M size = 64M checkpoint = 1h",
              top="workers = 1", deaths=True)
    with d.client() as c:
        id = c.deliver(LARGE if large else "x\r\n", "alice@example.org").id
    path, = d.files("alice@example.org")
    segment, = (d.spool / "journal").glob("*/*.log")
    d.kill()
    path.unlink()
    traced(d, "-P", str(segment), "-e", "trace=pread64", "-e",
           "inject=pread64:error=EIO")
    d.conf.write_text(d.conf.read_text().replace("= 1h", "= 200ms"))
    d.start()
    wait_for("a failure", lambda: "error recovered" in d.log())
    d.kill()
    assert segment.exists() and not path.exists()
    d.wrapper, d.env = [], {}
    d.start()
    wait_for("its delivery", path.exists)
    d.message("alice@example.org", id)


def test_reload_passes_a_journal_on(start):
    """Workers of before empty theirs; those of now have their own."""
    d = start(journal=FAST)
    ledger = Ledger(d)
    for name in "abc":
        ledger.run(clients=2, each=10, name=name)
        os.kill(d.master(), signal.SIGHUP)
        wait_for("the reload", lambda: d.log().count("info reloaded"))
    settle(d, ledger)
    assert not ledger.refused


def test_a_journal_of_the_future_stops_the_start(start):
    """It names itself; nothing is touched."""
    d = start(journal=FAST)
    with d.client() as c:  # so that there is a segment, and it is in use
        assert c.deliver("x\r\n").code == 250
    d.kill()
    segment = next(p for p in (d.spool / "journal").glob("*/*.log")
                   if p.read_bytes()[:8] == b"smtpdjnl")
    head = bytearray(segment.read_bytes()[:48])
    head[8] = 99
    head[12:16] = bytes(4)
    head[24:32] = (1 << 40).to_bytes(8, "little")
    head[12:16] = crc32c(bytes(head)).to_bytes(4, "little")
    with open(segment, "r+b") as f:
        f.write(head)
    before = segment.read_bytes()
    d.start(wait=False)
    assert d.wait() != 0
    assert re.search(r"error journal-version journal=\S+ version=99 ours=2",
                     d.log())
    assert segment.read_bytes() == before


def crc32c(data):
    crc = 0xffffffff
    for b in data:
        crc ^= b
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff
