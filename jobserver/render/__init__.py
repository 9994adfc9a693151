"""One video in, N variations out. Imports neither Flask nor a database.

`probe` reads a file and returns its Media, or raises why it cannot be rendered.
`parameters` computes how each variation differs from the source. `render` writes the
variations, several per ffmpeg process, and yields each after it has been verified. Read
recipe, boxes, banner, probe, command, launch, ffmpeg, variations, verify in this order.
"""

from jobserver.render import ffmpeg
from jobserver.render.credentials import Credentials, read_credentials
from jobserver.render.errors import Cancelled, DiskFull, EngineError, MediaError, RenderError
from jobserver.render.joins import Joined, JoinPart, Mixing, join
from jobserver.render.measure import Fingerprint, Loudness, Measured
from jobserver.render.media import Media
from jobserver.render.probe import probe
from jobserver.render.rate import size_factors
from jobserver.render.recipe import (
    DEFAULT_RECIPE,
    RECIPES,
    Parameters,
    UnknownRecipe,
    parameters,
)
from jobserver.render.sandbox import landlock_version
from jobserver.render.settings import Encoding, Settings, default_ffmpeg
from jobserver.render.shots import PictureFile, render_shots, shot_group_size
from jobserver.render.sound import Music, SoundFile, probe_music, render_music, render_sounds
from jobserver.render.stills import Still, is_picture, probe_still
from jobserver.render.text import (
    BrokenFont,
    Fonts,
    MissingGlyph,
    TextError,
    cannot_draw,
    load_fonts,
    require_glyphs,
)
from jobserver.render.thumbnail import thumbnail
from jobserver.render.variations import Output, check, group_size, render


def version(settings: Settings) -> str:
    """Return the ffmpeg that renders, e.g. `ffmpeg version 7.0.2`. Raises EngineError."""
    return ffmpeg.version(settings.ffmpeg)


__all__ = [
    "DEFAULT_RECIPE",
    "RECIPES",
    "BrokenFont",
    "Cancelled",
    "Credentials",
    "DiskFull",
    "Encoding",
    "EngineError",
    "Fingerprint",
    "Fonts",
    "JoinPart",
    "Joined",
    "Loudness",
    "Measured",
    "Media",
    "MediaError",
    "MissingGlyph",
    "Mixing",
    "Music",
    "Output",
    "Parameters",
    "PictureFile",
    "RenderError",
    "Settings",
    "SoundFile",
    "Still",
    "TextError",
    "UnknownRecipe",
    "cannot_draw",
    "check",
    "default_ffmpeg",
    "group_size",
    "is_picture",
    "join",
    "landlock_version",
    "load_fonts",
    "parameters",
    "probe",
    "probe_music",
    "probe_still",
    "read_credentials",
    "render",
    "render_music",
    "render_shots",
    "render_sounds",
    "require_glyphs",
    "shot_group_size",
    "size_factors",
    "thumbnail",
    "version",
]
