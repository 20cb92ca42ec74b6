"""A small internet in a network namespace: names, servers on port 25, and
firewalls. What is to be there is said before it begins.
"""

import contextlib
import os
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import warnings

import netns
from names import Names

RESOLVER = "127.0.0.53"
OPENSSL = "/usr/bin/openssl"
CA = """[ca]
default_ca = c
[c]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = p
unique_subject = no
x509_extensions = leaf
[p]
commonName = supplied
[leaf]
basicConstraints = CA:FALSE
subjectAltName = ${ENV::SAN}
[authority]
basicConstraints = critical, CA:TRUE
"""


class Authority:
    """Certificates of a root that the probe trusts, and of one below it."""

    def __init__(self, path):
        self.path = path
        (path / "index").touch()
        (path / "serial").write_text("01\n")
        (path / "ca.cnf").write_text(CA)
        self.request("root", "-x509", "-days", "90")
        self.sign("below", "root", extensions="authority")

    def openssl(self, *arguments, san="DNS:none"):
        subprocess.run([OPENSSL, *map(str, arguments)], check=True,
                       cwd=self.path, capture_output=True,
                       env={**os.environ, "SAN": san})

    def request(self, name, *more, kind=("ec", "ec_paramgen_curve:P-256")):
        key = kind[1:] and ["-pkeyopt", kind[1]]
        self.openssl("req", *more, "-newkey", kind[0], *key, "-nodes",
                     "-keyout", f"{name}.key", "-out",
                     f"{name}.{'pem' if '-x509' in more else 'csr'}",
                     "-subj", f"/CN={name}")

    def sign(self, name, by, san="DNS:none", begin="20200101000000Z",
             end="20900101000000Z", extensions="leaf",
             digest="sha256", **kwargs):
        self.request(name, **kwargs)
        self.openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert",
                     f"{by}.pem", "-keyfile", f"{by}.key", "-startdate",
                     begin, "-enddate", end, "-md", digest, "-extensions",
                     extensions,
                     "-in", f"{name}.csr", "-out", f"{name}.pem", san=san)

    def context(self, name, *chain, ciphers=None, highest=None):
        """A server's."""
        whole = self.path / f"{name}.chain"
        whole.write_text("".join((self.path / f"{n}.pem").read_text()
                                 for n in (name, *chain)))
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if ciphers:
            c.set_ciphers(ciphers)
        if highest:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # old ones are deprecated
                c.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
                c.maximum_version = highest
        c.load_cert_chain(whole, self.path / f"{name}.key")
        return c


# --- what a server does with a connection ---


def says(octets, wait=True):
    """Says this, and waits for the end."""
    def serve(c):
        c.sendall(octets)
        while wait and c.recv(4096):
            pass
    return serve


def closes(c):
    pass


def resets(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answers(octets):
    """Nothing until something is said."""
    def serve(c):
        if c.recv(4096):
            c.sendall(octets)
    return serve


def smtp(name, tls=None, greeting=None, delay=0, implicit=False, **replies):
    """Greets, and answers each verb; what is not among replies as usual. A
    reply of None: it hangs up."""
    usual = {"ehlo": f"250-{name}\r\n250-PIPELINING\r\n"
             + "250-STARTTLS\r\n" * bool(tls and not implicit)
             + "250 SIZE 1000\r\n",
             "helo": f"250 {name}\r\n", "quit": "221 bye\r\n",
             "starttls": "220 go on\r\n"}
    usual.update(replies)
    if greeting is None:
        greeting = f"220 {name} ESMTP ready\r\n"

    def serve(c):
        said = dict(usual)
        time.sleep(delay)
        if implicit:
            c = tls.wrap_socket(c, server_side=True)
        c.sendall(greeting if isinstance(greeting, bytes)
                  else greeting.encode())
        while True:
            line = b""
            while not line.endswith(b"\n"):
                octet = c.recv(1)
                if not octet:
                    return
                line += octet
            verb = line.split()[0].decode("latin-1").lower()
            reply = said.get(verb, "502 what?\r\n")
            if reply is None:
                return
            c.sendall(reply.encode())
            if verb == "quit":
                return
            if verb == "starttls" and reply.startswith("220"):
                c = tls.wrap_socket(c, server_side=True)
                said["ehlo"] = said["ehlo"].replace("250-STARTTLS\r\n", "")
    return serve


# --- the whole ---


class World:
    def __init__(self):
        self.names = Names()
        self.count = 0
        self.servers = []
        self.addresses = []
        self.batch = ["route add 203.0.113.0/24 dev lo"]
        self.rules = ["table inet t {", "chain out {",
                      "type filter hook output priority 0;"]
        self.pid = None

    def address(self, family=4, outside=False):
        """A public one of its own; outside: not on this machine."""
        self.count += 1
        if family == 6:
            a = f"2001:db8::{self.count:x}"
        else:
            a = f"{'203.0.113' if outside else '192.0.2'}.{self.count}"
        if not outside:
            self.own(a)
        return a

    def own(self, address):
        self.batch.append(netns.own(address))

    def host(self, name, *addresses):
        for a in addresses:
            self.names.add(name, "AAAA" if ":" in a else "A", a)
        return addresses[0]

    def serve(self, address, what, port=25):
        self.servers.append((address, port, what))

    def rule(self, address, verdict, more="tcp dport 25"):
        family = "ip6" if ":" in address else "ip"
        self.rules.append(f"{family} daddr {address} {more} {verdict};")

    def begin(self):
        told, tells = os.pipe()
        stops, self.stop = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(told)
                os.close(self.stop)
                self.run()
                os.write(tells, b"x")
                os.read(stops, 1)
                status = 0
            finally:
                os._exit(status)
        os.close(tells)
        os.close(stops)
        assert os.read(told, 1) == b"x", "the namespace did not begin"
        os.close(told)

    def run(self):
        netns.enter(*self.batch)
        subprocess.run(["nft", "-f", "-"], check=True, text=True,
                       input="\n".join([*self.rules, "}", "}"]))
        self.names.serve(RESOLVER)
        for address, port, what in self.servers:
            s = socket.create_server(
                (address, port), backlog=100,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET)
            threading.Thread(target=accept, args=(s, what),
                             daemon=True).start()

    def end(self):
        if self.pid:
            os.close(self.stop)
            os.waitpid(self.pid, 0)

    def command(self, *arguments):
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net",
                *map(str, arguments)]


def accept(s, what):
    def one(c):
        with contextlib.suppress(OSError, IndexError):
            what(c)
        with contextlib.suppress(OSError):
            c.close()

    while True:
        c, _ = s.accept()
        threading.Thread(target=one, args=(c,), daemon=True).start()
