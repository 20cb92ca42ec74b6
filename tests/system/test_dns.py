"""smtpd dns: what it prints is what a name server takes, and what it says of
keys and policies is what others compute from the same."""

import hashlib
import re
import subprocess

import pytest

import netns
import postfix
from daemon import BINARY, DEADLINE
from test_tls import OPENSSL, certificate

CHECKZONE = postfix.PEERS / "usr" / "sbin" / "nsd-checkzone"
HEAD = """$TTL 3600
. IN SOA ns.test. admin.test. 1 2 3 4 5
. IN NS ns.test.
"""
PLAIN = """
listen "*:25" { hostname = mx.example.org }
listen "*:587" { role = submission }
"""
LISTENS = PLAIN + """
listen "*:465" { role = submission  tls = implicit }
"""
DOMAIN = """
domain "%s" {
	users = { alice }
	aliases = { "postmaster: alice", "abuse: alice" }
}
"""


@pytest.fixture
def conf(tmp_path):
    """conf(listens, domain...): a configuration."""
    path = tmp_path / "smtpd.conf"

    def write(listens, *domains):
        path.write_text("hostname = mx.example.org\n" + listens
                        + "".join(DOMAIN % d for d in domains))
        return path

    return write


def dns(conf, *arguments):
    return subprocess.run(
        [BINARY, "dns", "-f", conf, *map(str, arguments)],
        capture_output=True, text=True, timeout=DEADLINE)


def records(text):
    return sorted(line for line in text.splitlines()
                  if line and not line.startswith(";"))


def spki(pem):
    key = subprocess.run([OPENSSL, "x509", "-pubkey", "-noout", "-in", pem],
                         check=True, capture_output=True).stdout
    der = subprocess.run([OPENSSL, "pkey", "-pubin", "-outform", "DER"],
                         check=True, capture_output=True, input=key).stdout
    return hashlib.sha256(der).hexdigest()


def policy_id(policy):
    return hashlib.sha256(policy.encode()).hexdigest()[:20]


def policy(conf, *mode):
    done = dns(conf, "--sts", *mode)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_records(conf, tmp_path):
    block = certificate(tmp_path, "mx.example.org")
    path = conf(LISTENS + block, "example.org", "Bücher.example")
    with netns.network("203.0.113.25", "192.168.7.7", "2001:db8::25"):
        done = dns(path)
    assert done.returncode == 0, done.stderr
    sts = policy_id(policy(path))
    tlsa = spki(tmp_path / "mx.example.org.pem")
    expected = ["mx.example.org. IN A 203.0.113.25",
                "mx.example.org. IN AAAA 2001:db8::25",
                f"_25._tcp.mx.example.org. IN TLSA 3 1 1 {tlsa}"]
    for d in "example.org", "xn--bcher-kva.example":
        expected += [
            f"{d}. IN MX 10 mx.example.org.",
            f'_mta-sts.{d}. IN TXT "v=STSv1; id={sts};"',
            f'_smtp._tls.{d}. IN TXT '
            f'"v=TLSRPTv1; rua=mailto:postmaster@{d}"',
            f"_submission._tcp.{d}. IN SRV 0 1 587 mx.example.org.",
            f"_submissions._tcp.{d}. IN SRV 0 1 465 mx.example.org."]
    assert records(done.stdout) == sorted(expected)
    assert "; 25.113.0.203.in-addr.arpa. IN PTR mx.example.org." in done.stdout
    assert ";   mode: testing\n" in done.stdout
    check_zone(tmp_path, done.stdout)


def check_zone(path, text):
    if not CHECKZONE.exists():
        pytest.skip(f"no nsd below {postfix.PEERS}: make peers")
    zone = path / "zone"
    zone.write_text(HEAD + text)
    done = subprocess.run([CHECKZONE, ".", zone], capture_output=True,
                          env=postfix.peer_environment(), text=True,
                          timeout=DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_addresses_of_blocks(conf):
    """A block with an address of its own has no other, and says so."""
    path = conf('listen "127.0.0.1:25" { }\n'
                'listen "127.0.0.2:25" { hostname = mx2.example.org }\n',
                "example.org")
    done = dns(path)
    assert done.returncode == 0, done.stderr
    for name in "mx", "mx2":
        assert f"; {name}.example.org. IN A ..." in done.stdout
    assert re.findall("IN MX 10 (.*)", done.stdout) == [
        "mx.example.org.", "mx2.example.org."]
    assert "TLSA 3" not in done.stdout and "_mta-sts" not in done.stdout
    assert "no certificate" in done.stdout


def test_submission_name(conf, tmp_path):
    """A name that only users know takes no mail."""
    path = conf('listen "*:25" { }\n'
                'listen "*:587" { hostname = smtp.example.org  '
                'role = submission }\n'
                + certificate(tmp_path, "mx.example.org", "smtp.example.org"),
                "example.org")
    text = dns(path).stdout
    assert re.findall("IN MX 10 (.*)", text) == ["mx.example.org."]
    assert re.findall("(.*) IN TLSA", text) == ["_25._tcp.mx.example.org."]
    assert "IN SRV 0 1 587 smtp.example.org.\n" in text
    assert "smtp" not in policy(path)


METRICS = 'listen "127.0.0.1:9100" { role = metrics }\n'


@pytest.mark.parametrize("listens", [
    METRICS + PLAIN, PLAIN + METRICS,
    METRICS + PLAIN + 'listen "*:9101" { role = metrics }\n',
], ids=["first", "last", "around"])
def test_metrics(conf, listens):
    """Where no mail comes there is no name: nothing is added, nor lost."""
    plain = dns(conf(PLAIN, "example.org"))
    with_metrics = dns(conf(listens, "example.org"))
    assert plain.stdout.startswith("; the server mx.example.org\n")
    assert (with_metrics.returncode, with_metrics.stdout) == (0, plain.stdout)
    assert policy(conf(listens, "example.org")) == policy(
        conf(PLAIN, "example.org"))


def test_keys(conf, tmp_path):
    """Each certificate of the name, and the one that is to come."""
    ours = tmp_path / "ours"
    ours.mkdir()
    other = tmp_path / "other"
    other.mkdir()
    rsa = ["-newkey", "rsa:2048", "-x509", "-nodes", "-subj", "/CN=x",
           "-addext", "subjectAltName=DNS:mx.example.org", "-keyout",
           other / "rsa.key", "-out", other / "rsa.pem"]
    subprocess.run([OPENSSL, "req", *rsa], check=True, capture_output=True)
    certificate(other, "next.example.org")
    blocks = (certificate(ours, "mx.example.org")
              + certificate(ours, "www.example.org")
              + f'certificate "mx.example.org" {{ chain = "{other}/rsa.pem" '
                f'key = "{other}/rsa.key" }}\n')
    coming = other / "next.example.org.pem"
    done = dns(conf(LISTENS + blocks, "example.org"), "--chain", coming)
    assert done.returncode == 0, done.stderr
    assert re.findall("TLSA 3 1 1 (.*)", done.stdout) == [
        spki(ours / "mx.example.org.pem"), spki(other / "rsa.pem"),
        spki(coming)]
    for bad in other / "rsa.key", tmp_path / "nowhere":
        done = dns(conf(PLAIN, "example.org"), "--chain", bad)
        assert (done.returncode, done.stdout) == (70, "")
        assert str(bad) in done.stderr


def test_policy(conf):
    """It changes with the names, and the id with it; domains change nothing."""
    path = conf(PLAIN, "example.org")
    assert policy(path) == policy(path, "testing") == (
        "version: STSv1\nmode: testing\nmx: mx.example.org\n"
        "max_age: 604800\n")
    assert "mode: enforce\nmx: mx.example.org\n" in policy(path, "enforce")
    assert "mode: none\n" in policy(path, "none")
    first = policy(path)
    assert policy(conf(PLAIN, "example.net", "example.com")) == first
    other = PLAIN + 'listen "*:26" { hostname = mx2.example.org }\n'
    assert "mx: mx.example.org\nmx: mx2.example.org\n" in policy(
        conf(other, "example.org"))


def test_policy_ids(conf, tmp_path):
    """Those of all three modes are printed, and none is another's."""
    path = conf(LISTENS + certificate(tmp_path, "mx.example.org"),
                "example.org")
    text = dns(path).stdout
    ids = re.findall("id=([0-9a-f]{20})[;\n]", text)
    assert ids == [policy_id(policy(path, mode))
                   for mode in ("testing", "enforce", "none")]
    assert len(set(ids)) == 3


def test_failures(conf, tmp_path):
    path = conf(PLAIN, "example.org")
    for wrong in ["x"], ["--sts", "maybe"], ["--chain"], ["--sts", "none", "x"]:
        done = dns(path, *wrong)
        assert (done.returncode, done.stdout) == (64, "")
        assert "usage: smtpd dns" in done.stderr
    path.write_text(path.read_text() + "nonsense = yes\n")
    done = dns(path)
    assert (done.returncode, done.stdout) == (78, "")
    assert f"{path}:" in done.stderr
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([BINARY, "dns", "-f", "builtin"], stdout=full,
                              stderr=subprocess.PIPE, timeout=DEADLINE)
    assert done.returncode == 70
