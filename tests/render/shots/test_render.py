"""Shots of one source: what comes out, frame by frame."""

import threading

import pytest

from jobserver.render import Cancelled

from .support import appearance


def test_a_shot_has_the_frames_that_its_rate_and_length_ask_for(shots):
    found = shots(
        "silent",
        appearance(),
        appearance(fps=30),
        appearance(fps=12, speed=2.0),
        appearance(seconds=0.5),
        appearance(fps=None),
    )
    assert [file.frames for file in found] == [50, 60, 12, 12, 50]
    assert [file.seconds for file in found] == pytest.approx([2, 2, 1, 0.48, 2])


def test_progress_grows_to_one(shots):
    seen: list[float] = []
    shots("silent", appearance(), appearance(seconds=0.5), on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_a_cancelled_shot_leaves_no_file(shots, tmp_path):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        shots("silent", appearance(), cancel=cancel)
    assert list(tmp_path.iterdir()) == []
