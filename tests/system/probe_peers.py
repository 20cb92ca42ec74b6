"""The servers of others on the real port 25, for the probe to look at: in the
namespace of a World, each in mount and process name spaces of its own.
"""

import pathlib
import re
import shutil
import socket
import subprocess

import postfix
from daemon import DEADLINE, wait_for

PEERS = postfix.PEERS
MAILERS = PEERS.parent / "bench-peers"
USERS = ("postfix", "postdrop", "opensmtpd", "opensmtpq", "Debian-exim",
         "sshd")

SCRIPT = """
set -e
mount --make-rprivate /
mount -t overlay -o ro,lowerdir={packages}/usr:/usr overlay /usr
mount -t overlay -o ro,lowerdir={home}/etc:/etc overlay /etc
for d in /var/spool /var/lib /run; do
	mount -t tmpfs -o mode=755 tmpfs $d
done
[ ! -e /dev/log ] || mount --bind /dev/null /dev/log
{before}
exec {command}
"""


class Peer:
    """listens: its addresses and ports."""

    packages = PEERS
    binary = None
    before = ""
    command = None

    def __init__(self, world, path, listens):
        self.world, self.listens = world, list(listens)
        self.home = path / type(self).__name__
        self.etc = self.home / "etc"
        self.etc.mkdir(parents=True)
        self.process = None
        for i, (name, line) in enumerate((
                ("passwd", "{0}:x:{1}:{1}::/:/usr/sbin/nologin\n"),
                ("group", "{0}:x:{1}:\n"))):
            kept = [x for x in pathlib.Path("/etc", name).read_text()
                    .splitlines(True) if x.split(":")[0] not in USERS]
            (self.etc / name).write_text("".join(kept) + "".join(
                line.format(u, 64990 + n) for n, u in enumerate(USERS)))
        (self.etc / "resolv.conf").write_text("nameserver 127.0.0.53\n")
        (self.etc / "mailname").write_text("mx.peers.test\n")

    @classmethod
    def is_there(cls):
        return (cls.packages / cls.binary).exists()

    def configure(self):
        raise NotImplementedError

    def start(self):
        self.configure()
        script = SCRIPT.format(packages=self.packages, home=self.home,
                               before=self.before, command=self.command)
        with open(self.home / "output", "wb") as out:
            self.process = subprocess.Popen(
                self.world.command("unshare", "-mp", "--kill-child",
                                   "--mount-proc", "sh", "-c", script),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def wait(self):
        wait_for(type(self).__name__, self.listening)

    def listening(self):
        """Not by a connection: some count those."""
        assert self.process.poll() is None, (
            self.home / "output").read_text(errors="replace")
        table = pathlib.Path(f"/proc/{self.world.pid}/net/tcp").read_text()
        there = set(re.findall(r": (\w{8}:\w{4}) 0{8}:0{4} 0A ", table))
        return there >= {f"{socket.inet_aton(a)[::-1].hex().upper()}:{p:04X}"
                         for a, p in self.listens}

    def stop(self):
        """Its child, the first of the name space, takes the others along."""
        if self.process:
            self.process.kill()
            self.process.wait(DEADLINE)


MAIN = """
compatibility_level = 3.6
myhostname = postfix.peers.test
mydestination =
mynetworks =
inet_protocols = ipv4
mail_owner = postfix
setgid_group = postdrop
data_directory = /var/lib/postfix
alias_maps =
local_recipient_maps =
smtpd_peername_lookup = no
smtpd_tls_chain_files = /etc/postfix/good.pem
smtpd_tls_security_level = may
postscreen_cache_map =
"""

SERVICES = """
cleanup   unix n - n - 0 cleanup
tlsmgr    unix - - n 1000? 1 tlsmgr
tlsproxy  unix - - n - 0 tlsproxy
dnsblog   unix - - n - 0 dnsblog
rewrite   unix - - n - - trivial-rewrite
proxymap  unix - - n - - proxymap
anvil     unix - - n - 1 anvil
smtpd     pass - - n - - smtpd -o {smtpd_tls_security_level=none}
"""


class Postfix(Peer):
    """One that is each of many: services, {(address, port): (program,
    settings)}, names in /etc/postfix being relative."""

    binary = "usr/sbin/postfix"
    before = ("mkdir -p /var/spool/postfix /var/lib/postfix; "
              "chown postfix /var/lib/postfix")
    command = "postfix start-fg"

    def __init__(self, world, path, services):
        super().__init__(world, path, services)
        self.services = services

    def configure(self):
        etc = self.etc / "postfix"
        shutil.copytree(self.packages / "etc/postfix", etc)
        for name in ("postfix-files", "dynamicmaps.cf"):
            shared = self.packages / "usr/share/postfix" / name
            if shared.exists() and not (etc / name).exists():
                shutil.copy(shared, etc)
        (etc / "main.cf").write_text(MAIN)
        (etc / "master.cf").write_text("".join(
            f"{address}:{port} inet n - n - "
            f"{1 if program == 'postscreen' else '-'} {program}"
            + "".join(f" -o {{ {o} }}" for o in options) + "\n"
            for (address, port), (program, *options) in self.services.items())
            + SERVICES)
        for pem in self.world.authority.path.glob("*.both"):
            shutil.copy(pem, etc / f"{pem.stem}.pem")


EXIM = """
primary_hostname = exim.peers.test
local_interfaces = {good} : {denied}
daemon_smtp_ports = 25
spool_directory = /var/spool/exim4
log_file_path = /var/spool/exim4/%slog
keep_environment =
rfc1413_query_timeout = 0s
tls_advertise_hosts = *
tls_certificate = /etc/good.pem
acl_smtp_connect = look
begin acl
look:
  deny condition = ${{if eq{{$received_ip_address}}{{{denied}}}}}
  accept
"""


class Exim(Peer):
    packages = MAILERS
    binary = "usr/sbin/exim4"
    before = "mkdir /var/spool/exim4; chown Debian-exim /var/spool/exim4"
    command = "exim4 -bdf"

    def configure(self):
        (self.etc / "exim4").mkdir()
        (good, _), (denied, _) = self.listens
        (self.etc / "exim4/exim4.conf").write_text(
            EXIM.format(good=good, denied=denied))
        shutil.copy(self.world.authority.path / "good.both",
                    self.etc / "good.pem")
        (self.etc / "good.pem").chmod(0o644)


OPENSMTPD = """
action "none" relay
listen on {address} port 25 hostname "opensmtpd.peers.test"
match from local for any action "none"
"""


class OpenSMTPD(Peer):
    """In clear: that of Debian 12 loses its own keys, with OpenSSL 3."""

    packages = MAILERS
    binary = "usr/sbin/smtpd"
    before = "mkdir -p /var/lib/opensmtpd/empty"
    command = "smtpd -F"

    def configure(self):
        (self.etc / "smtpd.conf").write_text(OPENSMTPD.format(
            address=self.listens[0][0]))


CHASQUID = """
hostname: "chasquid.peers.test"
smtp_address: "{}:25"
submission_over_tls_address: "{}:465"
data_dir: "/var/lib/chasquid"
mail_log_path: "/dev/null"
"""


class Chasquid(Peer):
    packages = MAILERS
    binary = "usr/bin/chasquid"
    before = "mkdir /var/lib/chasquid"
    command = "chasquid -config_dir /etc/chasquid"

    def configure(self):
        certs = self.etc / "chasquid/certs/chasquid.peers.test"
        certs.mkdir(parents=True)
        (self.etc / "chasquid/chasquid.conf").write_text(
            CHASQUID.format(*(address for address, _ in self.listens)))
        (self.etc / "chasquid/domains/peers.test").mkdir(parents=True)
        for name in ("fullchain", "privkey"):
            shutil.copy(self.world.authority.path / "good.both",
                        certs / f"{name}.pem")


class Nginx(Peer):
    binary = "usr/sbin/nginx"
    before = "mkdir /var/lib/nginx"
    command = "nginx -c /etc/nginx.conf"

    def configure(self):
        (self.etc / "nginx.conf").write_text(
            "daemon off;\nuser nobody nogroup;\nerror_log stderr;\n"
            "events {}\nhttp { access_log off; server { listen "
            f"{self.listens[0][0]}:25; }} }}\n")


class Sshd(Peer):
    binary = "usr/sbin/sshd"
    before = "mkdir /run/sshd"
    command = "/usr/sbin/sshd -D -e -f /etc/sshd_config"

    def configure(self):
        (self.etc / "sshd_config").write_text(
            f"ListenAddress {self.listens[0][0]}:25\nHostKey /etc/host.key\n")
        shutil.copy(self.world.authority.path / "good.key",
                    self.etc / "host.key")
        (self.etc / "host.key").chmod(0o600)


class SServer(Peer):
    """TLS, and nothing within. OpenSSL itself is installed."""

    binary = "usr"

    def configure(self):
        shutil.copy(self.world.authority.path / "good.both",
                    self.etc / "good.pem")
        self.command = (f"openssl s_server -quiet -accept "
                        f"{self.listens[0][0]}:25 -cert /etc/good.pem")
