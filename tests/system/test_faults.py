"""Every fault that attack and the field have found has a test that names it."""

import re

from daemon import TOP

LAST = {"A": 12, "B": 7, "C": 13, "D": 20, "F": 18}


def names(text):
    for m in re.finditer(r"FAULT ((?:[A-DF]\d+,\s)*[A-DF]\d+):", text):
        yield from re.findall(r"[A-DF]\d+", m[1])


def test_every_fault_has_a_test():
    every = {f"{part}{n}" for part, last in LAST.items()
             for n in range(1, last + 1)}
    named = set()
    for path in (TOP / "tests").rglob("*"):
        if path.is_file() and path.suffix in (".c", ".py", ".smtp", ""):
            named.update(names(path.read_text(errors="replace")))
    assert named <= every
    missing = sorted(every - named, key=lambda f: (f[0], int(f[1:])))
    assert not missing, missing
