"""Joined outputs: every frame once, picture and sound together, at every joint and at the end."""

import struct
import threading
from fractions import Fraction

import pytest

from jobserver.render import Cancelled
from jobserver.render.errors import EngineError
from jobserver.render.joins import Joined, Mixing, join

from ..sound.signals import RATE, pcm
from .support import beeps, complaints, counting, flashes, flashing, lumas, numbers, times

SOURCES = ("12", "24000/1001", "25", "30000/1001", "30", "60000/1001")


def assert_whole(output: Joined, fps: Fraction) -> None:
    """Every frame has its time, none is black, sound and picture begin and end together."""
    shown = times(output.path)
    assert len(shown) - 1 == output.frames
    assert shown == pytest.approx([n / float(fps) for n in range(output.frames + 1)], abs=0.0002)
    assert output.seconds == pytest.approx(shown[-1], abs=0.0001)
    assert min(lumas(output.path)) > 100
    assert complaints(output.path) == ""


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001)])
def test_parts_of_all_rates_and_sizes_keep_picture_and_sound_together(part, joined, tmp_path, fps):
    parts = [
        part(flashing(tmp_path / f"{n}.mp4", rate, size=size), fps=fps)
        for n, (rate, size) in enumerate(zip(SOURCES, ["160x120", "90x160", "320x180"] * 2,
                                             strict=True))
    ]  # fmt: skip
    parts.append(part(flashing(tmp_path / "vfr.mp4", "30", vfr=True), fps=fps))
    output = joined(*parts)
    assert_whole(output, fps)
    seen, heard = flashes(output.path), beeps(output.path)
    assert len(seen) == len(heard) == 7
    assert all(abs(a - b) < 1 / fps for a, b in zip(seen, heard, strict=True)), (seen, heard)
    assert len(pcm(output.path)) == round(output.seconds * RATE)


def test_a_part_without_sound_is_silent_and_those_around_it_stay_in_time(part, joined, tmp_path):
    loud = flashing(tmp_path / "loud.mp4", "25")
    mute = flashing(tmp_path / "mute.mp4", "25", sound=False)
    output = joined(part(loud), part(mute), part(loud))
    assert_whole(output, Fraction(25))
    first, _, last = flashes(output.path)
    assert beeps(output.path) == pytest.approx([first, last], abs=0.02)


def test_without_any_sound_an_output_has_no_track_of_it(part, joined, tmp_path):
    mute = part(flashing(tmp_path / "mute.mp4", "25", sound=False))
    output = joined(mute, mute, loudness=-14)
    assert output.loudness is None
    assert b"mp4a" not in output.path.read_bytes()
    assert_whole(output, Fraction(25))


def test_no_frame_is_lost_or_doubled_at_a_joint(part, joined, tmp_path):
    shots = [part(counting(tmp_path / f"{n}.mp4", frames=n)) for n in (31, 10, 25)]
    output = joined(*shots)
    expected = [n % 10 for count in (31, 10, 25) for n in range(count)]
    assert numbers(output.path) == expected
    assert (output.frames, output.seconds) == (66, 2.64)


def test_a_part_is_cut_at_a_keyframe_without_encoding_it_again(part, joined, tmp_path):
    whole = counting(tmp_path / "long.mp4", frames=50)
    end = part(counting(tmp_path / "end.mp4", frames=5))
    main = part(whole, cut=0.92, keyframes=(0.92, 1.48))
    assert numbers(joined(main, end).path) == [n % 10 for n in [*range(23), *range(5)]]
    main = part(whole, cut=1.48, keyframes=(0.92, 1.48))
    assert numbers(joined(end, main).path) == [n % 10 for n in [*range(5), *range(37)]]


def test_a_cut_where_no_keyframe_is_is_refused(part, joined, tmp_path):
    main = part(counting(tmp_path / "long.mp4", frames=50), cut=0.92)
    with pytest.raises(EngineError) as error:
        joined(main)
    assert "no keyframe at 0.92" in error.value.detail


@pytest.mark.parametrize("counts", [(1, 30), (30, 1, 30), (2, 1, 2), (1, 1, 3, 2)])
def test_parts_of_one_or_two_frames_are_joined_without_a_warning(part, joined, tmp_path, counts):
    """x264 delays their frames less than those of other shots."""
    shots = [part(counting(tmp_path / f"{n}.mp4", frames=n)) for n in counts]
    output = joined(*shots)
    assert numbers(output.path) == [n % 10 for count in counts for n in range(count)]
    assert_times_are_equal_steps(output)
    assert complaints(output.path) == ""


def assert_times_are_equal_steps(output: Joined) -> None:
    shown = times(output.path)
    assert shown == pytest.approx([n / 25 for n in range(output.frames + 1)], abs=0.0001)


def test_a_single_part_keeps_the_times_of_its_frames(part, joined, tmp_path):
    source = flashing(tmp_path / "vfr.mp4", "30", vfr=True)
    output = joined(part(source, fps=None))
    assert times(output.path) == pytest.approx(times(source), abs=0.001)
    assert beeps(output.path) == pytest.approx(flashes(output.path), abs=0.034)
    assert complaints(output.path) == ""


def test_equal_parts_give_equal_bytes(part, joined, tmp_path):
    main = part(flashing(tmp_path / "a.mp4", "25"))
    outputs = [joined(main, main, loudness=-14, thumbnail=True) for _ in range(2)]
    first, second = [[path.read_bytes() for path in (o.path, o.thumbnail)] for o in outputs]
    assert first == second


def test_the_index_is_at_the_front_and_nothing_else_remains(part, joined, tmp_path):
    main = part(flashing(tmp_path / "a.mp4", "25"))
    before = set(tmp_path.iterdir())
    output = joined(main, main, thumbnail=True)
    data = output.path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert output.thumbnail.read_bytes()[8:12] == b"WEBP"
    assert set(tmp_path.iterdir()) - before == {output.path, output.thumbnail}
    assert (output.width, output.height) == (64, 64)


@pytest.mark.parametrize("fit", ["blur", "pad", "crop"])
def test_the_box_of_colours_says_bt709_whatever_surrounds_the_picture(part, joined, tmp_path, fit):
    """Players read `colr` before anything in the stream. Source: ISO/IEC 14496-12, 12.1.5."""
    main = part(flashing(tmp_path / "a.mp4", "25"), width=64, height=114, fit=fit)
    data = joined(main, main).path.read_bytes()
    colr = data[data.index(b"colr") :]
    assert colr[4:8] == b"nclx"
    assert struct.unpack_from(">3H", colr, 8) == (1, 1, 1)


def test_a_cancelled_join_leaves_nothing(part, settings, tmp_path):
    main = part(flashing(tmp_path / "a.mp4", "25"))
    before, cancel = set(tmp_path.iterdir()), threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        join([main], tmp_path / "out.mp4", settings, Mixing(), thumbnail=True, cancel=cancel)
    assert set(tmp_path.iterdir()) == before
