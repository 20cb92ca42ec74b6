"""The servers of others, from Debian's packages, unpacked and not installed:
each in mount and process name spaces of its own, so that nothing of it is
seen or left behind. Each as durable as it can be, then as fast as it can be.
"""

import os
import pathlib
import shutil

import load
from peers import BUILD, TOOLS, Server

BENCH_PEERS = pathlib.Path(
    os.environ.get("BENCH_PACKAGES", BUILD / "bench-peers"))

# Inside the name spaces: the packages where they expect to be, their users.
SCRIPT = """
set -e
ulimit -n 20000
mount --make-rprivate /
mount -t overlay -o ro,lowerdir={packages}/usr:/usr overlay /usr
mount -t overlay -o ro,lowerdir={home}/etc:/etc overlay /etc
mount --bind {home}/spool /var/spool
mount --bind {home}/run /run
mount --bind {home}/lib /var/lib
[ ! -e /dev/log ] || mount --bind /dev/null /dev/log
{more}
exec {command}
"""

USERS = {"postfix": 64990, "postdrop": 64991, "opensmtpd": 64992,
         "opensmtpq": 64993, "Debian-exim": 64994, "vmail": 64995}


class Mailer(Server):
    packages = BENCH_PEERS
    binary = None
    more = ""
    run = None

    def why_not(self):
        if not (self.packages / self.binary).exists():
            return f"no {self.binary} below {self.packages}"
        return None

    def command(self):
        script = SCRIPT.format(packages=self.packages, home=self.home,
                               more=self.more.format(home=self.home),
                               command=self.run.format(home=self.home))
        return ["unshare", "-mp", "--fork", "--mount-proc", "sh", "-c",
                script]

    def prepare(self):
        for name in ("etc", "spool", "run", "lib", "mail"):
            (self.home / name).mkdir()
        for name, line in (("passwd", "{0}:x:{1}:{1}::/:/usr/sbin/nologin\n"),
                           ("group", "{0}:x:{1}:\n")):
            kept = [x for x in pathlib.Path("/etc", name).read_text()
                    .splitlines(True) if x.split(":")[0] not in USERS]
            (self.home / "etc" / name).write_text("".join(kept) + "".join(
                line.format(*u) for u in USERS.items()))
        for name in ("chain.pem", "key.pem"):
            shutil.copy(TOOLS / name, self.home / "etc")
        # Who asks for a name is told at once that there is no answer.
        (self.home / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        (self.home / "etc/mailname").write_text("mx.example.org\n")
        os.chown(self.home / "mail", USERS["vmail"], USERS["vmail"])
        self.configure()

    def configure(self):
        raise NotImplementedError


MAIN = """
compatibility_level = 3.6
myhostname = mx.example.org
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mail_owner = postfix
setgid_group = postdrop
data_directory = /var/lib/postfix
smtputf8_enable = yes
biff = no
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = example.org
virtual_mailbox_maps = static:example.org/user/
virtual_mailbox_base = {home}/mail
virtual_uid_maps = static:64995
virtual_gid_maps = static:64995
virtual_mailbox_limit = 0
message_size_limit = 52428800
in_flow_delay = 0
default_process_limit = 100
virtual_destination_concurrency_limit = 100
initial_destination_concurrency = 100
qmgr_message_active_limit = 20000
local_header_rewrite_clients =
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_security_level = may
smtpd_tls_chain_files = /etc/key.pem, /etc/chain.pem
smtpd_tls_loglevel = 0
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
virtual   unix - n n - - virtual
anvil     unix - - n - 1 anvil
{more}
"""


class Postfix(Mailer):
    """Queue file synced before 250, virtual(8) syncs each Maildir file."""

    name = "Postfix"
    packages = load.PEERS
    binary = "usr/sbin/postfix"
    run = "postfix start-fg"
    idle = 90  # default_process_limit, and some are needed to look
    queue = tuple(f"spool/postfix/{x}" for x in (
        "incoming", "active", "deferred"))
    main = MAIN
    services = ""  # more lines of master.cf

    def configure(self):
        etc = self.home / "etc/postfix"
        shutil.copytree(self.packages / "etc/postfix", etc)
        for name in ("postfix-files", "dynamicmaps.cf"):
            shared = self.packages / "usr/share/postfix" / name
            if shared.exists() and not (etc / name).exists():
                shutil.copy(shared, etc)
        (etc / "main.cf").write_text(self.main.format(home=self.home))
        (etc / "master.cf").write_text(MASTER.format(
            port=self.port, more=self.services))
        (self.home / "spool/postfix").mkdir()
        data = self.home / "lib/postfix"
        data.mkdir()
        os.chown(data, USERS["postfix"], USERS["postfix"])


OPENSMTPD = """
pki here cert "/etc/chain.pem"
pki here key "/etc/key.pem"
smtp max-message-size "50M"
smtp limit max-mails 100000000
mda limit max-session 64
table boxes {{ "user@example.org" = "vmail" }}
action "store" maildir "{home}/mail/example.org/user" virtual <boxes>
listen on 127.0.0.1 port {port} tls pki here hostname "mx.example.org"
match from any for domain "example.org" action "store"
"""


class OpenSMTPD(Mailer):
    """Nothing synced before 250; mail.maildir syncs each file. It refuses
    handshakes with a P-256 key: no figure for those."""

    name = "OpenSMTPD"
    binary = "usr/libexec/opensmtpd/mail.maildir"
    run = "smtpd -F"
    callers = 5  # its backlog; who finds it full waits for seconds
    queue = ("spool/smtpd/queue", "spool/smtpd/incoming")

    def configure(self):
        (self.home / "etc/key.pem").chmod(0o600)
        (self.home / "etc/smtpd.conf").write_text(
            OPENSMTPD.format(home=self.home, port=self.port))
        (self.home / "lib/opensmtpd/empty").mkdir(parents=True)


EXIM = """
primary_hostname = mx.example.org
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
spool_directory = /var/spool/exim4
split_spool_directory = true
log_file_path = syslog
keep_environment =
smtp_accept_max = 0
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 4096
rfc1413_query_timeout = 0s
message_size_limit = 50M
tls_advertise_hosts = *
tls_certificate = /etc/chain.pem
tls_privatekey = /etc/key.pem
acl_smtp_rcpt = everybody
begin acl
everybody:
  accept
begin routers
all:
  driver = accept
  transport = store
begin transports
store:
  driver = appendfile
  directory = {home}/mail/example.org/user
  maildir_format
  create_directory
  user = vmail
  group = vmail
"""


class Exim(Mailer):
    """Spool files synced before 250; delivered at once, each by a process."""

    name = "Exim"
    binary = "usr/sbin/exim4"
    run = "exim4 -bdf -q1m"
    queue = ("spool/exim4/input",)

    def configure(self):
        etc = self.home / "etc/exim4"
        etc.mkdir()
        (etc / "exim4.conf").write_text(
            EXIM.format(home=self.home, port=self.port))
        user = USERS["Debian-exim"]
        spool = self.home / "spool/exim4"
        spool.mkdir()
        os.chown(spool, user, user)
        os.chown(self.home / "etc/key.pem", user, user)


CHASQUID = """
hostname: "mx.example.org"
max_data_size_mb: 50
smtp_address: "127.0.0.1:{port}"
mail_delivery_agent_bin: "{home}/etc/mda"
mail_delivery_agent_args: "{home}/mail/example.org/%to_user%"
data_dir: "/var/lib/chasquid"
mail_log_path: "/dev/null"
"""


class Chasquid(Mailer):
    """Its queue is in memory and in files that are not synced; mda.c, which
    stands for the usual delivery program, syncs each file."""

    name = "chasquid"
    binary = "usr/bin/chasquid"
    run = ("setpriv --reuid=vmail --regid=vmail --clear-groups "
           "chasquid -config_dir /etc/chasquid")
    queue = ("lib/chasquid/queue",)

    def configure(self):
        etc = self.home / "etc/chasquid"
        (etc / "domains/example.org").mkdir(parents=True)
        (etc / "certs/mx.example.org").mkdir(parents=True)
        for name, as_name in (("chain", "fullchain"), ("key", "privkey")):
            shutil.copy(TOOLS / f"{name}.pem",
                        etc / f"certs/mx.example.org/{as_name}.pem")
        (etc / "certs/mx.example.org/privkey.pem").chmod(0o644)
        (etc / "chasquid.conf").write_text(
            CHASQUID.format(home=self.home, port=self.port))
        (etc / "domains/example.org/users").write_text(
            'users: { key: "user" value: { plain: { password: "x" } } }\n')
        shutil.copy(TOOLS / "mda", self.home / "etc/mda")
        (self.home / "lib/chasquid").mkdir()
        (self.home / "mail/example.org").mkdir()
        for path in (etc, self.home / "lib/chasquid",
                     self.home / "mail/example.org"):
            os.chown(path, USERS["vmail"], USERS["vmail"])


OTHERS = [OpenSMTPD, Exim, Chasquid]
