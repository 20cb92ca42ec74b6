"""What README.md tells a person to do, done: its own lines, in a folder."""

import os
import re
import subprocess

import pytest

import dovecot
import test_auth
from daemon import BINARY, DEADLINE, TOP, wait_for

README = (TOP / "README.md").read_text()
MAIL = "/var/lib/smtpd/mail"


def block(heading, first):
    """The indented lines behind a heading that begin with these words."""
    for text in re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+",
                           README[README.index(heading):], re.M):
        text = re.sub(r"^    ", "", text, flags=re.M)
        if text.startswith(first):
            return text
    raise AssertionError(f"nothing begins with {first!r} below {heading!r}")


def make(*arguments):
    # what is installed is there: nothing is built for it
    subprocess.run(["make", "-s", "-o", "build/smtpd", *arguments], cwd=TOP,
                   check=True, capture_output=True, timeout=DEADLINE)


def test_install(secured):
    """FAULT D18: it makes /etc/smtpd; uninstall leaves that, and no file."""
    assert block("**2. Install", "make need-build && make && make install\n")
    assert "make uninstall" in README
    folder = secured.folder()
    make("install", f"DESTDIR={folder}")
    assert (folder / "etc/smtpd").is_dir()
    assert (folder / "usr/local/sbin/smtpd").is_file()
    make("uninstall", f"DESTDIR={folder}")
    assert (folder / "etc/smtpd").is_dir()
    assert not [x for x in folder.rglob("*") if x.is_file()]


class SetUp:
    """The commands of the README in a folder, which stands for /etc/smtpd."""

    def __init__(self, folder):
        self.path = folder
        self.conf = folder / "smtpd.conf"

    def here(self, text):
        text = text.replace("/etc/smtpd", str(self.path))
        text = text.replace(MAIL, str(self.path / "mail"))
        return re.sub(r"(chgrp|-g) smtpd", r"\1 nogroup", text)

    def run(self, script, **env):
        run = f"smtpd() {{ {BINARY} \"$@\"; }}\n{self.here(script)}"
        r = subprocess.run(["sh", "-ec", run], input="sesame\n", text=True,
                           capture_output=True, timeout=DEADLINE,
                           cwd=self.path, env={**os.environ, **env})
        assert r.returncode == 0, r.stderr
        return r.stdout


@pytest.fixture
def setup(secured):
    if os.geteuid():
        pytest.skip("needs root: what it makes belongs to a group")
    s = SetUp(secured.folder())
    s.run(block("**3. A certificate", "openssl req"))
    s.run(block("**4. Configure", "(umask 077; smtpd passwd"))
    s.conf.write_text(s.here(block("**4. Configure", "hostname = ")) +
                      f'user = nobody\nspool = "{s.path}/spool"\n')
    return s


def mode(path):
    return f"{path.stat().st_mode & 0o777:o}"


def test_first_set_up(setup):
    """FAULT D18, B4: certificate, hook, passwords; and nothing to warn of."""
    r = subprocess.run([BINARY, "-n", "-f", setup.conf], text=True,
                       capture_output=True, timeout=DEADLINE)
    assert r.returncode == 0, r.stdout + r.stderr
    passwords, key = setup.path / "passwords", setup.path / "mx.key"
    assert [mode(passwords), mode(key)] == ["640", "640"]
    assert passwords.read_text().startswith("alice@example.org:$y$")

    lineage = setup.path / "live"
    lineage.mkdir()
    (lineage / "privkey.pem").write_bytes(key.read_bytes())
    (lineage / "fullchain.pem").write_text("a new one")
    key.unlink()
    setup.run(block("**3. A certificate", "#!/bin/sh -e").replace(
        "systemctl -q is-active smtpd", "false"), RENEWED_LINEAGE=str(lineage))
    assert (setup.path / "mx.pem").read_text() == "a new one"
    assert mode(key) == "640"

    setup.run(block("**4. Configure", "sed -i"))
    assert passwords.read_text() == "" and mode(passwords) == "640"


def recipe(setup):
    """Dovecot's configuration of this release, with IMAP left out."""
    text = block("**7. Read", "protocols = imap")
    version = subprocess.run(
        [dovecot.PEERS / "usr/sbin/dovecot", "--version"], check=True,
        capture_output=True, text=True, timeout=DEADLINE,
        env={"LD_LIBRARY_PATH": str(dovecot.PEERS / "usr/lib/dovecot")}).stdout
    if not version.startswith("2.3"):
        text = (block("**7. Read", "dovecot_config_version")
                + text[text.index("service auth {"):])
    text = setup.here(text).replace("protocols = imap", f"""protocols =
base_dir = {setup.path}/run
state_dir = {setup.path}/state
log_path = {setup.path}/dovecot.log
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = daemon""")
    text = text.replace("unix_listener auth",
                        f"unix_listener {setup.path}/auth")
    text = text.replace("extra_groups = smtpd", "extra_groups = nogroup")
    return re.sub(r"\b(user|[ug]id) ?= ?smtpd",
                  lambda m: m[0].replace(
                      "smtpd", "nogroup" if m[1] == "gid" else "nobody"), text)


def test_dovecot(secured, setup):
    """FAULT D18: it reads our passwords, and tells smtpd who they are."""
    why = dovecot.why_not()
    if why:
        pytest.skip(why)
    p = dovecot.Dovecot(setup.path, {})
    (setup.path / "conf").write_text(recipe(setup))
    p.start()
    d = secured(top="workers = 1",
                extra=f'auth {{ dovecot = "{p.socket}" }}\n')
    wait_for("Dovecot's greeting", lambda: " auth-up " in d.log())

    def answer(password):
        with test_auth.secure_anyhow(d) as c:
            return c.ask("AUTH PLAIN " + test_auth.plain(
                "alice@example.org", password)).code

    try:
        assert answer("sesame") == 235
        assert answer("sesam") == 535
    finally:
        p.stop()
