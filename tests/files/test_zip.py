"""A ZIP whose layout is known beforehand: any reader opens it, any range of it is right."""

import io
import os
import random
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest

from jobserver.files.zip import Archive, Member, archive_length, members_end, text_member
from tests.results import crc32_of_zeros

GIB = 1024**3
AT = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
CONTENTS = {
    "manifest.json": b'{"jobId": "x"}\n',
    "01_clip/clip_var1.mp4": os.urandom(300_001),
    "01_clip/clip_var2.mp4": b"",
    "02_猫 é/v.mp4": b"PK\3\4 no header, only content",
}


@pytest.fixture
def members(tmp_path: Path) -> list[Member]:
    return [on_disk(tmp_path, name, content) for name, content in CONTENTS.items()]


def on_disk(folder: Path, name: str, content: bytes) -> Member:
    path = folder / str(len(list(folder.iterdir())))
    path.write_bytes(content)
    return Member(name, len(content), zlib.crc32(content), AT, opener_of(path))


def opener_of(path: Path) -> partial[BinaryIO]:
    """Return what opens a file as a store does, without a buffer."""
    return partial(open, path, "rb", buffering=0)


def path_of(member: Member) -> Path:
    assert isinstance(member.content, partial)
    return member.content.args[0]


def sparse(path: Path, size: int, crc32: int = 0) -> Member:
    with path.open("wb") as file:
        file.truncate(size)
    return Member(path.name, size, crc32, AT, opener_of(path))


def whole(archive: Archive) -> bytes:
    return b"".join(archive.read(0, archive.length))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class Virtual(io.RawIOBase):
    """An archive as a file that is never written anywhere."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._archive.length)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        stop = self._archive.length if size < 0 else min(self._at + size, self._archive.length)
        content = b"".join(self._archive.read(self._at, stop))
        self._at += len(content)
        return content


@contextmanager
def opened(members: list[Member]) -> Iterator[zipfile.ZipFile]:
    with closing(Archive(members)) as archive, zipfile.ZipFile(Virtual(archive)) as read:
        yield read


def test_every_member_comes_out_as_it_went_in_and_in_order(members: list[Member]):
    with opened(members) as read:
        assert read.testzip() is None
        assert {name: read.read(name) for name in read.namelist()} == CONTENTS
        assert read.namelist() == list(CONTENTS)
        assert {info.compress_type for info in read.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in read.infolist()} == {(2027, 1, 15, 8, 0, 0)}
        assert {info.external_attr >> 16 for info in read.infolist()} == {0o100644}


DESCRIPTION = text_member("index.json", b"{}", AT)
INDEX = (DESCRIPTION, text_member("index.csv", b"a,b", AT))


def test_an_index_lies_behind_the_members_and_is_listed_first(members: list[Member]):
    with closing(Archive(members, INDEX)) as archive, zipfile.ZipFile(Virtual(archive)) as read:
        assert read.testzip() is None
        assert read.namelist() == ["index.json", "index.csv", *CONTENTS]
        assert read.infolist()[0].header_offset == members_end(members)
        assert (
            max(each.header_offset for each in read.infolist()) == read.infolist()[1].header_offset
        )


def test_members_stay_where_they_are_when_others_are_appended(members: list[Member]):
    for count in range(1, len(members)):
        with (
            closing(Archive(members[:count], INDEX)) as first,
            closing(Archive(members, [text_member("index.json", b"[1, 2]", AT)])) as second,
        ):
            end = members_end(members[:count])
            assert whole(first)[:end] == whole(second)[:end]
            assert whole(first)[end : end + 50] != whole(second)[end : end + 50]


def test_the_length_follows_without_opening_a_file(members: list[Member]):
    for count in range(len(members) + 1):
        with closing(Archive(members[:count], INDEX)) as archive:
            assert archive_length(members[:count], INDEX) == len(whole(archive))


@pytest.mark.parametrize("size", [4 * GIB - 100, 4 * GIB, 5 * GIB])
def test_an_index_behind_4_gib_is_found(tmp_path: Path, size: int):
    large = sparse(tmp_path / "large", size)
    with closing(Archive([large], INDEX)) as archive, zipfile.ZipFile(Virtual(archive)) as read:
        assert archive.length == archive_length([large], INDEX)
        assert (read.namelist()[-1], read.read("index.json")) == ("large", b"{}")


def test_other_members_or_another_index_have_another_fingerprint(members: list[Member]):
    others = [text_member("index.json", b"[]", AT), DESCRIPTION._replace(name="other")]
    indexes = [INDEX, INDEX[:1], INDEX[::-1], (), *([each] for each in others)]
    archives = [Archive(members, index) for index in indexes]
    archives += [Archive(members[1:], INDEX), Archive(members[::-1], INDEX)]
    assert len({archive.fingerprint for archive in archives}) == len(archives)
    for archive in archives:
        archive.close()


def test_the_length_is_known_before_the_first_byte(members: list[Member]):
    with closing(Archive(members)) as archive:
        assert archive.length == len(whole(archive))


def test_any_range_is_that_part_of_the_whole(members: list[Member]):
    chosen = random.Random(4)
    with closing(Archive(members)) as archive:
        content = whole(archive)
        ranges = [sorted(chosen.choices(range(len(content) + 1), k=2)) for _ in range(300)]
        for start, stop in [*ranges, (0, 1), (len(content) - 1, len(content)), (5, 5)]:
            assert b"".join(archive.read(start, stop)) == content[start:stop]


def test_pieces_are_small(members: list[Member]):
    with closing(Archive(members)) as archive:
        assert max(map(len, archive.read(0, archive.length))) <= 256 * 1024


def test_the_same_members_make_the_same_bytes(members: list[Member]):
    with closing(Archive(members)) as first, closing(Archive(members)) as second:
        assert whole(first) == whole(second)


def test_an_archive_of_bytes_alone_needs_no_disk():
    with opened([text_member("a.txt", b"text", AT)]) as read:
        assert read.read("a.txt") == b"text"


@pytest.mark.parametrize("at", [0.0, -1e9, 315532799.0])
def test_a_time_before_1980_is_the_first_that_a_zip_can_hold(at: float):
    with opened([text_member("a", b"", at)]) as read:
        assert read.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_a_missing_member_is_noticed_at_once_and_nothing_stays_open(members: list[Member]):
    path_of(members[3]).unlink()
    before = descriptors()
    with pytest.raises(FileNotFoundError):
        Archive(members)
    assert descriptors() == before


@pytest.mark.parametrize("change", [-1, 1])
def test_a_member_of_another_size_is_a_missing_one(members: list[Member], change: int):
    os.truncate(path_of(members[1]), members[1].size + change)
    before = descriptors()
    with pytest.raises(FileNotFoundError):
        Archive(members)
    assert descriptors() == before


def test_a_member_removed_after_the_start_is_still_read(members: list[Member]):
    with closing(Archive(members)) as archive:
        for member in members:
            path_of(member).unlink()
        with zipfile.ZipFile(Virtual(archive)) as read:
            assert read.read("01_clip/clip_var1.mp4") == CONTENTS["01_clip/clip_var1.mp4"]


def test_a_member_that_shrinks_while_it_is_read_is_an_error_and_not_a_shorter_zip(
    members: list[Member],
):
    with closing(Archive(members)) as archive:
        os.truncate(path_of(members[1]), 1000)
        with pytest.raises(OSError, match="shorter"):
            whole(archive)


def test_close_leaves_no_file_open(members: list[Member]):
    before = descriptors()
    archive = Archive(members)
    assert descriptors() == before + len(members)
    archive.close()
    assert descriptors() == before


@pytest.mark.parametrize("size", [4 * GIB - 2, 4 * GIB - 1, 4 * GIB, 4 * GIB + 1, 11 * GIB])
def test_sizes_and_places_around_4_gib_are_written_right(tmp_path: Path, size: int):
    """At 0xFFFFFFFF the field means: look into the ZIP64 one."""
    with opened([sparse(tmp_path / "large", size), text_member("after", b"small", AT)]) as read:
        assert [info.file_size for info in read.infolist()] == [size, 5]
        assert read.infolist()[1].header_offset >= size
        assert read.read("after") == b"small"
        with read.open("large") as large:
            assert large.read(10) == bytes(10)


@pytest.mark.parametrize("margin", [-1, 0, 1])
def test_a_directory_that_begins_around_4_gib_is_found(tmp_path: Path, margin: int):
    header = 30 + len("large")
    size = 4 * GIB - 1 - header + margin
    with opened([sparse(tmp_path / "large", size)]) as read:
        assert read.start_dir == 4 * GIB - 1 + margin
        assert [info.file_size for info in read.infolist()] == [size]


@pytest.mark.parametrize("count", [65_534, 65_535])
def test_more_members_than_16_bits_count_are_all_there(count: int):
    with opened([text_member(f"{n}", b"", AT) for n in range(count)]) as read:
        assert len(read.namelist()) == count


# What each reader prints of an archive: a test of all checksums, then one member.
READERS = {
    "unzip": (["unzip", "-tq"], ["unzip", "-p"]),
    "7z": (["7z", "t", "-bd"], ["7z", "x", "-so"]),
    "bsdtar": (["bsdtar", "-tf"], ["bsdtar", "-xOf"]),
}


def check_with(reader: str, path: Path, contents: dict[str, bytes]) -> None:
    tested, member = READERS[reader]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    done = subprocess.run([*tested, path], capture_output=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"warning" not in (done.stdout + done.stderr).lower()
    for name, content in contents.items():
        command = [*member, path, name]
        done = subprocess.run(command, capture_output=True, env=environment, timeout=300)
        assert (done.returncode, done.stdout) == (0, content), (name, done.stderr)


@pytest.mark.tools
@pytest.mark.parametrize("reader", READERS)
def test_the_readers_that_people_use_open_it(reader: str, members: list[Member], tmp_path: Path):
    path = tmp_path / "job.zip"
    for index, contents in (
        ((), CONTENTS),
        (INDEX, {**CONTENTS, "index.json": b"{}", "index.csv": b"a,b"}),
    ):
        with closing(Archive(members, index)) as archive:
            path.write_bytes(whole(archive))
        check_with(reader, path, contents)


@pytest.fixture(scope="module")
def large_zip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """10 GB in all, with a member of more than 4 GiB; zeros are holes on the disk."""
    folder = tmp_path_factory.mktemp("large")
    sizes = {"a.mp4": 4 * GIB + 5, "b.mp4": 3 * GIB, "c.mp4": 3 * GIB}
    members = [sparse(folder / name, size, crc32_of_zeros(size)) for name, size in sizes.items()]
    members.append(text_member("last.json", b"the end", AT))
    path = folder / "large.zip"
    with closing(Archive(members)) as archive, path.open("wb") as file:
        for piece in archive.read(0, archive.length):
            if piece.count(0) == len(piece):
                file.seek(len(piece), os.SEEK_CUR)
            else:
                file.write(piece)
        assert file.tell() == archive.length
    yield path
    path.unlink()


@pytest.mark.tools
@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_the_readers_that_people_use_open_10_gb(reader: str, large_zip: Path):
    check_with(reader, large_zip, {"last.json": b"the end"})


@pytest.mark.slow
def test_pythons_zipfile_opens_10_gb(large_zip: Path):
    with zipfile.ZipFile(large_zip) as read:
        assert read.testzip() is None
