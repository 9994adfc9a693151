"""Outputs are held to what their source has, several by one ffmpeg process."""

import dataclasses
import threading

import pytest

from jobserver.render import Cancelled, parameters, probe, render, variations
from jobserver.render.errors import Damaged
from jobserver.render.measure import decode
from jobserver.render.verify import verify

from .conftest import ffmpeg

EVERY_KIND = [
    "two-sounds", "silent", "vfr", "portrait", "odd-sounds", "single", "hevc10", "fragmented",
    "trimmed", "delayed", "timecode", "container-shape", "forged", "wordy", "rgb", "plain",
]  # fmt: skip


@pytest.fixture
def made(clip, settings, tmp_path):
    """Return a function that renders a clip and returns its Media and the outputs' paths."""

    def make(name, count):
        source = probe(clip(name), settings)
        wanted = [(parameters(7, n), tmp_path / f"{n}.mp4") for n in range(1, count + 1)]
        return source, [output.path for output in render(clip(name), source, wanted, settings)]

    return make


@pytest.mark.parametrize("sounds", [0, 1, 2])
def test_files_decoded_together_are_described_as_each_alone(clip, settings, sounds):
    alone = {name: probe(clip(name), settings) for name in EVERY_KIND}
    names = [name for name, media in alone.items() if len(media.audio) == sounds]
    found = decode([clip(name) for name in names], settings, sounds=sounds, pixels=1e6)
    assert [made.media for made in found] == [alone[name] for name in names]
    assert [made.frames for made in found] == [alone[name].frames for name in names]


def damage(path, how):
    data = path.read_bytes()
    if how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "no index":
        path.write_bytes(data.replace(b"moov", b"free"))
    else:
        options = {"short": ("-t", "1.5"), "silent": ("-an",), "no picture": ("-vn",)}[how]
        ffmpeg("-i", path, *options, "-c", "copy", path.with_suffix(".new.mp4"))
        path.with_suffix(".new.mp4").replace(path)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("how", ["cut", "empty", "no index", "short", "silent", "no picture"])
def test_one_damaged_output_among_whole_ones_is_refused(made, settings, how, place):
    source, paths = made("plain", 3)
    verify(paths, source, settings)
    damage(paths[place], how)
    with pytest.raises(Damaged):
        verify(paths, source, settings)


def test_outputs_with_many_packets_are_listed_by_several_processes(made, settings, monkeypatch):
    source, paths = made("plain", 3)
    sizes = []

    def count_then_decode(some, *rest, **named):
        sizes.append(len(some))
        return decode(some, *rest, **named)

    monkeypatch.setattr("jobserver.render.verify.decode", count_then_decode)
    whole = verify(paths, source, settings)
    packets = source.packets.count + source.sounds[0].count
    monkeypatch.setattr("jobserver.render.verify._MAX_PACKETS", 2 * packets)
    assert verify(paths, source, settings) == whole
    monkeypatch.setattr("jobserver.render.verify._MAX_PACKETS", 1)
    assert verify(paths, source, settings) == whole
    assert sizes == [3, 2, 1, 1, 1, 1]


def test_verifying_stops_when_it_is_cancelled(made, settings):
    source, paths = made("plain", 2)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        verify(paths, source, settings, cancel)


def test_a_group_with_an_output_that_lacks_something_leaves_no_file(
    clip, settings, tmp_path, monkeypatch
):
    source = probe(clip("plain"), settings)
    longer = dataclasses.replace(source.packets, end=source.packets.end + 1)
    expected = dataclasses.replace(source, packets=longer)
    monkeypatch.setattr(
        variations, "verify", lambda outs, _, *rest, **more: verify(outs, expected, *rest, **more)
    )
    wanted = [(parameters(7, n), tmp_path / f"{n}.mp4") for n in (1, 2)]
    with pytest.raises(Damaged):
        list(render(clip("plain"), source, wanted, settings, thumbnails=True))
    assert list(tmp_path.iterdir()) == []
