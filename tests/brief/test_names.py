"""Names of outputs."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.brief.errors import BriefError
from jobserver.brief.model import Axes, Brief
from jobserver.brief.names import MAX_SIZE, check_template, fields, fill, template_of, unlike

VALUES = {"title": "My ad", "video": "clip", "hook": "nohook", "n": "3"}
FORBIDDEN = set('<>:"/\\|?* \0\n{}')


def test_without_a_template_a_name_has_the_axes_that_vary_and_a_number():
    varied = Brief(hooks=("a.mp4", "hook2.mp4"), formats=("source", "9:16"))
    axes = Axes("clip.mp4", "hook2.mp4", None, "9:16", "full", 1, False, None, None, None)
    values = fields(axes, 1, None) | {"n": "3"}
    assert fill(template_of(varied, None), values) == "clip_hook2_9x16_3"
    assert template_of(Brief(), None) == "{video}_{n}"
    assert template_of(Brief(lengths=("full", 6)), "May") == "{title}_{video}_{length}_{n}"
    assert template_of(Brief(name="{n}"), "May") == "{n}"


def test_every_field_says_its_value_or_that_there_is_none():
    full = Axes("a.b.mp4", "h.mp4", "e.png", "4:5", 7.5, 1.25, True, "New", "song.m4a", 1)
    assert fields(full, 2, "May") == {
        "title": "May",
        "video": "a.b",
        "hook": "h",
        "ending": "e",
        "format": "4x5",
        "length": "7.5s",
        "speed": "1.25x",
        "mirror": "mirrored",
        "headline": "headline2",
        "music": "song",
        "look": "look1",
    }
    none = Axes("clip", None, None, "source", "full", 1, False, None, None, None)
    assert fields(none, 1, None) == {
        "title": "untitled",
        "video": "clip",
        "hook": "nohook",
        "ending": "noending",
        "format": "source",
        "length": "full",
        "speed": "1x",
        "mirror": "unmirrored",
        "headline": "noheadline",
        "music": "nomusic",
        "look": "nolook",
    }


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{title}-{n}", "My_ad-3"),
        ("../../{video}", "clip"),
        ("a/b\\c:{n}", "a_b_c_3"),
        ("con", "con_"),
        ("NUL.{video}", "NUL.clip_"),
        (".hidden", "hidden"),
        ("  {video}  ", "clip"),
        ("???", "output"),
        ("Größe_日本_{n}", "Größe_日本_3"),
        ("שלם{n}", "שלם3"),
        ("हिन्दी", "हिन्दी"),
        ("😀{n}", "3"),
        ("e\u0301", "é"),
    ],
)
def test_a_name_is_safe_and_keeps_the_letters_of_every_script(template: str, name: str):
    assert fill(template, VALUES) == name


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.text(max_size=300))
def test_any_template_and_value_give_a_safe_name(template: str, value: str):
    name = fill(template.replace("{", "").replace("}", "") + "{video}", {"video": value})
    assert name
    assert not FORBIDDEN & set(name)
    assert name[0] not in ".-_"
    assert not name.endswith(".")
    assert len(name.encode()) <= MAX_SIZE + 1
    assert unicodedata.is_normalized("NFC", name)
    assert name.isprintable()


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{video", "has a brace without its other"),
        ("video}", "has a brace without its other"),
        ("{{video}}", "has a brace without its other"),
        ("{looks}", 'has the field "looks"; known are title, video, hook, ending,'),
        ("{}", 'has the field ""; known are'),
        ("{video!r}", 'has the field "video!r"; known are'),
        ("{video.__class__}", 'has the field "video.__class__"; known are'),
    ],
)
def test_a_template_has_fields_that_are_known(template: str, reason: str):
    with pytest.raises(BriefError) as refused:
        check_template(template)
    assert (refused.value.path, refused.value.reason[: len(reason)]) == ("name", reason)


def test_equal_names_get_a_number_and_so_does_what_has_that_already():
    names = ["a", "A", "a_2", "a", "b", "a_2"]
    assert list(unlike(names)) == ["a", "A_2", "a_2_2", "a_3", "b", "a_2_3"]


@given(st.lists(st.sampled_from(["a", "A", "a_2", "a_2_2", "A_3", "ß", "SS"]), max_size=30))
def test_no_two_names_are_equal_but_for_capitals(names: list[str]):
    found = list(unlike(names))
    assert len({name.casefold() for name in found}) == len(names)
    assert all(new.startswith(old) for new, old in zip(found, names, strict=True))


def test_many_equal_names_are_told_apart_quickly():
    assert len(set(unlike(["a"] * 20_000))) == 20_000
