"""A spool in which things lie that smtpd did not make."""

import os
import shutil

from daemon import AS_ROOT, wait_for


def own(path):
    if AS_ROOT:
        shutil.chown(path, "nobody")


def test_strange_things_in_the_spool(start):
    """FAULT B3: a FIFO named like a segment stopped every start, one in
    held/ all held mail and the stop; a sparse giant ended each worker."""
    d = start()
    d.stop()
    journal = d.spool / "journal" / "0123456789ABCDEF"
    journal.mkdir(mode=0o700)
    own(journal)
    os.mkfifo(journal / "00000001.log")
    os.mkfifo(journal / "attempts")
    os.mkfifo(d.spool / "held" / "fifo")
    giant = journal / "00000002.log"
    giant.touch()
    os.truncate(giant, 1 << 42)
    for p in [giant, d.spool / "held" / "fifo", *journal.iterdir()]:
        own(p)
    d.start()
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250
    wait_for("their going", lambda: not journal.exists()
             and not list((d.spool / "held").iterdir()))
    assert {p.name for p in (d.spool / "damaged").iterdir()} == {
        f"{journal.name}-{x}"
        for x in ("00000001.log", "00000002.log", "attempts")} | {"fifo"}
    for what in ("held=fifo", f"journal={journal.name} file=00000001.log",
                 "file=00000002.log", "file=attempts"):
        wait_for(what, lambda: f"{what} " in d.log())
    assert d.log().count("error set-aside") == 4
    d.stop()
