"""The sound of parts: each becomes one lossless file at its speed, and is measured once.

`render_sounds` writes the sound of a video. It returns SoundFile: joins mix it, and compute from
its facts how loud the result will be.
"""

from jobserver.render.sound.files import SoundFile
from jobserver.render.sound.parts import render_sounds

__all__ = ["SoundFile", "render_sounds"]
