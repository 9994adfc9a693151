"""What every store of bytes promises, whatever is behind it.

A test module of a store subclasses StoreContract and has two fixtures: `store`, an empty one that
keeps no space free, whose roots belong to nobody; and `grown_old`, which makes objects that no
request holds as old as the store wants orphans to be.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from jobserver.errors import InsufficientStorage
from jobserver.files.keys import claim_of, output_key, source_key
from jobserver.files.store import Incoming, Store
from jobserver.ids import derive_id, generate_id

MIB = 1024 * 1024
JOB, OTHER_JOB = derive_id("job"), derive_id("other job")
NO_UPLOAD_KEYS = ["uploads", "uploads/", "uploads/..", "uploads/a/b", "uploads/../x"]
NO_OUTPUT_KEYS = ["outputs/", "outputs/a", "outputs/a/..", "outputs/../a", "outputs//a"]


def received(store: Store, content: bytes, name: str = "clip.mp4") -> Incoming:
    """Return an upload that is whole and not yet committed."""
    incoming = store.receive(name)
    incoming.write(content)
    incoming.finish()
    return incoming


def uploaded(store: Store, content: bytes) -> str:
    """Return the key of a committed upload whose request is over."""
    incoming = received(store, content)
    incoming.commit()
    store.sync_uploads()
    incoming.discard()
    return source_key(incoming.stored_name)


def published(store: Store, name: str, content: bytes, job_id: str = JOB) -> str:
    """Return the key of an output."""
    with store.scratch_dir(job_id=job_id, file_id="file", claim_token=1) as folder:
        path = folder / "1.mp4"
        path.write_bytes(content)
        key = placed(store, name, job_id)
        store.publish([store.put(path, key)])
    return key


def placed(store: Store, name: str, job_id: str = JOB, claim_token: int = 1) -> str:
    return store.place(name, job_id=job_id, file_id="file", claim_token=claim_token)


def listed(*keys: str) -> dict[str, set[str]]:
    """Return what list_outputs() says of these keys."""
    seen: dict[str, set[str]] = {}
    for key in keys:
        job_id, _, name = key.removeprefix("outputs/").partition("/")
        seen.setdefault(job_id, set()).add(name)
    return seen


def content_of(store: Store, key: str) -> bytes:
    with store.open(key) as file:
        return file.read()


def exists(store: Store, key: str) -> bool:
    try:
        store.open(key).close()
    except FileNotFoundError:
        return False
    return True


class UploadContract:
    """Bytes on their way in."""

    def test_an_upload_is_invisible_until_it_is_committed(self, store: Store) -> None:
        incoming = store.receive("clip.mp4")
        key = source_key(incoming.stored_name)
        assert not exists(store, key)
        incoming.write(b"content")
        incoming.finish()
        assert not exists(store, key)
        incoming.commit()
        store.sync_uploads()
        assert content_of(store, key) == b"content"
        incoming.discard()
        assert content_of(store, key) == b"content"

    def test_the_bytes_of_every_piece_are_kept_in_their_sequence(self, store: Store) -> None:
        pieces = [os.urandom(size) for size in (1, MIB, 0, 7, 3 * MIB, 65_536)]
        incoming = store.receive("clip.mp4")
        for piece in pieces:
            incoming.write(piece)
        incoming.finish()
        incoming.commit()
        incoming.discard()
        assert content_of(store, source_key(incoming.stored_name)) == b"".join(pieces)

    def test_the_store_gives_an_id_that_begins_the_stored_name(self, store: Store) -> None:
        uploads = [store.receive("a.MOV") for _ in range(5)]
        assert len({each.id for each in uploads}) == 5
        for each in uploads:
            assert len(each.id) == 22
            assert each.id.isalnum()
            assert each.stored_name == f"{each.id}.MOV"
            each.discard()

    def test_an_upload_that_is_discarded_leaves_nothing(self, store: Store) -> None:
        incoming = received(store, b"content")
        incoming.discard()
        incoming.discard()
        assert not exists(store, source_key(incoming.stored_name))
        assert list(store.list_uploads()) == []

    def test_an_upload_that_is_discarded_before_its_first_byte_leaves_nothing(
        self, store: Store
    ) -> None:
        store.receive("clip.mp4").discard()
        assert list(store.list_uploads()) == []

    def test_an_upload_that_was_committed_outlives_every_discard(self, store: Store) -> None:
        incoming = received(store, b"content")
        incoming.commit()
        incoming.discard()
        incoming.discard()
        assert content_of(store, source_key(incoming.stored_name)) == b"content"

    def test_several_uploads_of_one_request_are_committed_together(self, store: Store) -> None:
        uploads = [received(store, b"%d" % n) for n in range(3)]
        for each in uploads:
            each.commit()
        store.sync_uploads()
        for n, each in enumerate(uploads):
            assert content_of(store, source_key(each.stored_name)) == b"%d" % n
            each.discard()

    def test_uploads_of_several_threads_do_not_mix(self, store: Store) -> None:
        keys: dict[int, str] = {}

        def upload(n: int) -> None:
            incoming = store.receive("clip.mp4")
            for _ in range(50):
                incoming.write(b"%d" % n * 1000)
            incoming.finish()
            incoming.commit()
            incoming.discard()
            keys[n] = source_key(incoming.stored_name)

        threads = [threading.Thread(target=upload, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {n: content_of(store, key) for n, key in keys.items()} == {
            n: b"%d" % n * 50_000 for n in range(6)
        }

    def test_uploads_are_listed_by_key(self, store: Store) -> None:
        keys = {uploaded(store, b"x") for _ in range(3)}
        assert set(store.list_uploads()) == keys

    def test_an_orphan_is_deleted_once_its_request_is_over(
        self, store: Store, grown_old: Callable[[], None]
    ) -> None:
        key = uploaded(store, b"content")
        grown_old()
        assert store.delete_orphan(key, lambda: False)
        assert not exists(store, key)
        assert not store.delete_orphan(key, lambda: False)

    def test_an_upload_that_a_row_lists_meanwhile_is_no_orphan(
        self, store: Store, grown_old: Callable[[], None]
    ) -> None:
        key = uploaded(store, b"content")
        grown_old()
        assert not store.delete_orphan(key, lambda: True)
        assert content_of(store, key) == b"content"

    def test_a_living_upload_is_no_orphan_before_its_commit(self, store: Store) -> None:
        incoming = received(store, b"content")
        for key in list(store.list_uploads()):
            assert not store.delete_orphan(key, lambda: False)
        incoming.commit()
        incoming.discard()
        assert content_of(store, source_key(incoming.stored_name)) == b"content"

    def test_a_living_upload_is_no_orphan_between_commit_and_row(
        self, store: Store, grown_old: Callable[[], None]
    ) -> None:
        incoming = received(store, b"content")
        incoming.commit()
        (key,) = store.list_uploads()
        assert not store.delete_orphan(key, lambda: False)
        incoming.discard()
        grown_old()
        assert store.delete_orphan(key, lambda: False)


class CopyContract:
    """Bytes that are there already, as another upload."""

    def test_a_copy_has_the_bytes_and_outlives_the_other(self, store: Store) -> None:
        key = uploaded(store, b"content" * 1000)
        copy = store.copy_upload(key)
        copy.finish()
        copied = source_key(copy.stored_name)
        assert not exists(store, copied)
        copy.commit()
        store.sync_uploads()
        copy.discard()
        copy.discard()
        assert set(store.list_uploads()) == {key, copied}
        store.delete(key)
        assert content_of(store, copied) == b"content" * 1000

    def test_a_copy_has_an_id_of_its_own_and_the_same_extension(self, store: Store) -> None:
        key = uploaded(store, b"x")
        copies = [store.copy_upload(key) for _ in range(3)]
        assert len({each.id for each in copies}) == 3
        for each in copies:
            assert each.stored_name == f"{each.id}.mp4"
            each.discard()
        assert list(store.list_uploads()) == [key]

    def test_a_copy_of_what_is_gone_is_refused(self, store: Store) -> None:
        key = uploaded(store, b"x")
        store.delete(key)
        with pytest.raises(FileNotFoundError):
            store.copy_upload(key).commit()
        late = uploaded(store, b"x")
        copy = store.copy_upload(late)
        store.delete(late)
        with pytest.raises(FileNotFoundError):
            copy.commit()
        copy.discard()
        assert list(store.list_uploads()) == []

    def test_a_living_copy_is_no_orphan_between_commit_and_row(
        self, store: Store, grown_old: Callable[[], None]
    ) -> None:
        copy = store.copy_upload(uploaded(store, b"x"))
        copy.commit()
        key = source_key(copy.stored_name)
        assert not store.delete_orphan(key, lambda: False)
        copy.discard()
        grown_old()
        assert store.delete_orphan(key, lambda: False)


class OutputContract:
    """Bytes that a worker has made."""

    def test_an_output_that_is_published_outlives_its_claim(self, store: Store) -> None:
        key = placed(store, "1.mp4")
        with store.scratch_dir(job_id=JOB, file_id="file", claim_token=1) as folder:
            path = folder / "1.mp4"
            path.write_bytes(b"content")
            staged = store.put(path, key)
            assert staged.key == key
            assert path.read_bytes() == b"content"
            store.publish([staged])
            assert content_of(store, key) == b"content"
        assert content_of(store, key) == b"content"
        assert store.list_outputs() == listed(key)

    def test_what_two_claims_put_under_one_name_does_not_mix(self, store: Store) -> None:
        contents = {}
        for token in (1, 2):
            with store.scratch_dir(job_id=JOB, file_id="file", claim_token=token) as folder:
                (folder / "1.mp4").write_bytes(b"%d" % token)
                key = placed(store, "1.mp4", claim_token=token)
                store.publish([store.put(folder / "1.mp4", key)])
                contents[key] = b"%d" % token
        assert {key: content_of(store, key) for key in contents} == contents

    def test_several_files_are_published_in_one_step(self, store: Store) -> None:
        names = ["1.mp4", "1.webp", "2.mp4"]
        with store.scratch_dir(job_id=JOB, file_id="file", claim_token=1) as folder:
            staged = []
            for name in names:
                (folder / name).write_bytes(name.encode())
                sync = not name.endswith(".webp")
                staged.append(store.put(folder / name, placed(store, name), sync=sync))
            assert [each.synced for each in staged] == [True, False, True]
            store.publish(staged)
        assert store.list_outputs() == listed(*(placed(store, name) for name in names))
        for name in names:
            assert content_of(store, placed(store, name)) == name.encode()

    def test_what_was_put_and_withdrawn_is_gone_with_its_claim(self, store: Store) -> None:
        names = ["1.mp4", "1.webp"]
        with store.scratch_dir(job_id=JOB, file_id="file", claim_token=1) as folder:
            staged = []
            for name in names:
                (folder / name).write_bytes(b"content")
                staged.append(store.put(folder / name, placed(store, name)))
            store.withdraw(staged)
        assert not any(exists(store, placed(store, name)) for name in names)
        assert store.list_outputs().get(JOB, set()) == set()

    def test_what_a_dead_claim_has_left_is_listed_as_its_own_and_can_be_deleted(
        self, store: Store, grown_old: Callable[[], None]
    ) -> None:
        with store.scratch_dir(job_id=JOB, file_id="file", claim_token=4) as folder:
            (folder / "1.mp4").write_bytes(b"content")
            store.put(folder / "1.mp4", placed(store, "1.mp4", claim_token=4))
            (name,) = store.list_outputs()[JOB]
            assert claim_of(name) == ("file", 4)
            grown_old()
            assert store.delete_orphan(output_key(JOB, name), lambda: False)
            assert store.list_outputs().get(JOB, set()) == set()

    def test_publishing_nothing_is_harmless(self, store: Store) -> None:
        store.publish([])
        assert store.list_outputs() == {}

    def test_a_scratch_folder_is_empty_and_gone_afterwards_with_all_that_is_in_it(
        self, store: Store
    ) -> None:
        claim = {"job_id": JOB, "file_id": "file", "claim_token": 3}
        with suppress(InterruptedError), store.scratch_dir(**claim) as folder:
            assert list(folder.iterdir()) == []
            (folder / "a").mkdir()
            (folder / "a" / "1.mp4").write_bytes(b"x")
            raise InterruptedError
        assert not folder.exists()
        with store.scratch_dir(**claim) as folder:
            assert list(folder.iterdir()) == []

    def test_scratch_folders_of_several_claims_do_not_mix(self, store: Store) -> None:
        with (
            store.scratch_dir(job_id=JOB, file_id="a", claim_token=1) as one,
            store.scratch_dir(job_id=JOB, file_id="b", claim_token=1) as two,
            store.scratch_dir(job_id=OTHER_JOB, file_id="a", claim_token=1) as three,
        ):
            assert len({one, two, three}) == 3
            (one / "1.mp4").write_bytes(b"x")
            assert list(two.iterdir()) == list(three.iterdir()) == []

    def test_the_outputs_of_a_job_are_deleted_together_and_no_others(self, store: Store) -> None:
        keys = [published(store, name, b"x") for name in ("1.mp4", "2.mp4")]
        kept = published(store, "1.mp4", b"kept", OTHER_JOB)
        store.delete_job(JOB)
        assert not any(exists(store, key) for key in keys)
        assert content_of(store, kept) == b"kept"
        assert store.list_outputs() == listed(kept)

    def test_a_job_without_outputs_counts_as_deleted(self, store: Store) -> None:
        store.delete_job(JOB)
        store.delete_job(JOB)
        assert store.list_outputs() == {}

    @pytest.mark.parametrize("job_id", ["", ".", "..", "../uploads", f"{JOB}/x"])
    def test_what_is_no_job_id_deletes_nothing(self, store: Store, job_id: str) -> None:
        key = published(store, "1.mp4", b"x")
        with pytest.raises(ValueError, match="names no object"):
            store.delete_job(job_id)
        assert exists(store, key)


class ObjectContract:
    """Objects of either kind."""

    def test_an_object_is_read_from_any_place(self, store: Store) -> None:
        content = os.urandom(300_000)
        for key in (uploaded(store, content), published(store, "1.mp4", content)):
            with store.open(key) as file:
                assert file.seek(0, os.SEEK_END) == len(content)
                for start, size in ((0, 10), (299_990, 100), (123_456, 4096), (300_000, 1)):
                    file.seek(start)
                    assert file.read(size) == content[start : start + size]

    def test_many_outputs_of_a_job_are_opened_like_one(self, store: Store) -> None:
        keys = {published(store, f"{n}.mp4", b"%d" % n): b"%d" % n for n in range(3)}
        opened = store.opener(JOB)
        for key, content in keys.items():
            with opened(key) as file:
                assert file.seek(0, os.SEEK_END) == len(content)
                file.seek(0)
                assert file.read() == content
        with pytest.raises(FileNotFoundError):
            opened(placed(store, "9.mp4"))

    def test_a_path_of_an_object_has_its_bytes(self, store: Store) -> None:
        for key in (uploaded(store, b"content"), published(store, "1.mp4", b"content")):
            with store.local_path(key) as path:
                assert isinstance(path, Path)
                assert path.read_bytes() == b"content"
            assert content_of(store, key) == b"content"

    def test_a_missing_object_is_not_found(self, store: Store) -> None:
        for key in (source_key(f"{generate_id()}.mp4"), placed(store, "1.mp4")):
            with pytest.raises(FileNotFoundError):
                store.open(key)

    def test_a_missing_object_counts_as_deleted(self, store: Store) -> None:
        for key in (uploaded(store, b"x"), published(store, "1.mp4", b"x")):
            store.delete(key)
            assert not exists(store, key)
            store.delete(key)
        store.delete(placed(store, "1.mp4", OTHER_JOB))

    @pytest.mark.parametrize(
        "key",
        [*NO_UPLOAD_KEYS, *NO_OUTPUT_KEYS, "", "/etc/passwd", "other/a/b"],
    )
    def test_what_is_no_key_opens_and_deletes_nothing(self, store: Store, key: str) -> None:
        for call in (store.open, store.delete):
            with pytest.raises(ValueError, match="names no object"):
                call(key)


class RootContract:
    """Space, and whose places these are."""

    def test_a_new_store_belongs_to_nobody_and_is_empty(self, store: Store) -> None:
        assert store.roots
        assert all(root.name for root in store.roots)
        for root in store.roots:
            assert root.owner() is None
            assert root.is_empty()

    def test_every_root_belongs_to_who_marked_it_last(self, store: Store) -> None:
        for n, root in enumerate(store.roots):
            root.mark(f"database {n}")
        assert [root.owner() for root in store.roots] == [
            f"database {n}" for n in range(len(store.roots))
        ]
        for root in store.roots:
            root.mark("another")
            assert root.owner() == "another"

    def test_a_new_mark_leaves_no_other_owner_than_the_first_or_itself(self, store: Store) -> None:
        """Which of them depends on the server: some do not know the condition."""
        for root in store.roots:
            root.mark("first", only_new=True)
            assert root.owner() == "first"
            root.mark("second", only_new=True)
            assert root.owner() in ("first", "second")

    def test_a_mark_is_no_upload(self, store: Store) -> None:
        for root in store.roots:
            root.mark("database")
            assert not root.is_empty()
        assert list(store.list_uploads()) == []
        assert store.list_outputs() == {}

    def test_a_store_that_holds_something_is_not_empty(self, store: Store) -> None:
        uploaded(store, b"x")
        published(store, "1.mp4", b"x")
        assert not any(root.is_empty() for root in store.roots)

    def test_space_is_counted_in_bytes_where_it_has_an_end(self, store: Store) -> None:
        free = store.free()
        store.require_free(0)
        store.require_free(1)
        if free is not None:
            assert free > 0
            with pytest.raises(InsufficientStorage):
                store.require_free(2**62)
        assert store.has_room_for_uploads()
        assert store.is_writable()


class StoreContract(UploadContract, CopyContract, OutputContract, ObjectContract, RootContract):
    """All of it."""
