"""What variations are called, on pictures with detail on every scale, as footage has."""

import subprocess

import pytest

from jobserver.render import parameters, probe, render
from jobserver.render.grey import GREY
from jobserver.render.measure import distance, hash_frames, label
from jobserver.render.settings import default_ffmpeg

from ..conftest import H264, ffmpeg

LANDSCAPES = {
    "shore": "mandelbrot=s=320x180:r=10:start_scale=2:end_scale=0.3:end_pts=60",
    "coral": "life=s=80x45:r=10:seed=5:mold=10:life_color=white:death_color=gray"
             ":mold_color=black,scale=320:180:flags=bicubic,gblur=6",
}  # fmt: skip
BAR = "drawbox=h=0.15*ih:w=iw:t=fill:c={}"
VISIBLE = {
    "white bar below": BAR.format("white") + ":y=0.85*ih",
    "black bar above": BAR.format("black"),
    "bar at the left": "drawbox=w=0.15*iw:h=ih:t=fill:c=white",
}


@pytest.fixture(scope="module")
def landscapes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("landscapes")
    for name, picture in LANDSCAPES.items():
        ffmpeg("-f", "lavfi", "-i", picture, "-t", "3", *H264, folder / f"{name}.mp4")
    return {name: folder / f"{name}.mp4" for name in LANDSCAPES}


def hashes(path, filters="null"):
    """Return the hashes of a clip after these filters."""
    command = [default_ffmpeg(), "-v", "error", "-i", path, "-vf", f"{filters},{GREY}"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-"], check=True, capture_output=True).stdout
    return hash_frames(raw)


@pytest.mark.parametrize("name", LANDSCAPES)
@pytest.mark.parametrize("recipe", ["subtle", "classic"])
def test_variations_of_these_recipes_are_cosmetic(landscapes, settings, tmp_path, name, recipe):
    path, seen = landscapes[name], []
    wanted = [(parameters(3, n, recipe), tmp_path / f"{n}.mp4") for n in range(1, 5)]
    outputs = list(render(path, probe(path, settings), wanted, settings, on_source=seen.append))
    bits = [distance(seen[0].hashes, output.measured.hashes) for output in outputs]
    assert {label(each) for each in bits} == {"cosmetic"}, bits


@pytest.mark.parametrize("name", LANDSCAPES)
@pytest.mark.parametrize("how", VISIBLE)
def test_a_bar_over_15_percent_of_the_picture_is_visible(landscapes, name, how):
    bits = distance(hashes(landscapes[name]), hashes(landscapes[name], VISIBLE[how]))
    assert label(bits) == "visible", bits


@pytest.mark.parametrize("name", LANDSCAPES)
def test_an_upright_cut_of_a_landscape_is_different(landscapes, name):
    bits = distance(hashes(landscapes[name]), hashes(landscapes[name], "crop=ih*9/16:ih"))
    assert label(bits) == "different", bits


def test_another_clip_is_different(landscapes):
    one, other = (hashes(path) for path in landscapes.values())
    assert label(distance(one, other)) == "different"
