"""Lists of clients: those of a real server of names, and those that are not
what they were. In a network namespace, where all addresses are this machine's
and port 53 is ours."""

import collections
import contextlib
import json
import os
import re
import signal
import subprocess

import pytest

import names
import netns
import nsd
import puppet
from daemon import BINARY, free_port, scrape, wait_for
from test_readme import block

HOUR = 3600
DNS = 'dns { servers = { "127.0.0.1" } }\n'
CODES = '{ codes = { "127.0.0.2-9: 5" } }\n'
BL = f'dnsbl "bl.test" {CODES}'
ON = DNS + "checks { dnsbl = reject }\n"


@pytest.fixture(autouse=True)
def network():
    with netns.network("192.0.2.1/24", "198.51.100.1/24", "2001:db8::66",
                       "2001:db8::67"):
        yield


@pytest.fixture
def pulled(start, library):
    """pulled(**config): two workers that share a clock, d.puppet.ahead."""
    def make(**kwargs):
        d = start.make(limits="rate-connections = 0", **kwargs)
        d.puppet = puppet.Puppet(d, library)
        return d.start()
    return make


class Lists(names.Names):
    """What a list answers is by its mode; it knows whom it should list."""

    ANSWERS = {"everybody": "127.0.0.2", "public": "127.255.255.254",
               "sold": "203.0.113.9", "rewritten": "203.0.113.9",
               "filtered": "127.0.0.1"}

    def __init__(self, **listed):
        super().__init__()
        self.listed = {zone.replace("_", "."): names_of
                       for zone, names_of in listed.items()}
        self.mode = collections.defaultdict(lambda: "good")
        self.asked = []  # (zone, address, listed?), tests too
        self.wrong = self  # names.Names asks this what goes wrong
        self.serve("127.0.0.1")

    def split(self, name):
        for zone in self.listed:
            if name.endswith("." + zone):
                return name[:-len(zone) - 1], zone
        return name, None

    def get(self, name, default):
        address, zone = self.split(name)
        if zone and self.mode[zone] == "silent":
            self.asked.append((zone, address, False))
            return "silent"
        return default

    def look(self, name, kind):
        address, zone = self.split(name)
        if not zone:
            return [], names.NXDOMAIN
        mode = self.mode[zone]
        there = {"2.0.0.127": "127.0.0.2", **self.listed[zone]}
        said = there.get(address)
        if mode != "good" and not (mode == "rewritten" and said):
            said = self.ANSWERS[mode]
        if mode == "nobody":
            said = None
        self.asked.append((zone, address, bool(said)))
        if not said:
            return [], names.NXDOMAIN
        return [names.record(name, kind, names.rdata("A", said))], 0

    ANSWERS["nobody"] = None

    def tests(self):
        return sum(a == "2.0.0.127" for _, a, _ in self.asked)


def reverse(ip):
    return ".".join(reversed(ip.split(".")))


def rcpt(d, source, hello="client.example.com", port=None):
    """What a client from there hears to its first RCPT."""
    with d.connect(port, source) as c:
        assert c.reply().code == 220
        assert c.ask(f"EHLO {hello}").code == 250
        assert c.ask("MAIL FROM:<sender@example.com>").code == 250
        return c.ask("RCPT TO:<alice@example.org>")


def status(d):
    r = subprocess.run([BINARY, "status", "-f", str(d.conf), "--json"],
                       capture_output=True, text=True, timeout=60)
    return json.loads(r.stdout)


def says(d, zone, text):
    """Does its status say so? Each look has it written anew."""
    return any(line.startswith(f"{zone} {text}")
               for line in status(d)["dnsbl"])


def wait_state(d, zone, text):
    wait_for(f"{zone} {text}", lambda: says(d, zone, text))


def wait_log(d, event, zone, times=1):
    wait_for(f"{event} of {zone}", lambda: times == len(re.findall(
        rf" {event} zone={zone} ", d.log())))


def nudge(d):
    """Have all workers looked at their clocks? Who is stopped and goes on
    does; one who never does is ended by the master after two minutes."""
    for pid in d.workers():
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)
    return all(int(re.search(r" loop (\d+) s ago", w)[1]) < 10
               for w in status(d)["worker"])


def pass_until(d, seconds, what, condition):
    """Time passes, so much at least, until it is so."""
    def step():
        nonlocal seconds
        d.puppet.ahead += 100 if seconds > 100 else 11
        seconds -= 100
        wait_for("all workers", lambda: nudge(d))
        return condition() and seconds <= 0
    if seconds > 0 or not condition():
        wait_for(what, step)


# --- real ones ---

@pytest.fixture
def serve(start):
    """serve(zone=[entries]): on port 53 until the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda **zones: stack.enter_context(nsd.serving(
            start.folder(), 53, {zone.replace("_", "."): nsd.TESTED + entries
                                 for zone, entries in zones.items()}))


NIBBLES = ".".join(reversed(f"{0x20010db8000000000000000000000066:032x}"))
MAPPED = ".".join(reversed(f"{0xffff7f000002:032x}"))


def test_real_lists(start, serve):
    """Who is listed is refused, with the reason in the reply and the log; a
    list that vouches outweighs it, and takes other checks off a client."""
    serve(
        bl_test=["66.2.0.192 A 127.0.0.4", "67.2.0.192 A 127.0.0.4",
                 "68.2.0.192 A 127.0.0.10", "70.2.0.192 A 127.0.0.99",
                 f"{NIBBLES} A 127.0.0.3"],
        wl_test=["67.2.0.192 A 127.0.5.1", "69.2.0.192 A 127.0.5.3"],
        six_test=[f"{MAPPED} A 127.0.0.2", f"{NIBBLES} A 127.0.0.2"])
    port = free_port()
    d = start(limits="rate-connections = 0",
              listen=f'listen "[::1]:{port}" {{ }}', extra=DNS + f"""
checks {{ helo = reject  dnsbl = reject }}
dnsbl "bl.test" {{
	codes = {{ "127.0.0.2-9: 5", "127.0.0.10-11: 3" }}
}}
dnsbl "wl.test" {{ codes = {{ "127.0.2-15.1: -2", "127.0.2-15.3: -5" }} }}
dnsbl "six.test" {{ codes = {{ "127.0.0.2: 2" }}  family = ipv6 }}
""")
    for zone in "bl.test", "wl.test", "six.test":
        wait_state(d, zone, "good")
    said = rcpt(d, "192.0.2.66")
    assert said.status == "550 5.7.1"
    assert "192.0.2.66 is listed by bl.test [" in repr(said)
    wait_for("its line", lambda: re.search(
        r' refused .*"550 5\.7\.1 192\.0\.2\.66 is listed by bl\.test',
        d.log()))
    assert rcpt(d, "192.0.2.65").code == 250
    assert rcpt(d, "192.0.2.67").code == 250  # 5 - 2
    assert rcpt(d, "192.0.2.68").code == 250  # 3
    assert rcpt(d, "192.0.2.70").code == 250  # a code of nobody's
    wait_log(d, "dnsbl-code", "bl.test")
    assert " answer=127.0.0.99 " in d.log()
    # vouched for: for the rest of the session
    for source, code in ("192.0.2.69", 250), ("192.0.2.65", 550):
        with d.connect(source=source) as c:
            assert c.reply().code == 220
            assert c.ask("EHLO client.example.com").code == 250
            c.begin("alice@example.org")
            assert c.ask("EHLO mx.example.org").code == 250
            assert c.ask("MAIL FROM:<>").code == 250
            assert c.ask("RCPT TO:<bob@example.org>").code == code


def test_ipv6(start, serve):
    """Each list knows the clients of its family."""
    serve(bl_test=[f"{NIBBLES} A 127.0.0.3"],
          six_test=[f"{MAPPED} A 127.0.0.2", f"{NIBBLES} A 127.0.0.2"])
    port = free_port()
    d = start(listen=f'listen "[::1]:{port}" {{ }}', extra=DNS + """
checks { dnsbl = reject }
dnsbl "bl.test" { codes = { "127.0.0.2-9: 5" }  family = ipv4 }
dnsbl "six.test" { codes = { "127.0.0.2: 5" }  family = ipv6 }
""")
    for zone in "bl.test", "six.test":
        wait_state(d, zone, "good")
    assert repr(rcpt(d, "2001:db8::66", port=port)).startswith(
        "550 5.7.1 2001:db8::66 is listed by six.test [")
    assert rcpt(d, "2001:db8::67", port=port).code == 250


def test_public_resolvers(start, tmp_path):
    """-n says whose lists will not answer, and only where lists are asked."""
    system = tmp_path / "resolv.conf"
    system.write_text("# nameserver 8.8.8.8\nnameserver 192.0.2.1\n"
                      "nameserver 2001:4860:4860::8888\n")

    def warnings(extra):
        d = start.make(extra=extra)
        r = subprocess.run(
            ["unshare", "-m", "sh", "-c", f"mount --bind {system} "
             f"/etc/resolv.conf && exec {BINARY} -n -f {d.conf}"],
            capture_output=True, text=True, timeout=60)
        assert r.returncode in (0, 1), r.stderr
        return [x for x in (r.stdout + r.stderr).splitlines()
                if "public resolver" in x]

    checks = ON.replace(DNS, "") + BL
    line, = warnings(checks)
    assert line.startswith("/etc/resolv.conf:3: warning: 2001:4860:4860::8888 "
                           "is a public resolver")
    assert warnings(DNS + checks) == []
    assert warnings("checks { helo = reject }") == []
    line, = warnings(DNS.replace("127.0.0.1", "192.0.2.1\", \"9.9.9.9:53")
                     + checks)
    assert "smtpd.conf:" in line and "9.9.9.9:53 is a public" in line


def test_readme(start):
    """What README.md says to write."""
    d = start.make(extra=block("## The first day", "dns "))
    r = subprocess.run([BINARY, "-n", "-f", d.conf], capture_output=True,
                       text=True, timeout=60)
    assert "dnsbl" not in r.stdout + r.stderr
    assert r.returncode in (0, 1)


# --- those that are not what they were ---

BAD = {
    "everybody": "it lists loopback addresses",
    "nobody": "it does not list 127.0.0.2",
    "public": "it answers 127.255.255.254",
    "sold": "it answers with addresses outside of 127.0.0.0/8",
    "rewritten": "it answers with addresses outside of 127.0.0.0/8",
    "filtered": "it answers 127.0.0.1",
    "silent": "it does not answer",
}


@pytest.mark.parametrize("mode", BAD)
def test_bad_from_the_start(pulled, mode):
    """Nobody is refused, by none of the workers; it is switched off, said once
    and again in an hour, and switched on when it is well."""
    lists = Lists(bl_test={reverse("192.0.2.66"): "127.0.0.2"})
    lists.mode["bl.test"] = mode
    d = pulled(extra=ON + BL)
    sources = [f"192.0.2.{i}" for i in range(60, 90)]
    assert {rcpt(d, s).code for s in sources} == {250}
    pass_until(d, 0, "it is off", lambda: " dnsbl-off " in d.log())
    assert {rcpt(d, s).code for s in sources} == {250}
    said = status(d)
    line, = said["dnsbl"]
    assert re.fullmatch(rf"bl\.test off \d+ s: {BAD[mode]}.*", line)
    assert "a dnsbl is off: the log says why" in said["fault"]
    line, = [x for x in d.log().splitlines() if " dnsbl-off " in x]
    assert f'zone=bl.test reason="{BAD[mode]}' in line and " help=" in line
    assert " error dnsbl-off " in line
    said = 1
    if mode in ("everybody", "silent"):
        said = 2
        pass_until(d, HOUR, "it is said again",
                   lambda: d.log().count(" dnsbl-off ") == 2)
    lists.mode["bl.test"] = "good"
    pass_until(d, 700, "it is on", lambda: " dnsbl-on " in d.log())
    assert d.log().count(" dnsbl-off ") == said
    assert rcpt(d, "192.0.2.66").status == "550 5.7.1"
    assert rcpt(d, "192.0.2.65").code == 250
    assert says(d, "bl.test", "good") and status(d)["fault"] == []


def turn(lists, d, mode):
    """It is good, and then it is not: what clients hear until it is off."""
    wait_state(d, "bl.test", "good")
    assert rcpt(d, "192.0.2.66").status == "550 5.7.1"
    assert rcpt(d, "192.0.2.65").code == 250
    lists.asked.clear()
    lists.mode["bl.test"] = mode
    heard = []

    def is_off():
        heard.append(rcpt(d, f"192.0.2.{100 + len(heard) % 100}").code)
        return " dnsbl-off " in d.log()

    wait_for("it is off", is_off)
    assert rcpt(d, "192.0.2.66").code == 250
    return heard


def test_it_lists_everybody(pulled):
    """The twentieth listing in a row, over all workers, is the last one before
    the test; from its answer on nobody is refused."""
    lists = Lists(bl_test={reverse("192.0.2.66"): "127.0.0.2"})
    d = pulled(extra=ON + BL)
    heard = turn(lists, d, "everybody")
    tests = [i for i, (_, a, _) in enumerate(lists.asked)
             if a == "2.0.0.127"]
    assert len(tests) == 1 and tests[0] == 20
    refused = heard.count(550)
    # the twentieth may be told so before it comes to its RCPT
    assert heard[:19] == [550] * 19 and set(heard[19:]) <= {250, 550}
    # behind the test nobody is asked for who did not come during it
    assert refused <= len([1 for _, a, _ in lists.asked
                           if not a.endswith(".127")])
    assert {rcpt(d, f"192.0.2.{i}").code for i in range(100, 150)} == {250}


@pytest.mark.parametrize("mode", [
    "public", "sold", "rewritten", "filtered"])
def test_it_turns_bad(pulled, mode):
    """What is no code of its lists nobody, from the first answer on."""
    lists = Lists(bl_test={reverse("192.0.2.66"): "127.0.0.2"})
    d = pulled(extra=ON + BL)
    assert set(turn(lists, d, mode)) == {250}
    lists.mode["bl.test"] = "good"
    pass_until(d, 700, "it is on", lambda: " dnsbl-on " in d.log())
    assert rcpt(d, "192.0.2.66").status == "550 5.7.1"


def test_all_at_once(pulled):
    """Many clients who were there before, each of them asked for when it lists
    everybody: who was listed, but has not been told so, is not refused."""
    lists = Lists(bl_test={})
    d = pulled(extra=ON + BL)
    wait_state(d, "bl.test", "good")
    lists.mode["bl.test"] = "everybody"
    clients = [d.connect(source=f"192.0.2.{i}") for i in range(50, 110)]
    for c in clients:
        assert c.reply().code == 220
        assert c.ask("EHLO client.example.com").code == 250
    wait_log(d, "dnsbl-off", "bl.test")
    for c in clients:
        c.begin("alice@example.org")
        c.socket.close()


def test_one_is_silent(pulled):
    """It takes nothing from the others; one that might have spoken for the
    client makes a 451 of its 550."""
    lists = Lists(bl_test={reverse("192.0.2.66"): "127.0.0.2"}, dead_test={},
                  wl_test={reverse("192.0.2.66"): "127.0.0.3"})
    lists.mode["dead.test"] = "silent"
    d = pulled(extra="""
dns { servers = { "127.0.0.1" }  timeout = 500ms }
checks { dnsbl = reject }
""" + BL + f'dnsbl "dead.test" {CODES[:-2]} test = no }}\n'
        'dnsbl "wl.test" { codes = { "127.0.0.3: -3" } test = no }\n')
    wait_state(d, "bl.test", "good")
    assert rcpt(d, "192.0.2.66").code == 250
    lists.listed["wl.test"] = {}
    assert rcpt(d, "192.0.2.66").status == "550 5.7.1"
    lists.mode["wl.test"] = "silent"
    assert rcpt(d, "192.0.2.66").status == "451 4.7.1"
    assert rcpt(d, "192.0.2.65").code == 250


def test_reload(pulled):
    """What is known of a list outlives the workers, wherever it stands."""
    lists = Lists(bl_test={reverse("192.0.2.66"): "127.0.0.2"},
                  other_test={})
    lists.mode["other.test"] = "sold"
    d = pulled(extra=ON + f'dnsbl "other.test" {CODES}' + BL)
    wait_state(d, "other.test", "off")
    wait_state(d, "bl.test", "good")
    tests = lists.tests()
    text = d.conf.read_text().replace(BL, "")
    d.conf.write_text(text.replace(ON, ON + BL))
    os.kill(d.master(), signal.SIGHUP)
    wait_for("the reload", lambda: " reloaded " in d.log())
    assert [x.split()[:2] for x in status(d)["dnsbl"]] == [
        ["bl.test", "good"], ["other.test", "off"]]
    wait_for("the workers of before to go", lambda: len(d.workers()) == 2)
    assert rcpt(d, "192.0.2.66").status == "550 5.7.1"
    assert lists.tests() == tests


def test_observed_and_counted(pulled):
    """Nobody is refused, and the log and the metrics say what would be."""
    Lists(bl_test={reverse("192.0.2.66"): "127.0.0.77"},
          wl_test={}, old_test={reverse("192.0.2.66"): "127.0.0.2"})
    port = free_port()
    d = pulled(listen=f'listen "127.0.0.1:{port}" {{ role = metrics }}',
               extra=DNS + "checks { dnsbl = observe }\n" + BL
               + f'dnsbl "old.test" {CODES[:-2]} test = no }}\n')
    wait_state(d, "bl.test", "good")
    for _ in range(3):
        assert rcpt(d, "192.0.2.66").code == 250
    wait_for("the line", lambda: d.log().count(" observed ") == 3)
    assert 'check=dnsbl value="old.test=127.0.0.2 score=5"' in d.log()
    shown = scrape(port)
    for line in ('smtpd_dnsbl_good{zone="bl.test"} 1',
                 'smtpd_dnsbl_good{zone="old.test"} 1',
                 "smtpd_dnsbl_unknown_codes_total 3"):
        assert f"\n{line}\n" in shown
    wait_log(d, "dnsbl-code", "bl.test")


def test_check(start):
    """smtpd check asks them, and so tests them first; or it does not."""
    lists = Lists(bl_test={reverse("198.51.100.7"): "127.0.0.4"})
    d = start.make(extra=ON + BL)
    d.start()
    d.stop()

    def check(*more):
        return subprocess.run(
            [BINARY, "check", "-f", str(d.conf), "--ip", "198.51.100.7",
             "--from", "sender@example.com", "--rcpt", "alice@example.org",
             *more], capture_output=True, text=True, timeout=60)

    r = check()
    assert r.returncode == 2, r.stdout
    assert re.search(r"^<- 550 5\.7\.1 .*  dnsbl bl\.test=127\.0\.0\.4",
                     r.stdout, re.M), r.stdout
    before = len(lists.asked)
    assert check("--no-dns").returncode == 0
    assert len(lists.asked) == before
