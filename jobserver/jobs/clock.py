"""May `now` be held against a job's age? A clock that jumped deletes nothing for an hour.

One rule: wall time may differ by JUMP_S from the time that really passed, which a process
measures since its own last round; since another process's last round, which it cannot measure,
at most GRACE_S may have passed. A larger difference is a jump, and puts expiry off for GRACE_S.
"""

import logging
from typing import NamedTuple

from jobserver.db import ClockNote

GRACE_S = 3600.0
JUMP_S = 60.0

log = logging.getLogger(__name__)


class Reading(NamedTuple):
    """Both clocks at one moment, in seconds; the monotonic one only counts in one process."""

    wall: float
    monotonic: float


def judge(note: ClockNote | None, last: Reading | None, now: Reading) -> ClockNote:
    """Return the note to keep: trusted when its `trusted_from` is not after its `noted_at`.

    note: what the last round kept, of whichever process. last: this process's own last reading.
    """
    if note is None:
        return ClockNote(now.wall, now.wall)
    if last is None:
        jump, allowed = now.wall - note.noted_at, GRACE_S
    else:
        jump, allowed = (now.wall - last.wall) - (now.monotonic - last.monotonic), JUMP_S
    if abs(jump) <= allowed:  # the note may be of a process whose clock was ahead for a while
        return ClockNote(now.wall, min(note.trusted_from, now.wall + GRACE_S))
    log.warning("the clock jumped by %.0f s; nothing expires for an hour", jump)
    return ClockNote(now.wall, now.wall + GRACE_S)


def is_trusted(note: ClockNote) -> bool:
    """Return whether jobs may expire by the clock that this note is of."""
    return note.trusted_from <= note.noted_at
