"""What arrives in several requests, judged without a server; and the headers of tus."""

import pytest

from jobserver.errors import ChecksumMismatch, FileTooLarge, InvalidOption, NotAccepted
from jobserver.uploads import Arriving, Declared, UploadLimits, tus
from tests.tus import checksum, metadata

LIMITS = UploadLimits(1000, 10)
PNG = b"\x89PNG\r\n\x1a\n"


def test_metadata_are_read_as_clients_write_them():
    assert tus.metadata(None) == tus.metadata(" ") == {}
    assert tus.metadata("a YQ==, b,c ") == {"a": "a", "b": "", "c": ""}
    assert tus.metadata(metadata(filename="Übung \0.mp4")) == {"filename": "Übung \ufffd.mp4"}
    assert tus.metadata("name /w==") == {"name": "\ufffd"}


def test_a_length_has_as_many_digits_as_a_database_keeps():
    assert tus.length("Upload-Length", "00" + "9" * 18) == 10**18 - 1
    for text in ("1" + "0" * 18, "٣", "+1", "1_0"):
        with pytest.raises(InvalidOption):
            tus.length("Upload-Length", text)


def test_a_checksum_is_of_all_pieces():
    wanted = tus.Checksum(checksum(b"abc", "sha256")["Upload-Checksum"])
    wanted.update(b"a")
    with pytest.raises(ChecksumMismatch):
        wanted.verify()
    wanted.update(b"bc")
    wanted.verify()


def test_names_and_types_are_those_that_clients_send():
    found = Declared.of({"name": "b" * 300, "type": "Video/MP4 ; x=1"}, 5)
    assert found == ("videos", "b" * 255, "video/mp4", 5)
    assert Declared.of({"name": "b", "filename": "a", "role": "music"}, 5).name == "a"


def test_what_a_file_is_shows_over_several_requests():
    declared = Declared("overlays", "logo.png", None, 100)
    first = Arriving(declared, LIMITS)
    first.take(PNG[:3])
    second = Arriving(declared, LIMITS, first.start)
    second.take(PNG[3:] + b"1234")
    second.finish()
    third = Arriving(declared, LIMITS, first.start)
    with pytest.raises(NotAccepted):
        third.take(b"no picture")


def test_a_still_may_be_smaller_than_a_video():
    declared = Declared("endings", "end.png", "image/png", 21 * 1024 * 1024)
    arriving = Arriving(declared, UploadLimits(10**9, 10))
    arriving.check()
    with pytest.raises(FileTooLarge):
        arriving.take(PNG + b"1234")
