"""What each file field takes: judged by the first bytes of real files, however they are named."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

from jobserver.errors import NotAccepted
from jobserver.uploads.brands import START_SIZE
from jobserver.uploads.containers import MAX_START_SIZE, start_size
from jobserver.uploads.kinds import FIELDS, MAX_MUSIC_SIZE, MAX_STILL_SIZE, Beginning
from tests.support import MP4_HEAD

PICTURE, SOUND = ("testsrc2=s=64x64:d=0.1", "-frames:v", "1"), ("sine=d=0.2",)
SENTENCES = {
    "videos": "Only MP4 files are accepted",
    "hooks": "Only MP4 files are accepted",
    "endings": "Only MP4, PNG, JPEG and WebP files are accepted as endings",
    "overlays": "Only PNG, JPEG and WebP files are accepted as overlays",
    "music": "Only M4A, MP3, WAV, FLAC and OGG files are accepted as music",
}
WORDS = {
    "still.png": PICTURE,
    "still.jpg": PICTURE,
    "still.webp": PICTURE,
    "still.gif": PICTURE,
    "still.bmp": PICTURE,
    "clip.mp4": ("testsrc2=s=64x64:d=0.2", "-pix_fmt", "yuv420p"),
    "clip.mov": ("testsrc2=s=64x64:d=0.2", "-pix_fmt", "yuv420p"),
    "clip.webm": ("testsrc2=s=64x64:d=0.2", "-c:v", "libvpx"),
    "song.m4a": SOUND,
    "plain.m4a": (*SOUND, "-f", "mp4"),
    "song.mp3": SOUND,
    "bare.mp3": (*SOUND, "-id3v2_version", "0", "-write_xing", "0"),
    "mpeg2.mp3": (*SOUND, "-ar", "16000", "-id3v2_version", "0", "-write_xing", "0"),
    "song.wav": SOUND,
    "large.wav": (*SOUND, "-rf64", "always"),
    "song.flac": SOUND,
    "song.ogg": (*SOUND, "-c:a", "libvorbis"),
    "song.opus": SOUND,
    "song.aac": SOUND,
    "song.aiff": SOUND,
}
TAKES = {
    "videos": {"clip.mp4", "plain.m4a"},  # whether there is a picture is the worker's to see
    "hooks": {"clip.mp4", "plain.m4a"},
    "endings": {"clip.mp4", "plain.m4a", "still.png", "still.jpg", "still.webp"},
    "overlays": {"still.png", "still.jpg", "still.webp"},
    "music": {
        *("song.m4a", "plain.m4a", "clip.mp4", "song.mp3", "bare.mp3", "mpeg2.mp3"),
        *("song.wav", "large.wav", "song.flac", "song.ogg", "song.opus"),
    },
}


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The first bytes of files as ffmpeg writes them, and of some that it does not."""
    folder = tmp_path_factory.mktemp("kinds")
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin"]
    for name, (source, *words) in WORDS.items():
        path = folder / name
        subprocess.run([*ffmpeg, "-f", "lavfi", "-i", source, *words, path], check=True, timeout=60)
    found = {name: start_of(folder / name) for name in WORDS}
    found["page.png"] = b"<!doctype html><script>"[:START_SIZE]
    found["drawing.png"] = b'<svg xmlns="http:'[:START_SIZE]
    found["list.mp3"] = b"#EXTM3U\n#EXTINF"[:START_SIZE]
    found["photo.heic"] = b"\0\0\0\x18ftypheic"
    found["protected.m4a"] = b"\0\0\0\x18ftypM4P "
    found["film.avi"] = b"RIFF\0\0\0\0AVI "
    return found


def start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        start = file.read(MAX_START_SIZE)
    return start[: start_size(start)]


def is_taken(field: str, seen: Beginning) -> bool:
    try:
        FIELDS[field].check(seen)
    except NotAccepted as error:
        if str(error) != SENTENCES[field]:
            raise
        return False
    return True


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("type_", [None, "application/octet-stream"])
def test_a_field_takes_files_of_its_formats_alone(
    starts: dict[str, bytes], field: str, type_: str | None
) -> None:
    taken = {name for name, start in starts.items() if is_taken(field, Beginning(type_, start))}
    assert taken == TAKES[field]


@pytest.mark.parametrize("field", ["overlays", "music"])
@pytest.mark.parametrize("type_", ["image/png", "audio/mpeg", "text/html", "video/mp4"])
def test_of_stills_and_sound_the_bytes_decide_whatever_is_declared(
    starts: dict[str, bytes], field: str, type_: str
) -> None:
    taken = {name for name, start in starts.items() if is_taken(field, Beginning(type_, start))}
    assert taken == TAKES[field]


@pytest.mark.parametrize("type_", ["image/png", "image/svg+xml"])
def test_an_ending_that_is_declared_a_picture_is_one(starts: dict[str, bytes], type_: str) -> None:
    taken = {name for name, start in starts.items() if is_taken("endings", Beginning(type_, start))}
    assert taken == TAKES["overlays"]


@pytest.mark.parametrize("field", ["videos", "hooks", "endings"])
def test_a_clip_that_is_declared_otherwise_is_refused_before_its_first_byte(field: str) -> None:
    for type_ in ("text/html", "video/quicktime", "audio/mpeg", ""):
        assert not is_taken(field, Beginning(type_))
    for type_ in ("video/mp4", None):
        assert is_taken(field, Beginning(type_))


@pytest.mark.parametrize("field", FIELDS)
def test_a_file_that_is_too_short_to_be_judged_is_judged_at_its_end(
    starts: dict[str, bytes], field: str
) -> None:
    for name in TAKES[field]:
        for size in range(START_SIZE):
            assert is_taken(field, Beginning(None, starts[name][:size])), (name, size)
    assert not is_taken(field, Beginning(None, b"\0" * 5, whole=True))


def test_a_still_and_a_sound_have_limits_of_their_own(starts: dict[str, bytes]) -> None:
    def most(field: str, name: str) -> int | None:
        return FIELDS[field].check(Beginning(None, starts[name]))

    assert most("overlays", "still.png") == most("endings", "still.webp") == MAX_STILL_SIZE
    assert most("music", "song.flac") == MAX_MUSIC_SIZE
    for field in ("videos", "hooks", "endings"):
        assert most(field, "clip.mp4") is None
    assert most("endings", "clip.mp4") is None


def test_a_declared_mp4_may_begin_without_a_file_type() -> None:
    for field in ("videos", "hooks", "endings"):
        assert is_taken(field, Beginning("video/mp4", b"\0\0\0\x08wide\0\0\0\0"))
        assert is_taken(field, Beginning("video/mp4", MP4_HEAD[:START_SIZE]))
