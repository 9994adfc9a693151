"""How much memory one ffmpeg process takes at its peak, as measured.

A fixed part, the frames held by the decoder and the queues, and those held by each encoder, whose
lookahead is longer in slower presets.
"""

from jobserver.render.settings import MIB

_BASE = 64 * MIB
_SOURCE_FRAMES = 40
_HDR_FRAMES = 16  # two frames in floating point, between the filters that map tones
_OUTPUT_FRAMES = {"ultrafast": 20, "superfast": 60, "veryfast": 66}
_OUTPUT_FRAMES |= dict.fromkeys(("faster", "fast", "medium"), 145)
_DECODED_FRAMES = 30  # of an output that is decoded by one thread
_MAX_OUTPUT_FRAMES = 250  # of any other preset or encoder


def source_memory(width: int, height: int, *, hdr: bool = False) -> int:
    """Return the bytes of a process that decodes frames of this size and writes nothing."""
    return _BASE + _frame(width, height) * (_SOURCE_FRAMES + _HDR_FRAMES * hdr)


def output_memory(width: int, height: int, preset: str) -> int:
    """Return the bytes that one more output of this size takes."""
    return _frame(width, height) * _OUTPUT_FRAMES.get(preset, _MAX_OUTPUT_FRAMES)


def _frame(width: int, height: int) -> int:
    return width * height * 3 // 2


def decoders_within(memory: int, pixels: int) -> int:
    """Return how many outputs of so many pixels a frame one process may decode, at least 1."""
    return max(1, (memory - _BASE) // (_DECODED_FRAMES * pixels * 3 // 2))
