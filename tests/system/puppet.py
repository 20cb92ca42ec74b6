"""A daemon whose clock can be put on, and whose disk does what it is told."""

import mmap
import pathlib
import subprocess

STRINGS = ("ahead", "hold", "fail", "commits", "synced",
           "hold_names", "names", "names_synced")


def build(folder):
    library = pathlib.Path(folder) / "puppet.so"
    subprocess.run(
        ["cc", "-O1", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", library,
         pathlib.Path(__file__).with_suffix(".c")], check=True)
    return library


class Puppet:
    """d.puppet.ahead = 60: a minute later, for all that d does."""

    def __init__(self, d, library):
        path = d.path / "puppet"
        path.write_bytes(bytes(8 * len(STRINGS)))
        path.chmod(0o666)
        with open(path, "r+b") as f:
            strings = memoryview(mmap.mmap(f.fileno(), 0)).cast("q")
        object.__setattr__(self, "strings", strings)
        d.env = {**d.env, "LD_PRELOAD": str(library), "PUPPET": str(path),
                 "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def __getattr__(self, name):
        return self.strings[STRINGS.index(name)]

    def __setattr__(self, name, value):
        self.strings[STRINGS.index(name)] = value
