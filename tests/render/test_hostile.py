import dataclasses
import random
import socket
import struct
import threading

import pytest

from jobserver.render import MediaError, boxes, parameters, probe, render
from jobserver.render import ffmpeg as ffmpeg_process
from jobserver.render.boxes import read_index
from jobserver.render.command import probe_command
from jobserver.render.errors import NotAnMP4, NoVideo, TooLong, Truncated, Unsupported
from jobserver.render.settings import MIB

from .conftest import ffmpeg


def attempt(path, settings, out):
    """Probe and render one variation; return the sentence of the error, or None."""
    try:
        list(render(path, probe(path, settings), [(parameters(1, 1), out)], settings))
    except MediaError as error:
        return str(error)
    return None


@pytest.fixture
def listener():
    """A TCP server on loopback, as its port and the list of connections it has accepted."""
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    connections.append(server.accept())
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], connections
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def disguises(port, sibling):
    """Files in which ffmpeg would follow references if it guessed their format."""
    url = f"http://127.0.0.1:{port}/x.mp4"
    return {
        "ffconcat": f"ffconcat version 1.0\nfile {sibling}\nfile {url}\n",
        "concat-script": f"file '{sibling}'\n",
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n",
        "dash": f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{url}</BaseURL></MPD>',
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>',
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\n",
        "zeros": "\0" * 1024,
        "empty": "",
    }


@pytest.mark.parametrize("kind", disguises(0, ""))
def test_references_in_another_format_are_not_followed(kind, listener, clip, settings, tmp_path):
    port, connections = listener
    path = tmp_path / "x.mp4"
    path.write_text(disguises(port, clip("plain"))[kind])
    assert attempt(path, settings, tmp_path / "out") == "This file is not an MP4 video."
    assert connections == []
    assert list(tmp_path.iterdir()) == [path]


def test_no_reference_is_followed_where_every_container_is_accepted(
    listener, clip, settings, tmp_path
):
    port, connections = listener
    path = tmp_path / "x.mkv"
    everything = dataclasses.replace(settings, accept=("mp4", "mov", "webm", "mkv"))
    for content in disguises(port, clip("plain")).values():
        path.write_text(content)
        sentence = attempt(path, everything, tmp_path / "out")
        assert sentence == "This file is not an MP4, MOV, WebM or MKV video."
    assert connections == []
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", disguises(0, ""))
def test_references_are_not_followed_without_box_reader_and_sandbox(
    kind, listener, clip, settings, tmp_path
):
    """The forced demuxer and the protocol whitelist are sufficient on their own."""
    port, connections = listener
    path = tmp_path / "x.mp4"
    path.write_text(disguises(port, clip("plain"))[kind])
    lines = []
    ending = ffmpeg_process.run(
        probe_command(path, settings),
        ffmpeg_process.Limits(wall_s=20, stall_s=20, memory=512 * MIB, file_bytes=MIB),
        ffmpeg_process.Access([path], sandbox=False),
        lambda line: lines.append(line) is None,
    )
    assert ending.status != 0
    assert [line for line in lines if line] == []
    assert connections == []


def test_an_image_sequence_pattern_is_not_expanded(settings, tmp_path):
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=32x32:d=0.2", tmp_path / "%d.png")
    path = tmp_path / "%d.mp4"
    path.write_bytes((tmp_path / "1.png").read_bytes())
    assert attempt(path, settings, tmp_path / "out") == "This file is not an MP4 video."


def test_a_reference_to_another_file_is_not_followed(clip, settings, tmp_path):
    """A QuickTime data reference names another file; ffmpeg's enable_drefs must stay off."""
    data = clip("plain").read_bytes()
    url = b"url " + struct.pack(">I", 1)
    assert url in data
    elsewhere = b"alis" + struct.pack(">I", 0)
    path = tmp_path / "x.mp4"
    path.write_bytes(data.replace(url, elsewhere))
    attempt(path, settings, tmp_path / "out")
    assert {entry.name for entry in tmp_path.iterdir()} <= {"x.mp4", "out"}


@pytest.mark.parametrize("name", ["plain", "faststart"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused_as_cut_off(clip, settings, tmp_path, name, share):
    data = clip(name).read_bytes()
    path = tmp_path / "x.mp4"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(Truncated, match="cut off"):
        probe(path, settings)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_truncated_inside_a_fragment_is_refused_as_cut_off(clip, settings, tmp_path, share):
    data = clip("fragmented").read_bytes()
    path = tmp_path / "x.mp4"
    path.write_bytes(data[: int(data.rindex(b"mfra") * share)])
    with pytest.raises(Truncated):
        probe(path, settings)


def test_a_truncation_with_consistent_box_sizes_is_found_by_counting(clip, settings, tmp_path):
    data = clip("faststart").read_bytes()
    at = data.index(b"mdat") - 4
    half = data[: at + (len(data) - at) // 2]
    path = tmp_path / "x.mp4"
    path.write_bytes(half[:at] + struct.pack(">I", len(half) - at) + half[at + 4 :])
    with pytest.raises(Truncated):
        probe(path, settings)


def box(kind, payload=b""):
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


FTYP = box(b"ftyp", b"isom\0\0\0\0")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (FTYP, Truncated),
        (FTYP + box(b"moov"), NotAnMP4),
        (FTYP + b"\xff\xff\xff\xffmoov" + b"\0" * 64, Truncated),
        (FTYP + b"\0\0\0\1moov" + b"\xff" * 8, Truncated),
        (FTYP + b"\0\0\0\3moov", Truncated),
        (b"\0\0\0\0ftyp", Truncated),
        (FTYP + box(b"moov", box(b"trak") * 3), NoVideo),
        (FTYP + box(b"moov", box(b"trak", b"\xff\xff\xff\xffmdia" + b"\0" * 99)), NoVideo),
    ],
)
def test_malformed_boxes_are_refused_with_a_sentence(settings, tmp_path, data, error):
    path = tmp_path / "x.mp4"
    path.write_bytes(data)
    with pytest.raises(error) as caught:
        probe(path, settings)
    assert str(caught.value).endswith(".")


BOXES = box(b"free") * 101


@pytest.mark.parametrize(
    "data",
    [
        BOXES,
        FTYP + box(b"moov", BOXES),
        FTYP + box(b"moov", box(b"trak") * 101),
        FTYP + box(b"moov", box(b"trak", BOXES)),
        FTYP + box(b"moov", box(b"trak", box(b"stsd", b"\0" * 8 + BOXES))),
    ],
)
def test_the_number_of_boxes_that_are_read_is_limited(settings, tmp_path, monkeypatch, data):
    monkeypatch.setattr(boxes, "MAX_BOXES", 100)
    monkeypatch.setattr(boxes, "MAX_BOXES_IN_INDEX", 100)
    path = tmp_path / "x.mp4"
    path.write_bytes(data)
    with pytest.raises(Unsupported, match="too many pieces"):
        probe(path, settings)


def test_the_nesting_of_boxes_that_is_followed_is_limited(tmp_path):
    nested = b"".join(struct.pack(">I4s", 8 * n, b"mdia") for n in range(50_000, 0, -1))
    path = tmp_path / "x.mp4"
    path.write_bytes(FTYP + box(b"moov", box(b"trak", nested)))
    assert [track.samples for track in read_index(path).tracks] == [None]


def test_half_an_hour_with_one_fragment_per_frame_is_read(tmp_path):
    path = tmp_path / "x.mp4"
    path.write_bytes(FTYP + box(b"moov") + (box(b"moof") + box(b"mdat")) * 54_000)
    assert read_index(path).fragmented


def test_four_billion_declared_frames_are_refused_before_ffmpeg_starts(clip, settings, tmp_path):
    data = bytearray(clip("plain").read_bytes())
    at = data.index(b"stsz") + 12
    data[at : at + 4] = b"\xff\xff\xff\xff"
    path = tmp_path / "x.mp4"
    path.write_bytes(data)
    assert read_index(path).tracks[0].samples == 2**32 - 1
    with pytest.raises(TooLong, match="too many frames"):
        probe(path, settings)


def test_a_frame_larger_than_the_index_declares_is_not_decoded(clip, settings, tmp_path):
    data = clip("huge").read_bytes()
    path = tmp_path / "x.mp4"
    path.write_bytes(data.replace(struct.pack(">HH", 8192, 8192), struct.pack(">HH", 160, 120)))
    assert attempt(path, settings, tmp_path / "out")


def mutations(data, count, seed):
    """Yield damaged copies: bytes changed, or a section removed, duplicated or zeroed."""
    chance = random.Random(seed)
    for _ in range(count):
        copy = bytearray(data)
        start, length = chance.randrange(len(copy)), chance.randrange(1, 200)
        match chance.randrange(4):
            case 0:
                for _ in range(chance.randrange(1, 20)):
                    copy[chance.randrange(len(copy))] = chance.randrange(256)
            case 1:
                del copy[start : start + length]
            case 2:
                copy[start:start] = copy[start : start + length]
            case 3:
                copy[start : start + length] = bytes(len(copy[start : start + length]))
        yield bytes(copy)


def assert_each_mutation_is_handled(clip, settings, tmp_path, *, count, seed):
    path, out = tmp_path / "x.mp4", tmp_path / "out"
    for data in mutations(clip("faststart").read_bytes(), count, seed):
        path.write_bytes(data)
        sentence = attempt(path, settings, out)
        assert out.exists() is (sentence is None)
        assert sentence is None or sentence.endswith(".")
        out.unlink(missing_ok=True)
        assert list(tmp_path.iterdir()) == [path]
    assert attempt(clip("faststart"), settings, out) is None


def test_30_mutations_each_give_a_sentence_or_an_output(clip, settings, tmp_path):
    assert_each_mutation_is_handled(clip, settings, tmp_path, count=30, seed=1)


@pytest.mark.slow
def test_1000_mutations_each_give_a_sentence_or_an_output(clip, settings, tmp_path):
    assert_each_mutation_is_handled(clip, settings, tmp_path, count=1000, seed=2)
