"""Videos on their way in, by a protocol that is no form: chunks with an offset."""

import sys
from pathlib import Path

import pytest

from jobserver.errors import (
    EmptyFile,
    FileTooLarge,
    NotAnMP4,
    NoVideos,
)
from jobserver.files.local import LocalStore
from jobserver.uploads.incoming import IncomingFile, StoredFile

KIB = 1024
MP4_HEAD = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"


class OffsetUploads:
    """The server's side of a small protocol: create, append at an offset, complete."""

    def __init__(self, store: LocalStore, max_file_size: int) -> None:
        self._store = store
        self._max_file_size = max_file_size
        self._files: dict[str, IncomingFile] = {}

    def create(self, name: str) -> str:
        file = IncomingFile(self._store, self._max_file_size, name=name, content_type=None)
        self._files[file.id] = file
        return file.id

    def append(self, upload_id: str, offset: int, chunk: bytes) -> int:
        """Return the offset of the next chunk: where it would go on after a lost connection."""
        file = self._files[upload_id]
        if offset == file.size:
            file.write(chunk)
        return file.size

    def complete(self, upload_id: str) -> StoredFile:
        file = self._files.pop(upload_id)
        try:
            file.finish()
            stored = file.commit()
            self._store.sync_uploads()
        finally:
            file.discard()
        return stored


@pytest.fixture
def upload_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


@pytest.fixture
def store(upload_dir: Path) -> LocalStore:
    return LocalStore(upload_dir, upload_dir, 0)


@pytest.fixture
def uploads(store: LocalStore) -> OffsetUploads:
    return OffsetUploads(store, max_file_size=64 * KIB)


def incoming(store: LocalStore, name: str = "clip.mp4", type_: str | None = None) -> IncomingFile:
    return IncomingFile(store, 64 * KIB, name=name, content_type=type_)


def test_another_protocol_brings_a_file_in_chunks(
    uploads: OffsetUploads, store: LocalStore, upload_dir: Path
) -> None:
    content = MP4_HEAD + bytes(range(256)) * 100
    upload_id, offset = uploads.create("über.mov"), 0
    while offset < len(content):
        assert uploads.append(upload_id, offset + 1, b"out of place") == offset
        offset = uploads.append(upload_id, offset, content[offset : offset + 1000])
    stored = uploads.complete(upload_id)
    assert stored == StoredFile(upload_id, "über.mov", f"{upload_id}.mov", len(content))
    with store.open(f"uploads/{stored.stored_name}") as file:
        assert file.read() == content
    assert [path.name for path in upload_dir.iterdir()] == [stored.stored_name]


def test_another_protocol_is_refused_by_the_same_rules(
    uploads: OffsetUploads, upload_dir: Path
) -> None:
    with pytest.raises(FileTooLarge, match="at most 64 KB"):
        uploads.append(uploads.create("a.mp4"), 0, MP4_HEAD + bytes(64 * KIB))
    with pytest.raises(NotAnMP4):
        uploads.append(uploads.create("a.mp4"), 0, b"\x89PNG\r\n\x1a\n")
    with pytest.raises(EmptyFile):
        uploads.complete(uploads.create("a.mp4"))
    assert all(path.suffix == ".part" for path in upload_dir.iterdir())


def test_the_rules_know_no_form() -> None:
    """The modules that a second protocol needs import no web framework of their own."""
    source = Path(sys.modules[IncomingFile.__module__].__file__ or "").read_text()
    assert "werkzeug" not in source
    assert "flask" not in source


def test_nothing_is_made_for_a_file_of_another_type(store: LocalStore, upload_dir: Path) -> None:
    for type_ in ("text/plain", "video/mp4x", "", "video/quicktime"):
        with pytest.raises(NotAnMP4):
            incoming(store, type_=type_)
    assert list(upload_dir.iterdir()) == []


@pytest.mark.parametrize("type_", [None, "application/octet-stream"])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_an_undeclared_type_is_judged_at_its_eighth_byte(
    store: LocalStore, type_: str | None, size: int
) -> None:
    file, content = incoming(store, type_=type_), MP4_HEAD[:4] + b"free"
    for start in range(0, 8 - size, size):
        file.write(content[start : start + size])
    with pytest.raises(NotAnMP4):
        file.write(content[file.size :])
    file.discard()


def test_an_undeclared_type_that_is_too_short_to_be_judged_is_refused_at_its_end(
    store: LocalStore,
) -> None:
    file = incoming(store)
    file.write(MP4_HEAD[:7])
    with pytest.raises(NotAnMP4):
        file.finish()
    file.discard()


@pytest.mark.parametrize("type_", [None, "application/octet-stream", "video/mp4"])
@pytest.mark.parametrize("size", [1, 5, 8, 12])
def test_another_format_is_refused_at_the_last_byte_of_its_brand(
    store: LocalStore, type_: str | None, size: int
) -> None:
    file, content = incoming(store, type_=type_), MP4_HEAD[:8] + b"qt  "
    for start in range(0, 12 - size, size):
        file.write(content[start : start + size])
    with pytest.raises(NotAnMP4):
        file.write(content[file.size :])
    file.discard()


def test_a_declared_mp4_may_begin_without_a_file_type(store: LocalStore) -> None:
    file = incoming(store, type_="video/mp4")
    file.write(b"x")
    file.finish()
    assert file.commit().size == 1
    file.discard()


def test_a_file_without_bytes_is_empty_and_one_without_a_name_is_none_at_all(
    store: LocalStore, upload_dir: Path
) -> None:
    for name, error in (("a.mp4", EmptyFile), ("", NoVideos)):
        file = incoming(store, name, "video/mp4")
        with pytest.raises(error):
            file.finish()
        file.discard()
    assert list(upload_dir.iterdir()) == []


def test_the_greatest_size_is_accepted_and_the_byte_after_it_is_not(
    store: LocalStore, upload_dir: Path
) -> None:
    file = incoming(store, type_="video/mp4")
    file.write(bytes(64 * KIB))
    file.finish()
    with pytest.raises(FileTooLarge):
        file.write(b"x")
    assert (upload_dir / f"{file.id}.part").stat().st_size == 64 * KIB
    file.discard()


def test_a_long_name_is_cut_and_keeps_its_extension_where_it_is_stored(store: LocalStore) -> None:
    file = incoming(store, "é" * 300 + ".m4v", "video/mp4")
    file.write(b"x")
    file.finish()
    stored = file.commit()
    file.discard()
    assert stored.name == "é" * 255
    assert stored.stored_name == f"{stored.id}.m4v"


def test_a_committed_file_is_kept_and_another_one_leaves_nothing(
    store: LocalStore, upload_dir: Path
) -> None:
    kept, dropped = incoming(store, type_="video/mp4"), incoming(store, type_="video/mp4")
    for file in (kept, dropped):
        file.write(b"x")
        file.finish()
    kept.commit()
    for file in (kept, dropped, kept, dropped):
        file.discard()
    assert [path.name for path in upload_dir.iterdir()] == [kept.stored_name]
    store.delete(kept.key)
    assert list(upload_dir.iterdir()) == []
