"""What comes by itself: renewed certificates, and workers that hang."""

import os
import pathlib
import signal
import ssl

import pytest

from daemon import AS_ROOT, gone, wait_for
from preload import FAST, preload
from secured import certificate, context

pytestmark = pytest.mark.skipif(not AS_ROOT, reason="keys are root's alone")


@pytest.fixture
def fast(start):
    """Deadlines that are met by a client for whom a minute is one."""
    def make(**kwargs):
        d = start.make(**kwargs)
        preload(d, FAST)
        return d
    return make


@pytest.fixture
def d(fast):
    d = fast(limits="per-address = 1000")
    d.certificate = d.path / "live"
    d.certificate.mkdir()
    d.conf.write_text(d.conf.read_text()
                      + certificate(d.certificate, "mx.example.org"))
    return d


def presented(d):
    """Of whoever the client's patience lasts for: time is fast."""
    while True:
        try:
            with d.client() as c:
                assert c.ask("STARTTLS").code == 220
                with context().wrap_socket(c.socket) as tls:
                    return ssl.DER_cert_to_PEM_cert(
                        tls.getpeercert(binary_form=True))
        except (OSError, AssertionError):
            pass


def serves(d, chain):
    wait_for("the new certificate",
             lambda: presented(d) == pathlib.Path(chain).read_text())


def renewed(d, name="new"):
    """A new pair in a folder of its own: chain, key."""
    folder = d.path / name
    folder.mkdir()
    certificate(folder, "mx.example.org")
    return folder / "mx.example.org.pem", folder / "mx.example.org.key"


def test_renewed_by_rename(d):
    d.start()
    chain, key = renewed(d)
    key.rename(d.certificate / key.name)
    chain.rename(d.certificate / chain.name)
    serves(d, d.certificate / chain.name)
    wait_for("the end of it", lambda: "info reloaded" in d.log())
    assert d.log().count("info reloaded") == 1
    assert "reload-failed" not in d.log()


def test_renewed_by_symbolic_link(d):
    """As certbot does it: the names stay, and lead elsewhere."""
    first = {}
    for suffix in "pem", "key":
        path = d.certificate / f"mx.example.org.{suffix}"
        first[suffix] = path.rename(d.path / f"first.{suffix}")
        path.symlink_to(first[suffix])
    d.start()
    assert presented(d) == first["pem"].read_text()
    for path in renewed(d):
        link = d.path / "link"
        link.symlink_to(path)
        link.rename(d.certificate / path.name)
    serves(d, d.path / "new/mx.example.org.pem")


def test_key_comes_late(d):
    """Said once, and tried again when it is there."""
    d.start()
    old = presented(d)
    chain, key = renewed(d)
    chain.rename(d.certificate / chain.name)
    wait_for("a failure", lambda: "reload-failed" in d.log())
    assert presented(d) == old
    failed = d.log().count("reload-failed")
    with d.client() as c:
        assert c.deliver("meanwhile\r\n").code == 250
    os.utime(d.certificate / chain.name)  # a change: it is said again
    wait_for("another", lambda: d.log().count("reload-failed") == 2 * failed)
    key.rename(d.certificate / key.name)
    serves(d, d.certificate / chain.name)


def test_half_a_configuration_waits(d):
    """It is not pulled in; a reload by hand takes both."""
    d.start()
    old = presented(d)
    d.conf.write_text(d.conf.read_text() + "domain {")
    for path in reversed(renewed(d)):
        path.rename(d.certificate / path.name)
    wait_for("a word about it", lambda: "warn certificate-waits" in d.log())
    assert presented(d) == old and "reload-failed" not in d.log()
    d.conf.write_text(d.conf.read_text().replace("domain {", ""))
    os.kill(d.master(), signal.SIGHUP)
    serves(d, d.certificate / "mx.example.org.pem")
    assert d.log().count("certificate-waits") == 1


def test_stopped_worker_is_replaced(fast):
    """The others go on."""
    d = fast(top="workers = 2", deaths=True)
    d.start()
    with d.client() as c:
        assert c.deliver("before\r\n").code == 250
    wait_for("its delivery", lambda: " delivered " in d.log())
    stopped, other = d.workers()
    os.kill(stopped, signal.SIGSTOP)
    wait_for("its end", lambda: gone(stopped))
    # until its master has asked for its status it is a child like the others
    wait_for("a word about it", lambda: "worker-died" in d.log())
    wait_for("another",
             lambda: stopped not in d.workers() and len(d.workers()) == 2)
    assert other in d.workers()
    log = d.log()
    assert f"error worker-stuck pid={stopped} " in log
    assert log.count("worker-stuck") == log.count("worker-died") == 1
    with d.client() as c:
        assert c.deliver("behind\r\n").code == 250
