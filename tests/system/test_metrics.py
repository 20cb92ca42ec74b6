"""Metrics: that they say what happened, outlive whoever counted it, and that
whatever comes to their port costs little."""

import os
import re
import signal
import socket
import threading
import time

import pytest

import prometheus
from daemon import (BINARY, TOP, cpu_seconds, free_port, gone, scrape,
                    wait_for)
from secured import certificate

LINE = re.compile(r"(\w+)(?:\{(.*)\})? ([0-9.]+)$")


def with_metrics(make, **kwargs):
    port = free_port()
    d = make(listen=f'listen "127.0.0.1:{port}" {{ role = metrics }}',
             **kwargs)
    d.metrics = port
    return d


@pytest.fixture
def d(start):
    return with_metrics(start)


def figures(d):
    """Each series, as "name{labels}", and its figure."""
    series = {}
    for line in scrape(d.metrics).splitlines():
        if line.startswith("#"):
            continue
        m = LINE.match(line)
        assert m, line
        name = f"{m[1]}{{{m[2]}}}" if m[2] else m[1]
        assert name not in series, line
        series[name] = float(m[3])
    return series


def refusals(d):
    """By code and status, as the log has them."""
    counts = {}
    for code, status in re.findall(
            r' refused session=.*?reply="(\d{3}) (\d\.\d+\.\d+) ', d.log()):
        name = f'smtpd_replies_total{{code="{code}",enhanced="{status}"}}'
        counts[name] = counts.get(name, 0) + 1
    return counts


def test_figures_are_what_was_sent(d):
    with_session = d.client()
    for n in range(5):
        with_session.deliver(f"Subject: {n}\r\n\r\nx\r\n", "alice@example.org",
                             "bob@example.org")
    c = d.client()
    assert c.ask("MAIL FROM: <x@[192.0.2.1]>").code == 250
    for n in range(3):
        assert c.ask("RCPT TO:<nobody@example.org>").status == "550 5.1.1"
    assert c.ask("RCPT TO:<x@example.com>").status == "550 5.7.1"
    assert c.ask("DATA").status == "554 5.5.1"
    assert c.ask("RCPT TO:<carol@example.org>").code == 250
    assert c.ask("DATA").code == 354
    c.send("a\nb\r\n.\r\n")
    assert c.reply().status == "550 5.6.0"
    assert c.ask("QUIT").code == 221
    d.settled()
    c.socket.close()
    wait_for("it leaves", lambda: figures(d)["smtpd_sessions"] == 1)
    f = figures(d)
    assert f['smtpd_messages_total{result="accepted"}'] == 5
    assert f['smtpd_messages_total{result="refused"}'] == 1
    assert f['smtpd_messages_total{result="deferred"}'] == 0
    assert f["smtpd_message_bytes_total"] == 5 * len("Subject: n\r\n\r\nx\r\n")
    assert f['smtpd_recipients_total{result="accepted"}'] == 11
    assert f['smtpd_recipients_total{result="refused"}'] == 4
    assert f['smtpd_deliveries_total{kind="maildir",result="delivered"}'] == 10
    assert f['smtpd_connections_total{role="mx"}'] == 2
    assert f["smtpd_message_seconds_count"] == 5
    assert f["smtpd_greeting_seconds_count"] == 2
    assert f['smtpd_delivery_seconds_count{kind="maildir"}'] == 5
    assert f["smtpd_journal_batch_messages_sum"] == 5
    assert f['smtpd_workers{state="serving"}'] == 2
    assert f["smtpd_start_time_seconds"] == pytest.approx(time.time(), abs=300)
    said = {k: v for k, v in f.items() if k.startswith("smtpd_replies_total")}
    assert said == refusals(d)
    assert sum(said.values()) == 6
    with_session.socket.close()
    wait_for("disks", lambda: figures(d)[
        'smtpd_filesystem_free_ratio{use="spool"}'] > 0)
    wait_for("a checkpoint", lambda: figures(d)[
        "smtpd_checkpoint_seconds_count"] > 0)
    wait_for("the end of the session", lambda: not figures(d)["smtpd_sessions"])


def test_held_mail_is_shown(d):
    box = d.mail / "example.org"
    wait_for("its root", d.mail.exists)
    box.mkdir()
    (box / "alice").write_text("")  # no mailbox
    os.chown(box, *[os.stat(d.mail).st_uid] * 2)
    c = d.client()
    assert c.deliver("x\r\n", "bob@example.org").code == 250
    c.begin("alice@example.org")
    assert c.ask("DATA").code == 354
    c.send("x\r\n.\r\n")
    assert c.reply().code == 250
    d.settled()
    wait_for("held", lambda: figures(d)["smtpd_held_messages"] == 1)
    f = figures(d)
    assert f["smtpd_held_bytes"] > 0
    assert f['smtpd_deliveries_total{kind="maildir",result="held"}'] == 1
    (box / "alice").unlink()
    c.ask("QUIT")


def test_promtool_has_nothing_to_say(d):
    if prometheus.why_not():
        pytest.skip(prometheus.why_not())
    d.client().ask("RCPT")
    text = scrape(d.metrics)
    assert "smtpd_replies_total{" in text
    assert prometheus.check(text) == ""
    assert prometheus.check("smtpd_replies 1\n" + text) != ""


def manual_queries():
    text = (TOP / "src" / "smtpd.8").read_text()
    text = re.search(r"^\.Ss Metrics$(.*?)^\.S[sh] ", text, re.M | re.S)[1]
    text = re.search(r"^\.Bd .*?$\n(.*?)^\.Ed", text, re.M | re.S)[1]
    return re.sub(r"\n +", " ", text).splitlines()


class Load:
    """Messages, and refusals, until it is told to end."""

    def __init__(self, d):
        self.d, self.over, self.sent = d, threading.Event(), 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        c = self.d.client()
        while not self.over.is_set():
            assert c.deliver("Subject: x\r\n\r\nx\r\n").code == 250
            self.sent += 1
            assert c.ask("MAIL FROM:<x@example.com>").code == 250
            assert c.ask("RCPT TO:<nobody@example.org>").code == 550
            assert c.ask("RSET").code == 250
        assert c.ask("QUIT").code == 221

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_prometheus_under_load(start):
    if prometheus.why_not():
        pytest.skip(prometheus.why_not())
    folder = start.folder()
    d = with_metrics(start, extra=certificate(folder, "mx.example.org"))
    queries = manual_queries()
    assert len(queries) == 5
    with Load(d) as load, prometheus.Prometheus(folder, d.metrics) as p:
        messages, replies, slowest, held, days = (
            wait_for(q, lambda: [x for x in p.query(q)
                                 if x[1] > 0 or "held" in q])
            for q in queries)
    assert {r["result"] for r, _ in messages} == {"accepted"}
    assert [r for r, _ in replies] == [{"code": "550", "enhanced": "5.1.1"}]
    assert 0 < slowest[0][1] <= 10
    assert held == [({}, 0)]
    assert days[0][0] == {"name": "mx.example.org"}
    assert 88 < days[0][1] <= 90
    f = figures(d)
    assert f['smtpd_messages_total{result="accepted"}'] == load.sent
    assert f['smtpd_recipients_total{result="refused"}'] == load.sent


def test_counters_outlive_workers(start):
    d = with_metrics(start, deaths=True)
    c = d.client()
    assert c.deliver("x\r\n").code == 250
    assert c.ask("RCPT TO:<x@example.org>").code == 503
    d.settled()
    assert figures(d)["smtpd_sessions"] == 1
    killed = d.workers()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_for("they die", lambda: all(map(gone, killed)))
    wait_for("their heirs", lambda: len(set(d.workers()) - set(killed)) == 2)
    wait_for("a burial", lambda: figures(d)["smtpd_worker_deaths_total"] == 2)
    f = figures(d)
    assert f['smtpd_messages_total{result="accepted"}'] == 1
    assert f['smtpd_replies_total{code="503",enhanced="5.5.1"}'] == 1
    assert f["smtpd_message_seconds_count"] == 1
    assert f["smtpd_sessions"] == 0
    assert f["smtpd_unplaced_files"] == 0


def test_reloads_are_counted(d):
    good = d.conf.read_text()
    d.conf.write_text(good + "nonsense = 1\n")
    os.kill(d.master(), signal.SIGHUP)
    wait_for("a no", lambda: figures(d)[
        'smtpd_reloads_total{result="failed"}'] == 1)
    d.conf.write_text(good)
    stays = d.client()
    stays.begin()
    os.kill(d.master(), signal.SIGHUP)
    # whoever is told to leave meanwhile hangs up on who asks it
    wait_for("the reload", lambda: " reloaded " in d.log())
    d.finish_turns()
    wait_for("a yes", lambda: figures(d)[
        'smtpd_reloads_total{result="good"}'] == 1)
    wait_for("who leaves", lambda: figures(d)[
        'smtpd_workers{state="leaving"}'] == 1)
    assert figures(d)['smtpd_workers{state="serving"}'] == 2
    assert stays.ask("QUIT").code == 221
    stays.socket.close()
    wait_for("they leave", lambda: figures(d)[
        'smtpd_workers{state="leaving"}'] == 0)


def test_limits_do_not_count_scrapes(start):
    d = with_metrics(start, limits="sessions = 2 per-address = 1")
    c = d.client()
    f = figures(d)
    assert f["smtpd_sessions"] == 1
    assert f['smtpd_connections_total{role="mx"}'] == 1
    assert d.connect().reply().status == "421 4.7.0"
    f = figures(d)
    reasons = {k: v for k, v in f.items() if "connections_refused" in k}
    assert sorted(reasons.values()) == [0, 0, 0, 1], reasons
    assert f['smtpd_replies_total{code="421",enhanced="4.7.0"}'] == 1
    c.ask("QUIT")


def ask(d, request):
    """What is answered until the end."""
    with socket.create_connection(("127.0.0.1", d.metrics), 30) as s:
        s.sendall(request)
        answer = b""
        while data := s.recv(65536):
            answer += data
        return answer


def test_what_is_no_scrape(d):
    get = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
    assert ask(d, get).startswith(b"HTTP/1.1 200 OK\r\n")
    assert ask(d, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 ")
    assert ask(d, b"POST /metrics HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd"
               ).startswith(b"HTTP/1.1 405 ")
    assert ask(d, b'{"jsonrpc": "2.0"}\r\n\r\n').startswith(b"HTTP/1.1 405 ")
    assert ask(d, b"GET /metrics HTTP/1.1\r\nA: " + b"a" * 5120 + b"\r\n\r\n"
               ).startswith(b"HTTP/1.1 ")
    assert ask(d, b"a" * 5120).startswith(b"HTTP/1.1 431 ")
    assert ask(d, b"\0\xff\r\n\r\n" * 100).startswith(b"HTTP/1.1 405 ")
    assert ask(d, b"EHLO a\r\nMAIL FROM:<>\r\n\r\n").startswith(
        b"HTTP/1.1 405 ")
    # two at once: the second is not answered
    assert ask(d, get + get).count(b"HTTP/1.1") == 1
    assert figures(d)["smtpd_sessions"] == 0


def ended(s):
    """By the server; a reset, if it had not read all."""
    try:
        return s.recv(1) == b""
    except ConnectionResetError:
        return True


def test_who_is_slow_keeps_nobody_out(start):
    d = with_metrics(start, top="workers = 1")
    slow = []
    for n in range(8):
        slow.append(socket.create_connection(("127.0.0.1", d.metrics), 30))
        slow[-1].sendall(b"GET /metrics HTTP/1.1\r\n")
    assert "smtpd_sessions 0" in scrape(d.metrics)  # the ninth
    assert ended(slow[0])  # for the first
    for n in range(30):
        assert "smtpd_sessions 0" in scrape(d.metrics)
    for s in slow[1:]:
        assert ended(s)
        s.close()
    assert "smtpd_sessions 0" in scrape(d.metrics)


def test_what_a_scrape_costs(start, capsys):
    d = with_metrics(start, top="workers = 1")
    worker, = d.workers()
    d.client().deliver("x\r\n")
    size = len(scrape(d.metrics))
    before, n = cpu_seconds(worker), 300
    for _ in range(n):
        scrape(d.metrics)
    cost = (cpu_seconds(worker) - before) / n
    with capsys.disabled():
        print(f"\na scrape: {size} octets, {cost * 1e6:.0f} us of CPU "
              f"({os.path.relpath(BINARY, TOP)})")
