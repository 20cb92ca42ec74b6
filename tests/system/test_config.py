"""The configuration from the command line."""

import os
import re
import subprocess

import pytest

from daemon import AS_ROOT, BINARY, DEADLINE, TOP


def smtpd_n(*arguments, **kwargs):
    return subprocess.run([BINARY, "-n", *map(str, arguments)],
                          capture_output=True, text=True, timeout=DEADLINE,
                          **kwargs)


GOOD = """hostname = mx.example.org
domain "example.org" {
	users = { alice }
	aliases = { "postmaster: alice", "abuse: alice" }
}
"""


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "smtpd.conf"

    def write(text):
        path.write_text(text)
        return path

    return write


def test_good(conf):
    done = smtpd_n("-f", conf(GOOD))
    assert (done.returncode, done.stdout) in ((0, ""), (1, "")), done.stderr


def test_prints_what_it_can_read(conf, tmp_path):
    """-n -v is a configuration itself, and means the same."""
    first = smtpd_n("-v", "-f", conf(GOOD))
    assert first.returncode in (0, 1), first.stderr
    assert "\n" in first.stdout
    second = smtpd_n("-v", "-f", conf(first.stdout))
    assert second.returncode in (0, 1), second.stderr

    def meaning(text):
        return [line for line in text.splitlines()
                if line.strip() and not line.lstrip().startswith("#")]

    assert meaning(second.stdout) == meaning(first.stdout)


def test_default_workers(conf):
    """FAULT D12: on two processors one worker is faster than two."""
    half = max(1, min(4, os.sysconf("SC_NPROCESSORS_ONLN") // 2))
    done = smtpd_n("-v", "-f", conf(GOOD))
    assert f"workers = {half}" in done.stdout.splitlines()


def test_missing(tmp_path):
    """Exit 78, naming the file."""
    done = smtpd_n("-f", tmp_path / "nowhere.conf")
    assert done.returncode == 78
    assert str(tmp_path / "nowhere.conf") in done.stderr


def test_missing_default():
    """Nothing falls back to the builtin one."""
    import os
    if os.path.exists("/etc/smtpd/smtpd.conf"):
        pytest.skip("this machine has a /etc/smtpd/smtpd.conf")
    done = smtpd_n()
    assert done.returncode == 78
    assert "/etc/smtpd/smtpd.conf" in done.stderr


def test_builtin(tmp_path):
    assert smtpd_n("-f", "builtin", cwd=tmp_path).returncode in (0, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line, text", [
    (1, "hostnam = mx.example.org\n"),
    (2, "hostname = mx.example.org\nmessage-size = much\n"),
    (2, "hostname = mx.example.org\nmessage-size = 1K\n"),
    (3, "hostname = mx.example.org\n\nworkers = -1\n"),
    (2, "hostname = mx.example.org\nhostname = mx.example.net\n"),
    (1, 'listen "nowhere" { }\n'),
    (1, 'listen "127.0.0.1:99999" { }\n'),
    (2, '\nclient "10.0.0.1/8" { bare-newline = normalize }\n'),
    (3, 'domain "example.org" {\n users = { alice }\n'
        ' deliver = "mbox:/var/mail"\n}\n'),
    (3, 'domain "example.org" {\n users = { alice }\n'
        ' aliases = { "postmaster: eve@example.com" }\n}\n'),
    (3, 'domain "example.org" {\n users = { alice }\n'
        ' aliases = { "a: b", "b: a", "postmaster: alice" }\n}\n'),
    (3, 'domain "example.org" {\n users = { alice }\n'
        ' deliver = "lmtp:unix:/run/x"\n}\n'),
    (2, 'domain "example.org" {\n catch-all = "route:stroe"\n}\n'
        'route "store" { to = "lmtp:/run/x" }\n'),
    (1, 'domain "example.org" {\n deliver = "lmtp:/run/x"\n}\n'),
    (2, 'route "out" {\n to = { "smtp://h", "lmtp:/run/x" }\n}\n'),
    (3, 'route "out" {\n to = "smtp://h"\n login = a\n}\n'),
    (2, '\nsmarthost = "smtp:[relay.example.net]:587"\n'),
    (1, 'smarthost = "smtp://127.0.0.1:25"\n'),
])
def test_errors_have_file_and_line(conf, line, text):
    path = conf(text)
    done = smtpd_n("-f", path)
    assert done.returncode == 78
    assert f"{path}:{line}: error: " in done.stderr, done.stderr


def test_route(conf, tmp_path):
    """A backend that knows its users, and a smarthost: what is not here yet is
    a warning, and a secret is never printed."""
    secret = tmp_path / "secret"
    secret.write_text("geheim\n")
    secret.chmod(0o600)
    path = conf(
        "hostname = mx.example.org\nuser = nobody\n"
        "smarthost = \"route:out\"\n"
        f'route "out" {{ to = "smtp://192.0.2.1:587"\n login = a\n'
        f' secret-file = "{secret}" }}\n'
        'domain "example.org" {\n'
        ' catch-all = "lmtp:/nowhere/lmtp"\n'
        ' aliases = { "x: https://192.0.2.2/x?geheim" } }\n')
    os.chmod(path, 0o600)
    done = smtpd_n("-v", "-f", path)
    assert done.returncode == 1
    assert f"{path}:3: warning: nobody can use the smarthost" in done.stderr
    assert f"{path}:8: warning: /nowhere/lmtp: is not there" in done.stderr
    assert "geheim" not in done.stdout + done.stderr
    assert f'secret-file = "{secret}"' in done.stdout
    assert 'aliases = { "x: https://192.0.2.2/x" }' in done.stdout


def test_error_stops_the_start(start):
    d = start.make(top="workers = many")
    d.start(wait=False)
    assert d.wait() == 78
    assert f"{d.conf}:" in d.log()
    assert not d.spool.exists() and not d.mail.exists()


def test_missing_stops_the_start(tmp_path):
    done = subprocess.run([BINARY, "-d", "-f", tmp_path / "nowhere.conf"],
                          capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 78
    assert "nowhere.conf" in done.stderr


def test_usage():
    for arguments in (["-x"], ["-f"], ["argument"]):
        done = subprocess.run([BINARY, *arguments], capture_output=True,
                              text=True, timeout=DEADLINE)
        assert done.returncode == 64
        assert "usage: smtpd" in done.stderr
        assert "\n       smtpd passwd [--no-scram] user\n" in done.stderr
    manual = (TOP / "src/smtpd.8").read_text()
    named = re.findall(r"^ +smtpd (\w+)", done.stderr, re.M)
    assert named == re.findall(r"^\.Nm smtpd\n\.Cm (\w+)", manual, re.M)


def test_version():
    done = subprocess.run([BINARY, "-V"], capture_output=True, text=True,
                          timeout=DEADLINE)
    assert done.returncode == 0
    assert done.stdout.startswith("smtpd ")


@pytest.mark.skipif(not AS_ROOT, reason="root alone may mount")
def test_volatile_spool(start, mounted):
    """A spool on tmpfs stops the start, unless that is meant."""
    d = start.make()
    mounted("tmpfs", d.spool, "1m")
    d.conf.write_text(d.conf.read_text().replace("spool-volatile", "#"))
    d.start(wait=False)
    assert d.wait() == 78
    assert "spool-volatile" in d.log()
    d.conf.write_text("spool-volatile = yes\n" + d.conf.read_text())
    d.status = None
    d.start()
    assert "NOT DURABLE" in d.log()


@pytest.mark.skipif(not AS_ROOT, reason="root owns what nobody cannot write")
def test_unwritable(start):
    """An existing folder that the user cannot write stops the start."""
    d = start.make()
    d.spool.mkdir(mode=0o755)
    d.start(wait=False)
    assert d.wait() == 78
    assert str(d.spool) in d.log()
