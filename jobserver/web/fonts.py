"""The fonts that headlines are drawn with: what they lack is refused before it is accepted."""

from flask import Flask, current_app

from jobserver.render import BrokenFont, Fonts, load_fonts
from jobserver.render import cannot_draw as cannot_draw_with
from jobserver.settings import Settings, unusable


def load(app: Flask) -> None:
    """Read the fonts, once a process and its forks. Raises SettingsError."""
    settings: Settings = app.extensions["settings"]
    try:
        app.extensions["fonts"] = load_fonts(settings.fonts_dir)
    except (BrokenFont, OSError) as error:
        raise unusable("FONTS_DIR", str(error)) from error


def cannot_draw(text: str) -> str | None:
    """Return what is wrong with a text for want of a font, as the rest of a sentence, or None."""
    if "fonts" not in current_app.extensions:  # without prepare_serving(), as `flask run`
        load(current_app)
    fonts: Fonts = current_app.extensions["fonts"]
    return cannot_draw_with(text, fonts)
