"""The one password of the server."""

import pytest

from jobserver.auth.password import is_password

PASSWORD = "correct horse"


@pytest.mark.parametrize(
    "given",
    [
        "",
        "wrong",
        "é",
        "\ud800",
        "x\udcff",
        "\0",
        PASSWORD + "\0",
        PASSWORD + " ",
        " " + PASSWORD,
        PASSWORD[:-1],
        PASSWORD.upper(),
        "x" * 16_000,
        "🎬" * 1_000,
    ],
)
def test_any_other_text_is_not_the_password(given: str) -> None:
    assert is_password(PASSWORD, PASSWORD)
    assert not is_password(given, PASSWORD)


@pytest.mark.parametrize(
    "password", ["é", "пароль 🎬", " spaces ", "e\u0301", "\ud800", "\0", "x" * 16_000]
)
def test_a_password_may_be_any_text(password: str) -> None:
    assert is_password(password, password)
    assert not is_password(password + "x", password)


def test_letters_that_only_look_the_same_are_another_password() -> None:
    assert not is_password("e\u0301", "\u00e9")


@pytest.mark.parametrize("given", ["", "None", "null", PASSWORD])
def test_without_a_configured_password_none_is_right(given: str) -> None:
    assert not is_password(given, None)
