"""A flood behind a balancer: a tenth of a thousand addresses come fifty times
as often as the rest. They are refused, and nobody else; memory stays as it is,
and the log can be read. The same with two lists, whom a real server of names
has: who is listed and let in hears that. How long a greeting takes meanwhile is
measured by tests/bench/crowd, and nothing that a test could say."""

import contextlib
import re
import resource
import subprocess

import pytest

import nsd
from daemon import BINARY, TOP, free_port, pss, sanitized, wait_for

CONNECTIONS = 20000
# seconds, connections, addresses, abusers, how many times as often
CROWD = 20, CONNECTIONS, 1000, 100, 50


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    program = tmp_path_factory.mktemp("crowd") / "crowd"
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", program,
                    TOP / "tests/bench/crowd.c"], check=True)
    return program


def figures(text, name):
    """Connections, refused, failed, denied."""
    return [int(n) for n in re.search(
        rf"^{name} (\d+) (\d+) (\d+) .* (\d+)$", text, re.M).groups()]


def run(command, workers):
    """What it says, and the memory of the workers meanwhile, in KiB each."""
    memory = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as p:
        while p.poll() is None:
            memory.append([pss(w) for w in workers])
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(0.25)
        return p.stdout.read(), memory


def are_well(d):
    said = subprocess.run([BINARY, "status", "-f", d.conf], text=True,
                          capture_output=True).stdout
    return len(re.findall(r"\.test .*good", said)) == 2


@pytest.fixture
def lists(start):
    """Their configuration: one has all of the abusers, and one nobody."""
    port = free_port()
    zones = {"bl.test": nsd.TESTED + [f"1.{n}.0.20 A 127.0.0.2"
                                      for n in range(CROWD[3])],
             "other.test": nsd.TESTED}
    with nsd.serving(start.folder(), port, zones):
        yield f'dns {{ servers = {{ "127.0.0.1:{port}" }} }}\n' + """
checks { dnsbl = reject }
dnsbl "bl.test" { codes = { "127.0.0.2: 5" } }
dnsbl "other.test" { codes = { "127.0.0.2: 5" } }
"""


def test_abusers_are_refused_and_nobody_else(start, crowd):
    flood(start, crowd)


def test_the_same_with_lists(start, crowd, lists):
    rest, abusers = flood(start, crowd, "-m", extra=lists)
    assert rest[3] == 0
    assert abusers[3] == abusers[0] - abusers[1]


def flood(start, crowd, *words, extra=""):
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 2000
    d = start(extra='client "127.0.0.1" { proxy = yes }\n' + extra,
              limits="rate-connections = 5/m")
    if extra:
        wait_for("the lists to be well", lambda: are_well(d))
    said, memory = run([crowd, *words, *map(str, CROWD), str(d.port)],
                       d.workers())
    rest, abusers = (figures(said, n) for n in ("rest", "abusers"))
    assert rest[0] + abusers[0] == CONNECTIONS
    assert rest[1:3] == [0, 0], said
    assert abusers[2] == 0, said
    assert abusers[1] >= 0.95 * abusers[0], said
    if not sanitized():  # which keeps what is freed
        begun = len(memory) // 4
        for each in zip(*memory):
            assert max(each[begun:]) - each[begun] < 1024, each
    # octets; a line has 200, one about a recipient more
    assert len(d.log()) < 10 * abusers[1] + 400 * abusers[3]

    def told():
        """A refusal without a line is one of the next line's number."""
        log = d.log()
        numbers = re.findall(r" refused .*suppressed=(\d+)", log)
        lines = len(re.findall(r" refused .*reply=", log))
        return sum(map(int, numbers)) + lines == abusers[1] + abusers[3]

    wait_for("a number for those without a line", told)
    return rest, abusers
