"""Random briefs: in every output each frame has its place, and each flash its beep."""

import json
import random
from itertools import accumulate, pairwise
from pathlib import Path

import pytest

from jobserver.brief.timeline import Timeline
from jobserver.render import Joined, load_fonts
from jobserver.render.offline import Wishes, make, prepare

from .conftest import ffmpeg
from .joins.support import beeps, complaints, flashes, flashing, lumas, times
from .sound.signals import RATE, pcm

FONTS = load_fonts()
CLIPS = {  # frame rate, size, with sound, with frames that last unequally long
    "videos": {
        "25": ("25", "160x120", True, False),
        "2997": ("30000/1001", "90x160", True, False),
        "vfr": ("30", "160x120", True, True),
        "mute": ("24", "120x120", False, False),
    },
    "hooks": {
        "12": ("12", "90x160", True, False),
        "2398": ("24000/1001", "320x180", True, False),
        "mute": ("25", "64x64", False, False),
    },
    "endings": {
        "5994": ("60000/1001", "160x90", True, False),
        "30": ("30", "64x128", True, False),
    },
}


@pytest.fixture(scope="session")
def footage(tmp_path_factory):
    """Clips of 1.2 s that flash and beep after about half a second, and a picture."""
    folder = tmp_path_factory.mktemp("footage")
    for role, clips in CLIPS.items():
        (folder / role).mkdir()
        for name, (fps, size, sound, vfr) in clips.items():
            flashing(folder / role / f"{name}.mp4", fps, size=size, sound=sound, vfr=vfr)
    ffmpeg("-f", "lavfi", "-i", "color=0x808080:s=64x64", "-frames:v", "1",
           folder / "endings" / "still.png")  # fmt: skip
    return folder


def random_wishes(chance: random.Random, footage: Path) -> Wishes:
    """Draw files and a brief of two or three outputs."""

    def drawn(role: str, most: int) -> list[Path]:
        return sorted(chance.sample(sorted((footage / role).iterdir()), chance.randint(0, most)))

    videos = [chance.choice(sorted((footage / "videos").iterdir()))]
    hooks, endings = drawn("hooks", 2), drawn("endings", 2)
    brief = {
        "formats": chance.sample(["source", "9:16", "4:5", "1:1", "16:9"], chance.randint(1, 2)),
        "fit": chance.choice(["blur", "pad", "crop"]),
        "padColor": "#808080",
        "size": 360,
        "stillSeconds": 0.7,
        "lengths": chance.choice([["full"], ["full", 3], [2.9, 3.3], [3.1]]),
        "speeds": chance.choice([[1], [1, 1.25], [0.8], [1.5]]),
        "mirror": chance.choice([[False], [True]]),
        "combine": chance.choice([2, 3]),
    }
    if chance.random() < 0.5:
        brief["fps"] = chance.choice([12, 24, 25, 29.97, 30, 59.94])
    files = {"video": videos, "hook": hooks, "ending": endings, "overlay": [], "music": []}
    looks = chance.choice([None, 1])
    return Wishes(
        brief=json.dumps(brief), files=files, seed=chance.randrange(99), recipe="subtle",
        variations=looks,
    )  # fmt: skip


def assert_right(timeline: Timeline, output: Joined, wishes: Wishes) -> None:
    """Frames follow each other at every joint; flashes and beeps are where sources have them."""
    path, shown = output.path, times(output.path)
    assert complaints(path) == ""
    assert len(lumas(path)) == output.frames == len(shown) - 1
    assert min(lumas(path)) > 60
    if timeline.fps:
        step = float(1 / timeline.fps)
        assert shown == pytest.approx([n * step for n in range(output.frames + 1)], abs=0.0002)
    frame = max(b - a for a, b in pairwise(shown))
    # At another speed the last frame of a single part is shown as long as it was.
    assert output.seconds == pytest.approx(
        timeline.seconds, abs=0.0005 if timeline.fps else frame / 2
    )
    seen, heard = expected(timeline, wishes)
    assert flashes(path) == pytest.approx(seen, abs=frame + 0.001)
    if not any(segment.sound for segment in timeline.segments):
        assert b"mp4a" not in path.read_bytes()
        return
    assert len(pcm(path)) == pytest.approx(output.seconds * RATE, abs=1)
    found = beeps(path)
    assert found == pytest.approx(heard, abs=0.015)
    for beep in found:
        assert min(abs(beep - flash) for flash in flashes(path)) < frame


def expected(timeline: Timeline, wishes: Wishes) -> tuple[list[float], list[float]]:
    """Return when flashes and beeps of an output should begin, by what its sources have."""
    starts = accumulate((segment.seconds for segment in timeline.segments), initial=0.0)
    seen, heard = [], []
    for start, segment in zip(starts, timeline.segments, strict=False):
        path = wishes.path((segment.picture.role, segment.picture.source))
        if path.suffix != ".mp4" or (at := flashes(path)[0] / speed_of(segment)) >= segment.seconds:
            continue
        seen.append(start + at)
        if segment.sound:
            heard.append(start + at)
    return seen, heard


def speed_of(segment) -> float:
    return segment.picture.picture.speed


CASES = [pytest.param(seed, marks=[pytest.mark.slow] if seed >= 5 else []) for seed in range(55)]


@pytest.mark.parametrize("seed", CASES)
def test_a_random_brief_gives_outputs_without_a_fault(footage, settings, tmp_path, seed):
    wishes = random_wishes(random.Random(seed), footage)
    production = prepare(wishes, settings, FONTS)
    made = make(production, tmp_path, settings, FONTS, scratch=tmp_path)
    for timeline, output in made:
        assert_right(timeline, output, wishes)
    assert production.timelines or production.failed
