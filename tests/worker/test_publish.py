"""What is noted about an output when it is published."""

import hashlib
import zlib
from pathlib import Path

import pytest

from jobserver.worker.publish import PIECE_SIZE, crc32_of, sha256_of


def test_the_sum_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_check_value_of_a_file_is_its_crc32(tmp_path: Path) -> None:
    """Source of the value: https://reveng.sourceforge.io/crc-catalogue/all.htm (CRC-32)."""
    path = tmp_path / "digits"
    path.write_bytes(b"123456789")
    assert crc32_of(path) == 0xCBF43926


@pytest.mark.parametrize("size", [0, PIECE_SIZE - 1, PIECE_SIZE, 3 * PIECE_SIZE + 1])
def test_sums_are_of_the_whole_file(tmp_path: Path, size: int) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    path = tmp_path / "file"
    path.write_bytes(content[:size])
    assert sha256_of(path) == hashlib.sha256(content[:size]).hexdigest()
    assert crc32_of(path) == zlib.crc32(content[:size])
