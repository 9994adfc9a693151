"""Shots of one source: frames, files, failures."""

import dataclasses
import threading
from fractions import Fraction

import pytest
from PIL import Image

from jobserver.brief.model import Headline, Logo
from jobserver.render import (
    Cancelled,
    MissingGlyph,
    Settings,
    Still,
    TextError,
    load_fonts,
    probe,
    probe_still,
    render_shots,
    shot_group_size,
)
from jobserver.render.errors import Damaged, NotAPicture
from jobserver.render.settings import MIB

from ..conftest import ffmpeg
from .conftest import BLUE, GREEN, RED
from .support import appearance, frames


def test_a_shot_has_the_frames_that_its_rate_and_length_ask_for(shots):
    found = shots(
        "silent",
        appearance(),
        appearance(fps=Fraction(30000, 1001)),
        appearance(fps=Fraction(12), speed=2.0),
        appearance(seconds=0.4),
        appearance(fps=None),
    )
    assert [file.frames for file in found] == [50, 60, 12, 10, 50]
    assert [file.seconds for file in found] == pytest.approx([2, 60.06 / 30, 1, 0.4, 2])


@pytest.mark.parametrize(
    ("rate", "wanted"),
    [
        *(("12", 25), ("24000/1001", 30), ("25", 30), ("30000/1001", 25)),
        *(("30", 25), ("50", 25), ("60000/1001", 30), ("120", 24)),
    ],
)
def test_sources_of_every_rate_become_shots_of_one(shots, tmp_path, rate, wanted):
    path = tmp_path / "source.mp4"
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=64x64:r={rate}:d=0.6", path)
    [shot] = shots(path, appearance(fps=Fraction(wanted), fit="pad"))
    assert shot.frames == round(probe(path, Settings()).packets.duration * wanted)
    assert shot.seconds == pytest.approx(shot.frames / wanted)


@pytest.mark.parametrize("name", ["vfr", "delayed", "trimmed", "fragmented", "single", "uhd"])
def test_sources_of_every_kind_become_shots(shots, clip, settings, name):
    media = probe(clip(name), settings)
    fixed, own = shots(name, appearance(fit="pad"), appearance(fit="pad", fps=None))
    assert fixed.seconds == pytest.approx(media.packets.duration, abs=0.02)
    assert own.frames == media.frames


def test_progress_grows_to_one(shots):
    seen: list[float] = []
    shots("silent", appearance(), appearance(seconds=0.5), on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_progress_of_groups_is_one_progress(shots, settings):
    seen: list[float] = []
    settings = dataclasses.replace(settings, group=1)
    wanted = [appearance(seconds=0.2), appearance(seconds=0.6)]
    shots("silent", *wanted, settings=settings, on_progress=seen.append)
    assert seen == sorted(seen)
    assert {0.25, 1.0} <= {round(share, 6) for share in seen}


def test_a_cancelled_shot_leaves_no_file(shots, tmp_path):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        shots("silent", appearance(), cancel=cancel)
    assert list(tmp_path.iterdir()) == []


def test_shots_that_nobody_took_are_removed(clip, settings, tmp_path):
    media, outs = probe(clip("silent"), settings), [tmp_path / "a.part", tmp_path / "b.part"]
    wanted = [(appearance(seconds=0.2), out) for out in outs]
    files = render_shots(clip("silent"), media, wanted, settings, overlays={}, fonts=load_fonts())
    assert next(files).path == outs[0]
    files.close()
    assert list(tmp_path.iterdir()) == [outs[0]]


def test_a_shot_that_lacks_frames_is_not_kept(shots, clip, settings, tmp_path):
    """As when less of a source can be decoded than its index declares."""
    media = probe(clip("silent"), settings)
    packets = dataclasses.replace(media.packets, end=3.0, shown=75)
    with pytest.raises(Damaged) as caught:
        shots("silent", appearance(), media=dataclasses.replace(media, packets=packets))
    assert caught.value.detail == "52 frames of 75"
    with pytest.raises(Damaged) as caught:
        shots("silent", appearance(fps=None), media=dataclasses.replace(media, packets=packets))
    assert caught.value.detail == "2.000 s of 3.000 s"
    assert list(tmp_path.iterdir()) == []


def test_a_source_whose_frames_cannot_be_decoded_is_damaged(shots, clip, settings, tmp_path):
    """Else each would be filled by the one before, and the count of frames would be right."""
    path = tmp_path / "noise.mp4"
    source = clip("silent").read_bytes()
    start = source.index(b"mdat") + 4 + 20_000
    path.write_bytes(source[:start] + bytes(40_000) + source[start + 40_000 :])
    with pytest.raises(Damaged):
        shots(path, appearance(), media=probe(clip("silent"), settings))


@pytest.fixture
def still(tmp_path, settings):
    """Return a function that saves a picture and returns path and Still."""

    def make(picture, name="still.png", **options):
        picture.save(tmp_path / name, **options)
        return tmp_path / name, probe_still(tmp_path / name, settings)

    return make


def close(seen, wanted, tolerance=5):
    return all(abs(a - b) <= tolerance for a, b in zip(seen, wanted, strict=True))


@pytest.mark.parametrize(("seconds", "fps"), [(0.5, 24), (1.0, Fraction(30000, 1001)), (0.6, 12)])
def test_a_still_is_shown_as_long_as_is_asked_for(shots, still, seconds, fps):
    path, media = still(Image.new("RGB", (90, 160), BLUE))
    [shot] = shots(path, appearance(seconds=seconds, fps=Fraction(fps)), media=media)
    assert shot.frames == round(seconds * fps)
    assert shot.seconds == pytest.approx(float(shot.frames / Fraction(fps)))
    pictures = frames(shot.path, 90, 160)
    assert len(pictures) == shot.frames
    assert all(close(picture.at(0.5, 0.5), BLUE) for picture in pictures)


def test_a_still_is_framed_like_a_clip(shots, still):
    picture = Image.new("RGB", (320, 180), RED)
    picture.paste(GREEN, (160, 0, 320, 180))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    path, media = still(picture, "photo.jpg", exif=exif, quality=95)
    assert media.displayed == (180, 320)
    wanted = [appearance(seconds=0.2, fit=fit) for fit in ("pad", "crop", "blur")]
    for file in shots(path, *wanted, media=media):
        [first, *_] = frames(file.path, 90, 160)
        assert close(first.at(0.5, 0.1), RED, 8)
        assert close(first.at(0.5, 0.9), GREEN, 8)


def test_a_transparent_still_lies_on_the_pad_colour(shots, still):
    picture = Image.new("RGBA", (90, 160), (255, 255, 255, 0))
    picture.paste((*RED, 255), (0, 0, 90, 80))
    path, media = still(picture)
    wanted = [appearance(seconds=0.2, pad_color=pad) for pad in ("#000000", "#1e28be")]
    for file, below in zip(shots(path, *wanted, media=media), [(0, 0, 0), BLUE], strict=True):
        [first, *_] = frames(file.path, 90, 160)
        assert close(first.at(0.5, 0.2), RED)
        assert close(first.at(0.5, 0.8), below)


def test_a_huge_still_is_framed_as_a_small_one(shots, still):
    picture = Image.new("RGB", (9000, 100), RED)
    picture.paste(GREEN, (4500, 0, 9000, 100))
    path, media = still(picture, "wide.jpg")
    wanted = appearance(seconds=0.2, fit="crop", focus=(0.0, 0.5), width=90, height=90)
    [file] = shots(path, wanted, media=media)
    assert close(frames(file.path, 90, 90)[0].at(0.9, 0.5), RED, 8)


def test_a_still_of_another_kind_is_refused(shots, tmp_path):
    (tmp_path / "still.png").write_text("<svg/>")
    with pytest.raises(NotAPicture):
        shots(tmp_path / "still.png", appearance(seconds=1.0), media=Still(width=9, height=9))


def test_a_missing_glyph_stops_a_shot_before_it_is_encoded(shots, tmp_path):
    with pytest.raises(MissingGlyph, match=r"U\+1F600"):
        shots("silent", appearance(headline=Headline("Hi \U0001f600")))
    assert list(tmp_path.iterdir()) == []
    assert issubclass(MissingGlyph, TextError)


@pytest.mark.parametrize("text", ["'", ":", "%{pts}", "\\", "a\nb", "[0:v]", "';null;'", "{a}{n}"])
def test_no_word_of_a_client_is_part_of_a_command(shots, clip, settings, tmp_path, text):
    """Neither a headline, nor the name of a logo."""
    Image.new("RGB", (8, 8), BLUE).save(tmp_path / "logo.png")
    wanted = appearance(headline=Headline(text), logo=Logo(text), seconds=0.2)
    [shot] = shots("silent", wanted, overlays={text: tmp_path / "logo.png"})
    assert shot.frames == 5


def test_memory_and_settings_limit_how_many_shots_a_process_writes(clip):
    media = probe(clip("silent"), Settings())
    wanted = [(appearance(width=1080, height=1920), clip("silent"))] * 9
    size = [shot_group_size(media, wanted, Settings(memory=n * MIB)) for n in (1, 500, 2048, 9999)]
    assert size == [1, 2, 5, 5]
    assert shot_group_size(media, wanted[:3], Settings(memory=9999 * MIB)) == 3
