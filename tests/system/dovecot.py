"""A Dovecot of our own that knows users, and takes their mail by LMTP if it
is to: its package unpacked, in a private mount name space. Needs root."""

import os
import pathlib
import signal
import subprocess

from daemon import DEADLINE, children, free_port, wait_for
from postfix import PEERS

CONF = """
base_dir = {path}/run
state_dir = {path}/state
log_path = {path}/dovecot.log
protocols = {protocols}
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
  args = uid=65534 gid=65534 home={path}/mail/%n
}}
"""

# From 2.4 on the versions stand first, and each argument is a setting.
# Any address of the domain whose user is known; the mail is nobody's, below
# mail/ in its folder.
LMTP_23 = """
service lmtp {{
  unix_listener {path}/lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
mail_location = maildir:~
protocol lmtp {{
  auth_username_format = %Ln
}}
{more}
"""

QUOTA_23 = """
protocol lmtp {{
  mail_plugins = quota
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage={quota}
}}
"""

LMTP_24 = """
service lmtp {{
  unix_listener {path}/lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    listen = 127.0.0.1
    port = {port}
  }}
}}
mail_driver = maildir
mail_path = ~
protocol lmtp {{
  auth_username_format = %{{user | username | lower}}
}}
{more}
"""

QUOTA_24 = """
protocol lmtp {{
  mail_plugins {{
    quota = yes
  }}
}}
quota "User quota" {{
  driver = count
  storage_size = {quota}
  storage_grace = 0
}}
"""

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
    home = {path}/mail/%{{user | username}}
  }}
}}
"""

SCRIPT = """
mount --make-rprivate / &&
mount -t overlay -o ro,lowerdir={peers}/usr:/usr overlay /usr &&
mount --bind {path}/passwd /etc/passwd &&
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


def configuration(path, lmtp, quota, **values):
    """As this version writes it. quota: None if it looks at none."""
    said = subprocess.run(
        [PEERS / "usr/sbin/dovecot", "--version"], check=True, text=True,
        capture_output=True,
        env={"LD_LIBRARY_PATH": str(PEERS / "usr/lib/dovecot")}).stdout
    major, minor = said.split(".")[:2]
    if (int(major), int(minor)) < (2, 4):
        conf = CONF + USERS_23 + LMTP_23 * lmtp
        conf += QUOTA_23 * (lmtp and quota is not None)
    else:
        conf = VERSIONS_24 + CONF + USERS_24 + LMTP_24 * lmtp
        conf += QUOTA_24 * (lmtp and quota is not None)
    return conf.format(path=path, protocols="lmtp" * lmtp, quota=quota,
                       **values)


class Dovecot:
    """lmtp: on a Unix socket and a port; more: lines of its configuration."""

    def __init__(self, path, users, lmtp=False, quota="1G", more=""):
        self.path = path
        self.socket = path / "auth-smtpd"
        self.lmtp = path / "lmtp"
        self.port = free_port()
        for name in "run", "state", "mail":
            (path / name).mkdir()
        os.chown(path / "mail", 65534, 65534)
        (path / "conf").write_text(configuration(
            path, lmtp, port=self.port, quota=quota, more=more))
        # 2.4 asks for its own users whatever the configuration names
        (path / "passwd").write_text(
            pathlib.Path("/etc/passwd").read_text() + "".join(
                f"{name}:x:65534:65534::/:/usr/sbin/nologin\n"
                for name in ("dovecot", "dovenull")))
        (path / "users").write_text("".join(
            f"{u}:{{PLAIN}}{p}\n" for u, p in users.items()))
        self.process = None

    def start(self, join=None):
        """join: for the child that is about to become it."""
        self.socket.unlink(missing_ok=True)
        self.lmtp.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            ["unshare", "-mp", "--fork", "--kill-child", "--mount-proc", "sh",
             "-c", SCRIPT.format(path=self.path, peers=PEERS)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, preexec_fn=join)
        wait_for("Dovecot's socket", self.socket.exists)
        if "service lmtp" in (self.path / "conf").read_text():
            wait_for("its LMTP", self.lmtp.exists)
        return self

    def mail(self, user):
        """The octets of each message that this one has."""
        return [p.read_bytes()
                for p in sorted((self.path / "mail" / user).glob("new/*"))]

    def stop(self):
        """Killed: the first in its name space, behind which is nobody left
        who could still be at its sockets when the next one looks."""
        if self.process and self.process.poll() is None:
            for pid in children(self.process.pid) or [self.process.pid]:
                os.kill(pid, signal.SIGKILL)
            self.process.wait(DEADLINE)
