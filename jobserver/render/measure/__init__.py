"""What an output turned out to be, as measured on the finished file.

Read in this sequence: `hashes` (perceptual hashes of a clip, and how far two of them are apart).
"""

from jobserver.render.measure.hashes import (
    DIFFERENT,
    VISIBLE,
    Label,
    between,
    distance,
    hash_frames,
    label,
    matrix,
    nearest,
    opening,
)

__all__ = [
    "DIFFERENT",
    "VISIBLE",
    "Label",
    "between",
    "distance",
    "hash_frames",
    "label",
    "matrix",
    "nearest",
    "opening",
]
