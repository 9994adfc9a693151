"""Fragments that are missing, or out of place: ffmpeg alone would play what is left of them."""

import struct

import pytest

from jobserver.render import parameters, probe, render
from jobserver.render.errors import Damaged, Truncated

from .conftest import ffmpeg

FRAGMENTS = 5  # of 10 frames each, in the clip `fragmented`


def box(kind, payload=b""):
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def boxes_of(data, at=0):
    """Yield each box between `at` and the end, as its type and its bytes."""
    while at < len(data):
        length = int.from_bytes(data[at : at + 4])
        yield data[at + 4 : at + 8], data[at : at + length]
        at += length


def taken_apart(path):
    """Return what precedes the fragments, the fragments, and what follows them."""
    head, fragments, tail = b"", [], b""
    for kind, data in boxes_of(path.read_bytes()):
        if kind == b"moof":
            fragments.append(data)
        elif kind == b"mdat" and fragments:
            fragments[-1] += data
        elif not fragments:
            head += data
        else:
            tail += data
    return head, fragments, tail


def without_times(fragment):
    """Rename the decode times, as writers before 2012 left them out."""
    return fragment.replace(b"tfdt", b"free")


def numbered(fragment, number):
    at = fragment.index(b"mfhd") + 8
    return fragment[:at] + struct.pack(">I", number) + fragment[at + 4 :]


@pytest.fixture
def refused(clip, settings, tmp_path):
    """Return a function that probes the clip's fragments, changed, and returns the error."""
    head, fragments, _ = taken_apart(clip("fragmented"))
    assert len(fragments) == FRAGMENTS

    def attempt(change, head=head, tail=b""):
        path = tmp_path / "x.mp4"
        path.write_bytes(head + b"".join(change(fragments)) + tail)
        with pytest.raises((Truncated, Damaged)) as caught:
            probe(path, settings)
        return caught.type

    return attempt


@pytest.mark.parametrize("at", range(FRAGMENTS - 1))
@pytest.mark.parametrize("prepare", [bytes, without_times])
def test_a_missing_fragment_is_said(refused, at, prepare):
    def change(all_):
        return [prepare(each) for n, each in enumerate(all_) if n != at]

    assert refused(change) is Truncated


@pytest.mark.parametrize("prepare", [bytes, without_times])
def test_fragments_out_of_place_are_said(refused, prepare):
    def doubled(all_):
        return [prepare(each) for each in all_ for _ in (1, 2)]

    assert refused(lambda all_: [prepare(each) for each in reversed(all_)]) is Damaged
    assert refused(doubled) is Damaged
    assert refused(lambda all_: [prepare(each) for each in all_ + all_]) is Damaged
    swapped = [0, 2, 1, 3, 4]
    assert refused(lambda all_: [prepare(all_[n]) for n in swapped]) in (Damaged, Truncated)


def test_a_missing_last_fragment_is_said_if_an_index_lists_it(refused, clip):
    _, _, tail = taken_apart(clip("fragmented"))
    assert b"tfra" in tail
    assert refused(lambda all_: all_[:-1], tail=tail) is Truncated


def test_a_missing_last_fragment_is_said_if_the_length_is_declared(refused, clip):
    head, _, _ = taken_apart(clip("fragmented"))
    at, scale = head.index(b"mvex") - 4, head.index(b"mvhd") + 16
    mehd = box(b"mehd", struct.pack(">II", 0, 2 * int.from_bytes(head[scale : scale + 4])))
    longer = bytearray(head[: at + 8] + mehd + head[at + 8 :])
    for place in (at, head.index(b"moov") - 4):
        struct.pack_into(">I", longer, place, int.from_bytes(longer[place : place + 4]) + 16)
    assert refused(lambda all_: all_[:-1], head=bytes(longer)) is Truncated


def test_a_missing_last_fragment_is_said_if_a_segment_index_covers_it(refused, clip, tmp_path):
    path = tmp_path / "indexed.mp4"
    ffmpeg("-i", clip("plain"), "-map", "0:v", "-c:v", "libx264", "-g", "10", "-movflags",
           "+frag_keyframe+empty_moov+default_base_moof+dash+global_sidx", path)  # fmt: skip
    head, fragments, _ = taken_apart(path)
    assert b"sidx" in head
    assert refused(lambda _: fragments[:-1], head=head) is Truncated


def test_a_missing_last_fragment_that_nothing_declares_gives_a_shorter_video(
    clip, settings, tmp_path
):
    head, fragments, _ = taken_apart(clip("fragmented"))
    path = tmp_path / "x.mp4"
    path.write_bytes(head + b"".join(fragments[:-1]))
    assert probe(path, settings).frames == 40


@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("prepare", [bytes, without_times])
def test_fragments_are_read_however_they_are_numbered(clip, settings, tmp_path, step, prepare):
    """All zero, from zero on, or in steps of two: with times, the numbers alone prove nothing."""
    head, fragments, tail = taken_apart(clip("fragmented"))
    path = tmp_path / "x.mp4"
    renumbered = (numbered(prepare(each), n * step) for n, each in enumerate(fragments))
    path.write_bytes(head + b"".join(renumbered) + tail)
    if step == 2 and prepare is without_times:
        with pytest.raises(Truncated):
            probe(path, settings)
    else:
        assert probe(path, settings).frames == 50


@pytest.mark.parametrize(
    "options",
    [
        ("-movflags", "+frag_keyframe+empty_moov+default_base_moof"),
        ("-movflags", "+frag_keyframe"),
        ("-movflags", "+frag_every_frame+empty_moov+delay_moov"),
        ("-movflags", "+dash+frag_keyframe+global_sidx"),
        ("-movflags", "+cmaf+frag_keyframe+separate_moof"),
        ("-movflags", "+frag_discont+frag_keyframe+empty_moov", "-output_ts_offset", "5"),
    ],
    ids=str,
)
def test_fragments_as_writers_make_them_are_rendered(clip, settings, tmp_path, options):
    """A pause of the picture is a gap between two fragments as well."""
    path, out = tmp_path / "x.mp4", tmp_path / "out.part"
    pause = "setpts=PTS+gte(N\\,30)*2/TB"
    ffmpeg("-i", clip("plain"), "-vf", pause, "-fps_mode", "vfr", "-enc_time_base", "demux",
           "-c:v", "libx264", "-g", "10", "-c:a", "copy", *options, path)  # fmt: skip
    media = probe(path, settings)
    [output] = render(path, media, [(parameters(1, 1), out)], settings)
    assert output.media.frames == media.frames >= 49  # ffmpeg 7 drops one with delay_moov
