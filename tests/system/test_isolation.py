"""A destination that hangs, one that is slow and one that is not there cost
their own mail time, and nobody else's; and a worker little."""

import contextlib
import http.server
import os
import select
import threading

import pytest

import puppet
from daemon import children, free_port, pss, sanitized, wait_for
from liar import READS_NOTHING, SILENCE, Liar
from test_puppet import later

MEMORY = pytest.mark.skipif(
    sanitized(), reason="a sanitizer's memory is not smtpd's")
EACH = 192  # KiB that a connection takes at most
SLACK = 3072  # KiB of what a worker has once, by its first large message
PROGRAM = """#!/bin/sh
case $LOCAL in
hang)	until [ -e "{path}/go" ]; do sleep 0.1; done ;;
esac
"""
DOMAIN = 'domain "{0}.test" {{{{ catch-all = "{1}" }}}}\n'


class Web:
    """Takes all, but answers, and reads, nothing before `go` is set."""

    def __init__(self, go=True):
        self.go = threading.Event()
        if go:
            self.go.set()
        self.asked = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.asked.append(1)
                outer.go.wait()
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 100

            def handle_error(self, *_):
                pass

        self.http = Server(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.where = f"http://127.0.0.1:{self.http.server_address[1]}/"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go.set()
        self.http.shutdown()
        self.http.server_close()


class Hanging:
    """It leaves `asked` questions of ours unanswered."""

    def __init__(self, stack, how):
        def silent(*_):
            self.peer.asked.append(1)
            return SILENCE

        def deaf(*_):
            self.peer.asked.append(1)
            return "354 go", READS_NOTHING

        self.peer = stack.enter_context(
            Web(go=False) if how == "web" else Liar(**{
                "greeting": {"greeting": silent},
                "dot": {"dot": silent},
                "each dot": {"lmtp": True, "dot": silent},
                "rcpt": {"lmtp": True, "RCPT": READS_NOTHING},
                "reads nothing": {"DATA": deaf},
            }[how]))
        self.peer.asked = []
        self.where = self.peer.where

    @property
    def asked(self):
        return len(self.peer.asked)

    def go_on(self):
        """It reads, and answers."""
        getattr(self.peer, "go", getattr(self.peer, "stopped", None)).set()


HOW = "greeting", "dot", "each dot", "reads nothing", "web"
GOOD = "box", "store", "relay", "web", "pipe"


@pytest.fixture
def stack():
    with contextlib.ExitStack() as s:
        yield s


@pytest.fixture(scope="module")
def pull(base):
    """Before its start: a daemon whose clock can be put on."""
    library = puppet.build(base)

    def prepare(d):
        d.puppet = puppet.Puppet(d, library)

    return prepare


@pytest.fixture
def made(start, stack):
    """made(where, route=...): a daemon whose hang.test is there, among
    others that are well, one that is slow and one that is down."""
    def make(where, route="", prepare=None, **kwargs):
        d = start.make()
        program = d.path / "program"
        program.write_text(PROGRAM.format(path=d.path))
        program.chmod(0o755)
        good = [stack.enter_context(p)
                for p in (Liar(lmtp=True), Liar(), Web(), Liar(slow=0.001))]
        places = dict(zip(("store", "relay", "web", "slow"),
                          (p.where for p in good)))
        places.update(box=f"maildir:{d.mail}/all", pipe=f"pipe:{program}",
                      hang="route:hang",
                      down=f"smtp://127.0.0.1:{free_port()}")
        d.__init__(d.path, domains="".join(
            DOMAIN.format(*x) for x in places.items()) + f"""
route "hang" {{{{ to = "{where or f'pipe:{program}'}" {route} }}}}
""", **{"top": "workers = 1",
            "limits": "per-address = 1000\nerrors = 1000", **kwargs})
        if prepare:
            prepare(d)
        d.start()
        for domain in GOOD:  # what is made once is there now
            assert deliver(d, domain).code == 250
        return d

    yield make


def deliver(d, domain, body="x\r\n"):
    """The first no, or the last word."""
    with d.client() as c:
        assert c.ask("MAIL FROM:<x@example.com>").code == 250
        reply = c.ask(f"RCPT TO:<ok@{domain}.test>")
        if reply.code != 250:
            return reply
        assert c.ask("DATA").code == 354
        c.send(body + ".\r\n")
        return c.reply()


def begin(stack, d, n, domain="hang", body="x\r\n"):
    """So many clients whose message is with it; none is answered."""
    clients = [stack.enter_context(d.client()) for _ in range(n)]
    for c in clients:
        c.begin(f"hang@{domain}.test")
        assert c.ask("DATA").code == 354
        c.send(body + ".\r\n")
    return clients


def answered(clients):
    return select.select([c.socket for c in clients], [], [], 0)[0]


def all_flows(d, n=10):
    """Whatever is not for those."""
    for _ in range(n):
        for domain in GOOD:
            assert deliver(d, domain).code == 250, domain


@pytest.mark.parametrize("how", [*HOW, "pipe"])
def test_others_go_on(made, stack, how):
    """While it hangs, others have what is theirs; who is slow comes to an
    end, and what is not there is known at once."""
    where = None if how == "pipe" else Hanging(stack, how)
    d = made(where and where.where, "connections = 4", limits="")
    hung = begin(stack, d, 6)
    if where:
        wait_for("a question", lambda: where.asked)
    slow = begin(stack, d, 3, "slow")
    assert deliver(d, "down").status == "451 4.4.1"
    all_flows(d)
    assert deliver(d, "down").status == "451 4.4.1"
    for c in slow:
        assert c.reply().code == 250
    assert not answered(hung)
    (d.path / "go").touch()


def test_others_are_looked_up(made, stack, pull):
    """It says of no recipient whether it is there, and those who asked hear
    so in the end."""
    d = made(Hanging(stack, "rcpt").where, "connections = 4", pull)
    hung = [stack.enter_context(d.client()) for _ in range(50)]
    for c in hung:
        c.send("MAIL FROM:<x@example.com>\r\n")
        assert c.reply().code == 250
        c.send("RCPT TO:<x@hang.test>\r\n")
    all_flows(d)
    assert not answered(hung)
    later(d, 21)
    for c in hung:
        assert c.reply().status == "451 4.4.1"


@pytest.mark.parametrize("how", HOW)
def test_known_as_down(made, stack, pull, how):
    """Then no body is sent: RCPT says so. Each time its pause is longer, so
    that we are sure to come in one."""
    p = Hanging(stack, how)
    d = made(p.where, "timeout = 40s" + (
        "" if how == "web" else " verify-recipients = no"), pull)

    def is_down():
        with contextlib.ExitStack() as clients:
            for _ in range(3):
                c = clients.enter_context(d.client())
                assert c.ask("MAIL FROM:<x@example.com>").code == 250
                reply = c.ask("RCPT TO:<x@hang.test>")
                if reply.code != 250:
                    return reply.status == "451 4.4.1"
                before = p.asked
                assert c.ask("DATA").code == 354
                c.send("x\r\n.\r\n")
                wait_for("it is asked", lambda: p.asked > before)
            later(d, 41)
            return False

    wait_for("it is known", is_down)
    wait_for("a word", lambda: " warn route-down route=hang " in d.log())
    all_flows(d, 2)


def files(d):
    return len(os.listdir(f"/proc/{d.workers()[0]}/fd"))


def memory(d):
    return pss(d.workers()[0])


@pytest.mark.parametrize("how", HOW)
def test_many_wait_for_it(made, stack, how):
    """A worker has no more of them than it may have connections, and others
    go on."""
    p = Hanging(stack, how)
    d = made(p.where, "connections = 10")
    had, base = files(d), memory(d)
    hung = begin(stack, d, 200)
    wait_for("its connections", lambda: p.asked == 10)
    all_flows(d, 2)
    assert files(d) <= had + len(hung) + 2 * 10
    assert p.asked == 10
    if not sanitized():
        assert memory(d) < base + 10 * EACH + len(hung) * 16
    assert not answered(hung)


def test_many_wait_for_a_program(made, stack):
    """No more of it run than may; in the end each message had its own."""
    d = made(None, "connections = 10")
    had, base = files(d), memory(d)
    runner, = children(d.workers()[0])
    hung = begin(stack, d, 200)
    wait_for("so many", lambda: len(children(runner)) == 10)
    all_flows(d, 2)
    assert len(children(runner)) == 10
    assert files(d) <= had + len(hung) + 2 * 10
    if not sanitized():
        assert memory(d) < base + 10 * EACH + len(hung) * 16
    assert not answered(hung)
    (d.path / "go").touch()
    for c in hung:
        assert c.reply().code == 250


@MEMORY
@pytest.mark.parametrize("how", ["reads nothing", "web"])
def test_large_bodies_wait_on_disk(made, stack, how):
    """Of what nobody reads no more is in memory than fits a connection; when
    it is read, all is there."""
    p = Hanging(stack, how)
    d = made(p.where, "connections = 4")
    base = memory(d)
    hung = begin(stack, d, 6, body=("x" * 78 + "\r\n") * ((20 << 20) // 80))
    wait_for("its connections", lambda: p.asked == 4)
    all_flows(d, 2)
    assert memory(d) < base + 4 * EACH + SLACK
    p.go_on()
    for c in hung:
        assert c.reply().code == 250
    assert memory(d) < base + 4 * EACH + SLACK


def test_no_more_waits_than_fits(made, stack):
    """Half of what may wait is one route's: then it takes nothing more, and
    says so at RCPT; others do."""
    p = Hanging(stack, "dot")
    d = made(p.where, "connections = 2", journal="segment = 4M inline = 512K "
             "size = 64M")
    base = memory(d)
    body = ("x" * 78 + "\r\n") * 6250  # 500,000
    full = []

    def is_full():
        with contextlib.ExitStack() as one:
            c = one.enter_context(d.client())
            assert c.ask("MAIL FROM:<x@example.com>").code == 250
            reply = c.ask("RCPT TO:<x@hang.test>")
            if reply.code != 250:
                return reply
            assert c.ask("DATA").code == 354
            c.send(body + ".\r\n")
            full.append(c)
            stack.push(one.pop_all())
            return None

    reply = wait_for("a no", is_full)
    assert reply.status == "451 4.3.2"
    assert 65 <= len(full) <= 70
    if not sanitized():
        assert memory(d) < base + (32 << 10) + 2 * EACH + SLACK
    all_flows(d, 2)
    assert not answered(full[:65])
