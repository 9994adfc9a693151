"""The keys that sign: given, or made once and kept."""

import os
import stat
from pathlib import Path

import pytest

from jobserver.auth.keys import signing_keys
from jobserver.settings import SettingsError, load_settings
from tests.support import together


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    folder = tmp_path / "instance"
    folder.mkdir()
    return folder


def keys_of(instance: Path) -> tuple[str, ...]:
    return signing_keys(load_settings(instance))


def test_given_keys_are_used_in_their_order_and_none_is_kept(instance: Path) -> None:
    assert signing_keys(load_settings(instance, {"SECRET_KEY": "new, old"})) == ("new", "old")
    assert not (instance / "secret_key").exists()


def test_a_missing_secret_key_is_made_once_with_mode_0600_and_kept(instance: Path) -> None:
    first = keys_of(instance)
    path = instance / "secret_key"
    assert first == (path.read_text(),)
    assert len(first[0]) >= 43  # 256 random bits
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys_of(instance) == first


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_mode_of_the_key_does_not_depend_on_the_umask(instance: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        keys_of(instance)
    finally:
        os.umask(before)
    assert stat.S_IMODE((instance / "secret_key").stat().st_mode) == 0o600


def test_a_kept_key_is_used_without_the_blanks_around_it(instance: Path) -> None:
    (instance / "secret_key").write_text("kept by hand\n")
    assert keys_of(instance) == ("kept by hand",)


def test_two_instances_make_different_keys(tmp_path: Path) -> None:
    assert keys_of(tmp_path / "a") != keys_of(tmp_path / "b")


def test_processes_started_at_the_same_time_have_the_same_key_and_leave_no_draft(
    instance: Path,
) -> None:
    for name in ("first", "second", "third"):
        folder = instance / name
        folder.mkdir()
        keys = together(8, keys_of, folder)
        assert len(set(keys)) == 1
        assert [path.name for path in folder.iterdir()] == ["secret_key"]
        assert keys[0] == ((folder / "secret_key").read_text(),)


def test_an_empty_key_file_is_refused_with_one_sentence(instance: Path) -> None:
    (instance / "secret_key").touch()
    with pytest.raises(SettingsError, match=r"\ASECRET_KEY cannot be used: [^\n]+\Z"):
        keys_of(instance)


def test_a_key_that_cannot_be_kept_stops_with_one_sentence(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "instance")
    (tmp_path / "instance").touch()
    with pytest.raises(SettingsError, match=r"\ASECRET_KEY cannot be used: [^\n]+\Z"):
        signing_keys(settings)


def test_a_kept_key_that_cannot_be_read_stops_with_one_sentence(instance: Path) -> None:
    (instance / "secret_key").mkdir()
    with pytest.raises(SettingsError, match=r"\ASECRET_KEY cannot be used: [^\n]+\Z"):
        keys_of(instance)


def test_a_kept_key_that_is_no_text_is_one_sentence_that_names_it(instance: Path) -> None:
    (instance / "secret_key").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"\ASECRET_KEY cannot be used: [^\n]+\Z"):
        keys_of(instance)


def test_an_instance_folder_that_does_not_exist_is_made_for_the_key(tmp_path: Path) -> None:
    assert keys_of(tmp_path / "new") == keys_of(tmp_path / "new")
