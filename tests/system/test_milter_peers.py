"""Milters that others wrote: rspamd, opendkim, opendmarc, and one that is made
with Debian's python3-milter."""

import base64
import contextlib
import hashlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading

import pytest

from daemon import AS_ROOT, DEADLINE, free_port, wait_for
from eicar_milter import EICAR
from postfix import PEERS
from secured import OPENSSL
from test_auth import log_in
from test_readme import block

HERE = pathlib.Path(__file__).parent
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
MESSAGE = "From: x@example.org\r\nSubject: x\r\n\r\nhello\r\n"

# It scans for itself, and asks nobody.
RSPAMD = """
options {{
  pidfile = "{path}/pid";
  tempdir = "{path}";
  control_socket = "{path}/control mode=0600";
  url_tld = "{path}/tld";
  dns {{ nameserver = ["127.0.0.1:1:1"]; timeout = 0.1s; retransmits = 1; }}
  filters = "";
}}
logging {{ type = "console"; level = "info"; }}
worker "rspamd_proxy" {{
  bind_socket = "127.0.0.1:{port}";
  milter = yes;
  count = 1;
  upstream "local" {{ default = yes; self_scan = yes; }}
}}
actions {{ reject = 15; add_header = 6; }}
modules {{ path = "{share}/plugins/milter_headers.lua"; }}
milter_headers {{ use = ["x-spamd-bar", "x-spamd-result"];
  skip_local = false; skip_authenticated = false; }}
"""
OPENDKIM = """
Socket local:{path}/socket
Mode s
Domain example.org
Selector s
KeyFile {path}/key
InternalHosts {path}/internal
Canonicalization simple/simple
RequireSafeKeys no
UMask 0
Syslog no
PidFile {path}/pid
"""
OPENDMARC = """
Socket local:{path}/socket
AuthservID mx.example.org
TrustedAuthservIDs mx.example.org
IgnoreHosts {path}/internal
PublicSuffixList {path}/tld
UMask 0
Syslog no
PidFile {path}/pid
"""


class Peer:
    """One of them, in a folder of its own."""

    def __init__(self, path, program, *arguments, conf="", at=None, **env):
        self.path = path
        self.program = program
        self.arguments = arguments
        self.env = env
        self.at = at or str(path / "socket")
        self.process = None
        (path / "conf").write_text(conf)
        (path / "tld").write_text("com\norg\nnet\n")
        (path / "internal").write_text("192.0.2.1\n")

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path / "socket")
        with open(self.path / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.program, *self.arguments], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, env={**os.environ, **self.env},
                start_new_session=True)
        wait_for(f"{self.program} listens", self.answers)
        return self

    def answers(self):
        log = (self.path / "log").read_text(errors="replace")
        assert self.process.poll() is None, log
        with contextlib.suppress(OSError):
            if self.at[0] == "/":
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(self.at)
                    os.chmod(self.at, 0o666)
            else:
                host, port = self.at.split(":")
                socket.create_connection((host, int(port))).close()
            return True
        return False

    def kill(self):
        """With all that it has started."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(DEADLINE)
            self.process = None

    def block(self, name, more=""):
        return f'milter "{name}" {{\n\tsocket = "{self.at}"\n\t{more}\n}}\n'


@pytest.fixture
def peer(start):
    """peer(what): it is there until the end of the test."""
    peers = []

    def launch(make, *args):
        peers.append(make(start.folder(), *args))
        return peers[-1].start()

    yield launch
    for p in peers:
        p.kill()


def unpacked(*name):
    program = PEERS.joinpath("usr", *name)
    if not program.exists():
        pytest.skip(f"{program} is not there: make peers, if this Debian has "
                    f"{name[-1]}")
    return str(program)


def rspamd(path):
    program = unpacked("bin", "rspamd")
    share = PEERS / "usr" / "share" / "rspamd"
    port = free_port()
    path.chmod(0o777)
    folders = dict(SHAREDIR=share, LUALIBDIR=share / "lualib",
                   RULESDIR=share / "rules", PLUGINSDIR=share / "plugins",
                   CONFDIR=path, LOCAL_CONFDIR=path, DBDIR=path, RUNDIR=path)
    return Peer(path, program, "-f", "-i", "-u", "nobody", "-g", "nogroup",
                "-c", str(path / "conf"),
                *(f"--var={k}={v}" for k, v in folders.items()),
                conf=RSPAMD.format(path=path, port=port, share=share),
                at=f"127.0.0.1:{port}",
                LD_LIBRARY_PATH=str(PEERS / "usr" / "lib" / "rspamd"))


def opendkim(path):
    subprocess.run([OPENSSL, "genrsa", "-traditional", "-out", path / "key",
                    "2048"], check=True, capture_output=True)
    return Peer(path, unpacked("sbin", "opendkim"), "-f", "-x",
                str(path / "conf"), conf=OPENDKIM.format(path=path))


def opendmarc(path):
    """Without a network: what it asks has no answer, at once."""
    if not AS_ROOT:
        pytest.skip("needs root, for a network of its own")
    return Peer(path, "/usr/bin/unshare", "-n", unpacked("sbin", "opendmarc"),
                "-f", "-c", str(path / "conf"),
                conf=OPENDMARC.format(path=path))


def eicar(path):
    pytest.importorskip("Milter", reason="python3-milter is not there")
    return Peer(path, "/usr/bin/python3", str(HERE / "eicar_milter.py"),
                str(path / "socket"))


def send(d, message, *to):
    with d.client() as c:
        return c.deliver(message, *(to or ["alice@example.org"]))


def stored(d, answer):
    path, = wait_for("it", lambda: [p for p in d.files("alice@example.org")
                                    if answer.id in p.name])
    return path.read_bytes()


# --- rspamd ---


def test_rspamd(start, peer):
    """As the README says, but for the port."""
    p = peer(rspamd)
    text = block("## Spam", 'milter "rspamd"')
    d = start(extra=text.replace("127.0.0.1:11332", p.at))
    answer = send(d, MESSAGE)
    assert answer.code == 250
    head, body = stored(d, answer).split(b"\n\n", 1)
    assert b"\nX-Spamd-Bar: " in head and b"\nX-Spamd-Result: " in head
    assert b"\nFrom: x@example.org\nSubject: x\n" in head
    assert body == b"hello\n"
    no = send(d, MESSAGE + GTUBE + "\r\n")
    assert no.status == "554 5.7.1" and "Gtube" in no.text
    large = MESSAGE + "a line of a large message\r\n" * 100000
    answer = send(d, large)
    assert answer.code == 250
    assert stored(d, answer).endswith(
        b"\n\n" + large.split("\r\n\r\n")[1].replace("\r\n", "\n").encode())
    # it knows it by our name, and writes that when it has answered
    wait_for("its line", lambda: f"queue-id: <{answer.id}>"
             in (p.path / "log").read_text())


@pytest.mark.parametrize("when", ["accept", "defer", "reject"])
def test_rspamd_dies_under_load(start, peer, when):
    """Each message has one answer, and is whole: as rspamd made it, or as it
    came, or not there."""
    p = peer(rspamd)
    d = start(extra=p.block("rspamd", f"when-down = {when}"))
    assert send(d, MESSAGE).code == 250
    answers, stop = [], threading.Event()

    def client():
        while not stop.is_set():
            with d.client() as c:
                for _ in range(10):
                    answers.append(c.deliver(MESSAGE, "alice@example.org"))

    threads = [threading.Thread(target=client) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(2):
        n = len(answers)
        wait_for("load", lambda n=n: len(answers) > n + 20)
        p.kill()
        n = len(answers)
        wait_for("answers without it", lambda n=n: len(answers) > n + 20)
        p.start()
    wait_for("it is asked again", lambda: " filter-up " in d.log())
    stop.set()
    for t in threads:
        t.join(DEADLINE)
    away = {"accept": "250 2.6.0", "defer": "451 4.7.1",
            "reject": "550 5.7.1"}[when]
    assert {a.status for a in answers} == {"250 2.6.0", away}
    found = {re.search(rb" id (\S+)\n", m)[1].decode(): m
             for m in (f.read_bytes() for f in d.files())}
    for a in answers:
        if a.code == 250:
            assert found[a.id].endswith(b"\n\nhello\n")
    scanned = [b"\nX-Spamd-Bar: " in m for m in found.values()]
    assert any(scanned) and (when == "accept") == (not all(scanned))
    assert len(found) == 1 + sum(a.code == 250 for a in answers)
    assert " filter-down " in d.log()


# --- opendkim, opendmarc ---


def signature_holds(message, key):
    """RFC 6376, as far as simple/simple goes: of what is stored."""
    head, body = message.replace(b"\n", b"\r\n").split(b"\r\n\r\n", 1)
    fields = re.findall(rb"[^\r\n:]+:(?:[^\r]|\r\n[ \t])*\r\n", head + b"\r\n")
    sign = next(f for f in fields if f.startswith(b"DKIM-Signature:"))
    tags = dict(re.findall(r"(\w+)=([^;]*)", re.sub(
        r"\s", "", sign.decode().split(":", 1)[1])))
    body = re.sub(rb"(\r\n)*\Z", b"", body) + b"\r\n"
    assert tags["bh"] == base64.b64encode(
        hashlib.sha256(body).digest()).decode()
    signed = b""
    for name in tags["h"].lower().split(":"):
        of_name = [f for f in fields
                   if f.split(b":")[0].strip().lower().decode() == name]
        if of_name:
            signed += of_name[-1]
            fields.remove(of_name[-1])
    signed += re.sub(rb"\bb=[^;]*", b"b=", sign).rstrip(b"\r\n")
    (key.parent / "signed").write_bytes(signed)
    (key.parent / "signature").write_bytes(base64.b64decode(tags["b"]))
    subprocess.run([OPENSSL, "rsa", "-in", key, "-pubout", "-out",
                    key.parent / "public"], check=True, capture_output=True)
    r = subprocess.run([OPENSSL, "dgst", "-sha256", "-verify",
                        key.parent / "public", "-signature",
                        key.parent / "signature", key.parent / "signed"],
                       capture_output=True, text=True)
    return r.stdout.strip() == "Verified OK"


def test_opendkim_signs_submission(submissions, peer):
    """Whose login it is is enough; and what is stored fits the signature."""
    p = peer(opendkim)
    message = ("From: alice@example.org\r\nSubject:  two \r\n\tlines\r\n"
               "Date: x\r\n\r\n.dot\r\n  blanks \r\n\r\n\r\n")
    d = submissions(top=p.block("opendkim"))
    with log_in(d) as c:
        answer = c.deliver(message, "alice@example.org",
                           sender="alice@example.org")
    assert answer.code == 250
    mail = stored(d, answer)
    assert signature_holds(mail, p.path / "key")
    # from others it is not for us to sign
    answer = send(d, message)
    assert b"DKIM-Signature" not in stored(d, answer)


def test_a_chain(start, peer):
    """opendmarc, then rspamd, which sees what opendmarc wrote."""
    d = start(extra=peer(opendmarc).block("opendmarc")
              + peer(rspamd).block("rspamd"))
    answer = send(d, "Authentication-Results: mx.example.org; dmarc=pass\r\n"
                  + MESSAGE)
    assert answer.code == 250
    mail = stored(d, answer)
    assert mail.count(b"Authentication-Results:") == 1
    assert b"\nAuthentication-Results: mx.example.org; dmarc=none" in mail
    assert b"\nX-Spamd-Bar: " in mail and mail.endswith(b"\n\nhello\n")
    assert send(d, MESSAGE + GTUBE + "\r\n").status == "554 5.7.1"


# --- python3-milter ---


def test_eicar(start, peer):
    d = start(extra=peer(eicar).block("eicar"))
    answer = send(d, MESSAGE)
    assert answer.code == 250
    assert f"\nX-Scanned: {answer.id}\n".encode() in stored(d, answer)
    for before in "", "a line\r\n" * 30000:
        no = send(d, MESSAGE + before + EICAR.decode() + "\r\n")
        assert no.status == "554 5.7.1" and "100% EICAR" in no.text
