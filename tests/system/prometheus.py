"""A Prometheus of our own, unpacked below PEERS, that scrapes one daemon each
second."""

import json
import subprocess
import urllib.parse
import urllib.request

from daemon import DEADLINE, free_port, wait_for
from postfix import PEERS

PROMTOOL = PEERS / "usr" / "bin" / "promtool"
BINARY = PEERS / "usr" / "bin" / "prometheus"

CONFIG = """
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
scrape_configs:
- job_name: smtpd
  static_configs: [{{ targets: ["127.0.0.1:{target}"] }}]
"""


def why_not():
    return None if BINARY.exists() else f"no Prometheus below {PEERS}: make peers"


def check(text):
    """What promtool has to say about metrics: nothing."""
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, text=True,
                          capture_output=True)
    return done.stdout + done.stderr + (
        f"status {done.returncode}" if done.returncode else "")


class Prometheus:
    def __init__(self, path, target):
        self.port = free_port()
        self.log = path / "prometheus.log"
        (path / "prometheus.yml").write_text(CONFIG.format(target=target))
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [BINARY, f"--config.file={path}/prometheus.yml",
                 f"--storage.tsdb.path={path}/tsdb",
                 f"--web.listen-address=127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=path)

    def __enter__(self):
        wait_for("Prometheus", self.is_ready)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(DEADLINE)

    def is_ready(self):
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.port}/-/ready") as r:
                return r.status == 200
        except OSError:
            return False

    def query(self, text):
        """Pairs of labels, without the name, and the figure."""
        url = (f"http://127.0.0.1:{self.port}/api/v1/query?"
               + urllib.parse.urlencode({"query": text}))
        with urllib.request.urlopen(url) as r:
            said = json.load(r)
        assert said["status"] == "success", said
        return [({k: v for k, v in x["metric"].items()
                  if k not in ("__name__", "instance", "job")},
                 float(x["value"][1])) for x in said["data"]["result"]]
