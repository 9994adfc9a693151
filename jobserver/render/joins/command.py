"""The ffmpeg command lines that join shots and check what came out. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobserver.render.command import source, thumbnail_graph, thumbnail_output
from jobserver.render.joins.pictures import PictureTrack
from jobserver.render.settings import Settings
from jobserver.render.sound.command import SILENCE, STEREO, exact
from jobserver.render.sound.files import HEADROOM, RATE

FRAMES_AT_A_JOINT = 3  # that are decoded
_FADE_S = 1.0  # how long music takes to end
_FADE_SHARE = 0.25  # of the output, at most
# Frames are counted, not looked at.
_FIRST_FRAMES = f"trim=end_frame={FRAMES_AT_A_JOINT},scale=16:16:flags=neighbor,format=gray"
_START = ("-nostdin", "-hide_banner", "-nostats")
# Of files that we wrote the index says all: no frames are decoded to find out more.
_AS_WRITTEN = ("-nofind_stream_info", "-threads", "1")
_NO_SOUND = ("-an", "-guess_layout_max", "0")  # 0: nor a warning about it


@dataclass(frozen=True, kw_only=True)
class Mix:
    """The sound of an output.

    voice: the file of each cut, None for silence. gain, music_gain: dB, of the whole and, before
    that, of the music.
    """

    voice: Sequence[Path | None]
    music: Path | None
    music_gain: float = 0.0
    gain: float = 0.0

    @property
    def files(self) -> list[Path]:
        """All that is read for it, in the sequence of the inputs."""
        return [path for path in (*self.voice, self.music) if path]


def join_command(
    list_path: Path, track: PictureTrack, mix: Mix, out: Path, *, settings: Settings
) -> list[str]:
    """Copy the pictures one behind the other and encode one sound for all of them.

    list_path: for the concat demuxer. A mix of no files gives an output without sound.
    """
    convert = "0" if track.alike else "1"  # 1: repeats what a decoder must know at each keyframe
    pictures = ("-format_whitelist", "concat,mov", "-f", "concat", "-safe", "0")
    return [
        *(settings.ffmpeg, *_START, "-v", "warning", "-xerror", "-y"),
        *("-progress", "pipe:1", "-stats_period", "0.25"),
        *("-protocol_whitelist", "file", *pictures, "-auto_convert", convert),
        *("-i", f"file:{list_path}", *_sounds(mix)),
        *("-map", "0:v", "-c:v", "copy", *_steady(track)),
        *(_mixed(track, mix, settings) if mix.files else ()),
        *("-video_track_timescale", str(track.timescale)),
        *("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"),
        *("-movflags", "+faststart", "-f", "mp4", f"file:{out}"),
    ]


def _sounds(mix: Mix) -> list[str]:
    """Return the inputs of the sound; music begins again whenever it has ended."""
    words: list[str] = []
    for path in mix.voice:
        words += [*_AS_WRITTEN, "-f", "flac", "-i", f"file:{path}"] if path else []
    music = [*_AS_WRITTEN, "-stream_loop", "-1", "-f", "flac", "-i", f"file:{mix.music}"]
    return [*words, *(music if mix.music else ())]


def _steady(track: PictureTrack) -> list[str]:
    """Return the filter that keeps times of decoding rising across the joints, if one is needed.

    x264 delays frames by as many as its B-frames refer to, but not those of a shot of one or
    two: the shot behind it would begin to be decoded too early. All are delayed alike then.
    """
    delays = {cut.delay for cut in track.cuts}
    if len(delays) == 1:
        return []
    step = track.cuts[0].ticks / len(track.cuts[0].shown)
    return ["-bsf:v", f"setts=dts=round(N*{step:.9f})-{max(delays)}"]


def _mixed(track: PictureTrack, mix: Mix, settings: Settings) -> list[str]:
    """Return the filter graph of the sound, and how it is encoded."""
    return [
        *("-filter_complex_threads", "1", "-filter_complex", _graph(track, mix)),
        *("-map", "[mix]", "-c:a", "aac", "-aac_coder", "fast"),
        *("-b:a", str(settings.encoding.audio_rate), "-flags:a", "+bitexact"),
    ]


def _graph(track: PictureTrack, mix: Mix) -> str:
    """Return the graph that ends at [mix]: each cut as long as its picture, then music below."""
    pads, chains, number = "", [], 1
    for place, (path, count) in enumerate(zip(mix.voice, track.sounds, strict=True)):
        begin = f"[{number}:a]{STEREO}" if path else SILENCE
        chains.append(f"{begin},{exact(count)}[p{place}]")
        pads += f"[p{place}]"
        number += path is not None
    voice = f"{pads}concat=n={len(mix.voice)}:v=0:a=1"
    gain = f"volume={HEADROOM * _factor(mix.gain):.6f}:precision=float"
    if mix.music is None:
        return ";".join([*chains, f"{voice},{gain}[mix]"])
    count = sum(track.sounds)
    fade = round(min(_FADE_S * RATE, _FADE_SHARE * count))
    music = (
        f"[{number}:a]{STEREO},{exact(count)},volume={_factor(mix.music_gain):.6f}:precision=float,"
        f"afade=t=out:start_sample={count - fade}:nb_samples={fade}[music]"
    )
    mixed = f"[voice][music]amix=inputs=2:normalize=0,{gain}[mix]"
    return ";".join([*chains, f"{voice}[voice]", music, mixed])


def _factor(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def check_command(
    path: Path, track: PictureTrack, *, sound: bool, thumbnail: Path | None, settings: Settings
) -> list[str]:
    """List all packets of the picture, decode all sound, and the first frames behind some joints.

    Prints a line for each packet, and for each piece that was decoded: stream 0 is the picture,
    then come the joints (`track.decoded_joints`), last is the sound, if there is any. The log
    holds its loudness. thumbnail: written as well.
    """
    joints = list(enumerate(track.decoded_joints, start=1))
    inputs = [word for _, tick in joints for word in _from_keyframe(path, track, tick)]
    graph = [f"[{n}:v]{_FIRST_FRAMES}[j{n}]" for n, _ in joints]
    graph += ["[0:a]ebur128=peak=true:framelog=quiet[sound]"] if sound else []
    if thumbnail:
        inputs += source(path, (*_AS_WRITTEN, *_NO_SOUND))
        graph.append(thumbnail_graph(f"{len(joints) + 1}:v"))
    filters = ("-filter_complex_threads", "1", "-filter_complex", ";".join(graph))
    return [
        *(settings.ffmpeg, *_START, "-v", "level+info", "-xerror", "-y"),
        *("-err_detect", "explode", *source(path), *inputs, *(filters if graph else ())),
        *("-map", "0:v", "-c:v:0", "copy"),
        *(word for n, _ in joints for word in ("-map", f"[j{n}]")),
        *(("-map", "[sound]", "-c:a", "pcm_s16le") if sound else ()),
        *("-f", "framecrc", "-", *(thumbnail_output("[t0]", thumbnail) if thumbnail else ())),
    ]


def _from_keyframe(path: Path, track: PictureTrack, tick: int) -> list[str]:
    """Return an input that begins with the keyframe at a tick.

    Half a frame later is asked for: a time that is rounded down would begin a keyframe earlier.
    """
    half = track.cuts[0].ticks / len(track.cuts[0].shown) / 2
    at = f"{(tick + half) / track.timescale:.6f}"
    return source(path, (*_AS_WRITTEN, *_NO_SOUND, "-ss", at, "-noaccurate_seek"))
