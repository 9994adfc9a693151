"""Fixtures: shots and sounds of a source, as a job makes them, and their join."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from jobserver.brief.timeline import SoundShape
from jobserver.render import Settings, load_fonts, probe, render_shots, render_sounds
from jobserver.render.joins import Joined, JoinPart, Mixing, join

from ..shots.support import appearance

FONTS = load_fonts()


@pytest.fixture
def part(settings: Settings, tmp_path: Path) -> Callable[..., JoinPart]:
    """Return a function that makes the shot and the sound of a source."""
    numbers = count()

    def make(path: Path, cut: float | None = None, **changes: Any) -> JoinPart:
        """Make them as small as 64x64, at 25 frames a second, with these changes."""
        media, number = probe(path, settings), next(numbers)
        wanted = appearance(**({"width": 64, "height": 64, "format": "1:1"} | changes))
        picture, sound = tmp_path / f"shot{number}.mp4", tmp_path / f"shot{number}.flac"
        options = {"overlays": {}, "fonts": FONTS}
        [shot] = render_shots(path, media, [(wanted, picture)], settings, **options)
        shape = SoundShape(speed=wanted.speed, seconds=shot.seconds)
        sounds = render_sounds(path, media, [(shape, sound)], settings) if media.audio else [None]
        return JoinPart(picture=shot.path, sound=sounds[0], seconds=cut)

    return make


@pytest.fixture
def joined(settings: Settings, tmp_path: Path) -> Callable[..., Joined]:
    """Return a function that joins parts."""
    numbers = count()

    def run(*parts: JoinPart, thumbnail: bool = False, **mixing: Any) -> Joined:
        out = tmp_path / f"out{next(numbers)}.mp4"
        return join(parts, out, settings, Mixing(**mixing), thumbnail=thumbnail)

    return run
