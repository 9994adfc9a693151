"""Which Landlock this kernel has; launch.py confines ffmpeg with it, in a process of its own."""

import ctypes

from jobserver.render.launch import CREATE_RULESET

VERSION = 1  # landlock_create_ruleset(2): LANDLOCK_CREATE_RULESET_VERSION


def landlock_version() -> int:
    """Return its version (ABI), 0 where there is none."""
    return max(0, int(ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, VERSION)))
