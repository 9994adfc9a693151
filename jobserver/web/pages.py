"""The web page: one document for every view, its scripts and style; a client of the API.

What is served here needs no token and holds no data: the page asks the API, with the token
that was given for the password.
"""

from pathlib import Path

from flask import Blueprint, render_template, send_file
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from jobserver.brief.schema import SCHEMA, definition, with_defaults
from jobserver.placements import PLACEMENTS
from jobserver.render import DEFAULT_RECIPE, RECIPES, Encoding, size_factors, text
from jobserver.render.framing import MAX_ENLARGING
from jobserver.render.measure import VISIBLE
from jobserver.render.text import headline, safe_zones
from jobserver.uploads.brands import OTHER_FORMATS, SOUND_BRANDS
from jobserver.uploads.containers import accepted, media_types
from jobserver.uploads.kinds import MAX_MUSIC_SIZE, MAX_STILL_SIZE
from jobserver.web.context import current_settings, get_store
from jobserver.web.params import (
    DEFAULT_VARIATIONS,
    MAX_SEED,
    MAX_TITLE_LENGTH,
    MAX_VARIATIONS,
    STATUSES,
)

# {store}: where outputs and sources come from, beside here.
# blob: previews of files that were chosen and are not uploaded yet. Nobody but us may frame, script
# or receive anything; text never becomes markup (trusted types: an innerHTML is an error).
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob:{store}",
        "media-src 'self' blob:{store}",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}

STATIC = Path(__file__).parent / "static"
# All modules, preloaded together: found one by one, each depth of imports would be a round trip.
MODULES = sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.js"))

# What the form says of a brief: choices, ranges and defaults.
_SCHEMAS = {"brief": SCHEMA, "logo": definition("logo"), "headline": definition("headline")}
BRIEF_KEYS = {name: schema["properties"] for name, schema in _SCHEMAS.items()}
BRIEF_DEFAULTS = {name: with_defaults({}, schema) for name, schema in _SCHEMAS.items()}

# How the preview draws a headline, as shares of the height of a line, and where beside a logo; see
# the modules.
HEADLINE_SHAPE = {
    "fontSize": headline.FONT_SIZE,
    "baseline": headline.BASELINE,
    "paddingAcross": headline.PADDING_ACROSS,
    "paddingDown": headline.PADDING_DOWN,
    "radius": headline.RADIUS,
    "logoGap": safe_zones.LOGO_GAP,
    "leastZone": safe_zones.LEAST_ZONE,
}

# What the page says of a placement beside the reasons that an output has.
PLACEMENT_HINTS = [
    {
        "name": placement.name,
        "loudness": placement.loudness,
        "zoneFormat": placement.zone_format,
        "safeZone": placement.safe_zone,
    }
    for placement in PLACEMENTS
]

bp = Blueprint("pages", __name__, static_folder="static", template_folder="templates")


@bp.get("/")
@bp.get("/access", endpoint="show_access")  # of its own: url_for() knows one address of each
@bp.get("/jobs/<job_id>")
def show_page(job_id: str | None = None) -> ResponseReturnValue:
    """Answer 200 with the document; its script reads the address to know what to show."""
    settings = current_settings()
    encoding = Encoding(encoder=settings.encoder, rate=settings.encoder_rate)
    page = render_template(
        "page.html",
        modules=[name for name in MODULES if name != "main.js"],
        max_files=settings.max_files,
        max_file_size=settings.max_file_size,
        max_asset_sizes={"picture": MAX_STILL_SIZE, "sound": MAX_MUSIC_SIZE},
        schema={**BRIEF_KEYS, "formats": definition("format")["enum"]},
        brief_defaults=BRIEF_DEFAULTS,
        max_enlarging=MAX_ENLARGING,
        placements=PLACEMENT_HINTS,
        visible_from=VISIBLE,
        safe_zones=text.margins(),
        headline_shape=HEADLINE_SHAPE,
        variations=(DEFAULT_VARIATIONS, MAX_VARIATIONS),
        max_seed=MAX_SEED,
        max_title_length=MAX_TITLE_LENGTH,
        statuses=STATUSES,
        other_formats=OTHER_FORMATS,
        sound_brands=SOUND_BRANDS,
        accept=settings.accept,
        accepted=accepted(settings.accept),
        accepted_types=[
            *media_types(settings.accept),
            *(f".{container}" for container in settings.accept),
        ],
        size_factors=size_factors(encoding),
        recipes=sorted(RECIPES, key=lambda recipe: recipe != DEFAULT_RECIPE),
    )
    return page, {"Cache-Control": "no-cache"}


@bp.get("/static/headline.ttf")
def headline_font() -> ResponseReturnValue:
    """Answer 200 with the font of headlines, for the preview; 304 to who has it."""
    return send_file(text.BUNDLED, mimetype="font/ttf", conditional=True)


@bp.after_request
def protect(response: Response) -> Response:
    """Say what a page may load, and who may frame it."""
    response.headers.update(HEADERS)
    origin = get_store().link_origin()
    response.headers["Content-Security-Policy"] = POLICY.format(store=f" {origin}" * bool(origin))
    return response
