"""How many uploads one process receives at once, and how large a body may be."""

import pytest

from jobserver.errors import BodyTooLarge, Busy
from jobserver.uploads import UploadLimits, UploadSlots, upload_slot

KIB = 1024
LIMITS = UploadLimits(max_file_size=64 * KIB, max_files=10)


def test_a_content_length_above_every_accepted_body_is_refused() -> None:
    slots, largest = UploadSlots(1), LIMITS.max_body_size
    for size in (None, 0, largest):
        with upload_slot(slots, LIMITS, size):
            pass
    refused = upload_slot(slots, LIMITS, largest + 1)
    with pytest.raises(BodyTooLarge, match="at most 1203 MB"), refused:
        pytest.fail("received")


def test_no_body_smaller_than_its_files_is_refused() -> None:
    stills, sounds = 10 * 20 * 1024 * KIB, 10 * 100 * 1024 * KIB
    assert LIMITS.max_body_size > 30 * LIMITS.max_file_size + stills + sounds


def test_a_refused_body_takes_no_slot() -> None:
    slots = UploadSlots(1)
    for _ in range(3):
        with pytest.raises(BodyTooLarge), upload_slot(slots, LIMITS, 10**13):
            pytest.fail("received")
    with upload_slot(slots, LIMITS, 1):
        pass


def test_uploads_have_slots_and_give_them_back() -> None:
    slots = UploadSlots(2)
    with upload_slot(slots, LIMITS, 1), upload_slot(slots, LIMITS, 1):
        with pytest.raises(Busy) as raised, upload_slot(slots, LIMITS, 1):
            pytest.fail("received")
        assert str(raised.value) == "Too many uploads at once; try again"
        assert raised.value.retry_after == 5
    with pytest.raises(ZeroDivisionError), upload_slot(slots, LIMITS, 1):
        raise ZeroDivisionError
    with upload_slot(slots, LIMITS, 1), upload_slot(slots, LIMITS, 1):
        pass
