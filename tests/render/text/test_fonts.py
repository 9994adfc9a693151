"""Which font draws which character, and what no font has."""

import pytest
from PIL import features

from jobserver.render.text import (
    BrokenFont,
    CannotShape,
    MissingGlyph,
    cannot_draw,
    load_fonts,
    require_glyphs,
)
from jobserver.render.text.fonts import clusters

ARABIC, HEBREW, HINDI = (
    "\u0633\u0644\u0627\u0645",
    "\u05e9\u05dc\u05d5\u05dd",
    "\u0936\u0915\u094d\u0924\u093f",
)


@pytest.mark.parametrize(
    "text",
    [
        "Save 50 % today, it\u2019s \u201cnew\u201d \u2014 20 \u20ac \u2122 \u00a9 \u2116",
        "\u00c0\u00e9\u00ee\u00f5\u00fc\u00df\u0152\u0141\u0159\u015f\u0111\u1ec7 \u1e9e",
        "\u0388\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac \u1f00",
        "\u0416\u0451\u0457\u0490\u045e \u20bd",
        "e\u0301 taken apart, \u0301 alone",
        "joined\u200d by\u200c what\u2060 is \u200enot drawn\ufe0f\n\u00ad",
    ],
)
def test_the_bundled_font_has_latin_greek_and_cyrillic(bundled, text):
    require_glyphs(text, bundled)
    assert cannot_draw(text, bundled) is None


@pytest.mark.parametrize(
    ("text", "missing", "number"),
    [
        ("Sale \U0001f600!", "\U0001f600", "U+1F600"),
        (ARABIC, "\u0633", "U+0633"),
        ("\u4eca\u3059\u3050", "\u4eca", "U+4ECA"),
        ("a\ue000", "\ue000", "U+E000"),
        ("\u2764\ufe0f", "\u2764", "U+2764"),
    ],
)
def test_a_character_that_no_font_has_is_named(bundled, text, missing, number):
    with pytest.raises(MissingGlyph, match=f"{missing} .{number.replace('+', '.')}") as caught:
        require_glyphs(text, bundled)
    assert caught.value.character == missing
    assert (
        cannot_draw(text, bundled) == f"has the character {missing} ({number}), which no font has"
    )


def test_fonts_of_the_operator_are_added_and_come_first(fonts_dir):
    fonts = load_fonts(fonts_dir("arabic", "devanagari", "rubik"))
    require_glyphs(f"{ARABIC} {HEBREW} {HINDI} \u0416 \u03a9", fonts)
    assert fonts.font_of("\u0916").path.stem == "devanagari"
    assert fonts.font_of("\u05d0").path.stem == "rubik"
    assert fonts.font_of("a").path.stem == "arabic"  # the first by name: it has Latin too
    assert fonts.font_of("\u03a9").path.stem == "NotoSans-Bold"


def test_a_run_stays_in_its_font_as_long_as_that_has_the_characters(fonts_dir):
    fonts = load_fonts(fonts_dir("rubik"))
    greek = fonts.font_of("\u03a9")
    assert fonts.font_of(" ", greek) == greek


@pytest.mark.parametrize("content", [b"", b"\0\1\0\0", b"OTTO" + bytes(200), b"not a font" * 99])
def test_a_broken_font_is_named(tmp_path, content):
    (tmp_path / "brand.ttf").write_bytes(content)
    with pytest.raises(BrokenFont, match=r"brand\.ttf"):
        load_fonts(tmp_path)


def test_other_files_beside_fonts_are_left_alone(tmp_path):
    (tmp_path / "LICENSE.txt").write_text("free")
    assert len(load_fonts(tmp_path).fonts) == 1


def test_a_server_that_cannot_shape_says_so(bundled, fonts_dir, monkeypatch):
    monkeypatch.setattr(features, "check", lambda _name: False)
    require_glyphs("Save 50 % \u00e9 \u0416", bundled)
    for name, text in (("arabic", ARABIC), ("rubik", HEBREW), ("devanagari", HINDI)):
        fonts = load_fonts(fonts_dir(name))
        with pytest.raises(CannotShape, match="FriBidi"):
            require_glyphs(text, fonts)
        assert "FriBidi" in (cannot_draw(text, fonts) or "")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ae\u0301i", ["a", "e\u0301", "i"]),
        ("\u0936\u0915\u094d\u0924\u093f", ["\u0936", "\u0915\u094d\u0924\u093f"]),
        ("\U0001f468\u200d\U0001f469a", ["\U0001f468\u200d\U0001f469", "a"]),
        (
            "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7",
            ["\U0001f1e9\U0001f1ea", "\U0001f1eb\U0001f1f7"],
        ),
        ("\n\u0301", ["\n", "\u0301"]),
        ("", []),
    ],
)
def test_marks_stay_with_their_letter(text, parts):
    assert clusters(text) == parts
