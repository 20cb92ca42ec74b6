"""smtpd probe and the servers of others, each as its package has it: that what
is right is called right, and that each cause is known by what they really do.
"""

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from daemon import AS_ROOT, BINARY
from probe_peers import (Chasquid, Exim, Nginx, OpenSMTPD, Postfix, SServer,
                         Sshd)
from probe_world import RESOLVER, Authority, World

pytestmark = pytest.mark.skipif(not AS_ROOT, reason="needs root: namespaces")

WAIT = 60
NO_TLS = "smtpd_tls_security_level=none"


def chain(name):
    return f"smtpd_tls_chain_files=/etc/postfix/{name}.pem"


# key: who it is, what it is told, its port, options of the probe, the names
# of what is found, what the text says.
CASES = {
    "postfix": (Postfix, ["smtpd"], 25, [], [],
                r"220 in .*ESMTP Postfix.*\n.*CHUNKING\n    STARTTLS .*TLSv1.3, "
                r"certificate \*.peers.test until 2090-01-01, trusted"),
    "smtps": (Postfix, ["smtpd", "smtpd_tls_wrappermode=yes"], 465, [], [],
              "    TLS .*TLSv1.3.*trusted"),
    "smtps-on-25": (Postfix, ["smtpd", "smtpd_tls_wrappermode=yes"], 25,
                    ["--wait", "5s"], ["not-smtp"], "use --tls"),
    "smtps-on-25-with-tls": (
        Postfix, ["smtpd", "smtpd_tls_wrappermode=yes"], 25, ["--tls"], [],
        "    TLS .*TLSv1.3.*trusted"),
    "postscreen": (Postfix, ["postscreen"], 25, [], ["slow", "no-starttls"],
                   r"ESMTP Postfix.* in 2 lines\n"),
    "busy": (Postfix, ["smtpd", "smtpd_client_connection_rate_limit=1"], 25,
             [], ["busy"], "421 in .*too many connections"),
    "denied": (Postfix, ["smtpd", "smtpd_client_restrictions=reject",
                         "smtpd_delay_reject=no"], 25, [], ["denied"],
               "554 in .*Client host rejected"),
    "no-starttls": (Postfix, ["smtpd", NO_TLS], 25, [], ["no-starttls"],
                    "220 in "),
    "other-name": (Postfix, ["smtpd", "myhostname=other.test"], 25, [],
                   ["other-name"], '"other.test"'),
    "untrusted": (Postfix, ["smtpd", chain("untrusted")], 25, [],
                  ["cert-untrusted"], "self-signed certificate in .* chain"),
    "incomplete": (Postfix, ["smtpd", chain("incomplete")], 25, [],
                   ["cert-untrusted"], "an intermediate one is missing"),
    "complete": (Postfix, ["smtpd", chain("complete")], 25, [], [],
                 "trusted\n"),
    "self-signed": (Postfix, ["smtpd", chain("self-signed")], 25, [],
                    ["cert-self-signed"], ""),
    "expired": (Postfix, ["smtpd", chain("expired")], 25, [],
                ["cert-expired"], "2021-01-01"),
    "not-yet": (Postfix, ["smtpd", chain("not-yet")], 25, [],
                ["cert-not-yet"], "2080-01-01"),
    "wrong-name": (Postfix, ["smtpd", chain("wrong-name")], 25, [],
                   ["cert-wrong-name"], "elsewhere.test"),
    "weak-key": (Postfix, ["smtpd", chain("weak-key")], 25, [], ["weak-tls"],
                 "RSA with 1024 bits"),
    "weak-digest": (Postfix, ["smtpd", chain("weak-digest")], 25, [],
                    ["weak-tls"], "signed with .*SHA1"),
    "old-tls": (Postfix, ["smtpd", "smtpd_tls_protocols=TLSv1.1"], 25, [],
                ["starttls-broken"], 'nothing newer .* "TLSv1.1"'),
    "exim": (Exim, None, 25, [], [],
             "220 in .*ESMTP Exim.*\n.*\n    STARTTLS .*TLSv1.3.* trusted"),
    "exim-denies": (Exim, None, 25, [], ["odd-code"],
                    "550 in .*Administrative prohibition"),
    "opensmtpd": (OpenSMTPD, None, 25, [], ["no-starttls"],
                  "220 in .*ESMTP OpenSMTPD.*\n    EHLO .* DSN"),
    "chasquid": (Chasquid, None, 25, [], [],
                 "220 in .*ESMTP chasquid.*\n.*\n    STARTTLS .*TLSv1.3"),
    "chasquid-465": (Chasquid, None, 465, [], [], "EHLO.*AUTH=PLAIN"),
    "nginx": (Nginx, None, 25, ["--wait", "5s"], ["not-smtp"],
              "it speaks HTTP"),
    "sshd": (Sshd, None, 25, [], ["not-smtp"], "it speaks SSH"),
    "s-server": (SServer, None, 25, ["--wait", "5s"], ["not-smtp"],
                 "it speaks TLS: use --tls"),
}


def certificates(path):
    """NAME.both: its key and its chain."""
    a = Authority(path)
    ours = "DNS:*.peers.test"
    a.request("stranger", "-x509", "-days", "90")
    a.request("self-signed", "-x509", "-days", "90", "-addext",
              "subjectAltName=DNS:self-signed.peers.test")
    a.sign("good", "root", ours)
    a.sign("untrusted", "stranger", ours)
    a.sign("complete", "below", ours)
    a.sign("incomplete", "below", ours)
    a.sign("expired", "root", ours, end="20210101000000Z")
    a.sign("not-yet", "root", ours, begin="20800101000000Z")
    a.sign("wrong-name", "root", "DNS:elsewhere.test")
    a.sign("weak-key", "root", ours, kind=("rsa:1024",))
    a.sign("weak-digest", "root", ours, digest="sha1")
    more = {"untrusted": ["stranger"], "complete": ["below"]}
    for key in path.glob("*.key"):
        files = [key.name, f"{key.stem}.pem",
                 *(f"{n}.pem" for n in more.get(key.stem, ()))]
        (path / f"{key.stem}.both").write_text(
            "".join((path / f).read_text() for f in files))
    return a


@pytest.fixture(scope="module")
def town(base):
    """Every server that is there."""
    folder = base / "peers"
    folder.mkdir(mode=0o755)
    (folder / "authority").mkdir()
    w = World()
    w.authority = certificates(folder / "authority")
    listens, w.targets = {}, {}
    for key, (kind, how, port, *_) in CASES.items():
        a = w.host(f"{key}.peers.test", w.address())
        listens.setdefault(kind, {})[a, port] = how and [
            how[0], f"myhostname={key}.peers.test", *how[1:]]
        w.targets[key] = key + ".peers.test" + f":{port}" * (port != 25)
        w.names.add(f"{key}.peers.test", "MX", (10, f"{key}.peers.test"))
    w.begin()
    peers = [kind(w, folder, places) for kind, places in listens.items()
             if kind.is_there()]
    try:
        for peer in peers:
            peer.start()
        for peer in peers:
            peer.wait()
        yield w
    finally:
        for peer in peers:
            peer.stop()
        w.end()


def probe(w, *arguments):
    return subprocess.run(
        w.command(BINARY, "probe", "--resolver", RESOLVER, "--compare", "none",
                  *arguments), capture_output=True, timeout=WAIT, text=True,
        env={**os.environ, "SSL_CERT_FILE": str(w.authority.path / "root.pem"),
             "SSL_CERT_DIR": "/nowhere"})


@pytest.fixture(scope="module")
def runs(town):
    """All at once: some of them wait."""
    with ThreadPoolExecutor(16) as pool:
        if Postfix.is_there():
            assert probe(town, "busy.peers.test").returncode == 0
        yield {key: [pool.submit(probe, town, *how, *CASES[key][3],
                                 town.targets[key])
                     for how in ([], ["--json"])]
               for key in CASES if CASES[key][0].is_there()}


@pytest.mark.parametrize("key", CASES)
def test_peer(runs, key):
    kind, _, _, _, names, text = CASES[key]
    if key not in runs:
        pytest.skip(f"no {kind.binary} below {kind.packages}: make peers")
    shown, structure = (run.result() for run in runs[key])
    found = json.loads(structure.stdout)
    assert [f["name"] for f in found["findings"]] == names, shown.stdout
    assert shown.returncode == structure.returncode == found["exit"]
    assert found["mail"] == ("yes" if found["exit"] < 30 else "no")
    assert re.search(text, shown.stdout), shown.stdout
