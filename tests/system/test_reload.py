"""SIGHUP: a new configuration for new sessions, and nothing lost on the way."""

import os
import re
import signal
import socket
import ssl
import threading
import time

import pytest

from daemon import AS_ROOT, DEADLINE, cpu_seconds, free_port, gone
from daemon import sanitized, wait_for
from test_durability import need_strace
from secured import certificate, context


def hup(d, event="info reloaded"):
    """Asks for it, and waits until the log says how it went."""
    before = d.log().count(event)
    os.kill(d.master(), signal.SIGHUP)
    wait_for(event, lambda: d.log().count(event) > before)


def rewrite(d, old, new):
    text = d.conf.read_text()
    assert old in text
    d.conf.write_text(text.replace(old, new))


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), DEADLINE).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


def settled(d, workers):
    """The old ones have gone."""
    wait_for("the old workers gone", lambda: len(d.workers()) == workers)


def test_new_users(start):
    d = start()
    with d.client() as old:
        rewrite(d, '"carol"', '"carol", "dave"')
        hup(d)
        with d.client() as c:
            assert c.deliver("hello\r\n", "dave@example.org").code == 250
        # whoever is here leaves at the next message, or when it is quiet
        assert old.ask("MAIL FROM:<a@example.com>").status == "421 4.3.2"
        assert old.closed()
    settled(d, 2)


def test_transaction_in_flight_ends_well(start):
    d = start()
    with d.client() as c:
        c.begin("alice@example.org")
        assert c.ask("DATA").code == 354
        c.send("first half\r\n")
        hup(d)
        c.send("second half\r\n.\r\n")
        id = c.reply().id
    assert d.message("alice@example.org", id).body == (
        b"first half\nsecond half\n")
    settled(d, 2)


@pytest.mark.parametrize("bad, what", [
    ("nonsense = 1\n", "nonsense"),
    ('domain "example.org" { users = { "x" } }\n', "example.org"),
    ('certificate "x.example" { chain = "/nowhere" key = "/nowhere" }\n',
     "/nowhere: No such file")])
def test_a_fault_changes_nothing(start, bad, what):
    d = start()
    workers = d.workers()
    good = d.conf.read_text()
    d.conf.write_text(good + bad)
    hup(d, "error reload-failed")
    line = [x for x in d.log().splitlines() if "reload-failed" in x][0]
    assert f"file={d.conf}" in line and what in line
    assert re.search(r"line=\d+", line)
    assert d.workers() == workers
    with d.client() as c:
        assert c.deliver("hello\r\n").code == 250
    d.conf.write_text(good)
    hup(d)
    settled(d, 2)
    assert set(d.workers()).isdisjoint(workers)


def test_what_needs_a_restart_waits_for_it(start):
    """The rest of the file counts at once; how it was still counts, twice."""
    d = start()
    rewrite(d, f'"{d.spool}"', f'"{d.path}/elsewhere"')
    rewrite(d, "user = nobody", "user = somebody-else")
    rewrite(d, '"carol"', '"carol", "dave"')
    for n in (1, 2):
        hup(d)
        settled(d, 2)
        for key in "spool", "user":
            assert len(re.findall(
                rf'warn configuration file={d.conf} line=\d+ '
                rf'text="{key} cannot change', d.log())) == n
        with d.client() as c:
            assert c.deliver("x\r\n", "dave@example.org").code == 250
    assert not (d.path / "elsewhere").exists()
    if AS_ROOT:
        assert d.files("dave@example.org")[0].owner() == "nobody"


def test_listen_blocks_come_and_go(start):
    d = start()
    port = free_port()
    block = f'listen "127.0.0.1:{port}" {{ greeting = "added" }}\n'
    d.conf.write_text(block + d.conf.read_text())
    assert refused(port)
    hup(d)
    with d.connect(port) as c:
        assert c.reply().text == "mx.example.org added"
    rewrite(d, block, "")
    settled(d, 2)
    hup(d)
    wait_for("a port that is closed", lambda: refused(port))
    with d.client() as c:
        assert c.deliver("hello\r\n").code == 250


def test_a_port_that_is_taken_changes_nothing(start):
    d = start()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        d.conf.write_text(
            f'listen "127.0.0.1:{s.getsockname()[1]}" {{ }}\n'
            + d.conf.read_text())
        hup(d, "error reload-failed")
    assert "error listen" in d.log()
    with d.client() as c:
        assert c.deliver("hello\r\n").code == 250


def test_worker_count(start):
    """More at once; fewer only at a restart, since slots never shrink."""
    d = start(top="workers = 2")
    rewrite(d, "workers = 2", "workers = 4")
    hup(d)
    settled(d, 4)
    rewrite(d, "workers = 4", "workers = 1")
    assert "key=workers" not in d.log()
    hup(d)
    settled(d, 4)
    assert "key=workers kept=4" in d.log()
    for _ in range(20):
        with d.client() as c:
            assert c.ask("NOOP").code == 250


def test_two_in_a_row(start):
    """The second waits for the first one's workers to leave."""
    d = start(top="workers = 1")
    with d.client() as busy:
        busy.begin("alice@example.org")
        assert busy.ask("DATA").code == 354
        hup(d)
        os.kill(d.master(), signal.SIGHUP)
        with d.client() as c:
            assert c.deliver("between\r\n").code == 250
        assert d.log().count("info reloaded") == 1
        busy.send("the end\r\n.\r\n")
        assert busy.reply().code == 250
    wait_for("the second", lambda: d.log().count("info reloaded") == 2)


def test_stop_during_a_reload(start):
    """Both at once; and while the old workers still have something to do."""
    d = start()
    workers = d.workers()
    os.kill(d.master(), signal.SIGHUP)
    os.kill(d.master(), signal.SIGTERM)
    assert d.wait() == 0
    assert all(gone(w) for w in workers)
    d.log_path.unlink()
    d.start()
    with d.client() as c:
        c.begin()
        assert c.ask("DATA").code == 354
        hup(d)
        workers = d.workers()
        os.kill(d.master(), signal.SIGTERM)
        wait_for("stopping", lambda: "info stopping" in d.log())
        c.send("the end\r\n.\r\n")
        id = c.reply().id
    assert d.wait() == 0
    assert all(gone(w) for w in workers)
    d.message("alice@example.org", id)


def test_a_worker_that_dies_is_replaced_in_its_generation(start):
    d = start(deaths=True)
    rewrite(d, '"carol"', '"carol", "dave"')
    hup(d)
    settled(d, 2)
    killed = d.workers()[0]
    os.kill(killed, signal.SIGKILL)
    wait_for("another one",
             lambda: len(d.workers()) == 2 and killed not in d.workers())
    for _ in range(10):
        with d.client() as c:
            assert c.deliver("hello\r\n", "dave@example.org").code == 250


def master_rss(d):
    with open(f"/proc/{d.master()}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not AS_ROOT, reason="keys are changed below the daemon")
def test_renewed_certificate_twenty_times_under_load(start):
    """New sessions get the new one; nobody is refused, nothing is lost."""
    d = start.make(top="workers = 2")
    block = certificate(d.path, "mx.example.org")
    d.conf.write_text(d.conf.read_text() + block)
    d.start()
    sent, faults, over = [], [], threading.Event()

    def send(n):
        i = 0
        while not over.is_set() and i < 2000:
            try:
                with d.client() as c:
                    reply = c.ask("MAIL FROM:<a@example.com>")
                    if reply.status == "421 4.3.2":
                        assert c.closed()
                        continue  # as every sender does: again, elsewhere
                    assert reply.code == 250
                    assert c.ask("RCPT TO:<alice@example.org>").code == 250
                    assert c.ask("DATA").code == 354
                    c.send(f"message {n} {i}\r\n.\r\n")
                    assert c.reply().code == 250
                    sent.append(f"message {n} {i}\n".encode())
                    assert c.ask("QUIT").code == 221
            except Exception as e:  # noqa: BLE001: every one is a finding
                faults.append(repr(e))
            i += 1

    def presented():
        with d.client() as c:
            assert c.ask("STARTTLS").code == 220
            tls = context().wrap_socket(c.socket)
            return ssl.DER_cert_to_PEM_cert(
                tls.getpeercert(binary_form=True))

    senders = [threading.Thread(target=send, args=(n,)) for n in range(3)]
    for t in senders:
        t.start()
    memory = []
    for i in range(20):
        certificate(d.path, "mx.example.org")
        hup(d)
        settled(d, 2)
        assert presented() == (d.path / "mx.example.org.pem").read_text()
        memory.append(master_rss(d))
    over.set()
    for t in senders:
        t.join()
    assert not faults, faults[:3]
    assert len(sent) > 50
    bodies = [m.body for m in d.messages("alice@example.org")]
    assert sorted(bodies) == sorted(sent)
    if not sanitized():
        assert memory[-1] - memory[4] <= 1 << 20, memory


def descriptors(d):
    return len(os.listdir(f"/proc/{d.master()}/fd"))


def test_more_of_everything_under_load(start):
    """New sockets join those that serve: whoever comes finds somebody."""
    d = start(top="workers = 1")
    sent, faults, over = [], [], threading.Event()

    def send(n):
        while not over.is_set():
            try:
                with d.connect() as c:
                    assert c.reply().code == 220
                    assert c.ask("HELO x").code == 250
                    reply = c.ask("MAIL FROM:<a@example.com>")
                    if reply.status == "421 4.3.2":
                        continue
                    assert c.ask("RCPT TO:<alice@example.org>").code == 250
                    assert c.ask("DATA").code == 354
                    c.send(f"{n} {len(sent)}\r\n.\r\n")
                    sent.append(c.reply().id)
                    assert c.ask("QUIT").code == 221
            except Exception as e:  # noqa: BLE001: every one is a finding
                faults.append(repr(e))

    senders = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    for t in senders:
        t.start()
    first = descriptors(d)
    for workers in 1, 2, 4, 8:
        rewrite(d, re.search(r"workers = \d+", d.conf.read_text())[0],
                f"workers = {workers}")
        good = d.conf.read_text()
        port = free_port()
        d.conf.write_text(f'listen "127.0.0.1:{port}" {{ }}\n' + good)
        hup(d)
        with d.connect(port) as c:
            assert c.reply().code == 220
        settled(d, workers)
        d.conf.write_text(good)
        hup(d)
        settled(d, workers)
        wait_for("a port that is closed", lambda: refused(port))
        # the sockets that it owns, and nothing of those that it had, once
        # it has put the old workers' pipe away behind them
        wait_for("its own sockets alone",
                 lambda: descriptors(d) == first + workers - 1)
    over.set()
    for t in senders:
        t.join()
    assert not faults, faults[:3]
    assert sorted(m.id for m in d.messages()) == sorted(sent)


def test_a_socket_that_all_share(start):
    """One that was handed over is kept, and removed, like any other."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        block = f'listen "127.0.0.1:{port}" {{ greeting = "handed" }}\n'
        d = start.make(env={"LISTEN_FDS": "1"}, fds=(3,))
        d.conf.write_text(block + d.conf.read_text())
        saved = os.dup(3)  # whatever it is
        try:
            os.dup2(s.fileno(), 3)
            d.wrapper = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh"]
            d.start()
        finally:
            os.dup2(saved, 3)
            os.close(saved)
    d.wrapper = []
    assert "info inherited" in d.log()
    for _ in range(2):
        hup(d)
        settled(d, 2)
        for _ in range(5):
            with d.connect(port) as c:
                assert c.reply().text == "mx.example.org handed"
    rewrite(d, block, "")
    hup(d)
    settled(d, 2)
    wait_for("a port that is closed", lambda: refused(port))


def test_kept_connections_see_421_only(start):
    d = start()
    codes, over = set(), threading.Event()

    def send():
        while not over.is_set():
            with d.client() as c:
                while not over.is_set():
                    reply = c.ask("MAIL FROM:<a@example.com>")
                    codes.add(reply.status)
                    if reply.code == 421:
                        assert c.closed()
                        break
                    assert c.ask("RCPT TO:<alice@example.org>").code == 250
                    assert c.ask("DATA").code == 354
                    c.send("kept\r\n.\r\n")
                    codes.add(c.reply().status)

    senders = [threading.Thread(target=send) for _ in range(3)]
    for t in senders:
        t.start()
    for _ in range(5):
        hup(d)
        settled(d, 2)
    over.set()
    for t in senders:
        t.join()
    assert codes <= {"250 2.1.0", "250 2.6.0", "421 4.3.2"}
    assert "421 4.3.2" in codes


def test_who_leaves_lets_go_of_the_sockets(start):
    """A client that waits for a new worker does not keep an old one busy."""
    d = start(top="workers = 1")
    old = d.workers()[0]
    with d.client() as busy:
        busy.begin()
        hup(d)
        wait_for("its drain", lambda: " draining " in d.log())
        new, = set(d.workers()) - {old}
        os.kill(new, signal.SIGSTOP)
        with d.connect() as c:
            before = cpu_seconds(old)
            time.sleep(1)  # how long it is watched; it spins or it does not
            spent = cpu_seconds(old) - before
            os.kill(new, signal.SIGCONT)
            assert c.reply().code == 220
        assert spent < 0.2


def test_log_settings(start):
    """Of the master and of the new workers, at the first reload."""
    d = start(top="workers = 1", extra="log { format = text }")
    rewrite(d, "format = text", "format = json")
    hup(d, '"event":"reloaded"')
    settled(d, 1)
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250
    wait_for("a worker's line",
             lambda: '"event":"message"' in d.log()
             or '"event":"accepted"' in d.log())


def test_verbose_is_kept(start):
    d = start.make(extra="log { level = error }")
    d.wrapper = ["sh", "-c", 'exec "$@" -v', "sh"]
    d.start()
    d.wrapper = []  # exec: the process itself is the master
    for _ in range(2):
        hup(d)
        settled(d, 2)
    before = d.log().count(" trace ")
    with d.client() as c:
        assert c.ask("NOOP").code == 250
    wait_for("its steps", lambda: d.log().count(" trace ") > before)


def test_reload_while_nobody_lives(start):
    """Nobody has to leave, so the next one need not wait for that either."""
    d = start(deaths=True, top="workers = 1")
    for n in range(3):
        old = wait_for("a worker", d.workers)
        os.kill(old[0], signal.SIGKILL)
        wait_for("its death",
                 lambda: d.log().count("worker-died") > n)  # noqa: B023
        wait_for("a new one, at first",
                 lambda: n == 2 or d.workers())  # noqa: B023
    assert d.workers() == []  # for two seconds
    hup(d)
    hup(d)
    settled(d, 1)


def test_who_leaves_is_not_replaced(start):
    """The pause before a second restart is over within 1 s."""
    d = start(deaths=True, top="workers = 1")
    old = d.workers()[0]
    with d.client() as busy:
        busy.begin()
        hup(d)
        new, = set(d.workers()) - {old}
        os.kill(old, signal.SIGKILL)
        wait_for("its death", lambda: "worker-died" in d.log())
    hup(d)  # and it is not waited for
    wait_for("the next ones", lambda: new not in d.workers())
    settled(d, 1)


def test_a_failed_fork_is_tried_again(start):
    need_strace()
    d = start.make(top="workers = 1", deaths=True,
                   env={"ASAN_OPTIONS": "detect_leaks=0"})  # both trace
    d.wrapper = ["strace", "-o", "/dev/null", "-e", "trace=clone", "-e",
                 "inject=clone:error=EAGAIN:when=2"]
    d.start()
    os.kill(d.workers()[0], signal.SIGKILL)
    wait_for("the failure", lambda: "error fork" in d.log())
    wait_for("a worker", d.workers)
    with d.client() as c:
        assert c.ask("NOOP").code == 250


def test_notify(start):
    d = start.make()
    path = d.path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(DEADLINE)
        d.env = {"NOTIFY_SOCKET": str(path)}
        d.start()
        assert s.recv(4096) == b"READY=1"
        begun = time.monotonic_ns() // 1000
        os.kill(d.master(), signal.SIGHUP)
        told = re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=(\d+)",
                            s.recv(4096))
        assert begun <= int(told[1]) <= time.monotonic_ns() // 1000
        assert s.recv(4096) == b"READY=1"
