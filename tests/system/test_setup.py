"""The boundary between root, the workers and what they own; and what is
said of a set-up before it is a start."""

import os
import pwd
import re
import shutil
import subprocess

import pytest

from daemon import AS_ROOT, BINARY, DEADLINE
from secured import certificate
from test_config import GOOD, conf, smtpd_n  # noqa: F401
from test_reload import hup

root_only = pytest.mark.skipif(not AS_ROOT, reason="as root only")


def set_top(d, text):
    d.conf.write_text(text + "\n" + d.conf.read_text())


def owner(path):
    return path.lstat().st_uid


@root_only
def test_failed_below_a_domain(start):
    """FAULT B2: what it is made in belongs to the user, and takes mail."""
    d = start.make()
    shutil.chown(d.path, "nobody")
    set_top(d, f'failed = "{d.mail}/example.org/postmaster"')
    d.start()
    assert owner(d.mail / "example.org") == owner(d.mail) != 0
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250
    assert len(d.files("alice@example.org")) == 1


def precious(d):
    path = d.path / "precious"
    path.mkdir()
    return path


@root_only
@pytest.mark.parametrize("when", ["start", "reload"])
@pytest.mark.parametrize("what", ["failed", "root", "deeper"])
def test_link_in_the_mail_tree(start, what, when):
    """FAULT B1: a worker's link leads root nowhere, at a start and a
    reload."""
    d = start.make()
    target = precious(d)
    link = d.mail / "example.org"
    name = "new" if what != "deeper" else "new/below"
    lines = d.conf.read_text()
    if what == "root":
        changed = lines.replace(f"maildir:{d.mail}/%d/%u",
                                f"maildir:{link}/{name}/%d/%u")
    else:
        changed = f'failed = "{link}/{name}"\n' + lines
    if when == "start":
        d.mail.mkdir()
        shutil.chown(d.mail, "nobody")
    else:
        d.start()
    link.symlink_to(target)
    os.lchown(link, *[d.mail.stat().st_uid] * 2)
    d.conf.write_text(changed)
    if when == "start":
        d.start(wait=False)
        assert d.wait() == 78
    else:
        hup(d, "reload-failed")
    assert re.search(r"error directory path=\S+/new.* help=\"links are", d.log())
    assert list(target.iterdir()) == [] and owner(target) == 0


@root_only
def test_link_above_the_spool(start):
    """FAULT B1: neither lock nor key is made behind one."""
    d = start.make()
    target = precious(d)
    (target / "spool").mkdir()
    theirs = d.path / "theirs"
    theirs.mkdir()
    shutil.chown(theirs, "nobody")
    (theirs / "link").symlink_to(target)
    d.conf.write_text(d.conf.read_text().replace(
        f'"{d.spool}"', f'"{theirs}/link/spool"'))
    d.start(wait=False)
    assert d.wait() == 78
    assert list((target / "spool").iterdir()) == []
    assert owner(target / "spool") == 0


@pytest.mark.parametrize("what", ["spool", "mail"])
def test_others_can_write(start, what):
    """FAULT B4: no start where others can plant records, nor is -n good."""
    d = start.make()
    path = getattr(d, what)
    path.mkdir()
    if AS_ROOT:
        shutil.chown(path, "nobody")
    path.chmod(0o730)
    d.start(wait=False)
    assert d.wait() == 78
    assert f'help="chmod go-w {path}"' in d.log()
    done = smtpd_n("-f", d.conf)
    assert done.returncode == 78
    assert f"error: {path}: others than user nobody can write" in done.stderr
    path.chmod(0o700)
    assert smtpd_n("-f", d.conf).returncode != 78


@pytest.mark.parametrize("line", ["user = root", "user = nobody group = root"])
def test_root_is_no_user(start, line):
    """FAULT B4: neither its uid nor its gid."""
    d = start.make(top=line.replace(" g", "\ng"))
    done = smtpd_n("-f", d.conf)
    assert done.returncode == 78
    assert 'root": it has root\'s rights' in done.stderr
    if AS_ROOT:
        d.start(wait=False)
        assert d.wait() == 78
        assert "error user-is-root " in d.log()


def test_the_configuration_of_others(conf):  # noqa: F811
    """FAULT B4: whoever writes the configuration has root's rights."""
    path = conf(GOOD.replace("host", "user = nobody\nhost", 1))
    path.chmod(0o666)
    done = smtpd_n("-f", path)
    assert done.returncode == 1
    assert f"{path}: warning: others can write this file" in done.stderr
    path.chmod(0o644)
    assert smtpd_n("-f", path).returncode == 0


@root_only
@pytest.mark.parametrize("key", ["user", "group"])
def test_missing_user(start, key):
    """FAULT D16: -n says so, with the command; in the background the status
    of the start is that of the child."""
    top = "user = nobody\ngroup = no-such" if key == "group" else (
        "user = no-such")
    d = start.make(top=top)
    done = smtpd_n("-f", d.conf)
    assert done.returncode == 1
    assert re.search(rf':\d+: warning: {key} "no-such" is missing: make it: '
                     rf"{key}add --system ", done.stderr)
    for options in [], ["-d"]:
        done = subprocess.run([BINARY, *options, "-f", d.conf],
                              capture_output=True, text=True,
                              timeout=DEADLINE)
        assert done.returncode == 78
        assert f"{key}add --system " in done.stderr


def test_status_in_the_background(start):
    """FAULT D16: what the system refuses stays 70."""
    d = start()
    done = subprocess.run([BINARY, "-f", d.conf], capture_output=True,
                          text=True, timeout=DEADLINE)
    assert done.returncode == 70


@pytest.mark.parametrize("old, new, line", [
    ("users", 'deliver = "maildir:/home/%u/Maildir"\nusers', 4),
    ("users", 'deliver = "maildir:/home/smtpd/%d/%u"\nusers', 4),
    ("users", 'catch-all = "maildir:/home/all"\nusers', 4),
    ("abuse: alice", "abuse: alice, maildir:/home/smtpd/x, alice", 5)])
def test_homes(conf, old, new, line):  # noqa: F811
    """FAULT D15: system users take their mail over LMTP."""
    text = GOOD.replace("host", "user = nobody\nhost", 1)
    file = conf(text.replace(old, new))
    done = smtpd_n("-f", file)
    assert done.returncode == 1
    assert f"{file}:{line}: warning: /home" in done.stderr
    assert "LMTP" in done.stderr


@root_only
def test_not_ours_alone(start):
    """FAULT D15: nobody is told to chown what others live in."""
    d = start.make()
    homes = d.path / "homes"
    (homes / "alice").mkdir(parents=True)
    d.conf.write_text(d.conf.read_text().replace(
        f"maildir:{d.mail}/%d/%u", f"maildir:{homes}/%u/Maildir"))
    d.start(wait=False)
    assert d.wait() == 78
    assert re.search(rf"error directory path={homes} .*Permission denied.*"
                     "name a directory that is smtpd's alone", d.log())
    assert "chown" not in d.log()


@root_only
@pytest.mark.parametrize("there", [True, False])
def test_read_only(start, mounted, there):
    """FAULT D8: the mount, and what the unit must say."""
    d = start.make()
    mount = d.path / "disk"
    mounted("tmpfs", mount, "64k")
    path = mount / "mail"
    if there:
        path.mkdir()
        shutil.chown(path, "nobody")
    subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
    d.conf.write_text(d.conf.read_text().replace(
        f"maildir:{d.mail}/", f"maildir:{path}/"))
    d.start(wait=False)
    assert d.wait() == 78
    assert re.search(
        rf'error directory path={path} .*error="Read-only file system" '
        rf'help="from {mount} on it is read-only: .*ReadWritePaths={path} .*'
        "ProtectHome=no", d.log())


@root_only
def test_unreadable_for_the_unit(start):
    """The unit starts as the user; root, who asks, would not notice."""
    d = start.make()
    d.conf.write_text(d.conf.read_text()
                      + certificate(d.path, "mx.example.org"))
    key = d.path / "mx.example.org.key"

    def notes():
        r = subprocess.run([BINARY, "-n", "-f", d.conf], check=True,
                           capture_output=True, text=True)
        return [x for x in r.stderr.splitlines() if ": note: user" in x]

    note, = notes()
    assert note.startswith(f"{key}: note: user nobody, ")
    assert note.endswith("cannot read it: chgrp nobody, chmod 640")
    os.chown(key, pwd.getpwnam("nobody").pw_uid, 0)
    assert notes() == []
