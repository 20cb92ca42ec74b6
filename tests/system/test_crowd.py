"""A flood behind a balancer: a tenth of a thousand addresses come fifty times
as often as the rest. They are refused, and nobody else; memory stays as it is,
and the log can be read. How long a greeting takes meanwhile is measured by
tests/bench/crowd, and nothing that a test could say."""

import contextlib
import re
import resource
import subprocess

import pytest

from daemon import TOP, pss, sanitized, wait_for

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
    """Connections, refused, failed."""
    return [int(n) for n in re.search(
        rf"^{name} (\d+) (\d+) (\d+) ", text, re.M).groups()]


def run(command, workers):
    """What it says, and the memory of the workers meanwhile, in KiB each."""
    memory = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as p:
        while p.poll() is None:
            memory.append([pss(w) for w in workers])
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(0.25)
        return p.stdout.read(), memory


def test_abusers_are_refused_and_nobody_else(start, crowd):
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 2000
    d = start(extra='client "127.0.0.1" { proxy = yes }\n',
              limits="rate-connections = 5/m")
    said, memory = run([crowd, *map(str, CROWD), str(d.port)], d.workers())
    rest, abusers = (figures(said, n) for n in ("rest", "abusers"))
    assert rest[0] + abusers[0] == CONNECTIONS
    assert rest[1:] == [0, 0], said
    assert abusers[2] == 0, said
    assert abusers[1] >= 0.95 * abusers[0], said
    if not sanitized():  # which keeps what is freed
        begun = len(memory) // 4
        for each in zip(*memory):
            assert max(each[begun:]) - each[begun] < 1024, each
    assert len(d.log()) < 10 * abusers[1]  # octets; a line has 200

    def told():
        """A refusal without a line is one of the next line's number."""
        log = d.log()
        numbers = re.findall(r" refused .*suppressed=(\d+)", log)
        lines = len(re.findall(r" refused .*reply=", log))
        return sum(map(int, numbers)) + lines == abusers[1]

    wait_for("a number for those without a line", told)
