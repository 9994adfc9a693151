"""What a shot shows, as pixels."""

import json
from fractions import Fraction

import pytest
from PIL import Image

from jobserver.brief.model import Headline, Logo
from jobserver.brief.recipes import RECIPES, recipe_text
from jobserver.render import parameters, probe, render

from ..conftest import H264, described, ffmpeg, ssim
from .conftest import BLUE, GREEN, GREY, RED, TAGS, colour, two_halves
from .support import Frame, appearance, frames


def shown(file, like=None, number=0) -> Frame:
    """Return a decoded frame of a shot. like: its appearance."""
    return all_shown(file, like)[number]


def all_shown(file, like=None) -> list[Frame]:
    """Return all decoded frames of a shot."""
    like = like or appearance()
    return frames(file.path, like.width, like.height)


def close(seen, wanted, tolerance=5):
    return all(abs(a - b) <= tolerance for a, b in zip(seen, wanted, strict=True))


def reddish(seen):
    return seen[0] > seen[1] + 60


def greenish(seen):
    return seen[1] > seen[0] + 60


def test_pad_surrounds_the_picture_with_a_colour(shots, halves):
    wanted = appearance(fit="pad", pad_color="#1e28be")
    picture = shown(*shots(halves, wanted))
    assert close(picture.at(0.1, 0.1), BLUE)
    assert close(picture.at(0.9, 0.9), BLUE)
    assert close(picture.at(0.1, 0.5), RED)
    assert close(picture.at(0.9, 0.5), GREEN)
    # 160x90 in 90x160 is 90x50 (even), in the middle
    rows = [close(picture.at(0.25, (y + 0.5) / 160), BLUE, 20) for y in range(160)]
    assert (rows.index(False), 160 - rows[::-1].index(False)) == (54, 104)


def test_blur_surrounds_the_picture_with_itself(shots, halves):
    picture = shown(*shots(halves, appearance(fit="blur")))
    assert close(picture.at(0.1, 0.5), RED)
    assert close(picture.at(0.9, 0.5), GREEN)
    for y in (0.02, 0.2, 0.8, 0.98):
        assert reddish(picture.at(0.05, y))
        assert greenish(picture.at(0.95, y))
    sharp, soft = (
        max(abs(picture.at(x / 90, y)[0] - picture.at((x + 2) / 90, y)[0]) for x in range(87))
        for y in (0.5, 0.1)
    )
    assert soft < sharp / 2  # the border between the halves


@pytest.mark.parametrize(("focus", "seen"), [((0.0, 0.5), reddish), ((1.0, 0.5), greenish)])
def test_crop_keeps_the_focus(shots, halves, focus, seen):
    """90x160 of 160x90 is a third of its width, enlarged 1.8 times."""
    picture = shown(*shots(halves, appearance(fit="crop", focus=focus)))
    assert all(seen(picture.at(x, y)) for x in (0.02, 0.5, 0.98) for y in (0.02, 0.5, 0.98))


def test_crop_in_the_middle_shows_both_halves(shots, halves):
    picture = shown(*shots(halves, appearance(fit="crop")))
    assert reddish(picture.at(0.4, 0.5))
    assert greenish(picture.at(0.6, 0.5))


@pytest.mark.parametrize("fit", ["pad", "crop", "blur"])
def test_a_small_source_is_enlarged_twice_at_most(shots, tmp_path, fit):
    """40x30 becomes 80x60 in the middle of 180x320, with a background on all sides."""
    wanted = appearance(width=180, height=320, fit=fit, pad_color="#1e28be")
    picture = shown(*shots(two_halves(tmp_path / "small.mp4", "40x30"), wanted), wanted)
    assert close(picture.at(56 / 180, 0.5), RED, 12)
    assert close(picture.at(124 / 180, 0.5), GREEN, 12)
    for x, y in ((44 / 180, 0.5), (136 / 180, 0.5), (0.5, 120 / 320), (0.5, 200 / 320)):
        assert not close(picture.at(x, y), RED, 3)
        assert close(picture.at(x, y), BLUE) == (fit == "pad")


def test_mirror_swaps_the_sides(shots, halves):
    picture = shown(*shots(halves, appearance(mirror=True)))
    assert greenish(picture.at(0.1, 0.5))
    assert reddish(picture.at(0.9, 0.5))


def test_the_focus_is_a_place_of_the_source_also_when_mirrored(shots, halves):
    picture = shown(*shots(halves, appearance(fit="crop", focus=(0.0, 0.5), mirror=True)))
    assert reddish(picture.at(0.5, 0.5))


@pytest.mark.parametrize("recipe", ["subtle", "classic", "bold", '{"like":"bold","mirror":[true]}'])
def test_a_look_is_that_of_a_variation(shots, settings, tmp_path, recipe):
    source = tmp_path / "tagged.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=0.4", *H264, *TAGS, source)
    look = parameters(7, 3, recipe if recipe in RECIPES else recipe_text(json.loads(recipe)))
    wanted = [(look, tmp_path / "variation.part")]
    [variation] = render(source, probe(source, settings), wanted, settings)
    values = tuple(sorted(look.values.items()))
    same = {"width": 160, "height": 120, "format": "source"}
    speed = look.values.get("speed", 1.0)
    like = appearance(**same, look=values, speed=speed, fps=None)
    shot, plain = shots(source, like, appearance(**same, fps=None))
    assert ssim(shot.path, variation.path) > 0.97
    assert ssim(plain.path, variation.path) < 0.97


@pytest.mark.parametrize("name", ["portrait", "turned", "wide-pixels", "square-turned"])
def test_sources_are_upright_with_square_pixels(shots, clip, settings, name):
    """The picture fills a frame of its displayed shape, and looks as players show it."""
    width, height = (side + side % 2 for side in probe(clip(name), settings).displayed)
    [shot] = shots(name, appearance(width=width, height=height, format="source", fit="pad"))
    assert ssim(shot.path, clip(name)) > 0.9


def test_a_headline_is_shown_from_its_first_to_its_last_frame(shots, halves):
    headline = Headline("Hi", "middle", 0.08, 0.16, background="#1e28be", size=0.12)
    [shot] = shots(halves, appearance(headline=headline))
    seen = [close(picture.at(0.37, 0.4), BLUE, 40) for picture in all_shown(shot)]
    assert seen == [False, False, True, True, False]


def test_a_headline_lies_in_the_safe_zone_of_its_format(shots, halves):
    """All pixels outside are those of the same shot without it."""
    headline = Headline("Save 50 %", "bottom", background="#1e28be", size=0.1)
    with_it, without = map(shown, shots(halves, appearance(headline=headline), appearance()))
    rows = [
        n for n in range(160)
        if not close(with_it.at(0.45, (n + 0.5) / 160), without.at(0.45, (n + 0.5) / 160), 30)
    ]  # fmt: skip
    assert rows
    assert min(rows) >= 0.15 * 160 - 2
    assert max(rows) <= 0.65 * 160 + 2


@pytest.mark.parametrize(
    ("corner", "place"),
    [
        ("top-left", (0.12, 0.16)),
        ("top-right", (0.64, 0.16)),
        ("bottom-left", (0.12, 0.64)),
        ("bottom-right", (0.64, 0.64)),
    ],
)
def test_a_logo_lies_in_its_corner(shots, halves, tmp_path, corner, place):
    Image.new("RGB", (30, 30), BLUE).save(tmp_path / "logo.png")
    wanted = appearance(logo=Logo("my 'logo'.png", corner, 0.2, 1.0), fit="pad")
    [shot] = shots(halves, wanted, overlays={"my 'logo'.png": tmp_path / "logo.png"})
    for picture in all_shown(shot):
        assert close(picture.at(place[0] + 0.04, place[1] + 0.005), BLUE, 25)


def test_opacity_and_alpha_of_a_logo_let_the_picture_through(shots, halves, tmp_path):
    logo = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    logo.paste((255, 255, 255, 255), (0, 0, 20, 40))
    logo.save(tmp_path / "logo.webp", lossless=True)
    wanted = appearance(logo=Logo("a", "top-left", 0.4, 0.5), fit="pad")
    picture = shown(*shots(halves, wanted, overlays={"a": tmp_path / "logo.webp"}))
    assert close(picture.at(0.15, 0.2), GREY, 8)  # white at half its opacity on black
    assert close(picture.at(0.45, 0.2), (0, 0, 0), 8)


def test_speed_changes_when_things_happen(shots):
    """The picture turns white at 1 s of the source: at 0.5 s of twice the speed, at 2 s of half."""
    for speed, onset in ((1.0, 25), (2.0, 12.5), (0.5, 50)):
        wanted = appearance(speed=speed, fit="crop")
        [shot] = shots("sync", wanted)
        white = [picture.at(0.5, 0.5)[0] > 128 for picture in all_shown(shot)]
        assert white.index(True) == pytest.approx(onset, abs=0.5)
        assert shot.frames == 50 / speed


def test_frame_times_of_a_source_are_kept_where_no_rate_is_asked_for(shots, clip):
    """Also at another speed: the steps between frames shrink alike."""
    whole, faster = shots("vfr", appearance(fps=None), appearance(fps=None, speed=1.5))
    assert faster.seconds == pytest.approx(whole.seconds / 1.5, abs=1e-3)
    source, same, quick = (times(path) for path in (clip("vfr"), whole.path, faster.path))
    assert same == pytest.approx([time - source[0] for time in source], abs=1e-4)
    assert quick == pytest.approx([time / 1.5 for time in same], abs=1e-4)


def times(path):
    lines = ffmpeg("-i", path, "-map", "0:v", "-f", "framecrc", "-fps_mode", "passthrough",
                   "-enc_time_base", "demux", "-").decode().splitlines()  # fmt: skip
    tick = next(Fraction(line.split(": ")[1]) for line in lines if line.startswith("#tb"))
    return [float(int(line.split(",")[2]) * tick) for line in lines if line[0] != "#"]


def test_equal_parts_of_chains_give_the_same_pixels_as_alone(shots, halves):
    """Shots that share steps in one process are, byte for byte, those made one by one."""
    headline = Headline("Hi", size=0.1)
    wanted = [appearance(), appearance(headline=headline), appearance(fit="pad", mirror=True)]
    together = [file.path.read_bytes() for file in shots(halves, *wanted)]
    alone = [shots(halves, each)[0].path.read_bytes() for each in wanted]
    assert together == alone


@pytest.mark.parametrize("name", ["plain", "hevc10", "rgb", "full-range", "interlaced"])
def test_every_shot_is_tagged_bt709_with_square_pixels(shots, name):
    [shot] = shots(name, appearance(fit="pad"))
    report = described(shot.path).decode()
    assert "yuv420p(tv, bt709, progressive), 90x160 [SAR 1:1 " in report
    assert "Audio" not in report


def test_the_colour_of_a_plate_is_exact(shots, tmp_path):
    source = tmp_path / "grey.mp4"
    ffmpeg("-f", "lavfi", "-i", f"color={colour(GREY)}:s=90x160:r=25:d=0.2", source)
    headline = Headline("xxxxx", "middle", background="#c81e14", size=0.1)
    picture = shown(*shots(source, appearance(headline=headline)))
    assert close(picture.at(0.245, 0.4), RED, 4)
