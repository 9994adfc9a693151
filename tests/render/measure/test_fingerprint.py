import pytest

from jobserver.render.measure import Fingerprint, fault


def levels(*means: int) -> Fingerprint:
    """Return that of plain frames of these levels."""
    return Fingerprint.of_frames(b"".join(bytes([mean]) * 1024 for mean in means))


SOURCE = levels(*(100 + 10 * (n % 3) for n in range(12)))


def test_it_is_kept_as_bytes():
    kept = SOURCE.to_bytes()
    assert len(kept) == 10 * SOURCE.frames == 120
    assert Fingerprint.from_bytes(kept) == SOURCE


def test_an_output_like_its_source_has_no_fault():
    assert fault(SOURCE, SOURCE) == fault(levels(), levels()) == ""
    assert fault(SOURCE, levels(*(90 + 7 * (n % 3) for n in range(12)))) == ""


def test_an_output_that_is_black_where_its_source_is_not_is_at_fault():
    dark = levels(*(100 + 10 * (n % 3) if n < 4 or n > 5 else 2 for n in range(12)))
    assert fault(SOURCE, dark) == "the picture is black from 2.0 s on"
    assert fault(levels(100), levels(0)) == "the picture is black from 0.0 s on"
    assert fault(dark, dark) == ""


def test_one_dark_frame_may_be_a_flash_that_the_output_shows_between_two_of_ours():
    assert fault(SOURCE, levels(*(100 + 10 * (n % 3) if n != 4 else 2 for n in range(12)))) == ""


def test_an_output_that_is_frozen_where_its_source_moves_is_at_fault():
    frozen = levels(*(100 + 10 * (min(n, 5) % 3) for n in range(12)))
    assert fault(SOURCE, frozen) == "the picture is frozen from 2.5 s on"
    assert fault(frozen, frozen) == ""
    assert fault(levels(*(100 + n % 2 for n in range(12))), levels(*[100] * 12)) == ""  # grain


@pytest.mark.parametrize("speed", [0.5, 0.8, 1, 1.25, 2])
def test_times_of_a_source_at_another_speed_are_found(speed):
    source = levels(*[0] * 8, *(100 + 10 * (n % 3) for n in range(24)), *[0] * 8)
    count = round(40 / speed)
    at = [min(39, round(n * speed)) for n in range(count)]
    like = levels(*(source.light[2 * place] for place in at))
    assert fault(source, like, speed) == ""
    assert "black" in fault(source, levels(*[0] * count), speed)
    assert "frozen" in fault(source, levels(*[120] * count), speed)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1])
def test_a_flash_of_the_source_that_falls_between_is_no_fault(speed):
    flashing = levels(100, 250, 100, 100)
    assert fault(flashing, levels(*[100] * round(4 / speed)), speed) == ""
    dark = levels(0, 250, 0, 0)
    assert fault(dark, levels(*[0] * round(4 / speed)), speed) == ""
