"""JSON that a client wrote, read strictly."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.brief.document import MAX_SIZE, decode, key_path, require_size
from jobserver.brief.errors import BriefError

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(-(2**53), 2**53, allow_nan=False)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=8)
VALUES = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=8), below),
    max_leaves=12,
)


def refusal(text: str) -> BriefError:
    with pytest.raises(BriefError) as refused:
        decode(text)
    assert str(refused.value) == f"{refused.value.path} {refused.value.reason}"
    return refused.value


@given(VALUES)
def test_what_json_can_say_is_read_as_python_reads_it(value: object):
    assert decode(json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"speeds": [1, NaN]}', "speeds[1]"),
        ('{"size": Infinity}', "size"),
        ('{"size": -Infinity}', "size"),
        ('{"size": 1e400}', "size"),
        ("NaN", "brief"),
    ],
)
def test_a_number_that_json_lacks_is_refused_where_it_stands(text: str, path: str):
    error = refusal(text)
    assert (error.path, error.reason) == (path, "is not a number that JSON has")


def test_a_number_of_too_many_digits_is_refused():
    assert refusal(f'{{"size": {"9" * 5000}}}').reason == "has a number with too many digits"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"fit": "pad", "fit": "crop"}', "fit"),
        ('{"headlines": [null, {"text": "a", "text": "a"}]}', "headlines[1].text"),
        ('{"": 1, "": 1}', '[""]'),
    ],
)
def test_equal_keys_are_refused_where_they_stand(text: str, path: str):
    error = refusal(text)
    assert (error.path, error.reason) == (path, "is there twice")


@pytest.mark.parametrize("text", ['{"name": "a\\ud800"}', '{"hooks": [{"\\udfff": 1}]}'])
def test_half_a_surrogate_pair_is_refused(text: str):
    assert refusal(text).reason == "has half a surrogate pair, which is no character"


def test_a_pair_of_surrogates_is_one_character():
    assert decode('"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize("depth", [17, 1000, 30_000])
@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_deep_nesting_is_refused(depth: int, bracket: str):
    closed = "]" if bracket == "[" else "}"
    text = (bracket * depth + "1" + closed * depth)[:MAX_SIZE]
    assert "nested too deeply" in str(refusal(text)) or "is not JSON" in str(refusal(text))
    assert len(str(refusal(text))) < 200


@pytest.mark.parametrize("text", ["", " ", "{", "{'a': 1}", "[1,]", "\ufeff{}", "{}x", "nul"])
def test_what_is_no_json_is_refused_with_its_place(text: str):
    error = refusal(text)
    assert error.path == "brief"
    assert error.reason.startswith("is not JSON: ")
    assert "\n" not in str(error)


def test_64_kib_are_read_and_a_byte_more_is_not():
    text = '"' + "é" * (MAX_SIZE // 2 - 1) + '"'
    assert len(decode(text)) == MAX_SIZE // 2 - 1
    assert refusal(text + " ").reason == "is larger than 65536 bytes"
    require_size(decode(text))
    with pytest.raises(BriefError, match="brief is larger than 65536 bytes"):
        require_size(decode(text) + "x")


@pytest.mark.parametrize(
    ("path", "key", "together"),
    [
        ("", "fit", "fit"),
        ("headlines[1]", "text", "headlines[1].text"),
        ("", "a b", '["a b"]'),
        ("logo", "\n\u202e", 'logo["\\n\\u202e"]'),
        ("", "x" * 50, "x" * 40 + "..."),
        ("", "é" * 50, '["' + "\\u00e9" * 6 + "\\u0..."),
    ],
)
def test_a_path_shows_any_key_on_one_line(path: str, key: str, together: str):
    assert key_path(path, key)[: len(together)] == together
    assert key_path(path, key).isascii()
    assert key_path(path, key).isprintable()
