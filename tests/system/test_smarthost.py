"""Who logged in sends anywhere, through a real Postfix; nobody else does."""

import base64
import re
import shutil

import pytest

import dovecot
import postfix
from daemon import wait_for
from secured import certificate
from test_auth import log_in, secure
from test_readme import block

SECRET = "through the relay"

# Who logs in sends on, to the daemon that stands for the rest of the world.
RELAY = """
smtpd_tls_security_level = {tls}
smtpd_tls_auth_only = {only}
smtpd_tls_cert_file = {chain}
smtpd_tls_key_file = {key}
smtpd_tls_loglevel = 1
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
smtpd_sasl_security_options = noanonymous
smtpd_relay_restrictions = {relay}, reject
smtpd_recipient_restrictions = {recipients}
"""

DOMAIN = """
domain "example.org" {{
	users = {{ "alice", "bob" }}
	aliases = {{ "postmaster: alice", "abuse: alice" }}
	deliver = "maildir:{mail}/%d/%u"
}}
"""


@pytest.fixture
def world(start):
    """Takes mail for example.com and example.edu."""
    return start(domains="""
domain "example.com" {{
	catch-all = "maildir:{mail}/all"
}}
domain "example.edu" {{
	catch-all = "maildir:{mail}/all"
}}
""")


@pytest.fixture
def relay(start, world):
    """relay(...): Postfix, and the Dovecot that knows who may log in there."""
    why = postfix.why_not() or dovecot.why_not()
    if why:
        pytest.skip(why)
    running = []

    def launch(name="relay.example.com", tls="may", only="yes",
              recipients="permit", relay="permit_sasl_authenticated"):
        folder = start.folder()
        certificate(folder, name)
        sasl = dovecot.Dovecot(start.folder(), {"mx1": SECRET}).start()
        running.append(sasl)
        p = postfix.Postfix(folder, world.port, RELAY.format(
            tls=tls, only=only, recipients=recipients, relay=relay,
            sasl=sasl.socket,
            chain=folder / f"{name}.pem", key=folder / f"{name}.key"))
        running.append(p)
        p.start()
        p.chain = folder / f"{name}.pem"
        return p

    yield launch
    for x in reversed(running):
        x.stop()


def through(submissions, p, secret=SECRET, login='login = "mx1"',
            more="tls = required", **kwargs):
    """A daemon whose smarthost this is, by its address."""
    folder = submissions.folder()
    (folder / "secret").write_text(secret + "\n")
    ca = folder / "ca.pem"
    shutil.copy(p.chain, ca)
    return submissions(top=f"""
smarthost = "route:out"
route "out" {{
	to = "smtp://127.0.0.1:{p.entry}"
	ca = "{ca}"
	{login}
	{f'secret-file = "{folder}/secret"' if login else ""}
	{more}
}}
""", **kwargs)


def test_readme(submissions, relay, world):
    """Its lines, with this relay's place and authority put in. Nobody is on
    the way to a loopback address, so TLS has to be asked for there."""
    p = relay()
    folder = submissions.folder()
    (folder / "secret").write_text(SECRET + "\n")
    text = block("## Sending through a smarthost", "smarthost = ")
    for printed, here in (
            ("smtp://relay.example.net:587", f"smtp://127.0.0.1:{p.entry}"),
            ("/etc/smtpd/relay", f"{folder}/secret"),
            ("when-down   = hold", "when-down = hold\n tls = required\n"
             f'ca = "{p.chain}"')):
        assert text.count(printed) == 1
        text = text.replace(printed, here)
    d = submissions(top=text)
    with log_in(d) as c:
        assert send(c, "x@example.com").code == 250
    arrived(world, 1)


def send(c, *to, sender="alice@example.org", body="Subject: x\r\n\r\nx\r\n"):
    """The first reply that says no, or the last."""
    commands = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{r}>" for r in to)]
    for command in commands:
        reply = c.ask(command)
        if reply.code != 250:
            c.ask("RSET")
            return reply
    assert c.ask("DATA").code == 354
    c.send(body + ".\r\n")
    return c.reply()


def arrived(world, n):
    wait_for("it in the world", lambda: len(list(
        world.mail.glob("all/new/*"))) == n)


def test_tls_and_auth(submissions, relay, world):
    p = relay()
    d = through(submissions, p)
    with log_in(d) as c:
        for to in ["x@example.com"], ["y@example.com", "z@example.edu"]:
            reply = send(c, *to)
            assert reply.code == 250
        arrived(world, 2)  # a copy each, however many recipients
        both = send(c, "x@example.com", "bob@example.org")
        assert both.code == 250
    wait_for("bob's", lambda: list(d.mail.glob(
        f"example.org/bob/new/*{both.id}*")))
    assert d.message("bob@example.org", both.id).sender == "alice@example.org"
    arrived(world, 3)
    for word in "sasl_username=mx1", "TLS connection established":
        wait_for(word, lambda: word in p.log())
    assert SECRET not in d.log()
    assert base64.b64encode(f"\0mx1\0{SECRET}".encode()).decode() not in (
        d.log())


def test_nobody_else(submissions, relay, world):
    """From mx, on submission without a login, with another's address."""
    p = relay()
    d = through(submissions, p)
    with d.client() as c:
        assert send(c, "x@example.com", sender="").status == "550 5.7.1"
        assert send(c, "x@example.com").status == "550 5.7.1"
        for trick in ("x%example.com@example.org", "@example.org:x@example.com",
                      '"x@example.com"@example.org'):
            assert c.ask("MAIL FROM:<a@example.com>").code == 250
            assert c.ask(f"RCPT TO:<{trick}>").code // 100 == 5
            c.ask("RSET")
    with secure(d) as c:
        assert c.ask("MAIL FROM:<alice@example.org>").code == 530
    with log_in(d) as c:
        no = send(c, "x@example.com", sender="bob@example.org")
        assert no.status.startswith("55"), no
        assert send(c, "x@example.com").code == 250
    arrived(world, 1)


def test_it_knows_nobody_of_that_password(submissions, relay):
    """That is not the sender's fault: nothing is bounced."""
    p = relay()
    d = through(submissions, p, secret="wrong")
    with log_in(d) as c:
        assert send(c, "x@example.com").status in ("451 4.3.5", "451 4.4.1")
    wait_for("a word", lambda: " route-misconfigured " in d.log())
    assert "wrong" not in d.log().replace("wrong-", "")


def test_no_tls_no_password(submissions, relay):
    """It is never said in clear, and who can offer nothing else is DOWN."""
    p = relay(tls="none", only="no")
    d = through(submissions, p)
    with log_in(d) as c:
        assert send(c, "x@example.com").status.startswith("451 4.")
    wait_for("a word", lambda: " route-misconfigured " in d.log())
    assert "sasl" not in p.log().lower()


def test_another_authority(submissions, relay):
    """A certificate that is nobody's whom the route trusts."""
    p = relay()
    d = through(submissions, p)
    other = submissions.folder()
    certificate(other, "other.example.com")
    shutil.copy(other / "other.example.com.pem",
                re.search(r'ca = "(.*)"', d.conf.read_text())[1])
    d.stop()
    d.start()
    with log_in(d) as c:
        assert send(c, "x@example.com").status.startswith("451 4.")
    assert "sasl_username" not in p.log()


def test_what_it_says_is_passed_on(submissions, relay):
    p = relay(recipients="check_recipient_access inline:{"
              "{ no@example.com = 550 5.1.1 nobody of that name }, "
              "{ later@example.com = 450 4.2.1 not now } }, permit")
    d = through(submissions, p)
    with log_in(d) as c:
        no = send(c, "no@example.com")
        assert no.status == "550 5.1.1" and "nobody of that name" in no.text
        later = send(c, "later@example.com")
        assert later.status == "450 4.2.1"
        # one of two is mistyped: neither has it
        assert send(c, "x@example.com", "no@example.com").code == 550


def test_clear_where_nothing_secret_goes(submissions, relay, world):
    """Opportunistic: without TLS it goes on in clear, without a login."""
    p = relay(tls="none", only="no", relay="permit_mynetworks")
    d = through(submissions, p, login="", more="")
    with log_in(d) as c:
        assert send(c, "x@example.com").code == 250
    arrived(world, 1)
