"""Where a message was when its server said 250: one message is sent while
strace follows all of the server's processes, and each sync that was over
before the reply began is noted."""

import re
import signal
import subprocess
import time

import load
import peers
from peers import Failed

SYNCS = ("fsync", "fdatasync", "syncfs", "sync_file_range", "msync")
WRITES = ("write", "writev", "sendto", "sendmsg")
CALL = re.compile(r"(\d+) +[\d.]+ (?:<\.\.\. )?(\w+)(\(| resumed>)(.*)")


def trace(server):
    """The lines of strace, in order of time."""
    out = server.home.parent / "strace"
    pids = [x for pid in server.group.pids() for x in ("-p", str(pid))]
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-y", "-ttt", "-s", "16", "-o", out, "-e",
         f"trace={','.join(SYNCS + WRITES)}", *pids],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_attached(tracer, server.group.pids())
    load.mail(server.port, 1, 4096, 1, False)
    peers.settled(server, 1)
    tracer.send_signal(signal.SIGINT)
    tracer.communicate(timeout=30)
    return out.read_text(errors="replace").splitlines()


def wait_attached(tracer, pids):
    end = time.monotonic() + 30
    while not all(traced(pid) for pid in pids):
        if tracer.poll() is not None or time.monotonic() > end:
            raise Failed(f"strace: {tracer.communicate()[1][-300:]}")
        time.sleep(0.05)


def traced(pid):
    try:
        with open(f"/proc/{pid}/status") as f:
            return "TracerPid:\t0" not in f.read()
    except FileNotFoundError:
        return True


def syncs_before_250(lines, home):
    """Of the syncs that ended between 354 and the 250 behind it."""
    found, begun, asked = [], {}, False
    for line in lines:
        m = CALL.match(line)
        if not m:
            continue
        pid, name, resumed, rest = m.groups()
        if name in WRITES and resumed == "(":
            if '"354' in rest:
                asked = True
            elif asked and re.search(r'"250[ -]', rest):
                return found
        if name not in SYNCS:
            continue
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest
        elif re.search(r"= 0$", rest.strip()):
            what = begun.pop(pid, "") if resumed != "(" else rest
            if asked:
                found.append(f"{name} {path(what, home)}")
    raise Failed("strace saw no 250 after a 354")


def path(rest, home):
    m = re.search(r"\d+<([^>]*)>", rest)
    name = m[1] if m else "?"
    name = name.replace(str(home) + "/", "").replace("/var/spool/", "spool/")
    return re.sub(r"[^/]*\d{5,}[^/]*|[0-9A-Z]{8,}", "*", name)


def where(server):
    # Once before, so that what is done only once is not seen.
    load.mail(server.port, 1, 4096, 1, False)
    peers.settled(server, 1)
    return syncs_before_250(trace(server), server.home)
