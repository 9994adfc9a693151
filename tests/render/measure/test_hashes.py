import random

import imagehash
import pytest
from PIL import Image

from jobserver.render.measure import (
    between,
    distance,
    distances,
    hash_frames,
    joined,
    label,
    matrix,
    opening,
)

BLACK, WHITE = bytes(8), b"\xff" * 8  # hashes of frames that differ in all 64 bits


def clip(frames: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(8 * frames)


def picture(seed: int) -> Image.Image:
    """Return something with light and shade on all scales."""
    drawn = random.Random(seed)
    small = Image.frombytes("L", (5, 5), drawn.randbytes(25)).resize((32, 32), Image.BICUBIC)
    noise = Image.frombytes("L", (32, 32), drawn.randbytes(1024))
    return Image.blend(small, noise, 0.2)


def test_a_frame_has_the_hash_that_imagehash_computes():
    pictures = [picture(seed) for seed in range(100)]
    found = hash_frames(b"".join(each.tobytes() for each in pictures))
    assert found.hex() == "".join(str(imagehash.phash(each)) for each in pictures)


def test_plain_frames_of_any_brightness_have_one_hash():
    grey = [hash_frames(bytes([level]) * 1024).hex() for level in (1, 17, 128, 255)]
    assert set(grey) == {"8000000000000000"}


def test_a_clip_is_no_bit_from_itself():
    assert distance(clip(20), clip(20)) == between(clip(20), clip(20)) == 0
    assert opening(clip(20), clip(20)) == 0


def test_bits_are_a_mean_over_time():
    other = clip(19) + bytes(x ^ 0xFF for x in clip(20)[-8:])
    assert distance(clip(20), other) == between(clip(20), other) == 64 / 20
    assert opening(clip(20), other) == 0


def test_a_trimmed_start_is_no_new_picture():
    for frames in range(1, 7):
        assert distance(clip(20), clip(20)[8 * frames :]) == 0
        assert opening(clip(20), clip(20)[8 * frames :]) == 0
    assert distance(clip(20), clip(20)[8 * 7 :]) > 20


def test_what_is_put_before_a_clip_is_not_in_its_source():
    hook = clip(4, seed=2)
    assert distance(clip(20), hook + clip(20)) == 32 * 4 / 24
    assert between(clip(20), hook + clip(20)) == between(hook + clip(20), clip(20)) == 32 * 4 / 24
    assert opening(clip(20), hook + clip(20)) == 32 * 4 / 6


def test_what_one_has_beyond_the_other_s_end_counts_32_bits():
    assert distance(clip(20), clip(20)[: 8 * 15]) == 32 * 5 / 20
    assert distance(clip(20)[: 8 * 15], clip(20)) == 32 * 5 / 20
    assert between(clip(20), clip(20)[: 8 * 15]) == 32 * 5 / 20
    assert opening(clip(20), clip(20)[: 8 * 15]) == 0
    assert opening(clip(20), clip(3)) == 32 * 3 / 6


def test_the_opening_is_the_first_three_seconds_alone():
    assert opening(BLACK * 20, BLACK * 6 + WHITE * 14) == 0
    assert opening(BLACK * 20, BLACK * 5 + WHITE * 15) == 64 / 6


def test_a_clip_without_frames_is_like_nothing():
    assert distance(b"", clip(1)) == distance(clip(1), b"") == opening(clip(1), b"") == 32
    assert between(b"", clip(1)) == 32
    assert distance(b"", b"") == opening(b"", b"") == between(b"", b"") == 0


def test_labels_begin_where_they_should():
    labels = [label(bits) for bits in (0, 4.99, 5, 20, 20.01, 64)]
    assert labels == ["cosmetic", "cosmetic", "visible", "visible", "different", "different"]


@pytest.mark.parametrize("frames", [(1, 1), (2, 9), (9, 2), (12, 12), (30, 24), (24, 30)])
def test_a_matrix_has_what_comparing_frame_by_frame_gives(frames):
    clips = [clip(count, seed) for seed, count in enumerate(frames)]
    clips.append(bytes(x & 0xF7 for x in clips[0][8:]) + clip(1))
    for one, row in zip(clips, matrix(clips), strict=True):
        for other, bits in zip(clips, row, strict=True):
            overlapping = range(max(-6, 1 - len(other) // 8), min(6, len(one) // 8 - 1) + 1)
            expected = min(mean(one, other, shift) for shift in overlapping)
            assert bits == expected


def mean(one: bytes, other: bytes, shift: int) -> float:
    """Compare frame `n` of one clip with frame `n - shift` of the other, whatever is there."""
    ones = {at: one[8 * at : 8 * at + 8] for at in range(len(one) // 8)}
    others = {at + shift: other[8 * at : 8 * at + 8] for at in range(len(other) // 8)}
    bits = [
        sum((x ^ y).bit_count() for x, y in zip(ones[at], others[at], strict=True))
        if at in ones and at in others
        else 32
        for at in ones.keys() | others.keys()
    ]
    return sum(bits) / len(bits)


def test_siblings_are_compared_with_others_as_in_a_matrix():
    clips = [clip(count, seed) for seed, count in enumerate((9, 12, 12, 0, 30))]
    rows = matrix(clips)
    assert distances(clips[1:3], clips) == rows[1:3]
    assert distances([], clips) == []


def test_clips_joined_have_the_hashes_of_their_parts_at_the_same_times():
    one, other = clip(5, 1), clip(6, 2)
    assert joined([(one, 2.5), (other, 3.0)]) == one + other
    assert joined([(one, 1.5), (other, 3.0)]) == one[:24] + other
    assert joined([(one, 2.3), (other, 3.0)]) == one + other  # nearest to 0.2 s, 0.7 s, ...
    assert joined([(one, 2.2), (other, 0.1)]) == one
    assert joined([(one, 0.1), (other, 0.1), (one, 0.8)])[:8] == one[:8]
    assert len(joined([(one, 0.1), (other, 0.1), (one, 0.9)])) == 8 * 3
    assert joined([]) == b""
