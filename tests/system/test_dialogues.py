"""Every dialogue against the running daemon, and what it stored."""

import pytest

import transcript

DIALOGUES = transcript.load_all()


def daemon_of(dialogue, world):
    config = dict(dialogue.config)
    role = config.pop("role", "mx")
    d = world(dialogue.normalize, **config)
    return d, d.submission if role == "submission" else d.port


@pytest.mark.parametrize("how", ["whole", "line", "byte"])
@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda d: d.name)
def test_dialogue(dialogue, how, world):
    d, port = daemon_of(dialogue, world)
    before = set(d.files())
    ids = transcript.run(dialogue, port, how)
    assert len(ids) == len(dialogue.bodies)
    stored = [m for m in d.messages() if m.path not in before]
    assert {m.id for m in stored} == set(ids)
    for m in stored:
        body = dialogue.bodies[ids.index(m.id)]
        assert m.body == body.replace(b"\r\n", b"\n")
    assert d.leftovers() == []
