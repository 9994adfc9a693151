"""Music files of five kinds become sounds; hostile ones a sentence."""

import threading

import pytest

from jobserver.render import Cancelled, MediaError, Settings
from jobserver.render.sound import SoundFile, probe_music, render_music
from jobserver.render.sound.files import HEADROOM
from jobserver.render.sound.music import MAX_LISTED_S

from ..conftest import ffmpeg
from ..edits import with_random_samples
from .signals import RATE, onsets, pcm, pitch

LOUDER = f"volume={HEADROOM:g}:precision=float"
KINDS = {
    "m4a": ("mov", ("-c:a", "aac")),
    "mp3": ("mp3", ("-c:a", "libmp3lame")),
    "wav": ("wav", ("-c:a", "pcm_s16le")),
    "flac": ("flac", ("-c:a", "flac")),
    "ogg": ("ogg", ("-c:a", "libvorbis")),
}
BEEP = "aevalsrc=0.4*sin(2*PI*1000*t)*between(mod(t\\,1)\\,0.3\\,0.35):s=44100:d=2"


@pytest.fixture
def music(tmp_path):
    """Return a function that makes a music file of 2 s that beeps at 0.3 s and 1.3 s."""

    def make(kind, graph=BEEP, *options):
        path = tmp_path / f"x.{kind}"
        ffmpeg("-f", "lavfi", "-i", graph, *KINDS[kind][1], *options, path)
        return path

    return make


def sound_of(path, seconds=10.0, settings=None) -> SoundFile:
    """Probe a music file and write what an output of so many seconds needs of it."""
    settings = settings or Settings()
    found = probe_music(path, settings)
    return render_music(path, found, path.with_suffix(".out"), settings, seconds=seconds)


@pytest.mark.parametrize("kind", KINDS)
def test_music_of_every_kind_is_opened_by_its_own_demuxer_and_kept_whole(music, kind):
    path = music(kind)
    found = probe_music(path, Settings())
    assert found.demuxer == KINDS[kind][0]
    assert found.duration == pytest.approx(2, abs=0.06)
    sound = sound_of(path)
    assert sound.seconds == pytest.approx(2, abs=0.06)
    samples = pcm(sound.path, LOUDER)
    assert onsets(samples) == pytest.approx([0.3, 1.3], abs=0.03)
    assert pitch(samples[int(0.31 * RATE) : int(0.34 * RATE)]) == pytest.approx(1000, rel=0.03)


def test_no_more_of_it_is_written_than_outputs_need(music):
    sound = sound_of(music("mp3"), seconds=0.7)
    assert len(pcm(sound.path)) == round(0.7 * RATE)
    assert len(sound.blocks) == 4


def test_a_tag_before_flac_and_a_cover_are_no_obstacle(music, tmp_path):
    tagged = tmp_path / "tagged.flac"
    tagged.write_bytes(b"ID3\4\0\0\0\0\1\0" + bytes(128) + music("flac").read_bytes())
    assert probe_music(tagged, Settings()).demuxer == "flac"
    assert sound_of(tagged).seconds == pytest.approx(2, abs=0.01)
    picture, cover = tmp_path / "cover.png", tmp_path / "cover.mp3"
    ffmpeg("-f", "lavfi", "-i", "color=s=64x64", "-frames:v", "1", picture)
    ffmpeg("-i", music("mp3"), "-i", picture, "-map", "0", "-map", "1", "-c", "copy",
           "-disposition:v", "attached_pic", cover)  # fmt: skip
    assert sound_of(cover).seconds == pytest.approx(2, abs=0.06)


def test_ten_hours_of_music_cost_what_an_output_needs(music):
    minute = music("mp3", "anullsrc=r=8000:cl=mono:d=60", "-b:a", "8k")
    path = minute.with_name("long.mp3")
    ffmpeg("-stream_loop", "599", "-i", minute, "-c", "copy", path)
    assert probe_music(path, Settings()).duration == pytest.approx(MAX_LISTED_S, rel=0.01)
    assert sound_of(path, seconds=1.5).seconds == 1.5


@pytest.mark.parametrize("name", ["text", "aac", "png", "empty", "playlist"])
def test_what_is_no_music_is_said(tmp_path, name):
    contents = {
        "text": b"not music at all, but long enough to be read",
        "aac": b"\xff\xf1\x50\x80" + bytes(100),
        "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "empty": b"",
        "playlist": b"#EXTM3U\nfile:///etc/passwd\n",
    }
    path = tmp_path / "x"
    path.write_bytes(contents[name])
    with pytest.raises(MediaError, match=r"^This file is not music in a known format"):
        probe_music(path, Settings())


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_only_begins_as_music_is_said(music, tmp_path, kind):
    path = tmp_path / "half"
    path.write_bytes(music(kind).read_bytes()[:64] + bytes(range(256)) * 40)
    with pytest.raises(MediaError, match="music"):
        sound_of(path)
    assert not path.with_suffix(".out").exists()


def test_music_of_which_nothing_can_be_decoded_is_said(music):
    path = music("m4a")
    path.write_bytes(with_random_samples(path.read_bytes(), track=0))
    with pytest.raises(MediaError, match=r"^This music file is damaged"):
        sound_of(path)


def test_a_film_without_sound_is_no_music(clip):
    with pytest.raises(MediaError, match=r"^This music file has no sound in it"):
        probe_music(clip("silent"), Settings())


def test_music_too_short_to_be_repeated_is_said(music):
    with pytest.raises(MediaError, match=r"^This music is too short"):
        probe_music(music("wav", "sine=440:d=0.4"), Settings())


def test_a_cancelled_render_of_music_leaves_nothing(music, tmp_path):
    path, cancel = music("flac"), threading.Event()
    found = probe_music(path, Settings())
    cancel.set()
    with pytest.raises(Cancelled):
        render_music(path, found, tmp_path / "x.out", Settings(), seconds=2, cancel=cancel)
    assert not (tmp_path / "x.out").exists()
