"""Every dialogue against the running daemon, and what it stored."""

import pytest

import transcript
from daemon import Message

DIALOGUES = transcript.load_all()


def daemon_of(dialogue, world):
    config = dict(dialogue.config)
    role = config.pop("role", "mx")
    d = world(dialogue.client, **config)
    return d, d.submission if role == "submission" else d.port


@pytest.mark.parametrize("how", ["whole", "line", "byte"])
@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda d: d.name)
def test_dialogue(dialogue, how, world):
    d, port = daemon_of(dialogue, world)
    before = set(d.files())
    ids = transcript.run(dialogue, port, how)
    stored = [Message(p) for p in d.files() if p not in before]
    transcript.check_stored(dialogue, ids, stored)
    assert d.leftovers() == []
