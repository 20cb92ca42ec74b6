"""Mail that a route did not take is held, and sent when it can be."""

import itertools
import os
import re
import signal
import threading

import pytest

from daemon import DEADLINE, wait_for
from liar import SILENCE, Liar
from preload import FAST, preload

LARGE = 300000  # more than the journal takes


def conf(path, name="out"):
    return (f'route "{name}" {{\n\tto = "lmtp:{path}"\n'
            "\twhen-down = hold\n\tverify-recipients = no\n}\n"
            f'domain "example.org" {{ catch-all = "route:{name}" }}\n')


@pytest.fixture
def before(start):
    """A daemon whose route is away, on a clock that does not wait."""
    def make(top=""):
        path = start.folder() / "lmtp"
        d = start.make(top=top, domains="",
                       extra=conf(path))
        preload(d, FAST)
        return d.start(), path
    return make


def held(d):
    return [p for p in (d.spool / "held").iterdir()
            if not p.name.startswith(".") and p.suffix != ".body"]


def failed(d):
    return list((d.spool / "failed" / "new").glob("*"))


def send(d, keys, size=10):
    """All of it is in held/ when that is said."""
    ids = []
    with d.client() as c:
        for key in keys:
            reply = c.deliver(f"Key: {key}.\r\n\r\n"
                              + ("x" * 98 + "\r\n") * (size // 100 + 1),
                              "a@example.org", "b@example.org")
            assert reply.code == 250
            ids.append(reply.id)
    return ids


def came(liar):
    """How often each key came, for each of its recipients."""
    copies = {}
    for _, rcpt, mail in list(liar.mails):
        key = re.search(rb"^Key: (\d+)\.\r$", mail, re.M)[1]
        copies.setdefault((int(key), rcpt), []).append(len(mail))
    return copies


def reload(d):
    n = d.log().count(" reloaded ")
    os.kill(d.master(), signal.SIGHUP)
    wait_for("the reload", lambda: d.log().count(" reloaded ") > n)


def gone(d):
    wait_for("an empty held/",
             lambda: not list((d.spool / "held").iterdir()))


def test_it_comes_back(before):
    """By two workers, over a restart: all of it, and none twice."""
    d, path = before()
    ids = send(d, range(30)) + send(d, range(30, 33), LARGE)
    assert len(held(d)) == 33
    d.stop()
    assert len(held(d)) == 33
    d.start()
    ids += send(d, range(33, 40))
    with Liar(path, lmtp=True) as liar:
        gone(d)
        copies = came(liar)
        assert len(copies) == 80
        for (key, _), sizes in copies.items():
            assert len(sizes) == 1, copies
            assert (sizes[0] > LARGE) == (30 <= key < 33)
        for id in ids:
            wait_for("its lines", lambda: len(re.findall(
                f" info delivered message={id} .* route=out ", d.log())) == 2)
            assert f" warn held message={id} " in d.log()
        assert not d.files()
    assert not failed(d)


def test_taken_in_part(before):
    """Who is refused late is in failed; who is not taken yet waits alone."""
    d, path = before()
    id, = send(d, [1])
    replies = {"RCPT TO:<a@example.org>": "550 5.1.1 nobody",
               "RCPT TO:<b@example.org>": "450 4.2.1 later"}
    with Liar(path, lmtp=True, RCPT=lambda s, line: replies[line]) as liar:
        wait_for("it in failed", lambda: failed(d))
        wait_for("the reason", lambda: re.search(
            f' warn refused-late message={id} .*reply="550 5.1.1 nobody"',
            d.log()))
        wait_for("who is left", lambda: re.search(
            f' warn held message={id} .*reply="450 4.2.1 later"', d.log()))
        replies["RCPT TO:<b@example.org>"] = "250 ok"
        gone(d)
        assert list(came(liar)) == [(1, "RCPT TO:<b@example.org>")]
    mail, = failed(d)
    assert mail.read_text().startswith("Return-Path: ")
    assert re.search(r"^X-Smtpd-Failed: <?a@example.org>?: 550 5\.1\.1 nobody$",
                     mail.read_text(), re.M)


def test_a_route_that_is_missing(before):
    """A reload that drops it leaves the mail; one that has it again sends."""
    d, path = before()
    send(d, range(3))
    text = d.conf.read_text()
    with Liar(path, lmtp=True) as liar:
        d.conf.write_text(text.replace(conf(path),
                                       conf(path, "other")))
        liar.script["RCPT"] = "450 4.2.1 not yet"
        reload(d)
        wait_for("who is missing", lambda: re.search(
            " error route-missing route=out held=3 ", d.log()))
        liar.script["RCPT"] = "250 ok"
        liar.lines.clear()
        send(d, [3])
        assert [key for key, _ in came(liar)] == [3, 3]
        assert len(held(d)) == 3
        d.conf.write_text(text)
        reload(d)
        gone(d)
        assert sorted(came(liar)) == sorted(
            (key, f"RCPT TO:<{who}@example.org>")
            for key in range(4) for who in "ab")
        assert all(len(x) == 1 for x in came(liar).values())


def test_no_answer_before_the_end(before):
    """A worker that leaves waits for it as long as it may; then it stays."""
    d, path = before("workers = 1\ndrain = 60s")
    id, = send(d, [1])
    whole = threading.Event()

    def say_nothing(session, rcpt):
        whole.set()
        return SILENCE

    with Liar(path, lmtp=True, dot=say_nothing):
        assert whole.wait(DEADLINE)
        d.stop()
        assert f" warn unanswered message={id} " in d.log()
    assert len(held(d)) == 1
    path.unlink()
    with Liar(path, lmtp=True) as liar:
        d.start()
        gone(d)
        assert len(came(liar)) == 2


def test_killed_in_the_middle(before):
    """None is lost. What was answered is not sent again once its file is
    gone, and what was not is."""
    d, path = before()
    d.deaths = True
    ids = send(d, range(20))
    stuck = threading.Event()

    count = itertools.count()

    def five_times(session, rcpt):
        if rcpt == session.rcpts[0]:
            session.good = next(count) < 5
        if session.good:
            return "250 ok"
        stuck.set()
        return SILENCE

    with Liar(path, lmtp=True, dot=five_times) as liar:
        assert stuck.wait(DEADLINE)
        wait_for("files that are gone", lambda: len(held(d)) < 20)
        left = {p.name for p in held(d)}
        d.kill()
        liar.script["dot"] = "250 ok"
        d.start()
        gone(d)
        copies = came(liar)
        assert len(copies) == 40
        once = [key for key, id in enumerate(ids)
                if not any(name.startswith(f"{id}-") for name in left)]
        assert len(once) == 20 - len(left)
        for (key, _), sizes in copies.items():
            assert len(sizes) == 1 or key not in once, copies
