"""One message for mailboxes, a web server, a program, a Dovecot and a Postfix:
what its sender hears, and who has it, when each of these fails as it can.

A domain is a route, and what becomes of a recipient there is its local part:
`ok`, `no` (refused), `later`, `lost` (nobody answers to the end of the data).
Nobody is there at `...-down`, and `...-hold` is that route with when-down = hold.
"""

import contextlib
import http.server
import os
import re
import signal
import smtplib
import threading
import uuid

import pytest

import dovecot
import postfix
import puppet
import receiver
from daemon import free_port, wait_for
from liar import CLOSE, Liar

KINDS = "web", "pipe", "store", "relay"  # in which they are asked
WAYS = {  # in which each fails, and what is said then
    "web": {"no": "550 5.7.1", "later": "451 4.3.0", "down": "451 4.4.1",
            "lost": "451 4.4.2"},
    "pipe": {"no": "550 5.1.1", "later": "451 4.3.0", "down": "451 4.3.5"},
    "store": {"no": "550 5.1.1", "later": "452 4.2.2", "down": "451 4.4.1",
              "lost": "451 4.4.2"},
    "relay": {"no": "550 5.1.1", "later": "450 4.2.1", "down": "451 4.4.1",
              "lost": "451 4.4.2"},
}
EACH = pytest.mark.parametrize(
    "kind, way", [(k, w) for k in KINDS for w in WAYS[k]])
EVENT = {"no": "remote-refused", "later": "remote-deferred",
         "down": "remote-deferred", "lost": "unanswered"}

PROGRAM = """#!/bin/sh
cd "{out}" || exit 70
case $LOCAL in
no) exit 67 ;;
later) exit 75 ;;
wait) [ -e pid ] && exit 75 # held, and tried again
	echo $PPID >pid.new && mv pid.new pid && exec sleep 1000 ;;
esac
cat >"$MESSAGE_ID.$RECIPIENT"
"""
RECIPIENTS = """
smtpd_recipient_restrictions = check_recipient_access inline:{
	{ no@relay.test = 550 5.1.1 nobody of that name },
	{ no@relay-hold.test = 550 5.1.1 nobody of that name },
	{ later@relay.test = 450 4.2.1 not now },
	{ later@relay-hold.test = 450 4.2.1 not now } }, permit
"""


class Web:
    """Has what it took in `taken`."""

    def __init__(self):
        self.taken = []
        outer = self

        class Handler(receiver.Receiver):
            def take(self, envelope, body):
                local = envelope["to"][0].split("@")[0]
                if local == "lost":
                    raise ConnectionAbortedError
                if local == "no":
                    return 422, "not wanted"
                if local == "later":
                    return 503, ""
                outer.taken.extend((to, body) for to in envelope["to"])
                return 200, ""

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # it closes

        self.http = Server(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


def fill(p, user):
    """Until not even a small message has room."""
    with smtplib.LMTP("127.0.0.1", p.port) as c:
        for size in 400000, 40000, 4000, 400:
            try:
                while True:
                    c.sendmail("x@example.com", f"{user}@store.test",
                               ("x" * 78 + "\r\n") * (size // 80))
            except smtplib.SMTPDataError as e:
                assert e.smtp_code == 452, e


class Peers:
    """Those that all tests share: who are there, and those who lie."""

    def __init__(self, factory):
        self.closing = []
        self.world = factory(domains="".join(
            f'domain "{d}.test" {{{{ catch-all = "maildir:{{mail}}/all" }}}}\n'
            for d in ("relay", "relay-hold")))
        self.store = self.kept(dovecot.Dovecot(
            factory.folder(), {u: "secret" for u in ("ok", "also", "later")},
            lmtp=True, quota="1M", more="quota_full_tempfail = yes\n"))
        self.store.start()
        fill(self.store, "later")
        self.relay = self.kept(postfix.Postfix(
            factory.folder(), self.world.port, RECIPIENTS))
        self.relay.start()
        self.web = self.kept(Web())
        self.lost = [self.kept(Liar(lmtp=lmtp, dot=CLOSE))
                     for lmtp in (True, False)]

    def kept(self, peer):
        self.closing.insert(0, peer)
        return peer

    def stop(self):
        for peer in self.closing:
            peer.stop()

    def places(self, folder):
        """Where each route leads."""
        store, relay = self.lost
        port = free_port()
        return {
            "web": f"http://127.0.0.1:{self.web.port}/a",
            "web2": f"http://127.0.0.1:{self.web.port}/b",
            "pipe": f"pipe:{folder}/program",
            "store": f"lmtp:{self.store.lmtp}",
            "relay": f"smtp://127.0.0.1:{self.relay.entry}",
            "store-lost": store.where,
            "relay-lost": relay.where,
            "web-down": f"http://127.0.0.1:{port}/",
            "pipe-down": f"pipe:{folder}/nothing",
            "store-down": f"lmtp:{folder}/nothing",
            "relay-down": f"smtp://127.0.0.1:{port}",
        }


@pytest.fixture(scope="module")
def peers(base):
    from conftest import Factory

    why = postfix.why_not() or dovecot.why_not()
    if why:
        pytest.skip(why)
    factory = Factory(base)
    p = Peers(factory)
    yield p
    p.stop()
    factory.end()


BOX = """
domain "box.test" {
	users = { "ok" }
	aliases = { "postmaster: ok", "also: ok, route:store, route:web",
	    "later: ok, route:web2, route:store", "no: ok, route:pipe" }
	deliver = "maildir:MAIL/%u"
}
"""


def configuration(peers, folder, secret):
    text = BOX.replace("MAIL", str(folder / "mail"))
    for name, to in peers.places(folder).items():
        more = "" if to.startswith("pipe:") else "verify-recipients = no"
        if to.startswith("http:"):
            more = f'secret-file = "{secret}"'
        for route, hold in (name, "defer"), (f"{name}-hold", "hold"):
            text += f"""
domain "{route}.test" {{ catch-all = "route:{route}" }}
route "{route}" {{
	to = "{to}"
	when-down = {hold}
	{more}
}}
"""
    return text.replace("{", "{{").replace("}", "}}")


@pytest.fixture
def made(start, peers):
    """made(...): a daemon in front of all of them, which knows none yet."""
    def make(prepare=None, **kwargs):
        d = start.make()
        secret = d.path / "secret"
        secret.write_bytes(receiver.KEY + b"\n")
        secret.chmod(0o644)
        d.__init__(d.path, domains=configuration(peers, d.path, secret),
                   **{"top": "workers = 1", **kwargs})
        d.out = d.path / "out"
        d.out.mkdir()
        d.out.chmod(0o777)
        program = d.path / "program"
        program.write_text(PROGRAM.format(out=d.out))
        program.chmod(0o755)
        if prepare:
            prepare(d)
        return d.start()

    return make


@pytest.fixture
def d(made):
    return made()


# --- who has it ---

class Sent:
    """A message, and what its sender heard: the first no, or the last word."""

    def __init__(self, d, peers, *rcpts, begun=lambda: None):
        self.d, self.peers, self.rcpts = d, peers, rcpts
        self.key = f"Key: {uuid.uuid4()}"
        self.since = len(d.log())
        with d.client() as c:
            self.at = "RCPT"
            c.ask("MAIL FROM:<x@example.com>")
            for rcpt in rcpts:
                self.reply = c.ask(f"RCPT TO:<{rcpt}>")
                if self.reply.code != 250:
                    return
            self.at = "dot"
            begun()
            assert c.ask("DATA").code == 354
            c.send(f"{self.key}\r\n\r\n{'y' * 70}\r\n" * 10 + ".\r\n")
            self.reply = c.reply()

    def among(self, paths):
        return [p for p in paths if self.key.encode() in p.read_bytes()]

    def count(self, rcpt, to=None):
        """Of its copies there; to: the address that it was given."""
        local, domain = rcpt.split("@")
        kind = re.match("[a-z]+", domain)[0]
        key = self.key.encode()
        if kind == "box":
            return len(self.among((self.d.mail / local).glob("new/*")))
        if kind == "web":
            return sum(t == (to or rcpt) and key in body
                       for t, body in self.peers.web.taken)
        if kind == "pipe":
            return len(self.among(self.d.out.glob(f"*.{rcpt}")))
        if kind == "store":
            return sum(key in m for m in self.peers.store.mail(local))
        return len([p for p in self.among(
            self.peers.world.mail.glob("all/new/*"))
            if b"\nDelivered-To: %s\n" % rcpt.encode() in p.read_bytes()])

    def held(self):
        """Those in held/, where each route has a file of its own."""
        found = []
        for p in (self.d.spool / "held").iterdir():
            data = b""
            with contextlib.suppress(FileNotFoundError):  # it is sent by now
                data = b"" if p.name.startswith(".") else p.read_bytes()
            if self.key.encode() in data:
                found += [r for r in self.rcpts if r.encode() in data]
        return sorted(found)

    def failed(self):
        return self.among((self.d.spool / "failed").glob("new/*"))

    def events(self, rcpt):
        """What the log says of this copy."""
        return re.findall(r" (?:info|warn|error) (?!accepted )(\S+) message="
                          rf"\S+ .*rcpt=<?{re.escape(rcpt)}>?(?: |$)",
                          self.d.log()[self.since:], re.M)

    def wait(self, rcpt, condition):
        wait_for(f"{rcpt}'s events", lambda: condition(self.events(rcpt)))

    def check(self, status, held=(), failed=()):
        """All others have it, once, if the sender heard yes, and else
        nobody; `failed` has at most one."""
        assert self.reply.status.startswith(status), self.reply
        yes = status.startswith("250")
        assert self.held() == sorted(held)
        for f in failed:
            wait_for("it in failed", self.failed)
            mail, = self.failed()
            assert re.search(rb"^X-Smtpd-Failed: <?%s>?: 5\d\d 5\." %
                             re.escape(f.encode()), mail.read_bytes(), re.M)
        if not failed:
            assert not self.failed()
        for rcpt in self.rcpts:
            if not yes or rcpt in (*held, *failed):
                assert self.count(rcpt) == 0, rcpt
            else:
                wait_for(f"{rcpt}'s", lambda: self.count(rcpt))
                assert self.count(rcpt) == 1, rcpt
                self.wait(rcpt, lambda events: events == ["delivered"])
        for rcpt in held:  # and tried again
            self.wait(rcpt, lambda events: "held" in events)
        for rcpt in failed:
            self.wait(rcpt, lambda events: events == ["refused-late"])


@pytest.fixture
def send(d, peers):
    return lambda *rcpts, **kwargs: Sent(d, peers, *rcpts, **kwargs)


def address(kind, way, more=""):
    """Whose mail fails so."""
    if way == "down" or way == "lost" and kind != "web":
        return f"{'ok' if way == 'down' else 'lost'}@{kind}-{way}{more}.test"
    return f"{way}@{kind}{more}.test"


ALL = ["ok@box.test", *(f"ok@{kind}.test" for kind in KINDS)]


# --- the table ---

def test_all_have_it(send):
    send(*ALL).check("250 2.6.0")


@EACH
def test_the_first_to_fail_is_heard(send, kind, way):
    """Nobody has it, and nobody behind is asked."""
    bad = address(kind, way)
    behind = [f"ok@{k}.test" for k in KINDS[KINDS.index(kind) + 1:]]
    m = send("ok@box.test", *behind, bad)
    m.check(WAYS[kind][way])
    assert m.at == "dot"
    m.wait(bad, lambda events: events == [EVENT[way]])
    assert not any(m.events(r) for r in behind + ["ok@box.test"])


@EACH
def test_it_fails_behind_a_yes(send, kind, way):
    """It is kept here, whatever when-down says, or is in failed."""
    first = "ok@web.test"
    bad = address(kind, way).replace("@web.", "@web2.")
    m = send("ok@box.test", first, bad)
    copies = {"failed" if way == "no" else "held": [bad]}
    m.check("250 2.6.0", **copies)
    m.wait(bad, lambda events: ("unanswered" in events) == (way == "lost"))
    assert m.at == "dot"


@EACH
def test_it_fails_and_is_held(send, kind, way):
    """when-down = hold: as if it had it; but what it refuses it refuses."""
    bad = address(kind, way, "-hold")
    at = ALL.index(f"ok@{kind}.test")
    if way == "no":
        send(ALL[0], *ALL[at + 1:], bad).check(WAYS[kind][way])
    else:
        send(*ALL[:at], *ALL[at + 1:], bad).check("250 2.6.0", held=[bad])


@pytest.mark.parametrize("kind", KINDS)
def test_known_as_down(send, kind):
    """Then RCPT says so, and no body is sent; but for a program, of which
    nobody knows. With hold all is taken."""
    bad = address(kind, "down")

    def is_known():
        m = send("ok@box.test", bad)
        m.check(WAYS[kind]["down"])
        return m.at == "RCPT"

    send(bad).check(WAYS[kind]["down"])
    if kind == "pipe":
        assert not is_known()
    else:  # in a pause, of which each is longer
        wait_for("it is known", is_known)
    bad = address(kind, "down", "-hold")
    for _ in range(2):
        send("ok@box.test", bad).check("250", held=[bad])


def test_nothing_is_kept_of_what_is_refused(send):
    """Nobody had it, so it goes back whole: held/ is empty."""
    m = send("ok@box.test", "ok@web-down-hold.test", "later@pipe-hold.test",
             "lost@store-lost-hold.test", "no@relay.test")
    m.check("550 5.1.1")
    m = send("ok@box.test", "later@web-hold.test", "later@store.test")
    m.check("452 4.2.2")


def test_nobody_is_there_and_all_is_held(send):
    """A file for each route; the sender's server is not needed any more."""
    rcpts = [address(kind, "down", "-hold") for kind in KINDS]
    send(*rcpts).check("250 2.6.0", held=rcpts)


def test_one_of_two_has_no_room(send):
    """LMTP answers for each: one has it, the other's is kept."""
    send("ok@store.test", "later@store.test").check(
        "250 2.6.0", held=["later@store.test"])


@pytest.mark.parametrize("kind", ["store", "relay"])
def test_one_of_two_is_refused_at_its_rcpt(send, kind):
    """Rule 0: the parcel ends before its data. Behind another's yes it goes
    on without that one."""
    rcpts = [f"ok@{kind}.test", f"no@{kind}.test"]
    m = send("ok@box.test", *rcpts)
    m.check("550 5.1.1")
    m.wait(rcpts[1], lambda events: events == ["remote-refused"])
    send("ok@web.test", *rcpts).check("250", failed=[rcpts[1]])


def test_one_of_two_is_deferred_at_its_rcpt(send):
    """That ends nothing: the other has it."""
    send("ok@relay.test", "later@relay.test").check(
        "250", held=["later@relay.test"])


def test_one_recipient_in_several_places(send):
    """An alias: what is true of many recipients is true of one."""
    m = send("also@box.test")
    assert m.reply.code == 250
    for rcpt in "ok@box.test", "also@store.test", "also@web.test":
        wait_for(f"{rcpt}'s", lambda: m.count(rcpt, "also@box.test") == 1)
    m = send("later@box.test")
    assert m.reply.status == "451 4.3.0" and not m.held()
    m = send("no@box.test")
    assert m.reply.status == "550 5.1.1"
    assert m.count("ok@box.test") == 0


def test_all_say_later(send):
    """The client hears the first of them."""
    send("later@relay.test", "later@store.test").check("452 4.2.2")
    send(*(f"later@{k}.test" for k in KINDS)).check("451 4.3.0")
    send("no@relay.test", "later@store.test").check("452 4.2.2")


def test_fates_of_one_route(send):
    """A program runs for each: the second no is behind a yes."""
    send("ok@pipe.test", "no@pipe.test").check("250", failed=["no@pipe.test"])
    send("no@pipe.test", "ok@pipe.test").check("550 5.1.1")


# --- what only a disk, or the end of a process, can do ---

def test_the_commit_fails(made, peers, base):
    """Who was asked has it, and once more when it comes again; the mailbox
    has it once."""
    library = puppet.build(base)

    def prepare(d):
        d.puppet = puppet.Puppet(d, library)

    d = made(prepare, deaths=True)
    kept = "ok@pipe-down-hold.test"
    try:
        bad = Sent(d, peers, "ok@box.test", "ok@web.test", kept,
                   begun=lambda: setattr(d.puppet, "fail", 1))
    finally:
        d.puppet.fail = 0
    # its own word, or that of a worker whose journal is broken by now
    assert bad.reply.status in ("451 4.3.0", "421 4.3.2")
    assert bad.count("ok@web.test") == 1
    bad.wait("ok@web.test",
             lambda events: events == ["delivered", "duplicate-likely"])
    assert bad.count("ok@box.test") == 0
    # or it was being sent
    wait_for("what was kept is forgotten", lambda: not bad.held()
             or "duplicate-likely" in bad.events(kept))
    Sent(d, peers, "ok@box.test", kept).check("250 2.6.0", held=[kept])


def test_nothing_can_be_kept(d, send):
    """Then it is as if it could not be committed: what has it has it twice.
    """
    held = d.spool / "held"
    held.chmod(0o500)
    m = send("ok@box.test", "ok@web.test", "later@store.test")
    assert m.reply.status == "451 4.3.0"
    assert m.count("ok@web.test") == 1
    m.wait("ok@web.test",
           lambda events: events == ["delivered", "duplicate-likely"])
    assert m.count("ok@box.test") == 0
    held.chmod(0o700)
    send("ok@box.test", "ok@web.test", "later@store.test").check(
        "250", held=["later@store.test"])


def spoil(d):
    """The mailbox takes nothing more."""
    for folder in "tmp", "new":
        (d.mail / "ok" / folder).chmod(0o500)


def test_the_mailbox_takes_nothing(d, send):
    """What is local fails last, and is held as ever; from then on nobody has
    what is for that mailbox too."""
    send("ok@box.test").check("250")
    spoil(d)
    m = send(*ALL)
    assert m.reply.code == 250
    wait_for("it is held", lambda: m.held() == ALL[:1])
    for rcpt in ALL[1:]:
        wait_for(f"{rcpt}'s", lambda: m.count(rcpt) == 1)
    m.wait("ok@box.test", lambda events: "held" in events)
    m = send(*reversed(ALL))
    m.check("450 4.2.1")
    assert m.at == "RCPT"


def test_the_mailbox_is_spoiled_since_rcpt(d, send):
    """It is looked at before anybody is asked."""
    send("ok@box.test").check("250")
    spoil(d)

    def fill():
        other = send("ok@box.test")
        other.wait("ok@box.test", lambda events: "held" in events)

    m = send(*ALL, begun=fill)
    m.check("450 4.2.1")
    assert not any(m.events(r) for r in ALL[1:])


@pytest.mark.parametrize("before, status, what", [
    ([], "451 4.4.2", "unanswered"), (["ok@web.test"], "250 2.6.0", "held")])
def test_the_program_is_lost(made, peers, before, status, what):
    """Who started it dies, and what became of it nobody knows: the client
    hears so, or it is kept, before the worker makes way for another."""
    d = made(deaths=True)
    bad = "wait@pipe.test"
    worker, = d.workers()

    def kill():
        wait_for("the program", (d.out / "pid").exists)
        os.kill(int((d.out / "pid").read_text()), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    m = Sent(d, peers, "ok@box.test", *before, bad, begun=thread.start)
    thread.join()
    m.check(status, held=[bad] if before else [])
    m.wait(bad, lambda events: what in events)
    wait_for("another worker", lambda: d.workers() not in ([worker], []))
    Sent(d, peers, "ok@box.test", "ok@pipe.test").check("250")
