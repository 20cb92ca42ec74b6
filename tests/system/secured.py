"""Daemons with certificates, and who looks at them."""

import ssl
import subprocess

from conftest import Factory
from daemon import BINARY, DEADLINE, free_port

OPENSSL = "/usr/bin/openssl"


def certificate(path, *names, days=90):
    """A self-signed one for these names; returns its block."""
    key, chain = path / f"{names[0]}.key", path / f"{names[0]}.pem"
    subprocess.run(
        [OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", str(days), "-keyout",
         key, "-out", chain, "-subj", f"/CN={names[0]}", "-addext",
         "subjectAltName=IP:127.0.0.1,"
         + ",".join(f"DNS:{n}" for n in names)],
        check=True, capture_output=True)
    return (f'certificate "{names[0]}" {{ chain = "{chain}" '
            f'key = "{key}" }}\n')


def context(**kwargs):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    for name, value in kwargs.items():
        setattr(c, name, value)
    return c


def subject(tls):
    der = tls.getpeercert(binary_form=True)
    text = subprocess.run(
        [OPENSSL, "x509", "-inform", "der", "-noout", "-subject"], input=der,
        check=True, capture_output=True).stdout.decode()
    return text.rsplit("=", 1)[1].strip()


class Secured(Factory):
    """Daemons with certificates, each with an implicit listener as well."""

    chain = None  # of the last daemon's first certificate

    def __call__(self, names=("mx.example.org",), client="", limits="",
                 top="", extra=""):
        folder = self.folder()
        implicit, submissions = free_port(), free_port()
        self.chain = folder / f"{names[0].split()[0]}.pem"
        d = self.make(
            submission=True, limits=limits, top=top,
            listen=f'listen "127.0.0.1:{implicit}" {{ tls = implicit }}\n'
                   f'listen "127.0.0.1:{submissions}" {{ tls = implicit '
                   "role = submission }\n",
            extra=extra + client + "".join(
                certificate(folder, *n.split()) for n in names))
        d.implicit, d.submissions = implicit, submissions
        return d.start()


PASSWORDS = {"alice": "pässword of alice", "bob@example.org": "bob's",
             "mallory": "m"}


def password_line(user, password):
    r = subprocess.run([BINARY, "passwd", user], input=password + "\n",
                       capture_output=True, text=True, timeout=DEADLINE)
    assert r.returncode == 0, r.stderr
    return r.stdout


class Submission(Secured):
    def __call__(self, senders="", passwords=PASSWORDS, **kwargs):
        folder = self.folder()
        (folder / "passwords").write_text(
            "# who may log in\n" + "".join(
                password_line(*x) for x in passwords.items()))
        (folder / "senders").write_text(senders)
        d = super().__call__(
            names=("mx.example.org",),
            extra=f"""auth {{ password-file = "{folder}/passwords"
                {f'senders-file = "{folder}/senders"' if senders else ''} }}
                """, **kwargs)
        d.chain = self.chain
        return d
