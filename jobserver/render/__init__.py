"""One file in, N files out; knows neither Flask nor a database.

The path of one file: `probe` says what it is or raises the reason why not; `parameters`
says how each variation differs; `render` writes them, a group a process, and yields each
once it is whole. Read recipe.py, boxes.py, probe.py, command.py, launch.py, ffmpeg.py,
variations.py in this order.
"""

from jobserver.render import ffmpeg
from jobserver.render.errors import Cancelled, DiskFull, EngineError, MediaError, RenderError
from jobserver.render.media import Media
from jobserver.render.probe import probe
from jobserver.render.recipe import (
    DEFAULT_RECIPE,
    RECIPES,
    Parameters,
    UnknownRecipe,
    parameters,
)
from jobserver.render.settings import Encoding, Settings, default_ffmpeg, find_ffmpeg
from jobserver.render.thumbnail import thumbnail
from jobserver.render.variations import Output, check, group_size, render


def version(settings: Settings) -> str:
    """Return which ffmpeg renders, as `ffmpeg version 9.0`. Raises EngineError."""
    return ffmpeg.version(settings.ffmpeg)


__all__ = [
    "DEFAULT_RECIPE",
    "RECIPES",
    "Cancelled",
    "DiskFull",
    "Encoding",
    "EngineError",
    "Media",
    "MediaError",
    "Output",
    "Parameters",
    "RenderError",
    "Settings",
    "UnknownRecipe",
    "check",
    "default_ffmpeg",
    "find_ffmpeg",
    "group_size",
    "parameters",
    "probe",
    "render",
    "thumbnail",
    "version",
]
