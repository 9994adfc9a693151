"""From a client's JSON to a Brief: first as the schema says, then what a schema cannot say."""

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from jobserver.brief import names, schema, text
from jobserver.brief.combine import places_of, values_of
from jobserver.brief.document import decode, item_path
from jobserver.brief.errors import BriefError, quoted
from jobserver.brief.model import (
    ROLE_OF,
    AxisValue,
    Brief,
    Exclusion,
    Logo,
    Part,
    Role,
    Sources,
)
from jobserver.brief.recipes import is_own, recipe_of, recipe_text
from jobserver.brief.stored import from_document

TextCheck: TypeAlias = Callable[[str], str | None]  # what is wrong with a text, or None
FILE_LISTS = ("hooks", "endings", "music")  # keys of a brief that list files
FILE_AXES: dict[str, Role] = {
    "video": "video",
    "hook": "hook",
    "ending": "ending",
    "music": "music",
}


def parse(
    given: Any,
    sources: Sources,
    *,
    variations: int | None = None,
    recipe: str = "subtle",
    unused_allowed: bool = False,
    cannot_draw: TextCheck = lambda _: None,
) -> Brief:
    """Return the brief that a JSON text, or its decoded value, asks for; the same with defaults.

    variations: looks of `recipe`, one more axis; None: the picture is left as it is. recipe: its
    text (see recipes.py), where the brief names none.
    unused_allowed: whether there may be files that the brief does not use. cannot_draw: says what
    is wrong with a text for want of a font, as the rest of a sentence.
    Raises BriefError.
    """
    document = decode(given) if isinstance(given, str) else given
    schema.check(document)
    files = _Files(sources)
    given_recipe = document.get("recipe")
    if given_recipe is not None:
        recipe = recipe_text(given_recipe)
    brief = from_document(
        schema.with_defaults(document) | {key: files.listed(document, key) for key in FILE_LISTS},
        looks=variations or 0,
        recipe=recipe,
    )
    brief = replace(
        brief,
        logo=files.logo(brief),
        exclude=tuple(_exclusions(brief, files)),
    )
    _check_texts(brief, cannot_draw)
    if not unused_allowed:
        files.require_use(brief)
    return brief


def parse_recipe(text: str) -> str:
    """Return the text of a recipe (recipes.py) that a name, or the JSON of an object, asks for.

    Raises UnknownRecipe or BriefError.
    """
    if not is_own(text.lstrip()):
        recipe_of(text)
        return text
    document = decode(text, whole="recipe")
    schema.check(document, schema.definition("recipe"), "recipe")
    return recipe_text(document)


def used(brief: Brief, sources: Sources) -> Sources:
    """Return the files that a brief uses, each in the sequence in which it was sent."""
    overlays = () if brief.logo is None else (brief.logo.overlay,)
    return replace(
        sources,
        hooks=_among(sources.hooks, brief.hooks),
        endings=_among(sources.endings, brief.endings),
        music=_among(sources.music, brief.music),
        overlays=_among(sources.overlays, overlays),
    )


class _Files:
    """The files that were sent, found by role and name.

    One name may be written in two ways: macOS takes letters and their accents apart, people who
    type a brief do not. Both are the same name here (Unicode normalisation form C).
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._names = {
            role: self._by_name(field, sources.of_role(role)) for field, role in ROLE_OF.items()
        }

    @staticmethod
    def _by_name(field: str, parts: tuple[Part, ...]) -> dict[str, str]:
        plain = [unicodedata.normalize("NFC", part.name) for part in parts]
        schema.refuse_repeats(plain, field)
        return {name: part.name for name, part in zip(plain, parts, strict=True)}

    def named(self, role: Role, name: str, path: str) -> str:
        """Return a file's name as it was sent. Raises BriefError."""
        found = self._names[role].get(unicodedata.normalize("NFC", name))
        if found is None:
            raise BriefError(path, f"is {quoted(name)}, which was not sent as {role}")
        return found

    def listed(self, document: dict[str, Any], key: str) -> list[str | None]:
        """Return the files that a list names; without the list all that were sent, or none."""
        role = ROLE_OF[key]
        if key not in document:
            return list(self._names[role].values()) or [None]
        found = [
            name if name is None else self.named(role, name, item_path(key, index))
            for index, name in enumerate(document[key])
        ]
        schema.refuse_repeats(found, key)
        return found

    def logo(self, brief: Brief) -> Logo | None:
        """Return the logo of a brief with its file's name as it was sent."""
        if brief.logo is None:
            return None
        return replace(
            brief.logo, overlay=self.named("overlay", brief.logo.overlay, "logo.overlay")
        )

    def require_use(self, brief: Brief) -> None:
        """Raise BriefError for a file that was sent and is not used."""
        needed = used(brief, self._sources)
        for key in ("hooks", "endings", "music", "overlays"):
            for part in getattr(self._sources, key):
                if part not in getattr(needed, key):
                    path = "logo" if key == "overlays" else key
                    raise BriefError(path, f"does not use {quoted(part.name)}, which was sent")


def _among(parts: tuple[Part, ...], wanted: tuple[str | None, ...]) -> tuple[Part, ...]:
    return tuple(part for part in parts if part.name in wanted)


def _exclusions(brief: Brief, files: _Files) -> Iterator[Exclusion]:
    """Yield what is excluded, names as they were sent. Raises BriefError for what is not there."""
    places = {axis: places_of(values) for axis, values in values_of(brief).items()}
    for index, exclusion in enumerate(brief.exclude):
        found: list[tuple[str, AxisValue]] = []
        for axis, value in exclusion.values:
            path = f"{item_path('exclude', index)}.{axis}"
            if axis in FILE_AXES and isinstance(value, str):
                value = files.named(FILE_AXES[axis], value, path)
            if axis != "video" and value not in places[axis]:
                raise BriefError(path, f"is {quoted(value)}, which the axis does not have")
            found.append((axis, value))
        yield Exclusion(tuple(found))


def _check_texts(brief: Brief, cannot_draw: TextCheck) -> None:
    for index, headline in enumerate(brief.headlines):
        if headline is None:
            continue
        path = item_path("headlines", index)
        if reason := text.problem(headline.text) or cannot_draw(headline.text):
            raise BriefError(f"{path}.text", reason)
        if headline.end is not None and headline.end <= (headline.start or 0):
            raise BriefError(f"{path}.to", "must be later than from")
    schema.refuse_repeats(list(brief.headlines), "headlines")
    if brief.name is not None:
        if reason := text.problem(brief.name):
            raise BriefError("name", reason)
        names.check_template(brief.name)
