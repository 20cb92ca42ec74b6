"""A Postfix of our own: private mount and process name spaces, so that
nothing of it is installed, seen, or left behind. Needs root.

PEERS names the folder where Debian's package was unpacked.
"""

import os
import pathlib
import shutil
import signal
import subprocess

from daemon import AS_ROOT, DEADLINE, TOP, children, free_port, wait_for

PEERS = pathlib.Path(os.environ.get("PEERS", TOP / "build" / "peers"))
SOURCE = PEERS / "usr" / "sbin" / "smtp-source"

MAIN = """
compatibility_level = 3.6
myhostname = postfix.example.com
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{port}
disable_dns_lookups = yes
smtp_host_lookup = native
maillog_file = /dev/stdout
maillog_file_prefixes = /dev
alias_maps =
local_recipient_maps =
smtputf8_enable = yes
mail_owner = postfix
setgid_group = postdrop
default_process_limit = 100
in_flow_delay = 0
local_header_rewrite_clients =
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_destination_concurrency_limit = 20
initial_destination_concurrency = 20
smtp_connection_cache_on_demand = yes
header_size_limit = 1024000
"""

MASTER = """
127.0.0.1:{entry} inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
tlsmgr    unix - - n 1000? 1 tlsmgr
"""

# Inside the name spaces: Postfix where it expects to be, and its users.
SCRIPT = """
set -e
mount --make-rprivate /
mount -t overlay -o ro,lowerdir={peers}/usr:/usr overlay /usr
mount -t overlay -o ro,lowerdir={path}/etc:/etc overlay /etc
mount -t tmpfs -o size=2g tmpfs /var/spool
mkdir -p /var/spool/postfix {path}/data
chown postfix {path}/data
exec postfix start-fg
"""


def why_not():
    if not SOURCE.exists():
        return f"no Postfix below {PEERS}: make peers"
    if not AS_ROOT:
        return "needs root for name spaces"
    done = subprocess.run(["unshare", "-mp", "--fork", "true"],
                          capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else None


def peer_environment():
    return {**os.environ, "LD_LIBRARY_PATH": str(PEERS / "usr/lib/postfix")}


class Postfix:
    """Takes mail on `entry`, sends all of it to smtpd."""

    def __init__(self, path, port, more=""):
        self.path = path
        self.log_path = path / "postfix.log"
        self.entry = free_port()
        etc = path / "etc" / "postfix"
        etc.mkdir(parents=True)
        shutil.copytree(PEERS / "etc" / "postfix", etc, dirs_exist_ok=True)
        for name in ("postfix-files", "dynamicmaps.cf"):
            shared = PEERS / "usr/share/postfix" / name
            if shared.exists() and not (etc / name).exists():
                shutil.copy(shared, etc)
        (etc / "main.cf").write_text(
            MAIN.format(port=port) + more
            + f"data_directory = {path}/data\n")
        (etc / "master.cf").write_text(MASTER.format(entry=self.entry))
        for name, more in (
                ("passwd", "postfix:x:64990:64990::/:/usr/sbin/nologin\n"),
                ("group", "postfix:x:64990:\npostdrop:x:64991:\n")):
            lines = pathlib.Path("/etc", name).read_text().splitlines(True)
            (path / "etc" / name).write_text("".join(
                x for x in lines
                if not x.startswith(("postfix:", "postdrop:"))) + more)
        self.process = None

    def start(self):
        log = open(self.log_path, "ab")
        script = SCRIPT.format(peers=PEERS, path=self.path)
        self.process = subprocess.Popen(
            ["unshare", "-mp", "--fork", "--mount-proc",
             "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=log,
            stderr=log)
        wait_for("Postfix", self.is_up)

    def is_up(self):
        assert self.process.poll() is None, self.log()
        return "daemon started" in self.log()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def stop(self):
        """All of it: its master is the first process of its name space."""
        if self.process and self.process.poll() is None:
            for pid in children(self.process.pid):
                os.kill(pid, signal.SIGKILL)
            self.process.wait(DEADLINE)
