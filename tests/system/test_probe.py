"""smtpd probe: each cause in a small internet of its own, by code, name,
sentence and remedy, as text and as JSON that the manual's schema allows."""

import contextlib
import json
import os
import pty
import re
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from daemon import AS_ROOT, BINARY, DEADLINE, TOP, sanitized
from probe_world import (RESOLVER, Authority, World, answers, closes, resets,
                         says, smtp)

jsonschema = pytest.importorskip("jsonschema")
pytestmark = pytest.mark.skipif(not AS_ROOT, reason="needs root: namespaces")

WAIT = 60  # DNS, connect and comparison one after the other, on a busy machine
ROWS = re.compile(r'X\((\d+), \w+, "([\w-]+)",((?:\s*"[^"\\]*(?:\\.[^"\\]*)*")'
                  r'+),((?:\s*"[^"\\]*(?:\\.[^"\\]*)*")+)\)')


def table():
    """{(code, name): (sentence, remedy)}, of the source."""
    def joined(text):
        return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)).replace(
            '\\"', '"')

    text = (TOP / "src/tools/probe_cause.h").read_text().replace("\\\n", "")
    return {(int(code), name): (joined(sentence), joined(remedy))
            for code, name, sentence, remedy in ROWS.findall(text)}


def schema():
    text = (TOP / "src/smtpd.8").read_text()
    block = re.search(r"^\.Bd -literal[^\n]*\n(\{.*?^\})\n\.Ed", text,
                      re.M | re.S)[1]
    s = json.loads(block.replace("\\e", "\\"))
    jsonschema.Draft7Validator.check_schema(s)
    return jsonschema.Draft7Validator(s)


# --- the cases: what is there, and what is to be found ---

CASES = {}


def case(code, name=None, exit=None, args=(), key=None, mail=None):
    """exit: what the status is, if a larger cause is found as well."""
    def add(build):
        id = key or build.__name__.strip("_").replace("_", "-")
        assert id not in CASES
        CASES[id] = (code, name, code if exit is None else exit, args, build)
        return build
    return add


class Town(World):
    """With what most cases need."""

    def __init__(self, path):
        super().__init__()
        a = self.authority = Authority(path)
        a.sign("good", "root", "DNS:*.mail.test,DNS:mx.example.org,"
               "DNS:localhost,IP:127.0.0.1")
        self.tls = a.context("good")

    def mx(self, domain, host, preference=10):
        self.names.add(domain, "MX", (preference, host))

    def good(self, host, address=None, **kwargs):
        a = address or self.address()
        self.host(host, a)
        self.serve(a, smtp(host, self.tls, **kwargs))
        return a

    def one(self, domain, what):
        """One MX host, which does this with whoever comes."""
        host = f"{domain.split('.')[0]}.mail.test"
        self.mx(domain, host)
        a = self.host(host, self.address())
        if what:
            self.serve(a, what)
        return host, a

    def signed(self, domain, name, *chain, **kwargs):
        """One that serves a certificate of its own."""
        host = f"{domain.split('.')[0]}.mail.test"
        by = kwargs.pop("by", "root")
        context = {k: kwargs.pop(k) for k in ("ciphers", "highest")
                   if k in kwargs}
        if by:
            self.authority.sign(name, by, kwargs.pop("san", f"DNS:{host}"),
                                **kwargs)
        self.one(domain, smtp(host, self.authority.context(
            name, *chain, **context)))


@case(0)
def good(w, d):
    w.mx(d, "good.mail.test")
    w.good("good.mail.test")
    w.names.add(f"_mta-sts.{d}", "TXT", "v=STSv1; id=20260101;")
    w.names.add(f"_smtp._tls.{d}", "TXT", "v=TLSRPTv1; rua=mailto:x@y.test")


@case(0)
def several_lines(w, d):
    w.one(d, smtp("x", w.tls, greeting="220-several-lines.mail.test hello\r\n"
                  "220 and welcome\r\n"))


@case(0)
def bare_lf(w, d):
    w.one(d, smtp("x", w.tls, greeting="220 bare-lf.mail.test\n"))


@case(0)
def long_line(w, d):
    w.one(d, smtp("x", w.tls, greeting="220 long-line.mail.test "
                  + "x" * 600 + "\r\n"))


@case(10, "implicit-mx")
def implicit_mx(w, d):
    w.good("implicit.mail.test")
    return "implicit.mail.test"


@case(11, "mx-is-cname")
def mx_is_cname(w, d):
    w.mx(d, "alias.mail.test")
    w.names.add("alias.mail.test", "CNAME", "real.mail.test")
    a = w.good("real.mail.test")
    w.serve(a, smtp("alias.mail.test", w.tls), port=26)
    w.mx(d, "real.mail.test", 20)


@case(13, "ptr", args=["-v"])
def ptr(w, d):
    w.mx(d, "ptr.mail.test")
    a = w.good("ptr.mail.test")
    w.names.add(reverse(a), "PTR", "elsewhere.mail.test")


@case(0, args=["-v"])
def ptr_that_leads_back(w, d):
    w.mx(d, "back.mail.test")
    a = w.good("back.mail.test")
    w.names.add(reverse(a), "PTR", "back.mail.test")


@case(14, "mx-without-address")
def mx_lacks_address(w, d):
    w.mx(d, "lacks.mail.test")
    w.mx(d, f"mx.{d}.{d}", 20)
    w.good("lacks.mail.test")


@case(14, "mx-without-address")
def address_among_names(w, d):
    w.mx(d, "192.0.2.1")
    w.mx(d, "among.mail.test", 20)
    w.good("among.mail.test")


@case(15, "private-address")
def private_address(w, d):
    w.own("10.1.2.3")
    w.mx(d, "private.mail.test")
    w.good("private.mail.test", "10.1.2.3")
    w.good("private.mail.test")


@case(16, "slow")
def slow(w, d):
    host, _ = w.one(d, None)
    w.serve(_, smtp(host, w.tls, delay=5.3))


@case(17, "other-name")
def other_name(w, d):
    w.one(d, smtp("stranger.test", w.tls))


@case(0)
def name_of_another_mx(w, d):
    w.mx(d, "second.mail.test", 20)
    w.mx(d, "first.mail.test")
    w.good("first.mail.test", greeting="220 second.mail.test ESMTP\r\n")
    w.good("second.mail.test")


@case(0)
def name_of_the_ptr(w, d):
    host, a = w.one(d, smtp("pool-7.isp.test", w.tls))
    w.names.add(reverse(a), "PTR", "pool-7.isp.test")


@case(18, "no-ehlo")
def no_ehlo(w, d):
    w.one(d, smtp("no-ehlo.mail.test", ehlo="500 what?\r\n"))


@case(19, "no-starttls")
def no_starttls(w, d):
    w.one(d, smtp("no-starttls.mail.test"))


@case(20, "cert-untrusted")
def cert_untrusted(w, d):
    w.authority.request("stranger", "-x509", "-days", "90")
    w.signed(d, "of-a-stranger", "stranger", by="stranger")


@case(20, "cert-untrusted")
def intermediate_missing(w, d):
    w.signed(d, "lonely", by="below")


@case(0)
def intermediate_there(w, d):
    w.signed(d, "whole", "below", by="below")


@case(21, "cert-self-signed")
def cert_self_signed(w, d):
    w.authority.request("myself", "-x509", "-days", "90", "-addext",
                        "subjectAltName=DNS:cert-self-signed.mail.test")
    w.signed(d, "myself", by=None)


@case(22, "cert-expired")
def cert_expired(w, d):
    w.signed(d, "expired", end="20210101000000Z")


@case(22, "cert-not-yet")
def cert_not_yet(w, d):
    w.signed(d, "not-yet", begin="20800101000000Z")


@case(23, "cert-wrong-name")
def cert_wrong_name(w, d):
    w.signed(d, "wrong-name", san="DNS:elsewhere.test")


@case(24, "weak-tls")
def weak_tls(w, d):
    w.signed(d, "weak", kind=("rsa:1024",), ciphers="DEFAULT@SECLEVEL=0")


@case(25, "starttls-broken")
def starttls_broken(w, d):
    w.one(d, smtp("starttls-broken.mail.test", w.tls,
                  starttls="454 not now\r\n"))


@case(25, "starttls-broken")
def starttls_fails(w, d):
    class Nonsense:
        def wrap_socket(self, c, server_side):
            c.recv(4096)
            c.sendall(b"what is this?\r\n")
            return c

    w.one(d, smtp("starttls-fails.mail.test", Nonsense()))


@case(25, "starttls-broken")
def starttls_old(w, d):
    w.signed(d, "old", ciphers="DEFAULT@SECLEVEL=0",
             highest=ssl.TLSVersion.TLSv1)


@case(26, "ipv6-dead")
def ipv6_dead(w, d):
    w.mx(d, "half6.mail.test")
    w.good("half6.mail.test")
    w.host("half6.mail.test", w.address(6))


@case(26, "ipv4-dead")
def ipv4_dead(w, d):
    w.mx(d, "half4.mail.test")
    w.good("half4.mail.test", w.address(6))
    w.host("half4.mail.test", w.address())


@case(0)
def ipv6_without_route(w, d):
    """A family that this machine has no way to is no fault of theirs."""
    w.mx(d, "noroute6.mail.test")
    w.good("noroute6.mail.test")
    w.host("noroute6.mail.test", "2001:db8:ffff::1")


@case(27, "mx-dead")
def mx_dead(w, d):
    w.mx(d, "alive.mail.test")
    w.good("alive.mail.test")
    w.mx(d, "dead.mail.test", 20)
    w.host("dead.mail.test", w.address())


@case(27, "mx-dead")
def address_dead(w, d):
    w.mx(d, "one-of-two.mail.test")
    w.good("one-of-two.mail.test")
    w.host("one-of-two.mail.test", w.address())


@case(27, "mx-dead")
def one_that_dns_hides(w, d):
    w.mx(d, "hidden.mail.test")
    w.names.wrong["hidden.mail.test"] = 2
    w.mx(d, "not-hidden.mail.test", 20)
    w.good("not-hidden.mail.test")


@case(27, "mx-dead")
def half_of_a_family(w, d):
    """Not 26: the other half greets."""
    w.mx(d, "half.mail.test")
    w.good("half.mail.test")
    w.good("half.mail.test", w.address(6))
    w.host("half.mail.test", w.address(6))


@case(29, "tlsa-mismatch")
def tlsa_mismatch(w, d):
    host, _ = w.one(d, None)
    w.serve(_, smtp(host, w.tls))
    tlsa(w, host, "00" * 32)


@case(29, "tlsa-mismatch")
def tlsa_without_starttls(w, d):
    host, _ = w.one(d, None)
    w.serve(_, smtp(host))
    tlsa(w, host, w.spki)


@case(0)
def tlsa_that_matches(w, d):
    host, _ = w.one(d, None)
    w.serve(_, smtp(host, w.tls))
    tlsa(w, host, w.spki)


@case(0)
def tlsa_unsigned(w, d):
    """What no signature covers binds nobody."""
    host, _ = w.one(d, None)
    w.serve(_, smtp(host, w.tls))
    w.names.add(f"_25._tcp.{host}", "TLSA", (3, 1, 1, "00" * 32))


def tlsa(w, host, digest):
    w.names.add(f"_25._tcp.{host}", "TLSA", (3, 1, 1, digest))
    w.names.authentic.add(f"_25._tcp.{host}")


def reverse(address):
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


@case(30, "no-domain")
def no_domain(w, d):
    pass


@case(30, "no-domain")
def no_host(w, d):
    return "nowhere.mail.test:587"


@case(31, "dns-failed")
def dns_of_one_server(w, d):
    w.names.wrong["lost.mail.test"] = 2
    return "lost.mail.test:587"


@case(31, "dns-failed")
def dns_silent(w, d):
    w.names.wrong[d] = "silent"


@case(31, "dns-failed")
def dns_lost(w, d):
    """No answer, and one when signatures are not checked: chance."""
    w.mx(d, "good.mail.test")
    w.names.wrong[d] = "lost"


@case(31, "dns-failed")
def dns_refused(w, d):
    w.names.wrong[d] = 5


@case(31, "dns-failed")
def dns_servfail(w, d):
    w.names.wrong[d] = 2


@case(31, "dns-failed")
def dns_of_the_host(w, d):
    w.mx(d, "unknown.mail.test")
    w.names.wrong["unknown.mail.test"] = 2


@case(32, "dnssec-bogus")
def dnssec_bogus(w, d):
    w.mx(d, "bogus.mail.test")
    w.names.wrong[d] = "bogus"


@case(33, "null-mx")
def null_mx(w, d):
    w.mx(d, ".", 0)


@case(34, "no-address")
def no_address(w, d):
    w.names.add(d, "TXT", "nothing else")


@case(34, "no-address")
def no_address_of_one_server(w, d):
    w.names.add("bare.mail.test", "TXT", "nothing else")
    return "bare.mail.test:587"


@case(35, "mx-is-address")
def mx_is_address(w, d):
    w.mx(d, "192.0.2.1")


@case(36, "mx-without-address")
def mx_without_address(w, d):
    w.mx(d, f"mx.{d}.{d}")


@case(37, "private-only")
def private_only(w, d):
    w.own("192.168.7.7")
    w.mx(d, "only.mail.test")
    w.good("only.mail.test", "192.168.7.7")


@case(38, "no-route")
def no_route(w, d):
    w.mx(d, "far.mail.test")
    w.host("far.mail.test", "198.51.100.9", "2001:db8:ffff::2")


@case(39, "local-firewall")
def local_firewall(w, d):
    host, a = blocked(w, d)
    w.batch.append(f"route add prohibit {a}")


@case(39, "local-firewall")
def blackhole(w, d):
    host, a = blocked(w, d)
    w.batch.append(f"route add blackhole {a}")


@case(40, "refused")
def refused(w, d):
    w.one(d, None)


@case(40, "refused")
def refused_everywhere(w, d):
    w.mx(d, "everywhere.mail.test")
    w.host("everywhere.mail.test", *(w.address(f) for f in [4, 6] * 6))


@case(40, "refused", args=["--compare", "good.test"])
def refused_in_private(w, d):
    w.own("10.1.2.4")
    w.mx(d, "in-private.mail.test")
    w.host("in-private.mail.test", "10.1.2.4")


@case(40, "refused")
def rejected(w, d):
    host, a = w.one(d, smtp("x"))
    w.rule(a, "reject with tcp reset")


@case(41, "unreachable")
def unreachable(w, d):
    host, a = blocked(w, d)
    w.batch.append(f"route add unreachable {a}")


@case(41, "unreachable")
def admin_prohibited(w, d):
    host, a = w.one(d, None)
    w.rule(a, "reject with icmp type admin-prohibited")


def blocked(w, d):
    """A host outside of this machine."""
    host = f"{d.split('.')[0]}.mail.test"
    w.mx(d, host)
    return host, w.host(host, w.address(outside=True))


@case(42, "filtered", args=["--compare", "good.test"])
def filtered(w, d):
    host, a = blocked(w, d)
    w.rule(a, "drop", "")


@case(42, "filtered")
def filtered_unknown(w, d):
    host, a = blocked(w, d)
    w.rule(a, "drop", "")


@case(42, "filtered", args=["--compare", "denied.test"])
def filtered_still_unknown(w, d):
    host, a = blocked(w, d)
    w.rule(a, "drop", "")


@case(42, "filtered", args=["--compare", "good.test"])
def filtered_but_alive(w, d):
    host, a = w.one(d, None)
    w.serve(a, says(b""), 587)
    w.rule(a, "drop")


@case(43, "blocked-here", args=["--compare", "filtered.test"])
def blocked_here(w, d):
    host, a = blocked(w, d)
    w.rule(a, "drop", "")


@case(43, "blocked-here", args=["--compare", "refused.test"])
def refused_here(w, d):
    w.one(d, None)


@case(44, "reset")
def reset(w, d):
    w.one(d, resets)


@case(45, "closed")
def closed(w, d):
    w.one(d, closes)


@case(46, "silent", args=["--wait", "1s"])
def silent(w, d):
    w.one(d, says(b""))


for key, octets in {
        "http": b"HTTP/1.0 400 Bad Request\r\n\r\n", "html": b"<html>\r\n",
        "ssh": b"SSH-2.0-OpenSSH_9.2\r\n", "tls": b"\x15\x03\x01\x00\x02\x02F",
        "pop3": b"+OK ready\r\n", "imap": b"* OK ready\r\n"}.items():
    case(47, "not-smtp", key=f"not-smtp-{key}")(
        lambda w, d, octets=octets: w.one(d, says(octets, False)) and None)


@case(47, "not-smtp", args=["--wait", "5s"])
def not_smtp_when_asked(w, d):
    w.one(d, answers(b"HTTP/1.0 400 Bad Request\r\n\r\n"))


@case(48, "greeting-broken")
def greeting_broken(w, d):
    w.one(d, says(b"welcome to this server\r\n"))


@case(48, "greeting-broken")
def greeting_changes(w, d):
    w.one(d, says(b"220-one\r\n250 two\r\n"))


@case(48, "greeting-broken")
def greeting_endless(w, d):
    w.one(d, says(b"220-one more\r\n" * 200))


@case(49, "busy")
def busy(w, d):
    w.one(d, smtp("x", greeting="421 4.3.2 too many\r\n"))


@case(49, "busy")
def busy_at_ehlo(w, d):
    w.one(d, smtp("busy-at-ehlo.mail.test", ehlo="421 4.3.2 too many\r\n"))


@case(50, "denied")
def denied(w, d):
    w.one(d, smtp("x", greeting="554 5.7.1 you are listed\r\n"))


@case(51, "odd-code")
def odd_code(w, d):
    w.one(d, smtp("x", greeting="250 hello\r\n"))


@case(52, "ehlo-closed")
def ehlo_closed(w, d):
    w.one(d, smtp("ehlo-closed.mail.test", ehlo=None))


@case(53, "ehlo-refused")
def ehlo_refused(w, d):
    w.one(d, smtp("ehlo-refused.mail.test", ehlo="550 no\r\n",
                  helo="550 no\r\n"))


@case(54, "tls-failed")
def tls_failed(w, d):
    w.serve(w.host("plain.mail.test", w.address()), says(b"220 hello\r\n"),
            465)
    return "plain.mail.test:465"


# --- other targets ---


@case(0)
def implicit_tls(w, d):
    w.serve(w.host("implicit-tls.mail.test", w.address()),
            smtp("implicit-tls.mail.test", w.tls, implicit=True), 465)
    return "implicit-tls.mail.test:465"


@case(0, args=["--tls"])
def tls_elsewhere(w, d):
    w.serve(w.host("tls-elsewhere.mail.test", w.address()),
            smtp("tls-elsewhere.mail.test", w.tls, implicit=True), 4650)
    return "tls-elsewhere.mail.test:4650"


@case(0)
def submission(w, d):
    w.serve(w.host("submission.mail.test", w.address()),
            smtp("submission.mail.test", w.tls, ehlo="250-x\r\n250-STARTTLS"
                 "\r\n250 AUTH PLAIN LOGIN\r\n"), 587)
    return "submission.mail.test:587"


@case(0)
def user_at_domain(w, d):
    return "someone@good.test"


@case(0)
def address_alone(w, d):
    return w.good("address-alone.mail.test")


@case(0)
def address6_alone(w, d):
    return w.good("address6-alone.mail.test", w.address(6))


@case(0)
def address6_with_port(w, d):
    a = w.address(6)
    w.serve(a, smtp("x", w.tls), 2525)
    return f"[{a}]:2525"


@case(0)
def idn(w, d):
    w.mx("xn--bcher-kva.test", "good.mail.test")
    return "Bücher.test"


HOSTILE = b"220 \x1b[2J\x07\"\\\x00\xff\xe2\x80\xae\xc2\x9b hostile\r\n"


@case(17, "other-name")
def hostile(w, d):
    w.one(d, smtp("hostile.mail.test", w.tls, greeting=HOSTILE,
                  ehlo="250-\x1b]0;x\x07\r\n250-STARTTLS\r\n250 \x1b[31m\r\n"))


HOSTS, ADDRESSES = 12, 9


@case(42, "filtered")
def crowd(w, d):
    """More MX hosts and addresses than are tried; all of them silent."""
    for i in range(HOSTS):
        w.mx(d, f"mx{i}.crowd.mail.test", i)
        for j in range(ADDRESSES):
            w.host(f"mx{i}.crowd.mail.test", f"203.0.113.{100 + i * 10 + j}")
    w.rule("203.0.113.100-203.0.113.255", "drop")


# --- own mode ---

OWN = """hostname = {hostname}
spool = "{path}/spool"
{listen}
domain "{domain}" {{
	users = {{ alice }} aliases = {{ "postmaster: alice", "abuse: alice" }}
}}
{more}
"""


def own(w, listen, domain="own.test", hostname="mx.example.org", more=""):
    path = w.authority.path / f"conf{len(list(w.authority.path.iterdir()))}"
    path.write_text(OWN.format(
        path=w.authority.path, domain=domain, hostname=hostname, more=more,
        listen="\n".join(f'listen "{x}" {{ }}' for x in listen)))
    return ["-f", str(path)]


def own_servers(w):
    w.own("192.0.2.250")
    w.own("192.0.2.251")
    w.serve("192.0.2.250", smtp("mx.example.org", w.tls))
    w.host("mx.example.org", "192.0.2.250")
    w.names.add(reverse("192.0.2.250"), "PTR", "mx.example.org")
    w.mx("own.test", "mx.example.org")


@case(0)
def own_good(w, d):
    own_servers(w)
    return own(w, ["192.0.2.250:25"])


@case(0)
def own_any(w, d):
    """What listens everywhere is asked on loopback, by both families."""
    for address in "127.0.0.1", "::1":
        w.serve(address, smtp("mx.example.org", w.tls), 2600)
    return own(w, ["*:2600"])


@case(0)
def own_metrics(w, d):
    """Where no mail comes, none is looked for."""
    return own(w, ["192.0.2.250:25"], more="".join(
        f'listen "127.0.0.1:{port}" {{ role = metrics }}\n'
        for port in (9100, 9101)))


@case(12, "mx-elsewhere")
def mx_elsewhere(w, d):
    return own(w, ["192.0.2.250:25"], "several-lines.test")


@case(10, "implicit-mx")
def own_implicit(w, d):
    return own(w, ["192.0.2.250:25"], "mx.example.org")


@case(14, "mx-without-address")
def own_without_address(w, d):
    w.serve("192.0.2.250", smtp("nameless.mail.test", w.tls), 2501)
    w.mx("own-nameless.test", "nameless.mail.test")
    return own(w, ["192.0.2.250:2501"], "own-nameless.test",
               "nameless.mail.test")


@case(31, "dns-failed")
def own_dns_failed(w, d):
    w.serve("192.0.2.250", smtp("failed.mail.test", w.tls), 2502)
    w.names.wrong["failed.mail.test"] = 2
    w.mx("own-failed.test", "failed.mail.test")
    return own(w, ["192.0.2.250:2502"], "own-failed.test", "failed.mail.test")


@case(0)
def own_without_route(w, d):
    """As with a machine that has no IPv6 and listens everywhere."""
    return own(w, ["192.0.2.250:25", "198.51.100.77:25"])


@case(12, "mx-elsewhere")
def own_many(w, d):
    """More domains than are asked about at a time."""
    for i in range(99):
        w.mx(f"many{i}.test", f"mx{i}.many.test")
    return own(w, ["192.0.2.250:25"], "several-lines.test", more="".join(
        f'domain "many{i}.test" {{ catch-all = "alice@several-lines.test" }}\n'
        for i in range(99)))


@case(13, "ptr")
def own_ptr(w, d):
    w.host("nobody.mail.test", "192.0.2.251")
    w.serve("192.0.2.251", smtp("nobody.mail.test", w.tls), 2525)
    w.mx("own-ptr.test", "nobody.mail.test")
    return own(w, ["192.0.2.251:2525"], "own-ptr.test", "nobody.mail.test")


@case(28, "sts-mismatch")
def sts_mismatch(w, d):
    w.mx("own-sts.test", "mx.example.org")
    w.names.add("_mta-sts.own-sts.test", "TXT", "v=STSv1; id=1;")
    return own(w, ["192.0.2.250:25"], "own-sts.test")


@case(0)
def sts_that_is_ours(w, d):
    """The id that our own records have, in whichever mode."""
    w.mx("own-sts-good.test", "mx.example.org")
    good = w.authority.path / "good"
    options = own(w, ["192.0.2.250:25"], "own-sts-good.test", more=(
        f'certificate "mx.example.org" {{ chain = "{good}.pem" '
        f'key = "{good}.key" }}'))
    ids = re.findall(r"\bid=(\w+)", subprocess.run(
        [BINARY, "dns", *options], check=True, capture_output=True,
        text=True).stdout)
    w.names.add("_mta-sts.own-sts-good.test", "TXT", f"v=STSv1; id={ids[-1]};")
    return options


@case(40, "refused")
def own_not_running(w, d):
    return own(w, ["192.0.2.250:26"])


# --- the runs ---


@pytest.fixture(scope="module")
def town(base):
    folder = base / "authority"
    folder.mkdir()
    w = Town(folder)
    w.spki = subprocess.run(
        "openssl x509 -in good.pem -pubkey -noout | "
        "openssl pkey -pubin -outform der | sha256sum | cut -c-64",
        shell=True, cwd=w.authority.path, check=True, text=True,
        capture_output=True).stdout.strip()
    w.targets = {}
    for key, (*_, build) in CASES.items():
        target = build(w, f"{key}.test") or f"{key}.test"
        w.targets[key] = target if isinstance(target, list) else [target]
    w.begin()
    yield w
    w.end()


def probe(w, *arguments, binary=(BINARY,), **kwargs):
    kwargs = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kwargs}
    return subprocess.run(
        w.command(*binary, "probe", "--resolver", RESOLVER, *arguments),
        stdin=subprocess.DEVNULL, timeout=WAIT,
        env={**os.environ, "SSL_CERT_FILE": str(w.authority.path / "root.pem"),
             "SSL_CERT_DIR": "/nowhere"}, **kwargs)


# How much memory it took, in KiB. Not asked by the tests' own process, which
# was larger before it became the probe.
LARGEST = """import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)"""


def memory(w):
    done = probe(w, "--compare", "none", "crowd.test",
                 binary=["python3", "-c", LARGEST, BINARY])
    return int(done.stderr)


def terminal(w):
    """What one shows on its standard error."""
    master, slave = pty.openpty()
    done = probe(w, "--compare", "filtered.test", "blocked-here.test",
                 stderr=slave)
    os.close(slave)
    said = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(master, 65536):
            said += chunk
    os.close(master)
    assert done.returncode == 43
    return said


def few_sockets(w):
    return probe(w, "--compare", "none", "crowd.test",
                 binary=["prlimit", "--nofile=40", BINARY])


# These wait, too.
BESIDE = {"test_few_sockets": few_sockets,
          "test_many_silent_addresses": memory,
          "test_progress": terminal}


class Runs(dict):
    """What comes of each case, as text and as JSON."""

    def __init__(self, town, pool):
        super().__init__()
        self.town, self.pool, self.beside = town, pool, {}

    def __missing__(self, key):
        *_, args, _ = CASES[key]
        target = self.town.targets[key]
        common = [] if target[0] == "-f" else ["--compare", "none"]
        options = [*common, *args, *target]
        self[key] = [self.pool.submit(probe, self.town, *how, *options)
                     for how in ([], ["--json"])]
        return self[key]


@pytest.fixture(scope="module")
def runs(town, request):
    """Most of them wait, so those that are wanted wait at the same time."""
    with ThreadPoolExecutor(48) as pool:
        r = Runs(town, pool)
        for item in request.session.items:
            if item.module is request.module and hasattr(item, "callspec"):
                key = item.callspec.params.get("key")
                key and r[key]
            if item.originalname in BESIDE:
                r.beside[item.originalname] = pool.submit(
                    BESIDE[item.originalname], town)
        yield r


@pytest.fixture(scope="module")
def valid():
    return schema()


@pytest.mark.parametrize("key", CASES)
def test_cause(runs, valid, key):
    code, name, status, *_ = CASES[key]
    text, structure = (run.result() for run in runs[key])
    shown = text.stdout.decode()
    assert (text.stderr, structure.stderr) == (b"", b""), shown
    assert text.returncode == structure.returncode == status, shown
    assert not re.search(r"[^\n -~]", shown.replace("\u00fc", "")), shown
    assert structure.stdout.isascii()
    found = json.loads(structure.stdout)
    valid.validate(found)
    assert found["exit"] == status
    assert found["mail"] == ("yes" if status < 30 else "no")
    assert shown.endswith(f" come. (exit {status})\n")
    codes = {(f["code"], f["name"]) for f in found["findings"]}
    assert max((c for c, _ in codes), default=0) == status
    if not code:
        assert codes == set() and found["cause"] == "good"
        return
    assert (code, name) in codes, shown
    sentence, remedy = table()[code, name]
    line = re.search(rf"^(?:warning|error) {code} {name}: .*$", shown, re.M)[0]
    assert f" {sentence}" in line and line.endswith(f" {remedy}")


def test_every_cause_has_a_case():
    assert table().keys() == {c[:2] for c in CASES.values() if c[0]}


def test_manual_has_every_cause():
    manual = (TOP / "src/smtpd.8").read_text()
    said = re.findall(r"^\.It (\d+) Ic ([\w-]+)$", manual, re.M)
    assert [(int(c), n) for c, n in said] == list(table())


def shown(runs, key):
    return runs[key][0].result().stdout.decode()


def parsed(runs, key):
    return json.loads(runs[key][1].result().stdout)


@pytest.mark.parametrize("key, text", [
    ("good", "good.test: MX 10 good.mail.test"),
    ("good", "policy at https://mta-sts.good.test/.well-known/mta-sts.txt"),
    ("several-lines", '"several-lines.mail.test hello" in 2 lines'),
    ("bare-lf", ", a bare LF"), ("long-line", ", a line of 626 octets"),
    ("submission", ": AUTH=PLAIN,LOGIN"),
    ("good", ": TLSv1.3, certificate *.mail.test until 2090-01-01, trusted"),
    ("mx-is-cname", "an alias (CNAME): real.mail.test."),
    ("mx-lacks-address", "the record lacks its final dot"),
    ("mx-without-address", "the record lacks its final dot"),
    ("address-dead", "mx-dead: one-of-two.mail.test [192.0.2."),
    ("mx-dead", "mx-dead: dead.mail.test takes"),
    ("other-name", 'another name: "stranger.test".'),
    ("intermediate-missing", "intermediate"),
    ("cert-wrong-name", "elsewhere.test"),
    ("weak-tls", "1024"),
    ("starttls-old", "TLSv1"),
    ("tlsa-that-matches", f"(validated, says the resolver {RESOLVER})"),
    ("dns-refused", f"the resolver {RESOLVER} says REFUSED"),
    ("filtered", "another server greets from here: it is their side"),
    ("filtered-unknown", "--compare would"),
    ("filtered-still-unknown", "the comparison failed"),
    ("filtered-but-alive", "587 or 465 answers, so the host lives"),
    ("refused-everywhere", "error 40 refused: everywhere.mail.test refuses"),
    ("name-of-another-mx", "MX 10 first.mail.test, 20 second.mail.test"),
    ("blocked-here", "that of filtered.test is just as dead"),
    ("busy", "421 in "),
    ("denied", '"5.7.1 you are listed"'),
    ("own-good", "On another machine:\n    smtpd probe own.test\n"),
    ("own-good", "192.0.2.250, an address of this machine, PTR "),
    ("own-any", "*:2600 [127.0.0.1]:2600"), ("own-any", "*:2600 [::1]:2600"),
    ("own-not-running", "does not run"),
    ("hostile", r'"\x1b[2J\x07\"\\\x00\xff'),
])
def test_text(runs, key, text):
    assert text in shown(runs, key), shown(runs, key)


def test_json_of_what_is_good(runs):
    """Each member that a good answer has."""
    found = parsed(runs, "good")
    assert found["resolver"] == f"{RESOLVER}"
    assert found["sts"]["id"] == "20260101"
    assert found["tlsrpt"].endswith("x@y.test")
    host, = found["mx"]
    assert (host["preference"], host["host"]) == (10, "good.mail.test")
    a, = host["addresses"]
    assert [s["name"] for s in a["steps"]] == [
        "connect", "greeting", "ehlo", "starttls", "handshake", "ehlo-in-tls",
        "quit"]
    assert a["greeting"] == "good.mail.test ESMTP ready"
    assert a["extensions"] == ["PIPELINING", "SIZE 1000"]
    assert a["tls"]["verify"] == "ok"
    assert a["tls"]["not_after"] == "2090-01-01T00:00:00Z"
    assert "*.mail.test" in a["tls"]["names"]


def test_json_of_what_is_hostile(runs):
    greeting = parsed(runs, "hostile")["mx"][0]["addresses"][0]["greeting"]
    assert greeting == "\x1b[2J\x07\"\\\x00\ufffd\u202e\u009b hostile"


def test_both_families_are_tried(runs):
    host, = parsed(runs, "refused-everywhere")["mx"]
    assert [a["address"].count(":") > 0 for a in host["addresses"]] == (
        [False] * 4 + [True] * 4)
    assert shown(runs, "refused-everywhere").count("error 40") == 1


def test_nobody_else_is_asked_about_private_addresses(runs):
    assert "compare" not in parsed(runs, "refused-in-private")
    assert parsed(runs, "filtered")["compare"] == {
        "domain": "good.test", "result": "greets"}


def test_who_is_asked_to_compare(town):
    """A place that nearly everybody reaches, if nobody else is named."""
    done = probe(town, "--json", "refused.test")
    assert json.loads(done.stdout)["compare"]["domain"] == "gmail.com"


def test_own_mode_has_blocks_and_domains(runs):
    found = parsed(runs, "sts-mismatch")
    assert found["target"] is None
    assert [h["host"] for h in found["mx"]] == ["192.0.2.250:25"]
    d, = found["domains"]
    assert d["name"] == "own-sts.test" and d["sts"]["id"] == "1"
    assert [f["code"] for f in d["findings"]] == [28]
    host, = parsed(runs, "own-metrics")["mx"]
    assert host["host"] == "192.0.2.250:25"
    found = parsed(runs, "own-many")
    assert [d["mx"][0]["host"] for d in found["domains"][1:]] == [
        f"mx{i}.many.test" for i in range(99)]
    assert [f["code"] for f in found["findings"]] == [12] * 100


def test_json_of_one_server(runs):
    host, = parsed(runs, "submission")["mx"]
    assert "preference" not in host
    assert host["host"] == "submission.mail.test"
    assert [a["port"] for a in host["addresses"]] == [587]


# --- ways to ask it ---


@pytest.mark.parametrize("arguments", [
    ["--wait", "0", "x.test"], ["--wait", "6m", "x.test"],
    ["--wait", "long", "x.test"], ["a.test", "b.test"], ["a..test"],
    ["x.test:0"], ["x.test:65536"], ["[192.0.2.1"], ["[192.0.2.1]25"],
    ["[x.test]:25"], ["--frobnicate", "x.test"], ["x y"], ["\x1b[2J"],
    ["-f", "/nowhere", "x.test"], ["--compare", "x.test"], ["--tls"],
    ["--compare", "a..b", "x.test"], ["--resolver", "nowhere", "x.test"],
], ids=" ".join)
def test_usage(arguments):
    done = subprocess.run([BINARY, "probe", *arguments], capture_output=True,
                          text=True, timeout=DEADLINE)
    assert done.returncode == 64
    assert "usage: smtpd probe" in done.stderr and done.stdout == ""
    assert "\x1b" not in done.stderr


def test_wrong_configuration(tmp_path):
    """78, with file and line."""
    conf = tmp_path / "smtpd.conf"
    conf.write_text("hostname = mx.example.org\nworkers = -1\n")
    for path, text in (conf, f"{conf}:2: error: "), ("/nowhere", "/nowhere"):
        done = subprocess.run([BINARY, "probe", "-f", path], text=True,
                              capture_output=True, timeout=DEADLINE)
        assert done.returncode == 78
        assert text in done.stderr and done.stdout == ""


def test_builtin(town, base):
    """What make run starts: mail comes, and own mode sees who holds the
    lock."""
    folder = run_folder(base)
    p = subprocess.Popen(town.command(BINARY, "-d", "-f", "builtin"),
                         cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        assert any(" info ready " in line for line in p.stderr)
        done = probe(town, "127.0.0.1:2525")
        assert done.returncode == 19, done
        assert done.stdout.endswith(
            b"Mail for 127.0.0.1 can come. (exit 19)\n")
        etc = folder / "etc"  # a bare machine has no /etc/hosts
        etc.mkdir()
        (etc / "hosts").write_text("127.0.0.1 here.test\n")
        named = subprocess.run(town.command(
            "unshare", "-m", "sh", "-c", 'mount --make-rprivate / && '
            'cp /etc/passwd "$0" && mount --bind "$0" /etc && exec "$@"',
            etc, BINARY,
            "probe", "here.test:2525"), capture_output=True, timeout=WAIT)
        assert named.returncode == 19, named
        own = probe(town, "-f", "builtin", cwd=folder)
        assert f"smtpd runs as process {p.pid}\n".encode() in own.stdout
    finally:
        p.terminate()
        p.communicate(timeout=DEADLINE)


def run_folder(base):
    path = base / "probe"
    (path / "run").mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)
    os.chown(path / "run", 65534, 65534)
    return path


# --- what must not happen ---


@pytest.mark.parametrize("how", ["full", "closed", "gone"])
def test_output_fails(town, how):
    """70 and a word about it, and no signal."""
    if how == "closed":
        command = town.command("sh", "-c", 'exec "$0" "$@" >&-', BINARY)
        done = subprocess.run([*command, "probe", "--resolver", RESOLVER,
                               "good.test"], timeout=WAIT, text=True,
                              stderr=subprocess.PIPE)
        assert done.returncode == 70 and "standard output" in done.stderr
        return
    reads, writes = os.pipe()
    os.close(reads)
    with open("/dev/full", "wb") if how == "full" else open(writes, "wb") as f:
        done = probe(town, "good.test", stdout=f)
    if how == "full":
        os.close(writes)
    assert done.returncode == 70
    assert b"cannot write the answer" in done.stderr


def test_progress(runs):
    """On a terminal a line says what is under way, and who else is asked; in
    the end it is gone."""
    said = runs.beside["test_progress"].result()
    assert said.startswith(b"\rblocked-here.test: ") and b" s\x1b[K" in said
    assert b"\rblocked-here.test and filtered.test: " in said
    assert max(map(len, said.replace(b"\x1b[K", b"").split(b"\r"))) < 80
    assert said.endswith(b"\r\x1b[K") and b"\n" not in said


def test_few_sockets(runs):
    """Who could not even try says so, and blames nobody."""
    done = runs.beside["test_few_sockets"].result()
    assert done.returncode == 70, done
    assert b"Too many open files" in done.stderr and done.stdout == b""
    done = subprocess.run(["prlimit", "--nofile=5", BINARY, "probe", "x.test"],
                          capture_output=True, timeout=WAIT)
    assert done.returncode == 70, done
    assert b"Too many open files" in done.stderr and done.stdout == b""


def test_nobody(town, tmp_path):
    """Root's rights are gone before the first socket is made."""
    log = tmp_path / "log"
    town_command = town.command(
        "strace", "-f", "-o", log, "-e", "trace=setuid,socket,connect",
        BINARY, "probe", "--resolver", RESOLVER, "good.test")
    subprocess.run(town_command, timeout=WAIT, capture_output=True)
    calls = [line for line in log.read_text().splitlines()
             if "setuid(" in line or "AF_INET" in line]
    assert re.search(r"setuid\(65534\) += 0", calls[0]), calls[:5]
    assert any("AF_INET" in c for c in calls)


@pytest.mark.parametrize("key", ["crowd"])
def test_many_silent_addresses(runs, key):
    """Ten hosts of eight addresses each: an answer, and little memory."""
    found = parsed(runs, key)
    assert [len(h["addresses"]) for h in found["mx"]] == [8] * 10
    assert "the last 2 are not tried" in shown(runs, key)
    most = runs.beside["test_many_silent_addresses"].result()
    assert sanitized() or 4096 < most < 32 * 1024, most
