"""How this worker renders: its settings, and what it says about what it made."""

from functools import cache

from jobserver import render
from jobserver.settings import Settings
from jobserver.version import VERSION


def render_settings(settings: Settings) -> render.Settings:
    """Take the limits and the encoder from the settings.

    Encoders in libraries run without devices, so ffmpeg is confined to its files; hardware
    encoders need their devices.
    """
    encoding = render.Encoding(
        encoder=settings.encoder, preset=settings.encoder_preset, rate=settings.encoder_rate
    )
    return render.Settings(
        ffmpeg=settings.ffmpeg or render.default_ffmpeg(),
        encoding=encoding,
        max_pixels=settings.max_pixels,
        max_duration=settings.max_duration,
        memory=settings.render_memory,
        accept=settings.accept,
        sandbox=encoding.encoder.startswith("lib"),
        fonts=settings.fonts_dir,
    )


@cache
def fonts_of(settings: render.Settings) -> render.Fonts:
    """Return the fonts of headlines, read once a process. Raises EngineError."""
    try:
        return render.load_fonts(settings.fonts)
    except (render.BrokenFont, OSError) as error:
        raise render.EngineError(f"FONTS_DIR cannot be used: {error}") from error


def made_with(settings: render.Settings) -> str:
    """Return what decides an output's bytes beside its source: server, ffmpeg, encoder."""
    encoding = settings.encoding
    words = (encoding.encoder, encoding.preset, *encoding.quality)
    return f"jobserver {VERSION}; {render.version(settings)}; {' '.join(words)}"
