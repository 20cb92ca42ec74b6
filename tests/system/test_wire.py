"""Every numbered line of the obligations has a test that names its number."""

import re

from daemon import TOP

# Not yet ours: they need DNS, TLS, AUTH, or come with a later issue.
LATER = {32, 39, 40}
LAST = 40


def numbers(text):
    for m in re.finditer(r"WIRE ((?:\d+, )*\d+):", text):
        yield from map(int, m[1].split(", "))


def test_every_line_is_covered():
    covered = set()
    for where, what in (("dialogues", "*.smtp"), ("system", "test_*.py")):
        for path in (TOP / "tests" / where).glob(what):
            covered.update(numbers(path.read_text()))
    assert covered <= set(range(1, LAST + 1))
    missing = set(range(1, LAST + 1)) - covered - LATER
    assert not missing


def test_every_dialogue_names_a_line():
    for path in (TOP / "tests" / "dialogues").glob("*.smtp"):
        first = path.read_text().splitlines()[0]
        assert re.match(r"# WIRE (\d+, )*\d+: \S", first), path
