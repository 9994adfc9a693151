"""Content Credentials are recognised in each container, and garbage in their place is nothing."""

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jobserver.render import Credentials, read_credentials
from jobserver.render.credentials import carriers, jumbf
from tests import credentials
from tests.credentials import box, in_jpeg, in_mp4, in_png, in_webp, manifest, store, superbox
from tests.support import make_clip

MP4 = box(b"ftyp", b"isom\0\0\0\0isom") + box(b"moov", bytes(40)) + box(b"mdat", bytes(100))
CAMERA = Credentials("Test Camera 1.2", True)


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, kind)
    return out.getvalue()


CARRIERS: dict[str, Callable[[bytes], bytes]] = {
    "mp4": lambda carried: in_mp4(MP4, carried),
    "mp4 before the samples": lambda carried: in_mp4(MP4[:20], carried) + MP4[20:],
    "jpeg": lambda carried: in_jpeg(picture("JPEG"), carried),
    "jpeg in many segments": lambda carried: in_jpeg(picture("JPEG"), carried, 50),
    "png": lambda carried: in_png(picture("PNG"), carried),
    "webp": lambda carried: in_webp(picture("WEBP"), carried),
}
CARRIER = pytest.mark.parametrize("carrier", CARRIERS)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], Credentials | None]:
    def read_content(content: bytes) -> Credentials | None:
        (tmp_path / "source").write_bytes(content)
        return read_credentials(tmp_path / "source")

    return read_content


@CARRIER
def test_credentials_are_found_where_a_file_carries_them(read: Any, carrier: str):
    content = CARRIERS[carrier](store(manifest(filler=200)))
    assert read(content) == CAMERA


@CARRIER
def test_a_file_without_a_store_carries_none(read: Any, carrier: str):
    assert read(CARRIERS[carrier](b"")) is None


@pytest.mark.parametrize("content", [b"", b"\0", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", MP4[:5]])
def test_a_file_that_ends_at_once_carries_none(read: Any, content: bytes):
    assert read(content) is None


@pytest.mark.parametrize(
    ("claim", "generator"),
    [
        ({"claim_generator_info": {"name": "Camera", "version": "2"}}, "Camera 2"),
        ({"claim_generator_info": [{"name": "Camera"}, {"name": "other"}]}, "Camera"),
        ({"claim_generator": "make_test/1.0 c2pa-rs/0.3"}, "make_test/1.0 c2pa-rs/0.3"),
        ({"claim_generator_info": {"version": "2"}, "claim_generator": "old"}, "old"),
        ({"claim_generator_info": {"name": "a\r\n\u202e<b> \0c"}}, "a <b> c"),
        ({"claim_generator_info": {"name": "x" * 5000}}, "x" * 100),
        ({"claim_generator_info": {"name": "\n"}}, None),
        ({"claim_generator_info": [], "claim_generator": 7}, None),
        ({"else": 1}, None),
    ],
)
def test_the_software_that_made_the_claim_is_named(
    read: Any, claim: dict[str, Any], generator: str | None
):
    found = read(in_mp4(MP4, store(manifest(claim=claim))))
    assert found == Credentials(generator, True)


@pytest.mark.parametrize(
    ("source_type", "made_by_ai"),
    [
        ("trainedAlgorithmicMedia", True),
        ("compositeWithTrainedAlgorithmicMedia", True),
        ("digitalCapture", False),
        ("algorithmicMedia", False),
        (None, False),
    ],
)
def test_what_is_marked_as_made_by_ai_is_called_so(
    read: Any, source_type: str | None, made_by_ai: bool
):
    found = read(in_mp4(MP4, store(manifest(source_type))))
    assert found == Credentials("Test Camera 1.2", made_by_ai)


def test_the_last_manifest_names_the_software_and_any_may_say_ai(read: Any):
    edited = manifest("digitalCapture", {"claim_generator": "Editor"})
    assert read(in_mp4(MP4, store(manifest(), edited))) == Credentials("Editor", True)


def test_the_last_store_of_a_file_that_was_updated_counts(read: Any):
    newer = store(manifest("digitalCapture", {"claim_generator": "Editor"}))
    content = in_mp4(in_mp4(MP4, store()), newer, b"update")
    assert read(content) == Credentials("Editor", False)
    assert read(in_mp4(content, b"hashes", b"merkle")) == Credentials("Editor", False)


@pytest.mark.parametrize(
    "carried",
    [
        b"garbage",
        bytes(1000),
        b"\xff" * 1000,
        box(b"jumb", b""),
        superbox("c2pa", "c2pa"),
        superbox("c2pa", "other", manifest()),
        store()[:60],
    ],
    ids=["text", "zeros", "ones", "empty", "no manifest", "another label", "cut"],
)
@CARRIER
def test_garbage_in_its_place_is_nothing(read: Any, carrier: str, carried: bytes):
    assert read(CARRIERS[carrier](carried)) is None


def test_a_claim_that_cannot_be_decoded_leaves_the_rest(read: Any):
    broken = superbox(
        "manifest",
        "urn:c2pa:1",
        superbox("claim", "c2pa.claim", box(b"cbor", b"\x9f" * 2000)),
        superbox("claim", "c2pa.claim", box(b"json", b"{}")),
    )
    assert read(in_mp4(MP4, store(broken))) == Credentials(None, False)


def test_no_change_of_bytes_is_more_than_no_credentials(read: Any):
    """Random damage, the same in each run."""
    chance = random.Random(7)
    for carrier in CARRIERS.values():
        content = carrier(store(manifest(filler=20)))
        for _ in range(150):
            damaged = bytearray(content)
            for _ in range(chance.randint(1, 6)):
                damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 0x7F, 0xFF))
            found = read(bytes(damaged[: chance.randint(1, len(damaged))]))
            assert found is None or isinstance(found, Credentials)


def test_what_is_read_is_bounded(read: Any, monkeypatch: pytest.MonkeyPatch):
    many = box(b"free", b"") * 300
    assert read(in_mp4(MP4 + many, store())) == CAMERA
    monkeypatch.setattr(carriers, "MAX_PIECES", 200)
    assert read(in_mp4(MP4 + many, store())) is None
    large = store(manifest(filler=5000))
    for carrier in CARRIERS.values():
        monkeypatch.setattr(carriers, "MAX_STORE", 1_000_000)
        assert read(carrier(store())) == CAMERA
        monkeypatch.setattr(carriers, "MAX_STORE", 4000)
        assert read(carrier(large)) is None
    monkeypatch.setattr(jumbf, "MAX_BOXES", 5)
    assert read(in_mp4(MP4, store())) is None


@pytest.mark.tools
@pytest.mark.parametrize(
    ("name", "media_type", "source_type"),
    [
        ("a.mp4", "video/mp4", "trainedAlgorithmicMedia"),
        ("a.mov", "video/quicktime", "digitalCapture"),
        ("a.jpg", "image/jpeg", "compositeWithTrainedAlgorithmicMedia"),
        ("a.png", "image/png", "trainedAlgorithmicMedia"),
        ("a.webp", "image/webp", "digitalCapture"),
    ],
)
def test_what_the_reference_library_signed_is_recognised(
    tmp_path: Path, name: str, media_type: str, source_type: str
):
    plain, signed = tmp_path / name, tmp_path / f"signed_{name}"
    if name.endswith(("mp4", "mov")):
        make_clip(plain, 0.2)
    else:
        Image.new("RGB", (64, 36), "red").save(plain)
    credentials.sign(plain, signed, media_type, source_type)
    assert read_credentials(plain) is None
    assert read_credentials(signed) == Credentials(
        "Test Camera 1.2", source_type != "digitalCapture"
    )
