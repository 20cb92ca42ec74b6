"""A Dovecot of our own that does nothing but know users: its package
unpacked, in a private mount name space. Needs root."""

import os
import signal
import subprocess

from daemon import DEADLINE, wait_for
from postfix import PEERS

CONF = """
base_dir = {path}/run
state_dir = {path}/state
log_path = {path}/dovecot.log
protocols =
ssl = no
auth_mechanisms = plain login scram-sha-256
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = daemon
service auth {{
  user = root
  unix_listener {path}/auth-smtpd {{
    mode = 0666
  }}
}}
"""

USERS_23 = """
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {path}/users
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/tmp
}}
"""

# From 2.4 on the versions stand first, and each argument is a setting.
VERSIONS_24 = """
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
"""

USERS_24 = """
passdb passwd-file {{
  default_password_scheme = plain
  passwd_file_path = {path}/users
}}
userdb static {{
  fields {{
    uid = 65534
    gid = 65534
    home = /tmp
  }}
}}
"""

SCRIPT = """
mount --make-rprivate / &&
mount -t overlay -o ro,lowerdir={peers}/usr:/usr overlay /usr &&
exec dovecot -F -c {path}/conf
"""


def why_not():
    if not (PEERS / "usr/sbin/dovecot").exists():
        return f"no Dovecot below {PEERS}: make peers"
    if os.geteuid():
        return "needs root for name spaces"
    done = subprocess.run(["unshare", "-mp", "--fork", "true"],
                          capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else None


def configuration(path):
    """As this version writes it."""
    said = subprocess.run(
        [PEERS / "usr/sbin/dovecot", "--version"], check=True, text=True,
        capture_output=True,
        env={"LD_LIBRARY_PATH": str(PEERS / "usr/lib/dovecot")}).stdout
    major, minor = said.split(".")[:2]
    if (int(major), int(minor)) < (2, 4):
        conf = CONF + USERS_23
    else:
        conf = VERSIONS_24 + CONF + USERS_24
    return conf.format(path=path)


class Dovecot:
    def __init__(self, path, users):
        self.path = path
        self.socket = path / "auth-smtpd"
        (path / "run").mkdir()
        (path / "state").mkdir()
        (path / "conf").write_text(configuration(path))
        (path / "users").write_text("".join(
            f"{u}:{{PLAIN}}{p}\n" for u, p in users.items()))
        self.process = None

    def start(self):
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            ["unshare", "-mp", "--fork", "--kill-child", "--mount-proc", "sh",
             "-c", SCRIPT.format(path=self.path, peers=PEERS)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait_for("Dovecot's socket", self.socket.exists)
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(DEADLINE)
