"""Small sources of known colours, and a function that makes shots of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from jobserver.render import Encoding, PictureFile, Settings, load_fonts, probe, render_shots

from ..conftest import H264, ffmpeg

RED, GREEN, BLUE, GREY = (200, 30, 20), (20, 180, 40), (30, 40, 190), (128, 128, 128)
TAGS = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
TO_YUV = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"

Shots = Callable[..., list[PictureFile]]


def colour(rgb: tuple[int, int, int]) -> str:
    """Return a colour as ffmpeg writes it."""
    return "0x" + bytes(rgb).hex()


def two_halves(path: Path, size: str = "160x90", *, frames: int = 5) -> Path:
    """Write a clip whose left half is red and whose right half is green."""
    graph = (
        f"color={colour(RED)}:s={size}:r=25,format=gbrp,"
        f"drawbox=x=iw/2:w=iw/2:h=ih:c={colour(GREEN)}:t=fill,{TO_YUV}"
    )
    ffmpeg("-f", "lavfi", "-i", graph, "-frames:v", str(frames), *H264, "-qp", "4", *TAGS, path)
    return path


@pytest.fixture
def settings() -> Settings:
    """Settings that keep colours as they are."""
    return Settings(encoding=Encoding(preset="ultrafast", rate=("-qp", "4")))


@pytest.fixture
def shots(clip, settings: Settings, tmp_path: Path) -> Shots:
    """Return a function that renders appearances of a clip, by name or path."""

    def run(source, *appearances, **options) -> list[PictureFile]:
        path = source if isinstance(source, Path) else clip(source)
        wanted = [(each, tmp_path / f"{n}.part") for n, each in enumerate(appearances)]
        options = {"overlays": {}, "fonts": load_fonts(), "settings": settings} | options
        media = options.pop("media", None) or probe(path, settings)
        return list(render_shots(path, media, wanted, options.pop("settings"), **options))

    return run


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """Return a clip of 160x90 whose left half is red and whose right half is green."""
    return two_halves(tmp_path / "halves.mp4")
