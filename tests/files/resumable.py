"""What every store promises of an upload that comes in several requests; see contract.py."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from jobserver.errors import UploadTakenOver
from jobserver.files.keys import source_key
from jobserver.files.store import Extending, Partial, Store
from jobserver.ids import generate_id
from tests.files.contract import content_of, exists

MIB = 1024 * 1024


class Right:
    """The right to append, as rows of a database give it."""

    def __init__(self) -> None:
        self.numbers = iter(range(1, 10_000))
        self.is_lost = False

    def require(self) -> None:
        if self.is_lost:
            raise UploadTakenOver

    def next_number(self) -> int:
        self.require()
        return next(self.numbers)


def begun(size: int) -> Partial:
    upload_id = generate_id()
    return Partial(upload_id, f"{upload_id}.mp4", size)


def content(size: int) -> bytes:
    """Return bytes of which no two MiB are alike."""
    blocks = (bytes([n % 251]) * (MIB - 1) + b"\n" for n in range(size // MIB + 1))
    return b"".join(blocks)[:size]


def extend(store: Store, upload: Partial, hold: Right, *pieces: bytes) -> Partial:
    """Append pieces in one request."""
    extending = store.resumable.extend(upload, hold)
    for piece in pieces:
        extending.write(piece)
    after = extending.sync(last=True)
    store.resumable.replaced(upload, after)
    extending.close()
    return after


def open_with(store: Store, upload: Partial, hold: Right, piece: bytes) -> Extending:
    """Return a request that has appended and noted nothing."""
    extending = store.resumable.extend(upload, hold)
    extending.write(piece)
    return extending


class ResumableContract:
    @pytest.mark.parametrize(
        "cuts",
        [[], [1], [3 * MIB, 8 * MIB, 9 * MIB], [8 * MIB, 16 * MIB], [5, 17 * MIB, 20 * MIB - 1]],
    )
    def test_requests_add_up_to_the_file(self, store: Store, cuts: Sequence[int]) -> None:
        whole, hold = content(20 * MIB), Right()
        upload = begun(len(whole))
        places = [0, *cuts, len(whole)]
        for start, end in pairwise(places):
            upload = extend(store, upload, hold, whole[start:end])
            assert upload.received == end
        assert not exists(store, source_key(upload.stored_name))
        store.resumable.complete(upload)
        store.resumable.complete(upload)
        assert content_of(store, source_key(upload.stored_name)) == whole

    def test_what_was_not_noted_is_written_anew(self, store: Store) -> None:
        whole, hold = content(12 * MIB), Right()
        upload = extend(store, begun(len(whole)), hold, whole[: 3 * MIB])
        open_with(store, upload, hold, bytes(9 * MIB)).close()
        upload = extend(store, upload, hold, whole[3 * MIB :])
        store.resumable.complete(upload)
        assert content_of(store, source_key(upload.stored_name)) == whole

    def test_a_request_that_was_taken_over_changes_nothing(self, store: Store) -> None:
        whole, first, second = content(18 * MIB), Right(), Right()
        second.numbers = first.numbers
        upload = extend(store, begun(len(whole)), first, whole[:MIB])
        hanging = open_with(store, upload, first, bytes(MIB))
        first.is_lost = True
        upload = extend(store, upload, second, whole[MIB : 10 * MIB])
        with pytest.raises(UploadTakenOver):
            hanging.write(bytes(8 * MIB))
        hanging.close()
        with pytest.raises(UploadTakenOver):
            open_with(store, upload, first, bytes(16 * MIB))
        upload = extend(store, upload, second, whole[10 * MIB :])
        store.resumable.complete(upload)
        assert content_of(store, source_key(upload.stored_name)) == whole

    def test_what_comes_before_the_end_is_noted_as_far_as_it_is_durable(self, store: Store) -> None:
        whole, hold = content(20 * MIB), Right()
        extending = open_with(store, begun(len(whole)), hold, whole[: 18 * MIB])
        upload = extending.sync(last=False)
        assert 16 * MIB <= upload.received <= 18 * MIB
        extending.close()
        upload = extend(store, upload, hold, whole[upload.received :])
        store.resumable.complete(upload)
        assert content_of(store, source_key(upload.stored_name)) == whole

    @pytest.mark.parametrize("size", [MIB, 9 * MIB, 10 * MIB])
    def test_nothing_is_left_of_a_discarded_upload(self, store: Store, size: int) -> None:
        upload = extend(store, begun(10 * MIB), Right(), content(size))
        store.resumable.discard(upload)
        store.resumable.discard(upload)
        assert list(store.list_uploads()) == []

    def test_a_sweep_sees_whose_each_thing_is(self, store: Store) -> None:
        upload = extend(store, begun(20 * MIB), Right(), content(9 * MIB))
        names = [key.removeprefix("uploads/") for key in store.list_uploads()]
        assert names
        assert {name.partition(".")[0] for name in names} == {upload.id}
