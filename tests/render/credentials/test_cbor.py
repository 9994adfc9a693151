"""CBOR of strangers: the examples of RFC 8949, and what is none."""

import pytest

from jobserver.render.credentials import cbor


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1bffffffffffffffff", 18446744073709551615),
        ("20", -1),
        ("3903e7", -1000),
        ("f93c00", 1.0),
        ("fa47c35000", 100000.0),
        ("fb3ff199999999999a", 1.1),
        ("f4", False),
        ("f5", True),
        ("f6", None),
        ("f818", None),
        ("c11a514b67b0", 1363896240),
        ("4401020304", b"\1\2\3\4"),
        ("6449455446", "IETF"),
        ("62c3bc", "\u00fc"),
        ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("5f42010243030405ff", b"\1\2\3\4\5"),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
    ],
)
def test_an_item_is_decoded(text: str, value: object):
    assert cbor.decode(bytes.fromhex(text)) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "18", "1c", "1f", "3f", "df", "44010203", "61", "8201", "a16161", "a1820102f5"),
        *("5f01ff", "5f", "9f01", "bf01ff", "82ff01", "9bffffffffffffffff", "7bffffffffffffffff"),
        *("81" * 40 + "00", "c1" * 40 + "00", "9f" * 1000, "9a00100000" + "00" * 60_000),
    ],
)
def test_what_is_malformed_or_too_deep_is_refused(text: str):
    with pytest.raises(ValueError):  # noqa: PT011  any of them
        cbor.decode(bytes.fromhex(text))
