"""What a probe has found is kept as JSON, and is the same when it is read again."""

from fractions import Fraction
from pathlib import Path

import pytest

from jobserver import render
from jobserver.render.facts import clip_facts, still_facts
from jobserver.worker import facts
from jobserver.worker.facts import Probe
from tests.support import make_clip


@pytest.mark.parametrize("sound", [True, False])
def test_a_clip_is_read_as_it_was_found(tmp_path: Path, sound: bool) -> None:
    media = render.probe(make_clip(tmp_path / "clip.mp4", 0.5, sound=sound), render.Settings())
    probe = Probe(part=clip_facts(media), media=media)
    assert probe.part.fps == Fraction(25)
    assert facts.load(facts.dump(probe)) == probe


def test_pictures_and_music_are_read_as_they_were_found() -> None:
    still = render.Still(width=30, height=40, alpha=True)
    for probe in (
        Probe(part=still_facts(still), still=still),
        Probe(part=still_facts(still), music=render.Music(demuxer="mp3", duration=1 / 3)),
    ):
        assert facts.load(facts.dump(probe)) == probe


def test_what_another_version_has_kept_is_refused() -> None:
    with pytest.raises(ValueError, match="part"):
        facts.load('{"media": null}')
