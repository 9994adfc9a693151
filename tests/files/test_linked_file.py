"""A second name of an upload on the local disk, and a copy where there are no second names."""

import errno
import os
from pathlib import Path

import pytest

from jobserver.files.keys import source_key
from jobserver.files.local import LocalStore
from tests.files.contract import content_of, uploaded


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    for name in ("uploads", "outputs"):
        (tmp_path / name).mkdir()
    return LocalStore(tmp_path / "uploads", tmp_path / "outputs", 0)


def copied(store: LocalStore, key: str) -> str:
    copy = store.copy_upload(key)
    copy.finish()
    copy.commit()
    store.sync_uploads()
    copy.discard()
    return source_key(copy.stored_name)


def stat(tmp_path: Path, key: str) -> os.stat_result:
    return (tmp_path / key).stat()


def test_a_copy_takes_no_space(store: LocalStore, tmp_path: Path) -> None:
    key = uploaded(store, b"content")
    assert stat(tmp_path, copied(store, key)).st_ino == stat(tmp_path, key).st_ino


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_without_hard_links_the_bytes_are_copied(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    synced: list[int] = []
    sync = os.fsync
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), sync(fd))[1])
    key = uploaded(store, b"content" * 1000)
    other = copied(store, key)
    assert content_of(store, other) == b"content" * 1000
    found = stat(tmp_path, other)
    assert found.st_ino != stat(tmp_path, key).st_ino
    assert found.st_ino in synced
    assert found.st_mode & 0o777 == 0o600


def test_a_copy_is_no_orphan_while_it_has_no_row(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    copy = store.copy_upload(uploaded(store, b"content"))
    copy.commit()
    key = source_key(copy.stored_name)
    assert not store.delete_orphan(key, lambda: False)
    copy.discard()
    assert store.delete_orphan(key, lambda: False)


def test_another_error_is_no_reason_to_copy(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    key = uploaded(store, b"content")
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="Read-only"):
        copied(store, key)
    assert list(store.list_uploads()) == [key]
