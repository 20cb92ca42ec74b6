"""A crash at each point of a message that goes to routes too, and what each of
them, the mailbox and the spool have then: the table of DESTINATIONS.md 4.3.

Nothing is left to luck: a peer that keeps its answer to itself, or a disk that
keeps a sync, holds the daemon at the point. Then all its processes stop, and
are killed, or their disk is cut off first.
"""

import http.server
import threading

import pytest

import puppet
from daemon import DEADLINE, wait_for
from disk import LOG_FLUSH, NO_FLUSH
from liar import CLOSE, Liar
from scene import names

pytestmark = [
    pytest.mark.parametrize("journal", ["yes"], indirect=True),
    pytest.mark.parametrize("flag", [None, LOG_FLUSH, NO_FLUSH],
                            ids=["kill", "flush", "noflush"])]

DOMAINS = """
domain "example.org" {{{{
	users = {{{{ "alice", "carol" }}}}
	aliases = {{{{ "postmaster: carol",
	              "both: alice, route:a", "away: route:a",
	              "other: route:a",
	              "all: alice, route:a, route:b" }}}}
	deliver = "maildir:{{path}}/disk/mail/%d/%u"
}}}}
route "a" {{{{ to = "{a}" {more} }}}}
route "b" {{{{ to = "{b}" verify-recipients = no }}}}
"""
HOLD = "when-down = hold"
UNASKED = "verify-recipients = no"
LONG = 30  # seconds: longer than held mail waits at first
LATER = "451 4.3.0 later"
KEY = b"Key: 1"
SMALL = KEY + b"\r\n\r\nx\r\n"
LARGE = KEY + b"\r\n\r\n" + (b"x" * 76 + b"\r\n") * 20000  # a file of its own
BODIES = pytest.mark.parametrize("body", [SMALL, LARGE],
                                 ids=["small", "large"])


class Stop:
    """A peer comes here, and goes on when it is let."""

    def __init__(self, then):
        self.then = then
        self.reached, self.go = threading.Event(), threading.Event()

    def __call__(self, session, line):
        self.reached.set()
        assert self.go.wait(2 * DEADLINE)
        return self.then


class InTheMiddle(Stop):
    """It said 354, and has read a line."""

    def __init__(self):
        super().__init__(CLOSE)

    def __call__(self, session, line):
        session.send(b"354 go\r\n")
        session.file.readline()
        return super().__call__(session, line)


class Web:
    """A server that says this, the last from then on. It has what it takes
    before it says so: the id, and the body."""

    def __init__(self, *codes):
        self.codes, self.mails, self.socks = [*codes], [], ()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                code = (outer.codes.pop(0) if outer.codes[1:]
                        else outer.codes[0])
                if code != 503:
                    outer.mails.append((self.headers["webhook-id"], "", body))
                if callable(code):
                    code = code(self, "")
                self.send_response(code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.where = f"http://127.0.0.1:{self.http.server_address[1]}/"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def ids(self):
        return [id for id, _, _ in self.mails]

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


class World:
    """A daemon on a disk, and the peers behind it."""

    def __init__(self, s, disk, flag, peers):
        self.s, self.disk, self.flag, self.peers = s, disk, flag, peers
        self.d = s.daemon

    def send(self, *to, body=SMALL):
        """To the last dot: nobody listens yet."""
        c = self.d.client()
        c.begin(*(f"{x}@example.org" for x in to))
        assert c.ask("DATA").code == 354
        c.send(body + b".\r\n")
        return c

    def calm(self):
        """There is a segment, and nothing is being synced."""
        p = self.d.puppet
        wait_for("a segment", lambda: 0 < p.commits == p.synced)
        return p

    def crash(self, *stops):
        """Then a peer that was held sends what it wanted to say, to nobody."""
        self.s.freeze()
        if self.disk:
            self.disk.cut(self.flag)
            self.s.was_cut()
        self.s.end()
        self.d.puppet.hold = self.d.puppet.hold_names = 0
        for stop in stops:
            stop.go.set()
        for peer in self.peers.values():
            wait_for("its peers know", lambda: not peer.socks)
        if self.disk:
            self.disk.power_on()

    def die_at(self, stop, c):
        """When the peer comes there: nothing is kept, and c hears nothing."""
        assert stop.reached.wait(DEADLINE)
        self.crash(stop)
        assert heard_nothing(c)
        self.restart()
        assert not self.held()

    def crash_with_one_held(self, *stops):
        """It has gone to its route when this returns."""
        self.crash(*stops)
        assert len(self.held()) == 1
        self.restart()
        self.sent()

    def others(self):
        """A client whose message keeps the disk, so that none is written."""
        self.calm().hold = 1
        c = self.send("carol", body=b"x\r\n")
        wait_for("its commit",
                 lambda: self.d.puppet.commits > self.d.puppet.synced)
        return c

    def restart(self):
        """Until what a journal says is done; what is held is due."""
        self.d.puppet.ahead += LONG
        self.s.start()
        wait_for("replay", self.s.replayed)

    def held(self):
        return [n for n in names(self.d.spool / "held")
                if n[0] != "." and not n.endswith(".body")]

    def sent(self):
        """What is held has gone to its route, and what a crash left of it."""
        wait_for("what is held is sent",
                 lambda: not names(self.d.spool / "held"))

    def take(self, *to, body=SMALL):
        with self.send(*to, body=body) as c:
            assert c.reply().code == 250

    def box(self, user):
        return [p for p in self.d.files(f"{user}@example.org")
                if KEY in p.read_bytes()]

    def have(self):
        """How many of it: alice, route a, route b."""
        return (len(self.box("alice")),
                *(len([m for _, _, m in self.peers[x].mails if KEY in m])
                  for x in "ab"))

    def end(self):
        """What they have when nobody has anything more to do."""
        self.d.stop()
        self.s.check_logs()
        self.s.check_spool()
        return self.have()


@pytest.fixture(scope="module")
def library(base):
    return puppet.build(base)


@pytest.fixture
def world(scene, on_disk, library, flag, start):
    """world(more, web, B's script, A's ...): routes to liars, or to a web
    server."""
    peers = {}

    def make(more="", web=None, b={}, **script):
        folder = start.folder()
        peers.update(a=web or Liar(folder / "a", lmtp=True, **script),
                     b=Liar(folder / "b", lmtp=True, **b))
        kwargs = {"workers": 1, "domains": DOMAINS.format(
            a=peers["a"].where, b=peers["b"].where,
            more=more if web else f"{UNASKED} {more}")}
        s, disk = on_disk("ext4", **kwargs) if flag else (
            scene(**kwargs), None)
        s.daemon.puppet = puppet.Puppet(s.daemon, library)
        s.start()
        return World(s, disk, flag, peers)

    yield make
    for peer in peers.values():
        peer.stop()


def heard_nothing(c):
    try:
        return c.line() is None
    except ConnectionError:
        return True
    finally:
        c.close()


def test_before_the_end_of_data(world):
    """Once."""
    stop = Stop("354 go")
    w = world(DATA=[stop, "354 go"])
    c = w.send("both")
    w.die_at(stop, c)
    assert w.have() == (0, 0, 0)
    w.take("both")
    assert w.end() == (1, 1, 0)


def test_in_the_middle_of_the_data(world):
    """Once, and the file that its body was in is gone."""
    stop = InTheMiddle()
    w = world(DATA=[stop, "354 go"])
    c = w.send("both", body=LARGE)
    w.die_at(stop, c)
    assert w.have() == (0, 0, 0)
    w.take("both", body=LARGE)
    assert w.end() == (1, 1, 0)


@BODIES
def test_before_its_reply_was_read(world, body):
    """The route has it twice."""
    stop = Stop("250 ok")
    w = world(dot=[stop, "250 ok"])
    c = w.send("both", body=body)
    w.die_at(stop, c)
    assert w.have() == (0, 1, 0)
    w.take("both", body=body)
    assert w.end() == (1, 2, 0)


def test_before_its_answer_was_read(world):
    """The same of a web server, for which they are two messages."""
    stop = Stop(200)
    w = world(web=Web(stop, 200))
    c = w.send("both")
    w.die_at(stop, c)
    assert w.have() == (0, 1, 0)
    w.take("both")
    assert w.end() == (1, 2, 0)
    assert len(set(w.peers["a"].ids())) == 2


def test_before_the_commit(world):
    """Another's keeps the disk; of ours nothing is written yet."""
    w = world()
    others = w.others()
    c = w.send("both")
    wait_for("the route's yes", lambda: " delivered " in w.d.log())
    w.crash()
    assert heard_nothing(c) and heard_nothing(others)
    w.restart()
    assert w.have() == (0, 1, 0) and not w.held()
    w.take("both")
    assert w.end() == (1, 2, 0)


def test_kept_before_the_commit(world):
    """What is in held/ goes out; it comes again, and the route has two."""
    stop = Stop("250 ok")
    w = world(HOLD, RCPT=[LATER, stop, "250 ok"])
    others = w.others()
    c = w.send("all")
    wait_for("its being held", lambda: " held " in w.d.log())
    w.crash_with_one_held(stop)
    assert heard_nothing(c) and heard_nothing(others)
    assert w.have() == (0, 1, 1)
    w.take("all")
    assert w.end() == (1, 2, 2)


@BODIES
def test_kept_before_the_answer(world, body):
    """There is nothing to commit: 250 would be next."""
    later, stop = Stop(LATER), Stop("250 ok")
    w = world(HOLD, RCPT=[later, stop, "250 ok"])
    p = w.calm()
    c = w.send("away", body=body)
    assert later.reached.wait(DEADLINE)
    p.hold_names, before = 2, p.names_synced
    later.go.set()
    wait_for("its name", lambda: p.names_synced > before)
    w.crash_with_one_held(stop)
    assert heard_nothing(c)
    assert w.have() == (0, 1, 0)
    w.take("away", body=body)
    assert w.end() == (0, 2, 0)


def written(w):
    """The record is in a journal, wherever the disk has it."""
    return any(KEY in p.read_bytes() for j in w.s.journals()
               for p in j.glob("*.log"))


def test_during_the_commit(world, flag):
    """A record that is whole is delivered, and then the mailbox has two as
    well; a disk that lost it has lost nothing that was promised."""
    w = world()
    w.calm().hold = 1
    c = w.send("both")
    wait_for("its record", lambda: written(w))
    w.crash()
    assert heard_nothing(c)
    w.restart()
    n, *others = w.have()
    assert others == [1, 0] and not w.held()
    assert n == 1 or (flag and not n)
    w.take("both")
    assert w.end() == (n + 1, 2, 0)


def test_behind_the_commit(world):
    """As without a route: all have two."""
    w = world()
    p = w.calm()
    p.hold, before = 2, p.synced
    c = w.send("both")
    wait_for("its commit", lambda: p.synced > before)
    w.crash()
    assert heard_nothing(c)
    w.restart()
    assert w.have() == (1, 1, 0) and not w.held()
    w.take("both")
    assert w.end() == (2, 2, 0)


def test_behind_250(world):
    """All is here: the record, and what the route is to have later."""
    stop = Stop("250 ok")
    w = world(HOLD, RCPT=[LATER, stop, "250 ok"])
    with w.send("all") as c:
        assert c.reply().code == 250
        w.crash_with_one_held(stop)
    assert w.end() == (1, 1, 1)


def test_refused_behind_anothers_yes(world):
    """It is in the record, for the postmaster."""
    w = world(b={"dot": "552 5.2.2 full"})
    with w.send("all") as c:
        assert c.reply().code == 250
        w.crash()
    w.restart()
    assert w.end() == (1, 1, 0)
    path, = (w.d.spool / "failed" / "new").iterdir()
    assert (b"\nX-Smtpd-Failed: all@example.org: 552 5.2.2 full\n"
            in path.read_bytes())


# --- what was held, and is being sent ---

@BODIES
def test_held_before_its_reply_was_read(world, body):
    """The route has it twice: its file is still there."""
    stop = Stop("250 ok")
    w = world(HOLD, RCPT=[LATER, "250 ok"], dot=[stop, "250 ok"])
    w.take("all", body=body)
    w.d.puppet.ahead += LONG
    assert stop.reached.wait(DEADLINE)
    w.crash_with_one_held(stop)
    assert w.end() == (1, 2, 1)


def test_held_before_its_answer_was_read(world):
    """A web server that looks at the id takes it once."""
    stop = Stop(200)
    w = world(HOLD, web=Web(503, stop, 200))
    w.take("away")
    w.d.puppet.ahead += LONG
    assert stop.reached.wait(DEADLINE)
    w.crash_with_one_held(stop)
    assert w.end() == (0, 2, 0)
    assert len(set(w.peers["a"].ids())) == 1


@BODIES
def test_held_and_rewritten(world, body, flag):
    """Whom the route took has it twice where the disk has the old file still,
    and whom it did not has it once."""
    w = world(HOLD, RCPT=[LATER, LATER, "250 ok"],
              dot=["250 ok", "452 4.2.2 full", "250 ok"])
    w.take("away", "other", body=body)
    p = w.calm()
    p.hold_names = 1
    p.ahead += LONG
    wait_for("one yes", lambda: w.have() == (0, 1, 0))
    wait_for("its new file", lambda: p.names > p.names_synced)
    w.crash()
    w.restart()
    w.sent()
    old = flag == NO_FLUSH
    got = [rcpt for _, rcpt, _ in w.peers["a"].mails]
    assert [sum(x in r for r in got) for x in ("away", "other")] == [
        1 + old, 1]
    assert w.end() == (0, 2 + old, 0)
