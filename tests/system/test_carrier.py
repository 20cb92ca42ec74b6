"""Servers that mail is carried to: what they do is what a client hears."""

import json
import random
import re
import subprocess

import pytest

from daemon import AS_ROOT, pss, sanitized, wait_for
from liar import CLOSE, READS_NOTHING, SILENCE, Liar
from names import Names
from preload import FAST, preload

GONE = "451 4.4.2"
AWAY = "451 4.4.1"


@pytest.fixture
def before(start):
    """A daemon in front of these, with so much time for each message."""
    def make(*liars, timeout="20s", workers=1):
        to = ", ".join(f'"{liar.where}"' for liar in liars)
        return start(
            top=f'workers = {workers}\nroute "out" {{ to = {{ {to} }}\n'
                f"\ttimeout = {timeout}\n\tverify-recipients = no\n}}\n",
            domains='domain "example.org" {{ catch-all = "route:out" }}')
    return make


def send(d, body=b"Subject: x\r\n\r\nhi\r\n", *rcpts):
    with d.client() as c:
        return c.deliver(body, *(rcpts or ["a@example.org"]))


def test_taken_one_after_the_other(before):
    """WIRE: dots are doubled, and 250 is the server's own."""
    with Liar() as liar:
        d = before(liar)
        for n in range(3):
            assert send(d, b"Subject: %d\r\n\r\n.\r\n..x\r\n" % n).code == 250
        assert liar.connections == 1
        assert len(liar.mails) == 3
        sender, rcpts, mail = liar.mails[2]
        assert sender.startswith("MAIL FROM:<sender@example.com>")
        assert rcpts == ["RCPT TO:<a@example.org>"]
        assert mail.endswith(b"Subject: 2\r\n\r\n.\r\n..x\r\n")
        assert mail.startswith(b"Received: ")


@pytest.mark.skipif(not AS_ROOT, reason="root alone has port 53 and mounts")
def test_a_name_of_the_dns(start):
    """The sandbox lets its question out."""
    names = Names()
    names.add("mail.example.test", "A", "127.0.0.1")
    resolver = f"127.53.{random.randrange(256)}.{random.randrange(1, 255)}"
    names.serve(resolver)
    with Liar() as liar:
        to = f"smtp://mail.example.test:{liar.port}"
        d = start.make(
            domains=f'domain "example.org" {{{{ catch-all = "{to}" }}}}')
        conf = d.path / "resolv.conf"
        conf.write_text(f"nameserver {resolver}\n")
        d.wrapper = ["unshare", "--mount", "--propagation", "private", "sh",
                     "-c", f'mount --bind {conf} /etc/resolv.conf && '
                     'exec "$@"', "sh"]
        d.start()
        assert send(d).code == 250
        assert len(liar.mails) == 1


@pytest.mark.parametrize("script, status", [
    ({"greeting": "554 no"}, AWAY),
    ({"greeting": CLOSE}, AWAY),
    ({"EHLO": CLOSE}, AWAY),
    ({"MAIL": CLOSE}, GONE),
    ({"RCPT": CLOSE}, GONE),
    ({"DATA": CLOSE}, GONE),
    ({"dot": CLOSE}, GONE),
    ({"MAIL": "421 4.3.2 go"}, GONE),
    ({"dot": "421 4.3.2 go"}, GONE),
    ({"MAIL": "What?"}, "451 4.5.0"),
    ({"RCPT": "550 5.1.1 who"}, "550 5.1.1"),
    ({"RCPT": "450 4.2.1 later"}, "450 4.2.1"),
    ({"DATA": "554 5.6.0 no"}, "554 5.6.0"),
    ({"dot": "552 5.2.2 full"}, "552 5.2.2"),
    ({"dot": "530 5.7.0 who are you"}, "451 4.3.5"),
    ({"EHLO": "250 liar", "MAIL": SILENCE}, GONE),
    ({"dot": SILENCE}, GONE),
])
def test_each_end(before, script, status):
    timeout = "3s" if SILENCE in script.values() else "60s"
    with Liar(**script) as liar:
        d = before(liar, timeout=timeout)
        assert send(d).status == status
        assert not liar.mails


def test_reads_nothing(before):
    """No more of a message is in memory than its sockets take."""
    with Liar(DATA=("354 go", READS_NOTHING)) as liar:
        d = before(liar, timeout="3s")
        worker, = d.workers()
        least = pss(worker)
        with d.client() as c:
            c.begin("a@example.org")
            assert c.ask("DATA").code == 354
            c.send((b"x" * 78 + b"\r\n") * 250000 + b".\r\n")
            wait_for("354", lambda: "DATA" in liar.lines)
            if not sanitized():
                assert pss(worker) - least < 8192  # of 20 MB, in KiB
            assert c.reply().status == GONE


def test_octet_by_octet(before):
    with Liar(slow=0.0001) as liar:
        d = before(liar)
        assert send(d).code == 250
        assert len(liar.mails) == 1


def test_closed_while_it_waited(before):
    with Liar(MAIL=["250 ok", CLOSE, "250 ok"]) as liar:
        d = before(liar)
        assert send(d).code == 250
        assert send(d).code == 250
        assert len(liar.mails) == 2
        assert liar.connections == 2


def test_the_next_server(before):
    with Liar(greeting="421 full") as full, Liar() as liar:
        d = before(full, liar)
        assert send(d).code == 250
        assert full.connections and len(liar.mails) == 1


def status(d):
    return json.loads(subprocess.run(
        [d.binary, "status", "--json", "-f", str(d.conf)],
        capture_output=True).stdout)


def test_down_and_up(before, start):
    path = start.folder() / "lmtp"
    with Liar(path, lmtp=True) as liar:
        d = before(liar)
        assert send(d).code == 250
    path.unlink()
    wait_for("a refusal", lambda: send(d).status == AWAY)
    wait_for("route-down", lambda: "route-down route=out" in d.log())
    assert re.fullmatch(r"out down \d+ s in 1 of 1 workers: no connection",
                        status(d)["route"][0])
    with Liar(path, lmtp=True) as liar:
        wait_for("route-up", lambda: "route-up route=out" in d.log())
        assert send(d).code == 250
        assert len(liar.mails) == 1
        assert status(d)["route"] == ["out up"]


def test_down_for_a_minute(start):
    """Only then somebody should look at it; and nobody wrote a block."""
    d = start.make(top="workers = 1", domains=
                   'domain "example.org" {{ catch-all = "lmtp:/none/there" }}')
    preload(d, FAST)
    d.start()
    with d.client() as c:
        assert c.ask("MAIL FROM:<>").code == 250
        assert c.ask("RCPT TO:<a@example.org>").status == AWAY
    said = wait_for("a fault", lambda: [s for s in [status(d)] if
                                        any("route" in f for f in s["fault"])])
    assert re.fullmatch(r"lmtp:/none/there down \d+ s in 1 of 1 workers: "
                        r"no connection", said[0]["route"][0])


def test_lmtp_each_by_itself(before):
    with Liar(lmtp=True, dot=["250 ok", "452 4.2.2 full"]) as liar:
        d = before(liar)
        assert send(d, b"hi\r\n", "a@example.org", "b@example.org").code == 250
        assert [rcpt for _, rcpt, _ in liar.mails] == [
            "RCPT TO:<a@example.org>"]
