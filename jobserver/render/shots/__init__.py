"""Shots: one part in one appearance, encoded once a job, ready to be joined.

Read in this sequence: `filters` and `graph` (what is done to the frames), `overlays` (headlines and
logos as pictures), `command` (how they are encoded), `render` (groups, the process, verification).
"""

from jobserver.render.shots.render import PictureFile, render_shots, shot_group_size

__all__ = ["PictureFile", "render_shots", "shot_group_size"]
