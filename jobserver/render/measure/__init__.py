"""What an output turned out to be, as measured on the finished file.

Read in this sequence: `hashes` (perceptual hashes of a clip, and how far two of them are apart),
`fingerprint` (what is kept of a picture), `command` and `gate` (outputs decoded whole); `model`.
"""

from jobserver.render.measure.fingerprint import Fingerprint, fault
from jobserver.render.measure.gate import Decoded, decode
from jobserver.render.measure.hashes import (
    DIFFERENT,
    VISIBLE,
    Label,
    between,
    distance,
    distances,
    hash_frames,
    joined,
    label,
    matrix,
    opening,
)
from jobserver.render.measure.model import Loudness, Measured

__all__ = [
    "DIFFERENT",
    "VISIBLE",
    "Decoded",
    "Fingerprint",
    "Label",
    "Loudness",
    "Measured",
    "between",
    "decode",
    "distance",
    "distances",
    "fault",
    "hash_frames",
    "joined",
    "label",
    "matrix",
    "opening",
]
