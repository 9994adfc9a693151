"""Rows of shots: listed by the claim that made them, forgotten before their objects go."""

from pathlib import Path

import pytest

from jobserver.db import Connection, exclusive
from jobserver.files.local import LocalStore
from jobserver.jobs import shots
from jobserver.jobs.shots import NewShot
from tests.jobs import steps
from tests.jobs.steps import NOW, claim

JOB = "j" * 22


def place_of(key: str) -> str:
    return f"outputs/{JOB}/{key}.mp4"


def insert(db: Connection, *keys: str) -> None:
    steps.insert_draft(db, steps.brief_draft(JOB), NOW)
    held = claim(db)
    with exclusive(db, "publish"):
        shots.insert(
            db, held, [NewShot(key, place_of(key), 10, {"frames": 3}) for key in keys], NOW
        )


@pytest.mark.both_databases
def test_shots_are_found_by_their_keys_until_they_are_dropped(db: Connection) -> None:
    insert(db, "a", "b", "c")
    found = shots.of_job(db, JOB)
    assert {key: (each.place, each.size, each.facts) for key, each in found.items()} == {
        key: (place_of(key), 10, '{"frames": 3}') for key in "abc"
    }
    with exclusive(db, "publish"):
        assert shots.drop(db, JOB, ["a", "none"]) == [place_of("a")]
        assert shots.drop_unneeded(db, JOB) == []
    assert set(shots.of_job(db, JOB)) == {"b", "c"}


def test_files_of_shots_are_deleted_and_one_that_is_missing_is_no_trouble(
    store: LocalStore, output_dir: Path
) -> None:
    (output_dir / JOB).mkdir()
    for key in "ab":
        (output_dir / JOB / f"{key}.mp4").touch()
    shots.delete_files(store, [place_of("none"), place_of("a")])
    assert [path.name for path in (output_dir / JOB).iterdir()] == ["b.mp4"]


def test_a_store_that_is_away_leaves_the_files_to_the_sweep(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(_key: str) -> None:
        raise OSError("away")

    monkeypatch.setattr(store, "delete", away)
    shots.delete_files(store, [place_of("a"), place_of("b")])
    assert caplog.text.count("a shot could not be deleted yet: away") == 1
