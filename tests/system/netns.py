"""A network namespace: all of its addresses are ours, and all of its ports."""

import contextlib
import ctypes
import os
import subprocess

import pytest

from daemon import AS_ROOT

NEWNET = 0x40000000


def enter(*commands):
    """This thread, and what it starts from now on; commands are ip's."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(NEWNET) == 0, "no CLONE_NEWNET"
    subprocess.run(["ip", "-batch", "-"], check=True, text=True,
                   input="\n".join(["link set lo up", *commands]))


def own(address):
    """What gives it to this machine; with /n it has the others as well."""
    return f"address add {address} dev lo" + " nodad" * (":" in address)


@contextlib.contextmanager
def network(*addresses):
    """Until the end of the block; then this thread is where it was."""
    if not AS_ROOT:
        pytest.skip("needs root: a namespace")
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(*map(own, addresses))
        yield
    finally:
        assert ctypes.CDLL(None).setns(home, NEWNET) == 0
        os.close(home)
