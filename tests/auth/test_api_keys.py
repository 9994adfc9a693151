"""Keys: made once, found by their hash, revoked for all."""

import re

import pytest

from jobserver.auth import api_keys, state
from jobserver.auth.api_keys import MAX_KEYS, ApiKey
from jobserver.db import Connection, exclusive
from jobserver.errors import KeyNotFound, TooManyKeys

pytestmark = pytest.mark.both_databases

AT = 1_800_000_000.0


def create(db: Connection, name: str = "script", now: float = AT) -> tuple[ApiKey, str]:
    with exclusive(db, "sign-in"):
        return api_keys.create(db, name, "read create", now)


def found(db: Connection, text: str) -> ApiKey | None:
    return api_keys.find(db, api_keys.hash_of(text))


def test_a_key_is_found_by_its_text_and_by_nothing_near_it(db: Connection) -> None:
    made, text = create(db)
    assert re.fullmatch(r"jsk_[0-9a-f]{64}", text)
    assert api_keys.is_key(text)
    assert found(db, text) == made == ApiKey(made.id, "script", "read create", AT, None)
    for other in (text[:-1], text + "0", text.upper(), text.replace("jsk_", ""), "", "\ud800"):
        assert found(db, other) is None


def test_no_key_is_stored(db: Connection) -> None:
    _, text = create(db)
    row = " ".join(map(str, db.execute("SELECT * FROM api_key").fetchone()))
    assert text not in row
    assert text.removeprefix(api_keys.PREFIX) not in row


def test_keys_are_listed_with_the_newest_first(db: Connection) -> None:
    names = [create(db, f"{n}", AT + n)[0].name for n in range(3)]
    assert [key.name for key in api_keys.all_keys(db)] == names[::-1]


def test_a_revoked_key_is_found_no_more_and_every_process_is_to_look(db: Connection) -> None:
    made, text = create(db)
    before = state.read(db)
    assert api_keys.is_good(db, made.id)
    with exclusive(db, "sign-in"):
        assert api_keys.revoke(db, made.id) == made
    assert found(db, text) is None
    assert not api_keys.is_good(db, made.id)
    assert state.read(db) == before._replace(keys=before.keys + 1)
    with exclusive(db, "sign-in"), pytest.raises(KeyNotFound):
        api_keys.revoke(db, made.id)


def test_there_are_so_many_keys_and_no_more(db: Connection) -> None:
    for _ in range(MAX_KEYS):
        create(db)
    with pytest.raises(TooManyKeys):
        create(db)


def test_its_use_is_noted_once_a_minute(db: Connection) -> None:
    made, text = create(db)

    def noted(now: float) -> float | None:
        with exclusive(db, "sign-in"):
            api_keys.note_use(db, made.id, now)
        key = found(db, text)
        return key and key.last_used_at

    assert noted(AT) == AT
    assert noted(AT + 59) == AT
    assert noted(AT + 60) == AT + 60
    assert noted(AT - 1000) == AT - 1000  # the clock was set back


def test_ending_sessions_leaves_keys(db: Connection) -> None:
    assert state.read(db) == (0, 0)
    create(db)
    with exclusive(db, "sign-in"):
        state.end_sessions(db)
    assert state.read(db) == (1, 1)
