"""WebM and MKV: whole files are rendered, files that lack something are refused with a reason."""

import struct
from fractions import Fraction

import pytest

from jobserver.render import MediaError, Settings, probe
from jobserver.render.errors import Damaged, NotAnMP4, NoVideo, TooLong, Truncated, Unsupported
from jobserver.render.facts import frame_rate
from jobserver.render.matroska import read_matroska

from .conftest import AAC, BEEP, FAST, FLASH, H264, PATTERN, TONE, described, ffmpeg, onset, ssim
from .ebml_files import (
    CLUSTER,
    HEAD,
    INFO,
    SEGMENT,
    SIMPLE_BLOCK,
    TRACKS,
    UNKNOWN,
    VOID,
    element,
    elements,
    parts,
    segment_of,
    with_blocks,
)
from .test_hostile import attempt, mutations

VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k")
CLIPS = {
    "plain.mkv": (*PATTERN, *TONE, *H264, *AAC),
    "sync.mkv": (*FLASH, *BEEP, *H264, "-c:a", "libvorbis", "-ac", "2"),
    "vp9.webm": (*PATTERN, *TONE, *VP9, "-c:a", "libopus"),
    "vp8.webm": (*PATTERN, "-c:v", "libvpx", "-deadline", "realtime", "-b:v", "200k"),
    "av1.webm": (*PATTERN, "-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime"),
    "hevc.mkv": (*PATTERN, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
                 "log-level=none", "-pix_fmt", "yuv420p10le"),
    "prores.mkv": (*PATTERN, *TONE, "-c:v", "prores_ks", "-c:a", "pcm_s16le"),
    "vfr.mkv": (*PATTERN, "-vf", "select=not(mod(n\\,3)*lt(n\\,30))", "-fps_mode", "vfr", *H264),
    "live.webm": (*PATTERN, *TONE, *VP9, "-c:a", "libopus", "-f", "webm", "-live", "1",
                  "-cluster_time_limit", "500"),
    "late.mkv": (*PATTERN, *TONE, *H264, *AAC, "-output_ts_offset", "3600"),
    "sync.webm": (*FLASH, *BEEP, *VP9, "-c:a", "libopus"),
    "clusters.mkv": (*PATTERN, *H264, "-g", "10", "-cluster_time_limit", "500"),
    "ntsc.mkv": ("-f", "lavfi", "-i", "testsrc2=s=160x120:r=30000/1001:d=2", *H264),
    "sound.mkv": (*TONE, *AAC),
}  # fmt: skip


@pytest.fixture
def settings():
    return Settings(encoding=FAST, accept=("mp4", "webm", "mkv"))


@pytest.fixture(scope="session")
def webm(tmp_path_factory):
    """Return a function that makes a clip of CLIPS by name."""
    folder = tmp_path_factory.mktemp("webm")

    def make(name):
        path = folder / name
        if not path.exists():
            ffmpeg(*CLIPS[name], path)
        return path

    return make


UNUSUAL = ("sound.mkv", "clusters.mkv", "sync.webm", "ntsc.mkv")
RENDERED = [name for name in CLIPS if name not in UNUSUAL]


@pytest.mark.parametrize("name", RENDERED)
def test_every_codec_gives_whole_variations(webm, rendered, settings, name):
    source = probe(webm(name), settings)
    assert (source.demuxer, source.displayed) == ("matroska", (160, 120))
    [output] = rendered(webm(name), 1)
    media = output.media
    assert media.duration == pytest.approx(2, abs=0.1)
    assert media.frames == (30 if name == "vfr.mkv" else 50)
    assert len(media.audio) == len(source.audio)
    assert ssim(output.path, webm(name)) > 0.5


@pytest.mark.parametrize(
    ("name", "rate"),
    [("plain.mkv", 25), ("ntsc.mkv", Fraction(30000, 1001)), ("vfr.mkv", None)],
)
def test_the_frame_rate_is_found_in_times_of_whole_milliseconds(webm, settings, name, rate):
    assert frame_rate(probe(webm(name), settings)) == rate


def test_frames_that_are_never_shown_are_not_missing(rendered, settings, tmp_path):
    """Encoded in two passes, VP8 has frames that only others refer to."""
    path = tmp_path / "x.webm"
    options = ("-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "25", "-arnr-maxframes",
               "5", "-cpu-used", "4", "-b:v", "300k", "-passlogfile", tmp_path / "log")  # fmt: skip
    for number in ("1", "2"):
        ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=4", *options, "-pass", number, path)
    media = probe(path, settings)
    assert media.packets.count > media.frames == 100
    assert frame_rate(media) == 25
    assert rendered(path, 1)[0].media.frames == 100


@pytest.mark.parametrize("name", ["sync.mkv", "sync.webm"])
def test_sound_stays_in_sync(webm, rendered, name):
    assert onset(rendered(webm(name), 1)[0].path) == pytest.approx((1.0, 1.0), abs=0.04)


def test_frames_with_times_below_zero_are_not_lost_in_silence(webm, rendered, tmp_path):
    """ffmpeg knows no such time, and leaves some of these frames out."""

    def earlier(block):
        ticks = int.from_bytes(block[1:3], signed=True) - 300
        return block[:1] + ticks.to_bytes(2, signed=True) + block[3:]

    head, children = parts(webm("sync.mkv").read_bytes())
    changed = [
        (kind, with_blocks(payload, earlier) if kind == CLUSTER else payload)
        for kind, payload in children
    ]
    path = tmp_path / "x.mkv"
    path.write_bytes(segment_of(head, changed))
    with pytest.raises(Damaged):
        rendered(path, 1)


@pytest.mark.parametrize("name", ["plain.mkv", "vp9.webm"])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused_as_cut_off(webm, settings, tmp_path, name, share):
    data = webm(name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: max(5, int(len(data) * share))])
    with pytest.raises(Truncated, match="cut off"):
        probe(path, settings)


@pytest.mark.parametrize("lost", [1, 10, 100, 5000])
def test_a_live_recording_that_ends_in_a_frame_is_refused_as_cut_off(
    webm, settings, tmp_path, lost
):
    path = tmp_path / "live.webm"
    path.write_bytes(webm("live.webm").read_bytes()[:-lost])
    with pytest.raises(Truncated):
        probe(path, settings)


def test_a_file_without_its_last_cluster_is_refused_though_its_sizes_fit(webm, settings, tmp_path):
    head, children = parts(webm("clusters.mkv").read_bytes())
    assert sum(kind == CLUSTER for kind, _ in children) == 5
    last = max(n for n, (kind, _) in enumerate(children) if kind == CLUSTER)
    path = tmp_path / "x.mkv"
    path.write_bytes(segment_of(head, children))
    assert probe(path, settings).frames == 50
    path.write_bytes(segment_of(head, children[:last] + children[last + 1 :]))
    with pytest.raises(Truncated):
        probe(path, settings)


def test_a_cluster_that_the_index_names_must_be_there(webm, settings, tmp_path):
    """Bytes are lost in the middle, and the size of the whole is made to fit."""
    data = webm("clusters.mkv").read_bytes()
    start = data.index(CLUSTER.to_bytes(4), data.index(CLUSTER.to_bytes(4)) + 4)
    end = data.index(CLUSTER.to_bytes(4), start + 4)
    at = data.index(SEGMENT.to_bytes(4)) + 4
    size = int.from_bytes(data[at : at + 8]) - (end - start)
    path = tmp_path / "x.mkv"
    path.write_bytes(data[:at] + size.to_bytes(8) + data[at + 8 : start] + data[end:])
    with pytest.raises(Damaged):
        probe(path, settings)


@pytest.mark.parametrize("size", [1, 2**20, 2**40, 2**56 - 2])
@pytest.mark.parametrize("kind", [INFO, TRACKS, CLUSTER])
def test_a_size_that_lies_is_refused(webm, settings, tmp_path, kind, size):
    head, children = parts(webm("plain.mkv").read_bytes())
    inner = b"".join(
        element(each, payload, (size | 1 << 56).to_bytes(8) if each == kind else None)
        for each, payload in children
        if each in (INFO, TRACKS, CLUSTER)
    )
    path = tmp_path / "x.mkv"
    path.write_bytes(head + element(SEGMENT, inner))
    with pytest.raises(MediaError):
        probe(path, settings)


@pytest.mark.parametrize("size", [1, 2**14, 2**30, 2**56 - 2])
def test_a_block_whose_size_lies_is_refused(webm, settings, tmp_path, size):
    head, children = parts(webm("plain.mkv").read_bytes())
    changed = []
    for kind, payload in children:
        if kind == CLUSTER:
            blocks = elements(payload)
            place = len(blocks) // 2
            lying = element(*blocks[place], (size | 1 << 56).to_bytes(8))
            before, after = blocks[:place], blocks[place + 1 :]
            payload = b"".join(element(*each) for each in before) + lying
            payload += b"".join(element(*each) for each in after)
        changed.append((kind, payload))
    path = tmp_path / "x.mkv"
    path.write_bytes(segment_of(head, changed))
    with pytest.raises(MediaError):
        probe(path, settings)


def test_what_may_name_other_files_is_not_read(webm, settings, rendered, tmp_path):
    """Attachments, ordered chapters and linked segments; players that follow them open files."""
    secret = tmp_path / "secret.ttf"
    secret.write_bytes(b"secret" * 100)
    (tmp_path / "marks.txt").write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=secret\n"
    )
    path = tmp_path / "x.mkv"
    ffmpeg("-i", webm("plain.mkv"), "-i", tmp_path / "marks.txt", "-map_chapters", "1",
           "-c", "copy", "-attach", secret, "-metadata:s:t", "mimetype=application/x-truetype-font",
           tmp_path / "plain.mkv")  # fmt: skip
    head, children = parts((tmp_path / "plain.mkv").read_bytes())
    linked = element(0x3EB923, b"\x07" * 16) + element(0x3E83BB, b"secret.mkv")
    path.write_bytes(segment_of(head, [(k, p + linked if k == INFO else p) for k, p in children]))
    assert b"Chapter" in described(path)
    [output] = rendered(path, 1)
    assert output.media.frames == 50
    assert b"Chapter" not in described(output.path)
    assert b"secret" not in output.path.read_bytes()


def written(tmp_path, *, doc=b"matroska", track=b"", blocks=b""):
    """Write a file by hand: one video track, one cluster of unknown size in such a segment."""
    entry = element(0xD7, b"\1") + element(0x83, b"\1") + element(0x86, b"V_VP8") + track
    body = element(TRACKS, element(0xAE, entry)) + element(CLUSTER, blocks, UNKNOWN)
    path = tmp_path / "x.mkv"
    path.write_bytes(element(HEAD, element(0x4282, doc)) + element(SEGMENT, body, UNKNOWN))
    return path


def test_all_frames_of_a_laced_block_are_counted(tmp_path):
    blocks = element(SIMPLE_BLOCK, b"\x81\0\0\x02\x02abc") + element(SIMPLE_BLOCK, b"\x81\0\1\0a")
    grouped = element(0xA0, element(0xA1, b"\x40\x01\0\2\0a") + element(0x9B, b"\1"))
    other = element(SIMPLE_BLOCK, b"\x82\0\0\0x")
    path = written(tmp_path, blocks=blocks + grouped + other)
    assert [track.samples for track in read_matroska(path, ["mkv"]).tracks] == [5]


def test_an_encrypted_track_is_refused_as_encrypted(settings, tmp_path):
    encrypted = element(0x6D80, element(0x6240, element(0x5035, b"\0")))
    with pytest.raises(Unsupported, match="encrypted"):
        probe(written(tmp_path, track=encrypted), settings)


@pytest.mark.parametrize(
    ("accept", "doc", "sentence"),
    [
        (("mp4",), b"matroska", "This file is not an MP4 video."),
        (("mp4", "webm"), b"matroska", "This file is not an MP4 or WebM video."),
        (("mkv",), b"webm", "This file is not an MKV video."),
        (("mp4", "mov", "webm", "mkv"), b"other",
         "This file is not an MP4, MOV, WebM or MKV video."),
    ],
)  # fmt: skip
def test_the_demuxer_follows_what_is_accepted(tmp_path, accept, doc, sentence):
    with pytest.raises(NotAnMP4) as caught:
        probe(written(tmp_path, doc=doc), Settings(accept=accept))
    assert str(caught.value) == sentence


def test_an_mp4_is_refused_where_only_webm_is_accepted(clip):
    with pytest.raises(NotAnMP4, match="not a WebM video"):
        probe(clip("plain"), Settings(accept=("webm",)))


def test_sound_alone_is_no_video(webm, settings):
    with pytest.raises(NoVideo):
        probe(webm("sound.mkv"), settings)


def test_ten_hours_are_refused_by_what_the_file_declares(webm, settings, tmp_path):
    data = webm("plain.mkv").read_bytes()
    path = tmp_path / "x.mkv"
    at = data.index(b"\x44\x89\x88") + 3
    path.write_bytes(data[:at] + struct.pack(">d", 36e6) + data[at + 8 :])
    with pytest.raises(TooLong, match="10:00:00"):
        probe(path, settings)


def test_the_number_of_elements_that_are_read_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr("jobserver.render.ebml.MAX_ELEMENTS", 100)
    path = written(tmp_path, blocks=element(VOID, b"") * 101)
    with pytest.raises(Unsupported, match="too many pieces"):
        read_matroska(path, ["mkv"])


def test_10_mutations_each_give_a_sentence_or_an_output(webm, settings, tmp_path):
    path, out = tmp_path / "x.mkv", tmp_path / "out"
    for data in mutations(webm("plain.mkv").read_bytes(), 10, seed=3):
        path.write_bytes(data)
        sentence = attempt(path, settings, out)
        assert out.exists() is (sentence is None)
        out.unlink(missing_ok=True)
    assert attempt(webm("plain.mkv"), settings, out) is None
