"""As in a container: a root that is read-only, any uid, no capabilities."""

import os
import pathlib
import platform
import re
import subprocess

import pytest

from daemon import AS_ROOT, BINARY, TOP, wait_for

pytestmark = pytest.mark.skipif(not AS_ROOT, reason="it mounts")

# All that can be written are the two volumes; and the shell's own end.
CONTAINER = """
set -e
mount --bind {volumes} {volumes}
mkdir {volumes}/spool {volumes}/mail
chmod 700 {volumes}/spool
chown 12345:12345 {volumes}/spool {volumes}/mail
mount -o remount,bind,ro /
exec setpriv --reuid 12345 --regid 12345 --clear-groups --inh-caps=-all \
    --bounding-set=-all --no-new-privs "$@"
"""


@pytest.mark.parametrize("pid", ["", "--pid --fork --kill-child --mount-proc"])
def test_container(start, pid):
    """And as process 1."""
    d = start.make(journal="", env={"LC_ALL": "C"})
    volumes = d.path / "volumes"
    volumes.mkdir()
    d.conf.write_text(d.conf.read_text().replace(
        str(d.spool), str(volumes / "spool")).replace(
        str(d.mail), str(volumes / "mail")))
    d.conf.chmod(0o644)
    script = d.path / "container"
    script.write_text(CONTAINER.format(volumes=volumes))
    d.wrapper = ["unshare", "--mount", "--propagation", "private",
                 *pid.split(), "sh", str(script)]
    d.start()
    with d.client() as c:
        assert c.deliver("x\r\n").code == 250
    inside = subprocess.check_output(
        ["pgrep", "-f", "--", f"^{BINARY} -d -f {d.conf}"]).split()
    wait_for("mail", lambda: list(volumes.glob("mail/**/new/*")))
    assert len(inside) == 3  # the master and two workers
    for pid in map(int, inside):
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert "Uid:\t12345\t12345\t" in text
        assert "CapPrm:\t0000000000000000\n" in text


def test_image_has_what_is_linked():
    """Each library that smtpd itself is linked with is of a package that the
    image's last stage installs."""
    text = (TOP / "src" / "Dockerfile").read_text()
    stage = text.split("\nFROM ")[-1]
    release = platform.freedesktop_os_release().get("VERSION_ID")
    if not stage.startswith(f"debian:{release}-"):
        pytest.skip("the image's packages are another release's")
    installed = set(re.search(r"install -y --no-install-recommends ([^&]+)",
                              stage)[1].split())
    binary = TOP / "build" / "smtpd"
    direct = re.findall(r"NEEDED +(\S+)", subprocess.check_output(
        ["objdump", "-p", binary], text=True))
    paths = dict(re.findall(r"(\S+) => (/\S+)", subprocess.check_output(
        ["ldd", binary], text=True)))
    needed = set()
    for name in direct:
        owner = subprocess.run(["dpkg", "-S", os.path.realpath(paths[name])],
                               capture_output=True, text=True).stdout
        needed.add(owner.split(":")[0])
    # what is in every Debian
    needed -= {"", "libc6", "libcrypt1"}
    assert needed == installed
