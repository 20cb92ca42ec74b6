"""The audit: is every message that was answered where it belongs?

Answered: once in each mailbox of its recipients, octet for octet. Not
answered: there or not, but then whole, and once at most. Nothing else. It
goes on behind a fault, since what else is wrong tells what went wrong.
"""

import collections
import pathlib

from daemon import FILE_NAME, OUR_LINES
from ledger import DOMAIN, HEAD, SENDER

FOLDERS = ("new", "cur")


def difference(is_, wanted):
    if is_ == wanted:
        return None
    at = next((i for i, (a, b) in enumerate(zip(is_, wanted)) if a != b),
              min(len(is_), len(wanted)))
    return (f"differs at octet {at}: {is_[at:at + 20]!r}, not "
            f"{wanted[at:at + 20]!r}; {len(is_)} octets, not {len(wanted)}")


class Audit:
    """faults: a line for each; empty when all is well."""

    def __init__(self, ledger, mail):
        self.ledger = ledger
        self.mail = pathlib.Path(mail)
        self.faults = []
        self.found = collections.defaultdict(list)  # (number, box): paths
        self.removed = collections.defaultdict(list)

    def run(self, trash=None):
        """trash: a Maildir's neighbour, to which a reader removed mail."""
        for box in self.listed(self.mail / DOMAIN):
            for folder in FOLDERS:
                for path in self.listed(box / folder):
                    self.file(path, f"{box.name}@{DOMAIN}", self.found)
        for box in self.listed(trash) if trash else ():
            for path in self.listed(box):
                self.file(path, f"{box.name}@{DOMAIN}", self.removed)
        for a in self.ledger.attempts.values():
            for box in a.boxes:
                self.count(a, box)
        return self

    def listed(self, path):
        try:
            return sorted(path.iterdir())
        except FileNotFoundError:
            return []

    def fault(self, path, what):
        self.faults.append(f"{path}: {what}")

    def file(self, path, box, found):
        name = FILE_NAME.match(path.name.split(":")[0])
        if not name:
            return self.fault(path, "no name of ours")
        raw = path.read_bytes()
        if len(raw) != int(name["size"]):
            self.fault(path, f"{len(raw)} octets are there")
        attempt = self.whose(path, raw)
        if not attempt:
            return None
        if attempt.id not in (None, name["id"]):
            self.fault(path, f"was answered as {attempt.id}")
        if box not in attempt.boxes:
            self.fault(path, f"was for {attempt.boxes}")
        found[attempt.number, box].append(path)
        return self.content(path, raw, box, attempt)

    def whose(self, path, raw):
        """By its number, or nobody's: too short, damaged, not ours."""
        ours = OUR_LINES.match(raw)
        head = HEAD.match(raw, ours.end() if ours else 0)
        if not ours or not head:
            return self.fault(path, f"begins with {raw[:60]!r}")
        attempt = self.ledger.attempts.get(int(head[1]))
        if not attempt:
            self.fault(path, "was never sent")
        return attempt

    def content(self, path, raw, box, attempt):
        ours = OUR_LINES.match(raw)
        if ours["to"].decode() != box or ours["sender"].decode() != SENDER:
            self.fault(path, f"is headed {ours[0][:100]!r}")
        wrong = difference(raw[ours.end():], self.ledger.text(attempt))
        if wrong:
            self.fault(path, wrong)

    def count(self, a, box):
        here = self.found.get((a.number, box), [])
        gone = self.removed.get((a.number, box), [])
        if a.id and not here and not gone:
            self.fault(f"attempt {a.number} {a.id} for {box}", "is missing")
        if len(here) > 1:
            self.fault(f"attempt {a.number} for {box}", "is there "
                       f"{len(here)} times: {', '.join(map(str, here))}")


# --- what came back ---

def returns(removals, mail):
    """Each removal behind which the message was there again."""
    last = {(r["box"], r["name"]): r["nth"] for r in removals}
    here = {(p.parent.parent.name, p.name.split(":")[0])
            for folder in FOLDERS
            for p in pathlib.Path(mail).glob(f"{DOMAIN}/*/{folder}/*")}
    return [r for r in removals if (r["box"], r["name"]) in here
            or r["nth"] < last[r["box"], r["name"]]]
