"""The sound of parts: each becomes one lossless file at its speed, and is measured once.

`render_sounds` writes the sound of a video, `render_music` what outputs need of a music file.
Both return SoundFile: joins mix it, and compute from its facts how loud the result will be.
"""

from jobserver.render.sound.files import SoundFile
from jobserver.render.sound.music import Music, probe_music, render_music
from jobserver.render.sound.parts import render_sounds

__all__ = ["Music", "SoundFile", "probe_music", "render_music", "render_sounds"]
