"""Signed links, without HTTP: what opens which path until when."""

import pytest

from jobserver.auth.links import LinkSigner, expires_at, link, signed_text
from jobserver.auth.tokens import TokenSigner

KEYS = ("key for tests",)
PASSWORD = "correct horse"
EXPIRES = 1_800_003_600


@pytest.fixture
def signer() -> LinkSigner:
    return LinkSigner(KEYS, PASSWORD)


def is_valid(signer: LinkSigner, signature: str, path: str = "/a", now: float = 0) -> bool:
    return signer.is_valid(path, str(EXPIRES), signature, now=now)


def signature_of(signer: LinkSigner, path: str = "/a") -> str:
    return signer.signature(signed_text(path, EXPIRES))


def test_a_link_has_its_end_and_its_signature_as_parameters() -> None:
    assert link("/a", EXPIRES, "x") == "/a?expires=1800003600&signature=x"


def test_a_signature_opens_its_path_until_it_expires_and_no_other(signer: LinkSigner) -> None:
    signature = signature_of(signer)
    assert is_valid(signer, signature)
    assert is_valid(signer, signature, now=EXPIRES)
    assert not is_valid(signer, signature, now=EXPIRES + 0.5)
    for path in ("/b", "/a/", "/A", "", "/a/b"):
        assert not is_valid(signer, signature, path)


@pytest.mark.parametrize("expires", ["9999999999", "", "x", "-1", "9" * 5000, "\uff11", "1e9"])
def test_a_signature_holds_for_its_own_end_alone(signer: LinkSigner, expires: str) -> None:
    assert not signer.is_valid("/a", expires, signature_of(signer), now=0)


@pytest.mark.parametrize("signature", ["", "x", "é", "\ud800", "====", "a" * 10_000])
def test_any_other_text_is_no_signature(signer: LinkSigner, signature: str) -> None:
    assert not is_valid(signer, signature)


@pytest.mark.parametrize(
    ("now", "expires"),
    [(36_000.0, 39_600), (36_001.0, 39_600), (37_799.9, 39_600), (37_800.0, 41_400)],
)
def test_a_link_ends_between_half_a_lifetime_and_a_whole_one_later(
    now: float, expires: int
) -> None:
    assert expires_at(3600, now) == expires


def test_keys_and_password_decide_as_for_tokens(signer: LinkSigner) -> None:
    signature = signature_of(signer)
    assert is_valid(LinkSigner(("new", *KEYS), PASSWORD), signature)
    assert not is_valid(LinkSigner(("new",), PASSWORD), signature)
    assert not is_valid(LinkSigner(KEYS, "another"), signature)


def test_a_token_is_no_signature(signer: LinkSigner) -> None:
    assert not is_valid(signer, TokenSigner(KEYS, PASSWORD).issue())


@pytest.mark.parametrize(
    ("keys", "signature"),
    [
        (("newer key", "key for tests"), "kWUebEuh8vCvwEyj2ZChWQip0b8yFaz_QSBHQ-x74BY"),
        (("key for tests",), "gIAGxvQsfRI4bobd170Evpk2VdlxkS9ZE9YfzSMft6Q"),
    ],
)
def test_a_link_that_version_0_1_signed_is_valid(keys: tuple[str, ...], signature: str) -> None:
    signer = LinkSigner(keys, "pässword \ud800")
    assert signer.signature("/api/jobs/a b/é?1800003600") == signature
    assert signer.is_valid("/api/jobs/a b/é", "1800003600", signature, now=1_800_000_000)
