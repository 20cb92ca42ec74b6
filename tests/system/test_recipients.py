"""Which mailbox an address leads to, and that none leads outside."""

import os

import pytest

from daemon import AS_ROOT, NO_JOURNAL, free_port, wait_for


def boxes(smtpd, reply):
    """The mailboxes that this message went to, with its Delivered-To."""
    return sorted((f"{p.parts[-3]}@{p.parts[-4]}", m.to)
                  for p, m in ((m.path, m) for m in smtpd.messages())
                  if m.id == reply.id)


ALICE = ("alice@example.org", "alice@example.org")
BOB = ("bob@example.org", "bob@example.org")


@pytest.mark.parametrize("address, expected", [
    ("alice@example.org", ["alice"]),
    ("ALICE@EXAMPLE.ORG", ["alice"]),
    ('"alice"@example.org', ["alice"]),
    ('"odd user"@example.org', ["odd user"]),
    ("alice+detail@example.org", ["alice"]),
    ("alice+a+b@example.org", ["alice"]),
    ("abuse@example.org", ["alice"]),
    ("postmaster@example.org", ["alice"]),
    ("postmaster", ["alice"]),
    ("team@example.org", ["alice", "bob"]),
    ("team+detail@example.org", ["alice", "bob"]),
    ("whoever@example.net", ["bob"]),
    ("whoever+detail@example.net", ["bob"]),
    ("abuse@example.net", ["bob"]),
])
def test_resolution(smtpd, address, expected):
    """WIRE 18, 20: users, aliases, details, catch-all, postmaster."""
    with smtpd.client() as c:
        reply = c.deliver("x\r\n", address)
    assert [box for box, _ in boxes(smtpd, reply)] == [
        f"{user}@example.org" for user in expected]


UMLAUT = """
domain "BÜCHER.example" {{
	users = {{ "alice", "postmaster" }}
	aliases = {{ "abuse: alice@xn--bcher-kva.example" }}
	deliver = "maildir:{mail}/%d/%u"
}}
"""


@pytest.fixture(scope="module")
def umlaut(base):
    from conftest import Factory
    factory = Factory(base)
    yield factory(domains=UMLAUT)
    factory.end()


@pytest.mark.parametrize("domain", [
    "bücher.example", "BÜCHER.example", "bu\u0308cher.EXAMPLE",
    "xn--bcher-kva.example", "XN--Bcher-KVA.Example"])
def test_spellings_of_a_domain(umlaut, domain):
    """FAULT C4: one domain; WIRE 15. Its mailbox is as the block says."""
    with umlaut.client() as c:
        reply = c.deliver("x\r\n", f"alice@{domain}", f"abuse@{domain}",
                          params="" if domain.isascii() else " SMTPUTF8")
        assert boxes(umlaut, reply) == [
            ("alice@bÜcher.example", f"alice@{domain}")]
        c.ask("MAIL FROM:<> SMTPUTF8")
        assert c.ask(f"RCPT TO:<x@{domain}>").status == "550 5.1.1"
        assert c.ask(f"RCPT TO:<x@sub.{domain}>").status == "550 5.7.1"
        assert c.ask("RCPT TO:<alice@☃.example>").status == "550 5.7.1"


def test_one_file_for_each_mailbox(smtpd):
    """WIRE 25, 31: however often and under whatever name it was given."""
    with smtpd.client() as c:
        reply = c.deliver("once each\r\n", "team@example.org",
                          "alice@example.org", "alice+x@example.org",
                          "bob@example.org", "who@example.net",
                          "carol@example.org")
    found = boxes(smtpd, reply)
    assert [box for box, _ in found] == [
        "alice@example.org", "bob@example.org", "carol@example.org"]


def test_delivered_to(smtpd):
    """WIRE 31: the recipient's own address, in each of the files."""
    with smtpd.client() as c:
        reply = c.deliver("x\r\n", "alice@example.org", "bob@example.org")
    assert boxes(smtpd, reply) == [ALICE, BOB]


@pytest.mark.parametrize("address, status", [
    ("nobody@example.org", "550 5.1.1"),
    ("nobody+alice@example.org", "550 5.1.1"),
    ("alice@example.com", "550 5.7.1"),
    ("alice@sub.example.org", "550 5.7.1"),
    ("alice%example.com@example.org", "550 5.1.1"),
    ("example.com!alice@example.org", "550 5.1.1"),
    ('"alice@example.com"@example.org', "550 5.1.1"),
    ("@example.org:alice@example.com", "550 5.7.1"),
    ("alice@[127.0.0.1]", "550 5.7.1"),
    ("postmaster@example.com", "550 5.7.1"),
])
def test_refused(smtpd, address, status):
    """WIRE 20: nobody, and nobody's relay."""
    with smtpd.client() as c:
        c.ask("MAIL FROM:<a@example.com>")
        assert c.ask(f"RCPT TO:<{address}>").status == status
        assert c.ask("DATA").status == "554 5.5.1"


@pytest.mark.parametrize("address, own", [
    ("postmaster@[127.0.0.1]", True), ("POSTMASTER@[127.0.0.1]", True),
    ("abuse@[127.0.0.1]", True), ("postmaster@MX.example.org", True),
    ("Abuse@mx.example.org", True), ("postmaster@in.example.org", True),
    ("postmaster@[127.0.0.2]", False), ("postmaster@[IPv6:::1]", False),
    ("bob@[127.0.0.1]", False), ("bob@mx.example.org", False),
    ("postmaster@out.example.org", False)])
def test_names_of_the_server(named, address, own):
    """FAULT C6: WIRE 18: its postmaster is there under each of them."""
    with named.client() as c:
        if own:
            reply = c.deliver("x\r\n", address)
            assert boxes(named, reply) == [("alice@example.org", address)]
        else:
            c.ask("MAIL FROM:<>")
            assert c.ask(f"RCPT TO:<{address}>").status == "550 5.7.1"


@pytest.fixture(scope="module")
def named(base):
    """With a second address that greets under a name of its own."""
    from conftest import Factory
    factory = Factory(base)
    yield factory(listen=f'listen "127.0.0.1:{free_port()}" '
                  '{ hostname = "in.example.org" }')
    factory.end()


USERS_FROM = """
domain "example.org" {{
	users = {{ postmaster }}
	users-from = "{mail}/%d"
	aliases = {{ "abuse: postmaster" }}
	deliver = "maildir:{mail}/%d/%u/%t"
}}
"""

LONG = "l" * 201


@pytest.fixture(scope="module")
def live(base):
    """Users are directories; details are folders where they exist."""
    from conftest import Factory
    factory = Factory(base)
    d = factory.make(domains=USERS_FROM)
    d.start()
    domain = d.mail / "example.org"
    (d.path / "outside").mkdir()
    (d.path / "outside" / "new").mkdir()
    for name in ("dora", "dora/lists/cur", "dora/keys", "cur", "new", "tmp", ".hidden",
                 "a", "a/b", LONG[:200], LONG):
        (domain / name).mkdir(parents=True, exist_ok=True)
    (domain / "link").symlink_to(d.path / "outside")
    if AS_ROOT:
        import pwd
        nobody = pwd.getpwnam("nobody")
        for p in [domain, *domain.rglob("*"), d.path / "outside",
                  d.path / "outside" / "new"]:
            os.chown(p, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
    yield d
    factory.end()


@pytest.mark.parametrize("local", [
    "..", ".", "../example.org/dora", "../../outside", "/etc", "a/b", "dora/",
    "/dora", "dora/../dora", "./dora", ".hidden", "cur", "new", "tmp", "link",
    "link/new", LONG, "l" * 255, "\\..", "..\\/..", "%u", "%d", "~dora",
    "*", "d*", " dora", "dora ",
])
def test_path_attacks(live, local):
    """WIRE 20: no address leads out of its root, or to what is no mailbox."""
    with live.client() as c:
        c.ask("MAIL FROM:<a@example.com>")
        reply = c.ask(f'RCPT TO:<"{local}"@example.org>')
        assert reply.status in ("550 5.1.1", "501 5.1.3"), reply
    assert list((live.path / "outside").rglob("*")) == [
        live.path / "outside" / "new"]


def test_users_are_directories(live):
    """WIRE 20: a mailbox that exists is a user, from the moment it does."""
    with live.client() as c:
        m = live.message("dora@example.org",
                         c.deliver("x\r\n", "dora@example.org").id)
        assert m.to == "dora@example.org"
        c.ask("MAIL FROM:<a@example.com>")
        assert c.ask("RCPT TO:<emil@example.org>").status == "550 5.1.1"
        c.ask("RSET")
        box = live.mail / "example.org" / "emil"
        box.mkdir()
        if AS_ROOT:
            os.chown(box, (live.mail / "example.org" / "dora").stat().st_uid,
                     -1)
        reply = c.deliver("x\r\n", "emil@example.org")
        assert live.message("emil@example.org", reply.id)


@pytest.mark.parametrize("detail, folder", [
    ("lists", "dora/lists"), ("Lists", "dora"), ("keys", "dora"),
    ("other", "dora"), ("..", "dora"),
    ("../a", "dora"), (".", "dora"), ("new", "dora"), ("lists/x", "dora"),
])
def test_detail_folders(live, detail, folder):
    """FAULT C10: a detail is a folder only where that exists and has cur/;
    it is never a path. FAULT D11: and its case counts."""
    with live.client() as c:
        c.ask("MAIL FROM:<a@example.com>")
        reply = c.ask(f'RCPT TO:<"dora+{detail}"@example.org>')
        assert reply.code == 250, reply
        c.ask("DATA")
        c.send("x\r\n.\r\n")
        id = c.reply().id
    live.settled()
    found = [p for p in live.mail.rglob("*") if f".{id}_" in p.name]
    assert [p.parent for p in found] == [
        live.mail / "example.org" / folder / "new"]


def test_maildirsize(live):
    """FAULT D11: it is neither read nor written."""
    with live.client() as c:
        c.deliver("x\r\n", "dora@example.org")
        full = live.mail / "example.org" / "dora" / "maildirsize"
        full.write_text("1S,1C\n99 99\n")
        reply = c.deliver("x\r\n", "dora@example.org")
    assert live.message("dora@example.org", reply.id)
    assert full.read_text() == "1S,1C\n99 99\n"


def test_symbolic_link(start):
    """WIRE 20, 27: a mailbox that is a link is not followed: what is for it is
    held, and then it is refused. FAULT D11: which the manual says."""
    d = start(journal=NO_JOURNAL, top="workers = 1")
    outside = d.path / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    domain = d.mail / "example.org"
    with d.client() as c:
        c.deliver("x\r\n", "alice@example.org")
        (domain / "carol").symlink_to(outside)
        c.deliver("x\r\n", "alice@example.org", "carol@example.org")
        assert len(d.files("alice@example.org")) == 2
        held, = (d.spool / "held").iterdir()
        c.begin("alice@example.org")
        assert c.ask("RCPT TO:<carol@example.org>").status == "450 4.2.1"
        c.ask("RSET")
        assert list(outside.iterdir()) == []
        (domain / "carol").unlink()
        # it goes when what was placed is on disk
        wait_for("its delivery", lambda: not held.exists())
        assert d.files("carol@example.org")
    assert 'error="Symbolic links are not followed"' in d.log()


MANY = f"""
domain "example.org" {{{{
	users = {{{{ {", ".join(f"u{i}" for i in range(1001))} }}}}
	aliases = {{{{ "postmaster: u0", "abuse: u0", {", ".join(
    f'"a{i}: ' + ", ".join(f"u{j}" for j in range(100 * i, 100 * i + 100))
    + '"' for i in range(10))} }}}}
	deliver = "maildir:{{mail}}/%d/%u"
}}}}
"""


def test_mailboxes_of_one_message(start):
    """FAULT A3: ten times `recipients`; who comes later has the next one."""
    d = start(limits="recipients = 100", domains=MANY)
    with d.client() as c:
        c.begin(*(f"a{i}@example.org" for i in range(10)))
        assert c.ask("RCPT TO:<u1000@example.org>").status == "452 4.5.3"
        assert c.ask("RCPT TO:<u999@example.org>").code == 250
        c.ask("RSET")
        c.begin("u1000@example.org")


COPIES = """
domain "example.org" {{
	users = {{ alice, postmaster }}
	aliases = {{ "abuse: postmaster", "no-reply: discard:",
		"support: alice, maildir:{mail}/support" }}
	deliver = {{ "maildir:{mail}/%d/%u", "maildir:{mail}/archive" }}
}}
domain "example.net" {{
	users = {{ postmaster }}
	catch-all = {{ "discard:", "alice@example.org" }}
	deliver = "discard:"
}}
"""


@pytest.mark.parametrize("journal", ["", NO_JOURNAL])
def test_destinations(start, journal):
    """A copy in each, once where two are the same; discard: is logged."""
    d = start(domains=COPIES, journal=journal)
    alice = ["archive", "example.org/alice"]

    def folders(id):
        return sorted(str(p.parent.parent.relative_to(d.mail))
                      for p in d.mail.rglob("*") if f".{id}_" in p.name)

    def events(id, event):
        return sum(event in line and id in line
                   for line in d.log().splitlines())

    with d.client() as c:
        for addresses, expected, dropped in (
                (["alice@example.org"], alice, 0),
                (["support@example.org"], [*alice, "support"], 0),
                (["no-reply@example.org"], [], 1),
                (["postmaster@example.net"], [], 1),
                (["any@example.net"], alice, 1),
                (["no-reply@example.org", "alice@example.org",
                  "postmaster@example.net"], alice, 1)):
            id = c.deliver("x\r\n", *addresses).id
            wait_for(f"{addresses} in {expected}",
                     lambda: folders(id) == expected)
            wait_for("its lines in the log",
                     lambda: events(id, "delivered") == len(expected))
            assert events(id, "discarded") == dropped
    d.stop()
    assert sum(p.is_file() for p in d.mail.rglob("*")) == 9


def test_modes(start):
    """Folders 0700, files 0600, owned by the user."""
    d = start()
    with d.client() as c:
        c.deliver("x\r\n", "alice@example.org")
    for p in [d.mail, *d.mail.rglob("*"), d.spool]:
        st = p.stat()
        assert st.st_mode & 0o7777 == (0o700 if p.is_dir() else 0o600), p
        if AS_ROOT:
            assert st.st_uid != 0, p
