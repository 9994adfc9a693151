"""The filters that every use of a source begins with: progressive, SDR, 8 bits, limited range.

ffmpeg has turned frames upright before its filters see them.
"""

from dataclasses import replace
from math import sqrt

from jobserver.render.colours import to_bt709
from jobserver.render.media import Video

TAG_BT709 = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=limited"
# Whatever aspect ratio a source declares: square pixels per pixel of it, and pixels of a side.
_MAX_STRETCH, _MAX_SIDE = 2.0, 16384


def input_filters(video: Video) -> list[str]:
    """Return the filters for outputs that look like their source.

    Colours are converted, and tagged BT.709, where a tag says that they need it; HDR by tone
    mapping. Others stay as they are, also without tags.
    """
    if video.colours.needs_conversion:
        return [*_deinterlace(video), *_even(video), *to_bt709(video.colours), "format=yuv420p"]
    # By default RGB is converted with the SD matrix (BT.601), but players decode an untagged
    # HD video with BT.709.
    matrix = ":out_color_matrix=bt709" if video.colours.rgb else ""
    return [*_deinterlace(video), f"scale=out_range=tv{matrix}", "format=yuv420p"]


def shot_filters(video: Video) -> list[str]:
    """Return the filters for outputs that may change in size, or be joined with others.

    Pixels become square, colours are always BT.709 and tagged so: what players would guess of
    an untagged video from its size is converted.
    """
    colours = video.colours
    if not colours.matrix and not colours.rgb and _is_sd(video):
        colours = replace(colours, matrix="smpte170m")
    filters = [*input_filters(replace(video, colours=colours)), TAG_BT709]
    width, height = squared(video)
    if (width, height) != video.upright or (colours.needs_conversion and _even(video)):
        filters.append(f"scale={width}:{height}:flags=bicubic")
    return [*filters, "setsar=1"]


def squared(video: Video) -> tuple[int, int]:
    """Return width and height of the frames that `shot_filters` gives."""
    (width, height), (across, down) = video.upright, video.upright_sar
    stretch = across / down
    shrink = min(1.0, sqrt(_MAX_STRETCH / stretch), _MAX_SIDE / (width * stretch))
    return max(1, round(width * stretch * shrink)), max(1, round(height * shrink))


def _even(video: Video) -> list[str]:
    """Return the filter that rounds odd sides up, or none; zscale would cut a pixel off."""
    width, height = (side + side % 2 for side in video.upright)
    return [] if (width, height) == video.upright else [f"scale={width}:{height}:flags=bicubic"]


def _is_sd(video: Video) -> bool:
    """Return whether players take the video for BT.601 when it is untagged, as mpv does."""
    shorter, longer = sorted(video.upright)
    return shorter <= 576 and longer < 1280


def _deinterlace(video: Video) -> list[str]:
    """Return the deinterlacer, unless the video needs none or cannot have one.

    Scaling interlaced frames would mix their two fields. ffmpeg rotates before the filter
    graph, so the fields of a video rotated by 90 degrees are columns, which bwdif cannot
    separate. bwdif needs at least 3 columns and 4 lines, and passes progressive frames
    unchanged.
    """
    possible = not video.is_sideways and video.width >= 3 and video.height >= 4
    return ["bwdif=mode=send_frame:deint=interlaced"] if video.interlaced and possible else []
