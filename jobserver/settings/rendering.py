"""What a worker renders with, and within which bounds."""

import os
from typing import Annotated

from pydantic import BeforeValidator, Field

from jobserver.settings.base import SettingsGroup
from jobserver.settings.values import CENTURY_S, MIB, AbsolutePath, Program, Text, Whole, Words


class Rendering(SettingsGroup):
    """The worker process, ffmpeg and its encoder, and what one video may cost."""

    workers: Whole = Field(
        default_factory=lambda: max(1, (os.cpu_count() or 1) // 4),
        ge=1,
        description="files rendered at once by one worker process",
    )
    worker_grace: Whole = Field(10, ge=0, le=CENTURY_S, description="seconds after SIGTERM")
    ffmpeg: Program | None = Field(None, description="path or name; None: imageio-ffmpeg's")
    encoder: Text = Field("libx264", description="an ffmpeg encoder of H.264")
    encoder_preset: Annotated[str, BeforeValidator(str)] = Field(
        "superfast", description="the encoder's -preset; may be empty"
    )
    encoder_rate: Words = Field(
        (), description="its rate options, as for ffmpeg; none: a quality, limited by the source"
    )
    fonts_dir: AbsolutePath | None = Field(
        None, description="folder of more fonts for headlines; None: the bundled one alone"
    )
    max_pixels: Whole = Field(4096 * 2304, ge=1, description="pixels of one frame")
    max_duration: Whole = Field(3600, ge=1, description="seconds of one video")
    render_memory: Whole = Field(2048 * MIB, ge=256 * MIB, description="bytes of one ffmpeg")
