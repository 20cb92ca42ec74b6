"""What a worker remembers of passwords: nothing."""

import base64
import hashlib
import hmac
import re

import pytest

from daemon import sanitized
from test_auth import secure

PASSWORD = "Quite-long_and+seen=nowhere/else.9c2Zx7Wq4Tk8Lr5"
WRONG = "Nor-is_this+one=which/opens.nothing3Bn6Vd1Hs0Pf2"


def base64_of(data):
    return base64.b64encode(data).decode()


def plain(password):
    return f"\0alice\0{password}".encode()


def hmac_of(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def in_pieces(c, other, line):
    """The worker keeps a part of a line until the rest comes: it has seen it
    when it answers somebody else."""
    c.send(line[:40])
    assert other.ask("NOOP").code == 250
    return c.ask(line[40:])


def scram(c, password):
    """RFC 5802; the last reply, and what must be forgotten."""
    first = "n=alice,r=abcdefgh"
    reply = c.ask("AUTH SCRAM-SHA-256 " + base64_of(f"n,,{first}".encode()))
    server = base64.b64decode(reply.text).decode()
    fields = dict(x.split("=", 1) for x in server.split(","))
    last = f"c=biws,r={fields['r']}"
    client_key = hmac_of(hashlib.pbkdf2_hmac(
        "sha256", password.encode(), base64.b64decode(fields["s"]),
        int(fields["i"])), b"Client Key")
    signature = hmac_of(hashlib.sha256(client_key).digest(),
                        f"{first},{server},{last}".encode())
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    line = base64_of(f"{last},p={base64_of(proof)}".encode())
    reply = c.ask(line)
    if reply.code == 334:
        reply = c.ask("")
    return reply, [client_key, proof, base64_of(proof).encode(),
                   line[-40:].encode()]


def memory(pid):
    """All that it can write to; of stacks the end that is in use, and none of
    the pages that it never wrote to."""
    data = b""
    with open(f"/proc/{pid}/maps") as maps, open(
            f"/proc/{pid}/mem", "rb", 0) as mem:
        for m in re.finditer(r"^(\w+)-(\w+) rw-p(.*)", maps.read(), re.M):
            begin, end = int(m[1], 16), int(m[2], 16)
            if "heap" not in m[3]:
                begin = max(begin, end - (512 << 10))
            mem.seek(begin)
            data += mem.read(end - begin).replace(bytes(4096), b"") + b"\0"
    return data


def remembered(pid, secrets):
    """Each part of a secret that is anywhere in it."""
    data = memory(pid)
    assert b"client.example.com" in data
    return [part for s in secrets for part in
            (s[i:i + 12] for i in range(0, len(s) - 11, 12)) if part in data]


@pytest.mark.skipif(sanitized(), reason="it keeps what was freed")
def test_nothing_is_remembered(submissions):
    """FAULT F14: neither a password nor what is as good, right or wrong,
    whole, in pieces or behind another one, in sessions that go on."""
    d = submissions(passwords={"alice": PASSWORD}, top="workers = 1")
    worker, = d.workers()
    secrets = [secret for password in (WRONG, PASSWORD) for secret in (
        password.encode(), base64_of(plain(password)).encode(),
        base64_of(password.encode()).encode())]
    other, *clients = everybody = [secure(d) for _ in range(8)]

    def forgotten():
        assert not remembered(worker, secrets)

    for password, code in (WRONG, 535), (PASSWORD, 235):
        line = "AUTH PLAIN " + base64_of(plain(password))
        assert clients.pop().ask(line).code == code
        forgotten()
        c = clients.pop()
        assert c.ask("AUTH LOGIN").code == 334
        assert c.ask(base64_of(b"alice")).code == 334
        assert in_pieces(c, other, base64_of(
            password.encode())).code == code
        forgotten()
        reply, keys = scram(clients.pop(), password)
        assert reply.code == code
        secrets += keys
        forgotten()
    c = clients.pop()
    c.send("".join(f"AUTH PLAIN {base64_of(plain(x))}\r\n"
                   for x in (WRONG, PASSWORD)) + "NO")
    assert [c.reply().code, c.reply().code] == [535, 235]
    forgotten()
    for c in everybody:
        c.close()
