"""What the manual must not be silent on, and in which order it says it."""

import re

import pytest

from daemon import TOP


@pytest.mark.parametrize("page, says", [
    ("smtpd.8", "It was synced before the reply: in the journal or, without "),
    ("smtpd.conf.5", ".Pa maildirsize is neither read nor written"),
    ("smtpd.conf.5", "below it no link is followed"),
    ("smtpd.conf.5", "The detail keeps its case"),
    ("smtpd.conf.5", "Neither is ever taken in a command"),
])
def test_manual(page, says):
    """FAULT D11, D17: what an operator may ask, in a sentence each."""
    assert says in " ".join((TOP / "src" / page).read_text().split())


def test_manual_begins_with_domain():
    """FAULT D20: the one block that everybody needs comes first."""
    sections = re.findall(r"^\.Ss (.*)", (TOP / "src/smtpd.conf.5").read_text(),
                          re.M)
    assert sections[:2] == ["Syntax", r"domain \(dqNAME\(dq"]
