"""Real clients: smtplib, swaks, curl; and what they find on the disk."""

import email.message
import email.policy
import re
import shutil
import smtplib
import subprocess

import pytest

TEXT = "Subject: a test\r\n\r\n.one dot\r\n..two\r\n\r\nend\r\n"


def need(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")


def run(*command, **kwargs):
    done = subprocess.run(command, capture_output=True, timeout=60, **kwargs)
    out = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, out
    return out


def only_new(smtpd, before):
    new = [m for m in smtpd.messages() if m.path not in before]
    assert len(new) == 1, new
    return new[0]


@pytest.fixture
def before(smtpd):
    return set(smtpd.files())


def test_smtplib(smtpd, before):
    """WIRE 25, 30, 31: bodies, trace lines, and their order."""
    with smtplib.SMTP("127.0.0.1", smtpd.port, "client.example.com") as s:
        s.sendmail("sender@example.com", "alice@example.org", TEXT)
    m = only_new(smtpd, before)
    assert m.body == TEXT.replace("\r\n", "\n").encode()
    assert m.sender == "sender@example.com"
    assert m.to == "alice@example.org"
    assert re.fullmatch(
        r"Received: from client\.example\.com \(\[127\.0\.0\.1\]\)\n"
        rf"\tby mx\.example\.org with ESMTP id {re.escape(m.id)}\n"
        r"\tfor <alice@example\.org>;\n"
        r"\t\w\w\w, \d{1,2} \w\w\w \d{4} \d\d:\d\d:\d\d \+0000\n",
        m.received)


def test_helo_is_smtp(smtpd):
    """WIRE 7, 30: a client that said HELO came with SMTP."""
    with smtpd.connect() as c:
        c.reply()
        c.ask("HELO [192.0.2.7]")
        m = smtpd.message("bob@example.org",
                          c.deliver("x\r\n", "bob@example.org").id)
    assert m.received.startswith(
        "Received: from [192.0.2.7] ([127.0.0.1])\n"
        "\tby mx.example.org with SMTP id ")


def test_smtplib_utf8(smtpd, before):
    """WIRE 25, 30, 38: SMTPUTF8 and 8BITMIME, not one octet changed."""
    message = email.message.EmailMessage(
        policy=email.policy.SMTPUTF8.clone(cte_type="8bit"))
    message["From"] = "müller@müller.example"
    message["To"] = "ölaf@example.net"
    message["Subject"] = "Grüße"
    message.set_content("Ich heiße Müller. – Ж 漢字 🙂\n", cte="8bit")
    with smtplib.SMTP("127.0.0.1", smtpd.port, "client.example.com") as s:
        s.send_message(message)
    m = only_new(smtpd, before)
    assert m.sender == "müller@müller.example"
    assert " with UTF8SMTP id " in m.received
    assert "for <ölaf@example.net>;" in m.received
    assert m.body == message.as_bytes().replace(b"\r\n", b"\n")
    assert "Grüße".encode() in m.body


def test_smtplib_many(smtpd, before):
    """WIRE 33: one connection, many messages, none mixed with another."""
    with smtplib.SMTP("127.0.0.1", smtpd.port, "client.example.com") as s:
        for i in range(50):
            s.sendmail("a@example.com", "carol@example.org", f"number {i}\r\n")
    bodies = [m.body for m in smtpd.messages() if m.path not in before]
    assert sorted(bodies) == sorted(f"number {i}\n".encode()
                                    for i in range(50))


def test_swaks(smtpd, before):
    """WIRE 25: as people try a new server."""
    need("swaks")
    out = run("swaks", "--server", "127.0.0.1", "--port", str(smtpd.port),
              "--helo", "client.example.com", "--from", "a@example.com",
              "--to", "alice@example.org", "--body", "swaks was here")
    assert "<-  220 mx.example.org ESMTP ready" in out
    assert re.search(r"<-  250 2\.6\.0 \S+ accepted", out)
    assert b"swaks was here\n" in only_new(smtpd, before).body


def test_swaks_pipelining(smtpd, before):
    """WIRE 33: PIPELINING as a real client does it."""
    need("swaks")
    run("swaks", "--server", "127.0.0.1", "--port", str(smtpd.port),
        "--pipeline", "--helo", "client.example.com", "--from", "<>",
        "--to", "alice@example.org,bob@example.org", "--body", "to both")
    new = [m for m in smtpd.messages() if m.path not in before]
    assert sorted(m.to for m in new) == ["alice@example.org",
                                         "bob@example.org"]
    assert len({m.id for m in new}) == 1
    assert new[0].body == new[1].body
    assert new[0].sender == ""
    assert "\tfor <" not in new[0].received


def test_swaks_unknown(smtpd, before):
    """WIRE 20, 27: a recipient that is refused, told in swaks' exit status."""
    need("swaks")
    done = subprocess.run(
        ["swaks", "--server", "127.0.0.1", "--port", str(smtpd.port),
         "--from", "a@example.com", "--to", "nobody@example.org"],
        capture_output=True, timeout=60, text=True)
    assert done.returncode == 24
    assert re.search(r"<\*\* 550 5\.1\.1 .* \[[0-9A-V]{16}\]", done.stdout)
    assert set(smtpd.files()) == before


def test_curl(smtpd, before, tmp_path):
    """WIRE 23, 25: curl stuffs dots by its own rules; all of them hold."""
    need("curl")
    body = tmp_path / "body"
    body.write_bytes(TEXT.encode() + b".\r\n.\r\n\r\n..\r\n")
    run("curl", "-sS", f"smtp://127.0.0.1:{smtpd.port}/client.example.com",
        "--mail-from", "a@example.com", "--mail-rcpt", "bob@example.org",
        "--upload-file", str(body))
    m = only_new(smtpd, before)
    assert m.body == body.read_bytes().replace(b"\r\n", b"\n")
