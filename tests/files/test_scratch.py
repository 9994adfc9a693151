"""SCRATCH_DIR: copies that are fetched once and kept within a bound, folders of claims, a wipe."""

import io
import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from jobserver.errors import FetchCancelled
from jobserver.files.scratch import Scratch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def scratch(folder: Path) -> Scratch:
    return Scratch(folder, bound=1000)


class Counted:
    """Objects by name; keeps which were opened."""

    def __init__(self, size: int = 400) -> None:
        self.size = size
        self.opened: list[str] = []

    def __call__(self, name: str) -> Callable[[], BinaryIO]:
        def open_object() -> BinaryIO:
            self.opened.append(name)
            return io.BytesIO(name.encode() * (self.size // len(name)))

        return open_object


def use(scratch: Scratch, objects: Counted, *names: str) -> None:
    for name in names:
        with scratch.copy(name, objects(name)) as path:
            assert path.read_bytes() == name.encode() * (objects.size // len(name))


def copies(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("run.*/copies/*")}


def test_a_copy_is_fetched_once(scratch: Scratch, folder: Path) -> None:
    objects = Counted()
    use(scratch, objects, "a", "a", "a")
    assert objects.opened == ["a"]
    assert copies(folder) == {"a"}


def test_whole_copies_are_known_those_used_last_first(scratch: Scratch) -> None:
    objects = Counted(300)
    use(scratch, objects, "a", "b", "a")
    assert scratch.copies() == ["a", "b"]

    def broken() -> BinaryIO:
        assert scratch.copies() == ["a", "b"]  # what is being fetched is none yet
        raise OSError

    with pytest.raises(OSError), scratch.copy("c", broken):  # noqa: PT011
        pass
    use(scratch, objects, "d", "e")
    assert scratch.copies() == ["e", "d", "a"]


def test_a_fetch_that_is_cancelled_leaves_nothing_and_another_fetches_anew(
    scratch: Scratch, folder: Path
) -> None:
    cancel, objects = threading.Event(), Counted()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            cancel.set()
            return super().read(size)

    with pytest.raises(FetchCancelled), scratch.copy("a", lambda: Slow(b"aaaa"), cancel):
        pass
    assert copies(folder) == set()
    use(scratch, objects, "a")
    with scratch.copy("a", objects("a"), cancel):  # it is there: nothing is fetched
        pass
    assert objects.opened == ["a"]


def test_the_copy_that_was_used_longest_ago_goes_first(scratch: Scratch, folder: Path) -> None:
    objects = Counted()
    use(scratch, objects, "a", "b", "a", "c")
    assert copies(folder) == {"a", "c"}
    use(scratch, objects, "a", "b")
    assert objects.opened == ["a", "b", "c", "b"]
    assert copies(folder) == {"a", "b"}


def test_a_copy_in_use_stays_whatever_the_bound(scratch: Scratch, folder: Path) -> None:
    objects = Counted(size=900)
    with scratch.copy("a", objects("a")) as path:
        use(scratch, objects, "b")
        assert path.exists()
        assert copies(folder) == {"a"}
    with scratch.copy("large", Counted(size=5000)("large")) as path:
        assert path.stat().st_size == 5000
    assert copies(folder) == set()


def test_room_is_made_before_a_copy_is_fetched(scratch: Scratch, folder: Path) -> None:
    objects = Counted(size=600)
    use(scratch, objects, "a")
    seen: list[set[str]] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            seen.append(copies(folder))
            return super().read(size)

    with scratch.copy("b", lambda: Watched(bytes(600))):
        pass
    assert seen[0] == {"b.part"}


def test_what_could_not_be_fetched_leaves_nothing_and_is_tried_again(
    scratch: Scratch, folder: Path
) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("broken")

    with pytest.raises(OSError, match="broken"), scratch.copy("a", lambda: Broken(b"xx")):
        pass
    assert copies(folder) == set()
    objects = Counted()
    use(scratch, objects, "a")
    assert objects.opened == ["a"]


def test_who_waits_for_a_fetch_that_fails_fetches_itself(scratch: Scratch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    found: list[bytes] = []

    def fail() -> BinaryIO:
        begun.set()
        go_on.wait(10)
        raise OSError("broken")

    def first() -> None:
        with pytest.raises(OSError, match="broken"), scratch.copy("a", fail):
            pass

    def second() -> None:
        with scratch.copy("a", lambda: io.BytesIO(b"content")) as path:
            found.append(path.read_bytes())

    threads = [threading.Thread(target=each) for each in (first, second)]
    threads[0].start()
    assert begun.wait(10)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert found == [b"content"]


def test_the_folder_of_a_claim_is_private_empty_and_goes_with_what_is_in_it(
    scratch: Scratch, folder: Path
) -> None:
    with scratch.folder("job.file.1") as mine:
        assert list(mine.iterdir()) == []
        assert mine.stat().st_mode & 0o777 == 0o700
        (mine / "a").mkdir()
        (mine / "a" / "1.mp4").touch()
    assert not mine.exists()


def test_a_wipe_takes_what_dead_processes_left_and_nothing_else(
    scratch: Scratch, folder: Path
) -> None:
    def live_and_die() -> None:
        with Scratch(folder, 1000).copy("dead", lambda: io.BytesIO(b"x")):
            pass

    process = multiprocessing.get_context("fork").Process(target=live_and_die)
    process.start()
    process.join(10)
    use(scratch, Counted(), "a")
    (folder / "photos").mkdir()
    assert copies(folder) == {"dead", "a"}
    Scratch(folder, 1000).wipe()
    assert copies(folder) == {"a"}
    assert (folder / "photos").exists()


def test_a_wipe_makes_a_folder_that_is_missing(scratch: Scratch, folder: Path) -> None:
    scratch.wipe()
    assert list(folder.iterdir()) == []
