"""smtpd held: what waits in held/, tried now or given up by hand."""

import contextlib
import fcntl
import http.server
import os
import re
import shutil
import stat
import struct
import subprocess
import threading
import time

import pytest

from daemon import AS_ROOT, BINARY, wait_for
from liar import Liar
from test_held import a_file_in_its_place, boxes, held, refused
from test_held import without_permission
from test_status import tool

DOMAINS = """
domain "example.org" {{
	users = {{ "alice", "bob" }}
	aliases = {{ "postmaster: alice", "abuse: alice" }}
	catch-all = "CATCH-ALL"
	deliver = "maildir:{mail}/%d/%u"
}}
"""
ROUTE = 'route "out" { to = "lmtp:/nowhere" when-down = hold '\
        "verify-recipients = no }"
AWAY = "451 4.4.1 The server for this address is not there now"
BLOCK = 512
GIVEN_UP = (2 ** 63 - 1) // 4


@pytest.fixture
def daemon(start):
    """daemon(**config): alice and bob have mailboxes, others a route that is
    not there."""
    def make(catch_all="route:out", more="", **config):
        return start(extra=ROUTE + more, top="workers = 1",
                     domains=DOMAINS.replace("CATCH-ALL", catch_all), **config)
    return make


def files(d, id=""):
    """Without the bodies."""
    return sorted(p for p in held(d)
                  if p.name.startswith(id) and p.suffix != ".body")


def only(d, id):
    path, = files(d, id)
    return path


def hold(d, *names, body="x\r\n"):
    """The id of a message for these, all of which is held."""
    ways = {"a mailbox" if n in ("alice", "bob") else "the route"
            for n in names}
    with d.client() as c:
        id = c.deliver(body, *[f"{n}@example.org" for n in names]).id
    wait_for("its being held", lambda: len(files(d, id)) == len(ways))
    return id


@contextlib.contextmanager
def locked(path):
    """Open for writing, while nobody else works on it."""
    def lock():
        f = open(path, "r+b")
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(f.fileno()).st_ino == path.stat().st_ino:
                return f
        f.close()

    with wait_for("its lock", lock) as f:
        yield f


def block(path):
    """Attempts, age and when the last attempt was; and the reason."""
    data = path.read_bytes()[-BLOCK:]
    return struct.unpack("<3Q", data[:24]), data[32:].split(b"\0")[0].decode()


def make_old(path, hours=20):
    """It has waited for so long, and was tried just now."""
    with locked(path) as f:
        f.seek(-BLOCK + 8, os.SEEK_END)
        f.write(struct.pack("<2Q", hours * 3600000, int(
            time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)))


def two_old_ones(d):
    """A mailbox, and the id of its message, that would be taken by now."""
    alice, bob = boxes(d, "alice", "bob")
    undo = [without_permission(box) for box in (alice, bob)]
    one, two = hold(d, "alice"), hold(d, "bob")
    for id in one, two:
        make_old(only(d, id))
    for each in undo:
        each()
    return (alice, one), (bob, two)


def shown(d, *arguments):
    """Its lines, split; nothing was wrong."""
    r = tool(d, "held", *arguments)
    assert (r.returncode, r.stderr) == (1 if r.stdout else 0, "")
    return [line.split("  ") for line in r.stdout.splitlines()]


def test_nothing(start):
    d = start()
    for arguments in [], ["-v"], ["--retry"]:
        r = tool(d, "held", *arguments)
        assert (r.returncode, r.stderr) == (0, "")
        assert r.stdout == ("0 will be tried now\n"
                            if "--retry" in arguments else "")
    d.stop()
    assert tool(d, "held").returncode == 0
    r = tool(d, "held", "0123")
    assert (r.returncode, r.stdout) == (0, "")
    assert r.stderr == (
        "smtpd held: 0123: nothing is held whose name begins so\n")
    # nor was anything, ever
    shutil.rmtree(d.spool / "held")
    assert tool(d, "held").returncode == 0
    shutil.rmtree(d.spool)
    r = tool(d, "held")
    assert r.returncode == 70 and str(d.spool) in r.stderr


def test_sums(daemon):
    """A line for each mailbox and route; with a daemon and without."""
    d = daemon()
    alice, bob = boxes(d, "alice", "bob")
    for box in alice, bob:
        a_file_in_its_place(box)
    one = hold(d, "alice", "bob", "x", "y", body="x" * 998 + "\r\n" * 300000)
    two = hold(d, "x")
    d.stop()
    for id, hours in (one, 50), (two, 3):
        for path in files(d, id):
            make_old(path, hours)
    r = tool(d, "held")
    assert (r.returncode, r.stderr) == (1, "")
    head, *lines = r.stdout.splitlines()
    assert head.split() == ["count", "octets", "oldest", "next",
                            "destination", "reason"]
    sums = {}
    for line in lines:
        count, octets, oldest, wait, rest = line.split(None, 4)
        sums[rest] = (int(count), oldest)
        assert re.fullmatch(r"1[45]m\d+s", wait), line
        assert 300000 < int(octets) * (1 if "route" in rest else 2) < 340000
    assert sums == {f"route:out  {AWAY}": (2, "2d2h"),
                    f"{alice}  Not a directory": (1, "2d2h"),
                    f"{bob}  Not a directory": (1, "2d2h")}


def test_files(daemon):
    """A line for each, of all or of those that are named; oldest first."""
    d = daemon()
    alice, = boxes(d, "alice")
    without_permission(alice)
    one = hold(d, "alice", "x", "y")
    two = hold(d, "z")
    lines = shown(d, "-v")
    assert [x[0] for x in lines] == [p.name for p in files(d)]
    assert {(x[0][:len(one)], *x[5:]) for x in lines} == {
        (one, str(alice), "alice@example.org", "Permission denied"),
        (one, "route:out", "x@example.org,y@example.org", AWAY),
        (two, "route:out", "z@example.org", AWAY)}
    assert all(int(x[1]) > 8192 and int(x[4]) >= 1 for x in lines)
    assert [x[0] for x in shown(d, two)] == [only(d, two).name]
    assert len(shown(d, only(d, two).name)) == 1
    assert len(shown(d, one)) == 2
    assert len(shown(d, one, two)) == 3
    assert shown(d) != []


def test_retry(daemon):
    """Of a mailbox: what would have waited for a quarter of an hour."""
    d = daemon()
    (alice, one), (bob, two) = two_old_ones(d)
    assert {x[3][:2] for x in shown(d, "-v")} <= {"14", "15"}
    r = tool(d, "held", "--retry", one)
    assert (r.returncode, r.stdout, r.stderr) == (
        0, "1 will be tried now\n", "")
    wait_for("its delivery", lambda: [
        p for p in (alice / "new").iterdir() if f".{one}_" in p.name])
    wait_for("its removal", lambda: not files(d, one))
    assert len(list((bob / "new").iterdir())) == 1
    assert [p.name for p in held(d)] == [only(d, two).name]
    assert tool(d, "held", "--retry").stdout == "1 will be tried now\n"
    wait_for("the other's", lambda: len(list((bob / "new").iterdir())) == 2)
    wait_for("an empty held/", lambda: tool(d, "held").returncode == 0)


def test_retry_of_a_route(daemon):
    """On disk, for whoever looks there next."""
    d = daemon()
    id = hold(d, "x")
    d.stop()
    path = only(d, id)
    make_old(path)
    now = d.spool / "held" / ".now"
    for _ in range(2):
        for each in path, now:
            if each.exists():
                os.utime(each, (1, 1))
        assert tool(d, "held", "--retry").returncode == 0
        (tried, age, last), reason = block(path)
        assert (age, last, reason) == (20 * 3600000, 0, AWAY) and tried >= 1
        assert path.stat().st_mtime > 1 and now.stat().st_mtime > 1
        assert now.stat().st_uid == path.stat().st_uid
        assert stat.S_IMODE(now.stat().st_mode) == 0o600
        (_, _, age, wait, *_), = shown(d, "-v")
        assert (age, wait) == ("20h0m", "now")


def test_a_route_that_is_back(start):
    """It is asked at once, for what is wanted; and never for what is given
    up."""
    path = start.folder() / "lmtp"
    d = start(top="workers = 1", extra=ROUTE.replace("/nowhere", str(path)),
              domains=DOMAINS.replace("CATCH-ALL", "route:out"))
    one, two, three = hold(d, "x"), hold(d, "y"), hold(d, "z")
    later = "450 4.2.1 later"
    with Liar(path, lmtp=True, RCPT=later) as liar:
        assert tool(d, "held", "--retry").returncode == 0
        wait_for("its answer to all", lambda: {
            x[7] for x in shown(d, "-v")} == {later})
        for id in one, two, three:
            make_old(only(d, id))
        liar.script["RCPT"] = "250 ok"
        assert tool(d, "held", "--retry", one).returncode == 0
        wait_for("its delivery", lambda: not files(d, one))
        assert tool(d, "held", "--fail", two).returncode == 0
        failed = d.spool / "failed" / "new"
        wait_for("its failure", lambda: not files(d, two))
        mail, = failed.iterdir()
        assert f".{two}_" in mail.name
        assert f"X-Smtpd-Failed: y@example.org: {later}\n" in (
            mail.read_text())
        assert [x[0] for x in shown(d, "-v")] == [only(d, three).name]
        assert [x[1] for x in liar.mails] == ["RCPT TO:<x@example.org>"]


def test_fail(daemon):
    """It would be taken; but it is not tried, and goes with its reason."""
    d = daemon()
    (alice, one), (_, two) = two_old_ones(d)
    r = tool(d, "held", "--fail", one)
    assert (r.returncode, r.stdout, r.stderr) == (
        0, "1 will be put into failed\n", "")
    failed = d.spool / "failed" / "new"
    path, = wait_for("failed", lambda: failed.exists() and
                     list(failed.iterdir()))
    assert f".{one}_" in path.name
    assert (b"X-Smtpd-Failed: alice@example.org: Permission denied\n"
            in path.read_bytes())
    wait_for("its line", lambda: f"error failed message={one}" in d.log())
    with d.client() as c:
        wait_for("250 again", lambda: not refused(c, "alice@example.org"))
        assert refused(c, "bob@example.org")
    wait_for("its removal", lambda: not files(d, one))
    assert [p.name for p in held(d)] == [only(d, two).name]
    assert len(list((alice / "new").iterdir())) == 1


def test_fail_without_a_daemon(daemon):
    """The next one does it."""
    d = daemon()
    alice, = boxes(d, "alice")
    undo = without_permission(alice)
    id = hold(d, "alice", "x")
    d.stop()
    undo()
    for path in held(d):
        make_old(path)
    assert tool(d, "held", "--fail", id[:8]).stdout == (
        "2 will be put into failed\n")
    assert {block(p)[0][1:] for p in held(d)} == {(GIVEN_UP, 0)}
    assert {tuple(x[2:4]) for x in shown(d, "-v")} == {("given-up", "now")}
    # what was given up is not tried any more
    assert tool(d, "held", "--retry").returncode == 0
    assert {block(p)[0][1:] for p in held(d)} == {(GIVEN_UP, 0)}
    d.start()
    wait_for("failed", lambda: list((d.spool / "failed").glob("new/*")))
    assert len(list((alice / "new").iterdir())) == 1


def test_removed(start):
    """By hand, while it is tried again and again: that is all."""
    d = start(top="workers = 1")
    alice, = boxes(d, "alice")
    undo = without_permission(alice)
    hold(d, "alice", body="x" * 998 + "\r\n" * 300000)
    assert len(held(d)) == 2
    for path in sorted(held(d)):
        path.unlink()
    assert shown(d) == []
    undo()
    with d.client() as c:
        wait_for("250 again", lambda: not refused(c, "alice@example.org"))
    assert not re.search(" error ", d.log()), d.log()


def test_busy(daemon):
    """What is tried at this moment stays as it is; that is said."""
    d = daemon()
    one, two = hold(d, "x"), hold(d, "y")
    d.stop()
    make_old(only(d, two))
    with locked(only(d, one)):
        was = only(d, one).read_bytes()
        for arguments in ["--fail", one, two], ["--retry"]:
            r = tool(d, "held", *arguments)
            assert r.returncode == 1 and r.stdout.startswith("1 will be ")
            assert r.stderr == (f"smtpd held: {only(d, one).name}: it is "
                                "being tried, so it stays as it is\n")
        assert only(d, one).read_bytes() == was
    assert block(only(d, two))[0][1:] == (GIVEN_UP, 0)
    assert tool(d, "held", "--fail", one).returncode == 0


def crc32c(data):
    crc = 0xffffffff
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def newer(data):
    """A file of the version that comes next."""
    out = bytearray(data)
    for page in 0, 4096:
        header = out[page:page + 48]
        header[8:16] = struct.pack("<2I", 3, 0)
        header[12:16] = struct.pack("<I", crc32c(header))
        out[page:page + 48] = header
    return bytes(out)


NO_FILE = "no file that smtpd made, or too large"
DAMAGED = "damaged, or without its body: look at the disk"


def litter(folder, good):
    """What may lie there beside mail, and what is said of it."""
    data = good.read_bytes()
    for name, octets in {
            "e-empty": b"", "f-text": b"Dear sir,\n" * 10000,
            "g-cut": data[:8300], "h-newer": newer(data),
            "i-other": data[:8250] + b"?" + data[8251:],
            "j-\x1b[31m\n": b"x"}.items():
        (folder / name).write_bytes(octets)
    (folder / "a-link").symlink_to(good)
    (folder / "b-nowhere").symlink_to("/nowhere")
    os.mkfifo(folder / "c-fifo")
    (folder / "d-folder").mkdir()
    with open(folder / "k-sparse", "wb") as f:
        f.truncate(1 << 40)
    (folder / "l.body").symlink_to("/dev/zero")
    (folder / ".m").write_bytes(b"")
    for path in folder.iterdir():
        os.chown(path, good.stat().st_uid, -1, follow_symlinks=False)
    return {"a-link": NO_FILE, "b-nowhere": NO_FILE, "c-fifo": NO_FILE,
            "d-folder": NO_FILE, "e-empty": DAMAGED, "f-text": DAMAGED,
            "g-cut": DAMAGED, "h-newer": "a newer smtpd wrote it",
            "i-other": DAMAGED, '"j-\\x1b[31m\\n"': DAMAGED,
            "k-sparse": NO_FILE}


def content(folder):
    return {p.name: (p.lstat().st_mtime_ns, p.read_bytes())
            for p in folder.iterdir()
            if p.is_file() and not p.is_symlink() and p.name != "k-sparse"
            and p.name != ".now"}


def test_what_is_no_mail(daemon):
    """Nothing is followed or waited for; all of it is named, quoted; what is
    mail is treated as ever."""
    d = daemon()
    id = hold(d, "x")
    gone = hold(d, "y", body="x" * 998 + "\r\n" * 300000)
    d.stop()
    for id_ in id, gone:
        make_old(only(d, id_))
    good, bad = only(d, id), only(d, gone)
    bad.with_name(bad.name + ".body").unlink()
    said = {bad.name: DAMAGED, **litter(d.spool / "held", good)}
    lines = [f"smtpd held: {name}: {text}" for name, text in said.items()]
    before = content(d.spool / "held")
    all_of_them = ["--fail", id, gone, *"abcdefghijk"]
    for arguments in [], ["-v"], ["--retry"], all_of_them:
        r = tool(d, "held", *arguments)
        assert r.returncode == 1
        assert sorted(r.stderr.splitlines()) == sorted(lines)
        if not arguments or arguments == ["-v"]:
            assert len(r.stdout.splitlines()) == (1 if arguments else 2)
            assert content(d.spool / "held") == before
        else:
            assert r.stdout.startswith("1 will be ")
    assert block(good)[0][1:] == (GIVEN_UP, 0)
    after = content(d.spool / "held")
    assert {k for k in before if before[k] != after[k]} == {good.name}
    assert (d.spool / "held" / "a-link").is_symlink()


@pytest.mark.parametrize("said, shown", [
    (b'451 "x" \\ \xff', '  "451 \\"x\\" \\\\ \\xffxxx'),
    (b"451 \x1b]0;x\x07\n", "  \n")])
def test_quoted(daemon, said, shown):
    """What a server said turns no terminal, and makes no line: a reason with
    a control octet is not ours, and none at all."""
    d = daemon()
    path = only(d, hold(d, "x"))
    d.stop()
    with open(path, "r+b") as f:
        f.seek(32 - BLOCK, os.SEEK_END)
        f.write(said.ljust(BLOCK - 32, b"x"))
    for arguments in [], ["-v"]:
        r = tool(d, "held", *arguments)
        assert shown in r.stdout
        assert "\x1b" not in r.stdout
        assert len(r.stdout.splitlines()) == (1 if arguments else 2)


@pytest.mark.parametrize("make", [
    os.mkfifo, os.mkdir, lambda path: path.symlink_to("w")])
def test_what_is_no_wish(daemon, make):
    """Nobody is told through what is not a file."""
    d = daemon()
    path = only(d, hold(d, "x"))
    d.stop()
    now = d.spool / "held" / ".now"
    make(now)
    if AS_ROOT:
        os.chown(now, path.stat().st_uid, -1, follow_symlinks=False)
    r = tool(d, "held", "--retry")
    assert r.returncode == 1
    assert r.stderr == f"smtpd held: .now: {NO_FILE}\n"
    assert not now.with_name("w").exists()


@pytest.mark.skipif(not AS_ROOT, reason="root alone becomes others")
def test_who_may(daemon):
    """Root, as the user, who owns what is made; and the user; nobody else."""
    d = daemon()
    hold(d, "x")
    d.stop()
    for user, code in ("nobody", 1), ("daemon", 4):
        r = tool(d, "held", user=user, group="nogroup", extra_groups=[])
        assert (r.returncode, r.stdout != "") == (code, code == 1), r.stderr
    assert r.stderr.startswith("smtpd held: ")
    assert r.stderr.endswith(": Permission denied\n")
    # what root alone could read is not read as root
    path, = held(d)
    os.chown(path, 0, 0)
    for arguments in [], ["--retry"]:
        r = tool(d, "held", *arguments)
        assert r.returncode == 4
        assert r.stderr == f"smtpd held: {path.name}: Permission denied\n"
    text = d.conf.read_text()
    for user in "root", "nobody-there":
        d.conf.write_text(text.replace("user = nobody", f"user = {user}"))
        r = tool(d, "held")
        assert r.returncode == 78 and r.stdout == "" and user in r.stderr


def test_usage(daemon):
    d = daemon()
    id = hold(d, "x")
    for arguments in (["-x"], ["--fail"], ["--fail", ""], [""], ["-v", "-"],
                      ["--retry", "--fail", id], ["-v", "--retry"], ["-f"],
                      [id, "-v"]):
        r = tool(d, "held", *arguments)
        assert r.returncode == 64 and r.stdout == "", arguments
        assert r.stderr.startswith("usage: smtpd held [-f file] ")
    for arguments in ["--fail", "nowhere"], ["--retry", id, "nowhere"]:
        r = tool(d, "held", *arguments)
        assert r.returncode == 1
        assert r.stderr.startswith("smtpd held: nowhere: ")
    with open("/dev/full", "w") as full:
        r = subprocess.run([BINARY, "held", "-f", d.conf], stdout=full,
                           stderr=subprocess.PIPE, text=True)
    assert r.returncode == 70 and "No space left on device" in r.stderr


def test_configuration(daemon):
    """Whatever else is wrong in it, it says where the spool is."""
    d = daemon()
    hold(d, "x")
    text = d.conf.read_text()
    d.conf.write_text(text + "bogus = 1\n")
    assert len(shown(d, "-v")) == 1
    d.conf.write_text(text)
    r = subprocess.run([BINARY, "held", "-f", str(d.path / "none")],
                       capture_output=True, text=True)
    assert r.returncode == 78 and "none" in r.stderr


class Takes(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_secrets(daemon):
    """Of a web address the query may be one, in what is shown."""
    with http.server.HTTPServer(("127.0.0.1", 0), Takes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_port
        # the one that takes it is asked first
        d = daemon(catch_all="http://127.0.0.1:9/p?s3cret",
                   more='domain "example.net" { catch-all = '
                        f'"http://127.0.0.1:{port}/" }}')
        with d.client() as c:
            c.deliver("x\r\n", "x@example.org", "y@example.net")
        wait_for("its being held", lambda: held(d))
        server.shutdown()
    path, = held(d)
    assert b"s3cret" in path.read_bytes()
    for arguments in [], ["-v"]:
        r = tool(d, "held", *arguments)
        assert "  http://127.0.0.1:9  " in r.stdout
        assert "s3cret" not in r.stdout + r.stderr
