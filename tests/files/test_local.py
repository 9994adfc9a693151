"""The store in folders: the contract, and what locks, modes and system calls it takes."""

import errno
import fcntl
import os
import resource
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jobserver.errors import InsufficientStorage, StorageUnavailable
from jobserver.files import durability, local, part_file
from jobserver.files.keys import output_key, source_key
from jobserver.files.local import LocalStore
from jobserver.files.root import OWNER_FILE, LocalRoot
from jobserver.ids import generate_id
from tests.files import marks
from tests.files.contract import JOB, StoreContract, exists, published, received, uploaded
from tests.files.resumable import ResumableContract


@pytest.fixture
def upload_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


@pytest.fixture
def output_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


@pytest.fixture
def store(upload_dir: Path, output_dir: Path) -> LocalStore:
    return LocalStore(upload_dir, output_dir, 0)


@pytest.fixture
def grown_old() -> Callable[[], None]:
    """A lock protects what lives, whatever its age."""
    return lambda: None


class TestLocalStore(StoreContract, ResumableContract):
    """LocalStore keeps the contract."""


def place(folder: Path, *names: str) -> None:
    """Put files into a job's folder; a name with a slash is in a scratch folder."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def found(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def is_locked(path: Path) -> bool:
    with path.open("rb") as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


# -- what only files of this machine can do ----------------------------------------------------


def test_an_open_object_has_a_descriptor(store: LocalStore) -> None:
    with store.open(uploaded(store, b"content")) as file:
        assert os.pread(file.fileno(), 100, 0) == b"content"


def test_an_output_is_invisible_until_it_is_published(store: LocalStore) -> None:
    key = output_key(JOB, "1.mp4")
    with store.scratch_dir(job_id=JOB, file_id="file", claim_token=1) as folder:
        place(folder, "1.mp4")
        staged = store.put(folder / "1.mp4", key)
        assert not exists(store, key)
        assert "1.mp4" not in store.list_outputs()[JOB]
        store.publish([staged])
        assert exists(store, key)
    assert store.list_outputs() == {JOB: {"1.mp4"}}


def test_what_was_put_and_not_published_is_gone_with_its_claim(store: LocalStore) -> None:
    with store.scratch_dir(job_id=JOB, file_id="file", claim_token=1) as folder:
        place(folder, "1.mp4")
        store.put(folder / "1.mp4", output_key(JOB, "1.mp4"))
    assert not exists(store, output_key(JOB, "1.mp4"))
    assert store.list_outputs() == {JOB: set()}


def test_a_path_is_the_file_itself_and_there_is_no_link(
    store: LocalStore, upload_dir: Path
) -> None:
    key = uploaded(store, b"content")
    with store.local_path(key) as path:
        assert path.parent == upload_dir
    assert store.link(key, {}, 60) is None


# -- a `.part` file -----------------------------------------------------------------------


def test_an_upload_is_received_into_a_locked_part_of_mode_0600(
    store: LocalStore, upload_dir: Path
) -> None:
    incoming = received(store, b"content")
    (path,) = upload_dir.iterdir()
    assert path.name == f"{incoming.id}.part"
    assert path.stat().st_mode & 0o777 == 0o600
    assert is_locked(path)
    incoming.discard()
    assert not path.exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_uploads_are_private_and_job_folders_shared_whatever_the_umask(
    store: LocalStore, upload_dir: Path, output_dir: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        uploaded(store, b"x")
        published(store, "1.mp4", b"x")
        store.roots[0].mark("database")
    finally:
        os.umask(before)
    modes = {path.suffix: path.stat().st_mode & 0o777 for path in upload_dir.iterdir()}
    assert modes == {".mp4": 0o600, "": 0o600}
    assert (output_dir / JOB).stat().st_mode & 0o777 == 0o750
    assert (output_dir / JOB / "1.mp4").stat().st_mode & 0o777 == 0o640


def test_a_committed_upload_stays_locked_until_its_request_is_over(
    store: LocalStore, upload_dir: Path
) -> None:
    incoming = received(store, b"content")
    incoming.commit()
    path = upload_dir / incoming.stored_name
    assert is_locked(path)
    incoming.discard()
    assert not is_locked(path)


def test_a_sweep_between_creation_and_lock_costs_only_a_name(
    store: LocalStore, upload_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race itself, made to happen: the first lock finds its file unlinked."""
    stolen: list[Path] = []
    lock = fcntl.flock

    def flock_after_a_sweep(file: Any, how: int) -> None:
        if not stolen:
            stolen.extend(upload_dir.iterdir())
            stolen[0].unlink()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", flock_after_a_sweep)
    incoming = received(store, b"content")
    (path,) = upload_dir.iterdir()
    assert path.read_bytes() == b"content"
    assert path.name == f"{incoming.id}.part" != stolen[0].name
    incoming.discard()


def test_the_part_of_a_killed_server_is_an_orphan_and_a_living_one_is_not(
    store: LocalStore, upload_dir: Path
) -> None:
    living = received(store, b"x")
    place(upload_dir, f"{generate_id()}.part", f"{generate_id()}.mp4", f"{OWNER_FILE}.0123")
    deleted = [key for key in store.list_uploads() if store.delete_orphan(key, lambda: False)]
    assert len(deleted) == 3
    assert found(upload_dir) == {f"{living.id}.part"}
    living.discard()


def test_what_has_no_name_of_ours_is_not_listed(store: LocalStore, upload_dir: Path) -> None:
    store.roots[0].mark("database")
    place(upload_dir, "holiday.mp4", f"{generate_id()}", f"x{generate_id()}.mp4", "lost+found/x")
    (upload_dir / f"{generate_id()}.mp4").mkdir()
    assert list(store.list_uploads()) == []


def test_the_start_of_a_long_upload_is_written_to_disk_while_the_rest_comes(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    advised: list[tuple[int, int]] = []

    def note(descriptor: int, start: int, length: int, advice: int) -> None:
        assert advice == os.POSIX_FADV_DONTNEED
        advised.append((start, length))

    monkeypatch.setattr(part_file, "WRITE_BACK_SIZE", 1000)
    monkeypatch.setattr(os, "posix_fadvise", note)
    incoming = store.receive("clip.mp4")
    for _ in range(9):
        incoming.write(b"x" * 300)
    assert advised == [(0, 1200), (1200, 1200)]
    incoming.discard()


# -- system calls, and what happens when they fail ---------------------------------------------


class RecordingOs:
    """`os` as the store's modules see it: keeps the names of calls; one of them may fail."""

    SEEN = ("open", "write", "fstat", "fdatasync", "rename", "fsync")

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fault: tuple[str, int, int] | None = None  # name, which call of it from 1, errno

    def __getattr__(self, name: str) -> Any:
        call = getattr(os, name)
        return partial(self._call, name, call) if name in self.SEEN else call

    def _call(self, name: str, call: Callable[..., Any], *args: Any) -> Any:
        self.calls.append(name)
        if self.fault is not None and self.fault[:2] == (name, self.calls.count(name)):
            raise OSError(self.fault[2], os.strerror(self.fault[2]))
        return call(*args)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> RecordingOs:
    recording = RecordingOs()
    for module in (local, part_file, durability):
        monkeypatch.setattr(module, "os", recording)
    return recording


def upload_three(store: LocalStore) -> None:
    """Do what a request does, and clean up as it does."""
    uploads = []
    try:
        for _ in range(3):
            incoming = store.receive("clip.mp4")
            uploads.append(incoming)
            incoming.write(b"content")
            incoming.finish()
        try:
            for incoming in uploads:
                incoming.commit()
            store.sync_uploads()
        except BaseException:
            for incoming in uploads:
                store.delete(source_key(incoming.stored_name))
            raise
    finally:
        for incoming in uploads:
            incoming.discard()


def test_an_upload_of_three_files_syncs_each_and_the_folder_once(
    store: LocalStore, system: RecordingOs
) -> None:
    upload_three(store)
    receive = ["open", "fstat", "write", "fstat"]
    commit = ["fdatasync", "rename"]
    assert system.calls == [*receive * 3, *commit * 3, "open", "fsync"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize(
    ("step", "nth"),
    [
        ("open", 1),
        ("open", 3),
        ("write", 1),
        ("write", 3),
        ("fstat", 1),
        ("fdatasync", 1),
        ("fdatasync", 3),
        ("rename", 1),
        ("rename", 3),
        ("fsync", 1),
    ],
)
def test_a_call_that_fails_leaves_no_file_and_no_descriptor(
    store: LocalStore, upload_dir: Path, system: RecordingOs, step: str, nth: int, number: int
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    system.fault = (step, nth, number)
    with pytest.raises(OSError, match=os.strerror(number)) as raised:
        upload_three(store)
    assert raised.value.errno == number
    assert list(upload_dir.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before
    system.fault = None
    upload_three(store)
    assert len(found(upload_dir)) == 3


def test_a_write_that_takes_less_goes_on_where_it_ended(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, view: write(descriptor, view[:3]))
    key = uploaded(store, b"ten letters and more")
    with store.open(key) as file:
        assert file.read() == b"ten letters and more"


def test_bytes_that_are_missing_although_a_write_took_them_are_noticed(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = store.receive("clip.mp4")
    monkeypatch.setattr(os, "write", lambda descriptor, view: len(view))
    incoming.write(b"lost")
    with pytest.raises(InsufficientStorage):
        incoming.finish()
    incoming.discard()


def test_a_file_size_limit_of_the_process_ends_the_upload(
    store: LocalStore, upload_dir: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    incoming = store.receive("clip.mp4")
    try:
        with pytest.raises(OSError, match="too large") as raised:
            incoming.write(b"x" * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert raised.value.errno == errno.EFBIG
    incoming.discard()
    assert list(upload_dir.iterdir()) == []


def test_outputs_are_synced_then_renamed_then_their_folder_is_synced_once(
    store: LocalStore, output_dir: Path, system: RecordingOs
) -> None:
    with store.scratch_dir(job_id=JOB, file_id="file", claim_token=1) as folder:
        place(folder, "1.webp", "1.mp4", "2.mp4")
        staged = [store.put(folder / "1.webp", output_key(JOB, "1.webp"), sync=False)]
        assert system.calls == []
        staged += [store.put(folder / name, output_key(JOB, name)) for name in ("1.mp4", "2.mp4")]
        assert system.calls == ["fsync", "fsync"]
        system.calls.clear()
        store.publish(staged)
    assert system.calls == ["rename", "rename", "rename", "open", "fsync"]


def test_a_picture_that_is_published_alone_is_not_synced(
    store: LocalStore, system: RecordingOs
) -> None:
    with store.scratch_dir(job_id=JOB, file_id="file", claim_token=1) as folder:
        place(folder, "1.webp")
        store.publish([store.put(folder / "1.webp", output_key(JOB, "1.webp"), sync=False)])
    assert system.calls == ["rename"]


def test_an_output_that_is_deleted_can_still_be_read_by_who_opened_it(store: LocalStore) -> None:
    key = published(store, "1.mp4", b"content")
    with store.open(key) as file:
        store.delete(key)
        assert file.read() == b"content"


# -- scratch folders and what is left of them ----------------------------------------------------


def test_a_new_claim_removes_the_scratch_folders_of_those_before_it_and_no_other(
    store: LocalStore, output_dir: Path
) -> None:
    job_folder = output_dir / JOB
    place(job_folder, ".file.1/1.mp4", ".file.2/1.mp4", ".other.1/1.mp4", "listed.mp4")
    with store.scratch_dir(job_id=JOB, file_id="file", claim_token=3) as folder:
        place(folder, "1.mp4")
        assert found(job_folder) == {".file.3/1.mp4", ".other.1/1.mp4", "listed.mp4"}


def test_a_claim_that_comes_late_leaves_the_scratch_folder_of_its_successor_alone(
    store: LocalStore, output_dir: Path
) -> None:
    place(output_dir / JOB, ".file.4/1.mp4", ".file.10/1.mp4")
    with store.scratch_dir(job_id=JOB, file_id="file", claim_token=3):
        pass
    assert found(output_dir / JOB) == {".file.4/1.mp4", ".file.10/1.mp4"}


def test_the_scratch_folder_of_a_killed_worker_is_listed_and_can_be_deleted(
    store: LocalStore, output_dir: Path
) -> None:
    place(output_dir / JOB, ".file.4/a/1.mp4", "listed.mp4")
    assert store.list_outputs() == {JOB: {".file.4", "listed.mp4"}}
    store.delete(output_key(JOB, ".file.4"))
    assert store.list_outputs() == {JOB: {"listed.mp4"}}


def test_a_job_into_which_somebody_still_writes_is_not_deleted(
    store: LocalStore, output_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(store, "1.mp4", b"x")
    monkeypatch.setattr(local.shutil, "rmtree", lambda folder: None)
    with pytest.raises(OSError, match="not empty"):
        store.delete_job(JOB)


def test_a_job_that_two_delete_at_once_is_deleted(
    store: LocalStore, output_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(store, "1.mp4", b"x")
    remove = local.shutil.rmtree

    def remove_twice(folder: Path) -> None:
        remove(folder)
        remove(folder)

    monkeypatch.setattr(local.shutil, "rmtree", remove_twice)
    store.delete_job(JOB)
    assert store.list_outputs() == {}


def test_folders_that_are_no_jobs_are_not_listed(store: LocalStore, output_dir: Path) -> None:
    place(output_dir, "stranger/a.mp4", "note.txt", "x" * 22)
    assert store.list_outputs() == {}


def test_listing_outputs_reads_each_folder_once_and_looks_at_no_file(
    store: LocalStore, output_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [generate_id() for _ in range(5)]
    for job_id in jobs:
        place(output_dir / job_id, *(f"{n}.mp4" for n in range(20)))
    calls: list[Any] = []
    system = RecordingOs()
    listdir = os.listdir
    monkeypatch.setattr(system, "listdir", lambda path: calls.append(path) or listdir(path), False)
    monkeypatch.setattr(local, "os", system)
    listed = store.list_outputs()
    assert set(listed) == set(jobs)
    assert all(len(names) == 20 for names in listed.values())
    assert len(calls) == 1 + len(jobs)
    assert system.calls == []


# -- space ------------------------------------------------------------------------------------


@pytest.fixture
def disks(
    upload_dir: Path, output_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[Path, int]]:
    """The bytes that are free on the disk of each folder; tests change them."""
    free = {upload_dir: 1_000_000, output_dir: 1_000_000}
    monkeypatch.setattr(LocalRoot, "free", lambda root: free[root.folder])
    return free


def test_the_fuller_disk_says_how_much_is_free(
    store: LocalStore, upload_dir: Path, output_dir: Path, disks: dict[Path, int]
) -> None:
    disks[output_dir] = 1000
    assert store.free() == 1000
    disks[upload_dir] = 10
    assert store.free() == 10


def test_the_last_byte_that_is_not_kept_free_may_be_used(
    upload_dir: Path, output_dir: Path, disks: dict[Path, int]
) -> None:
    store = LocalStore(upload_dir, output_dir, min_free_space=400_000)
    for folder in (upload_dir, output_dir):
        disks[folder] = 500_000
        store.require_free(100_000)
        with pytest.raises(InsufficientStorage):
            store.require_free(100_001)
        disks[folder] = 1_000_000


def test_space_that_is_used_up_meanwhile_is_noticed_at_the_end_of_a_file(
    upload_dir: Path, output_dir: Path, disks: dict[Path, int]
) -> None:
    store = LocalStore(upload_dir, output_dir, min_free_space=1)
    incoming = store.receive("clip.mp4")
    incoming.write(b"x")
    disks[upload_dir] = 0
    with pytest.raises(InsufficientStorage):
        incoming.finish()
    incoming.discard()


def test_space_that_is_used_up_meanwhile_is_noticed_in_mid_file(
    upload_dir: Path, output_dir: Path, disks: dict[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_file, "WRITE_BACK_SIZE", 1000)
    store = LocalStore(upload_dir, output_dir, min_free_space=1)
    incoming = store.receive("clip.mp4")
    disks[upload_dir] = 0
    incoming.write(b"x" * 999)
    with pytest.raises(InsufficientStorage):
        incoming.write(b"x")
    incoming.discard()


# -- whose folders these are ---------------------------------------------------------------------


def test_roots_are_named_as_their_settings(store: LocalStore) -> None:
    assert [root.name for root in store.roots] == ["UPLOAD_DIR", "OUTPUT_DIR"]


def test_a_new_volume_with_lost_and_found_is_empty(store: LocalStore, upload_dir: Path) -> None:
    (upload_dir / "lost+found").mkdir()
    place(upload_dir, f"{OWNER_FILE}.0123")  # a killed start's
    assert store.roots[0].is_empty()
    assert store.roots[0].owner() is None
    place(upload_dir, "holiday.mp4")
    assert not store.roots[0].is_empty()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"half of an"])
def test_an_owner_file_that_holds_no_id_names_another_database(
    store: LocalStore, upload_dir: Path, content: bytes
) -> None:
    (upload_dir / OWNER_FILE).write_bytes(content)
    assert store.roots[0].owner() not in (None, "half of an id")


def test_a_root_that_is_missing_is_an_error_and_not_an_empty_one(
    store: LocalStore, upload_dir: Path
) -> None:
    upload_dir.rmdir()
    assert store.roots[0].owner() is None
    with pytest.raises(StorageUnavailable, match="UPLOAD_DIR is missing or cannot be read"):
        store.roots[0].is_empty()


def test_a_root_that_is_a_file_is_an_error_too(store: LocalStore, upload_dir: Path) -> None:
    upload_dir.rmdir()
    upload_dir.touch()
    assert store.roots[0].owner() is None
    with pytest.raises(StorageUnavailable, match="UPLOAD_DIR is missing or cannot be read"):
        store.roots[0].is_empty()


@pytest.mark.parametrize("damage", marks.UNREADABLE, ids=lambda make: make.__name__)
def test_an_owner_file_that_cannot_be_read_is_an_error(
    store: LocalStore, upload_dir: Path, damage: Callable[[Path], object]
) -> None:
    damage(upload_dir / OWNER_FILE)
    with pytest.raises(StorageUnavailable, match=r"\.database in UPLOAD_DIR cannot be read \("):
        store.roots[0].owner()


@pytest.mark.parametrize("damage", [marks.make_large, os.mkfifo])
def test_an_owner_file_that_could_be_read_for_long_is_another_databases(
    store: LocalStore, upload_dir: Path, damage: Callable[[Path], object]
) -> None:
    damage(upload_dir / OWNER_FILE)
    owner = store.roots[0].owner()
    assert owner is not None
    assert len(owner) <= 100


def test_two_marks_at_once_leave_one_and_no_draft(
    store: LocalStore, upload_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race itself: a sweep removes the slower one's draft as an orphan."""
    make_durable = durability.make_durable

    def swept(path: Path) -> None:
        make_durable(path)
        path.unlink()

    store.roots[0].mark("faster")
    monkeypatch.setattr(durability, "make_durable", swept)
    store.roots[0].mark("slower")
    assert store.roots[0].owner() == "faster"
    assert found(upload_dir) == {OWNER_FILE}


def test_what_is_committed_here_is_found_by_another_process_with_the_same_folders(
    store: LocalStore, upload_dir: Path, output_dir: Path
) -> None:
    keys = [uploaded(store, b"x"), published(store, "1.mp4", b"x")]
    store.roots[0].mark("database")
    other = LocalStore(upload_dir, output_dir, 0)
    assert all(exists(other, key) for key in keys)
    assert other.roots[0].owner() == "database"
