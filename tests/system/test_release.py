"""What is installed for us, on whatever release of Debian this is."""

import os
import re
import subprocess

from daemon import TOP

# But libc6-dev, libidn2-dev: there the number is part of the name.
BOUND = re.compile(r"lib.*(?:\d|-\d+-dev)|(?:clang|gcc|python).*[\d.]{2,}")


def needed():
    text = (TOP / "Makefile").read_text().replace("\\\n", " ")
    lines = re.findall(r"^(?:NEED_\w+|PEERS|BENCH_PEERS) *=(.*)$", text, re.M)
    return {name for line in lines for name in line.split()
            if not name.startswith("$(")}


def test_no_version_in_a_name():
    """FAULT D10: what is installed has no release's version in its name."""
    names = needed()
    assert {"libevent-dev", "libclang-rt-dev", "postfix"} <= names
    assert not [n for n in names if BOUND.fullmatch(n)]
    for n in ("libicu72", "libclang-rt-14-dev", "libevent-2.1-7", "clang-14"):
        assert BOUND.fullmatch(n), n


def test_libraries_are_looked_up(tmp_path):
    """FAULT D10: tests/need finds a package's libraries where they are
    called otherwise, and asks for what is missing of them alone."""
    for name, text in (
            ("apt-get", 'echo "apt-get $*" >> "$SAID"'),
            ("apt-cache", 'echo peer; echo "  Depends: libicu99t64"; '
             'echo "  Depends: libthere5"; echo "  Depends: adduser"; '
             'echo "  Depends: zlib1g"'),
            ("dpkg-query", 'case $* in *there5*|*zlib*) echo installed; esac'),
            ("id", "echo 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    r = subprocess.run(
        [TOP / "tests/need", "this", "+peer"], capture_output=True, text=True,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}",
             "SAID": str(tmp_path / "said")})
    assert r.returncode == 0 and r.stdout == "this: installing libicu99t64\n"
    assert (tmp_path / "said").read_text().endswith(
        " --no-install-recommends libicu99t64\n")


def test_a_pattern_makes_one_target():
    """Two patterns before one recipe are files that it makes together; make
    4.4 of Debian 13 complains of the one that it does not."""
    text = (TOP / "Makefile").read_text().replace("\\\n", " ")
    targets = re.findall(r"^([^\t\n#:=]+):(?!=)", text, re.M)
    assert "$(BUILD)/obj/%.o" in targets
    assert not [t for t in targets if sum("%" in n for n in t.split()) > 1]
