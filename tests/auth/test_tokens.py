"""Bearer tokens: what is one, and which keys and passwords verify it."""

import hashlib
import time

import itsdangerous
import pytest

from jobserver.auth.keys import derive
from jobserver.auth.tokens import TokenSigner
from jobserver.errors import InvalidToken
from tests.auth.altered import altered_tokens

KEYS = ("key for tests",)
PASSWORD = "correct horse"


@pytest.fixture
def signer() -> TokenSigner:
    return TokenSigner(KEYS, PASSWORD)


def is_valid(signer: TokenSigner, token: str) -> bool:
    try:
        signer.verify(token)
    except InvalidToken:
        return False
    return True


def test_a_token_is_valid_and_has_the_time_at_which_it_was_issued(signer: TokenSigner) -> None:
    before = int(time.time())
    assert before <= signer.verify(signer.issue()).issued_at <= time.time()


@pytest.mark.parametrize("name", altered_tokens("a.b.c"))
def test_an_altered_token_is_invalid(name: str, signer: TokenSigner) -> None:
    assert not is_valid(signer, altered_tokens(signer.issue())[name])


def test_a_token_with_any_one_letter_of_its_signature_changed_is_invalid(
    signer: TokenSigner,
) -> None:
    token = signer.issue()
    start = token.rindex(".") + 1
    for index in range(start, len(token) - 1):  # the last letter carries bits that do not count
        letter = "A" if token[index] != "A" else "B"
        assert not is_valid(signer, f"{token[:index]}{letter}{token[index + 1 :]}")


def test_a_token_of_the_right_keys_made_for_another_purpose_is_invalid(
    signer: TokenSigner,
) -> None:
    keys = derive(KEYS, PASSWORD)
    for salt, valid in (("jobserver.auth", True), ("jobserver.download", False)):
        other = itsdangerous.URLSafeTimedSerializer(
            keys, salt=salt, signer_kwargs={"digest_method": hashlib.sha256}
        )
        assert is_valid(signer, str(other.dumps("signed in"))) is valid


def test_another_password_voids_the_older_tokens(signer: TokenSigner) -> None:
    other = TokenSigner(KEYS, "another")
    assert not is_valid(other, signer.issue())
    assert not is_valid(signer, other.issue())


def test_a_token_says_its_generation_and_its_session(signer: TokenSigner) -> None:
    token = signer.verify(signer.issue(7, "name"))
    assert (token.generation, token.session) == (7, "name")


def test_keys_rotate_without_voiding_a_token(signer: TokenSigner) -> None:
    rotating, rotated = TokenSigner(("new", *KEYS), PASSWORD), TokenSigner(("new",), PASSWORD)
    assert is_valid(rotating, signer.issue())
    assert is_valid(rotated, rotating.issue())  # the newest key signs
    assert not is_valid(signer, rotating.issue())
    assert not is_valid(rotated, signer.issue())  # a key taken away voids


@pytest.mark.parametrize(
    ("keys", "token"),
    [
        (
            ("newer key", "key for tests"),
            "InNpZ25lZCBpbiI.a0nSAA.UGg5YAMkTbqH9rpBDfVUWVBU_v90XGy9GyfmvnP2Fms",
        ),
        (
            ("key for tests",),
            "InNpZ25lZCBpbiI.a0nSAA.os-rZqpV5PGY_D6bltfKFucdssZdKbKNsX1pURwJMZI",
        ),
    ],
)
def test_a_token_that_version_0_1_issued_is_valid(keys: tuple[str, ...], token: str) -> None:
    assert TokenSigner(keys, "pässword \ud800").verify(token) == (1_800_000_000, 0, "")
