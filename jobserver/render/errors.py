"""Why a render ended without its outputs: one class a reason, one sentence each.

`MediaError` is about the file: the same file fails again, so nobody should retry it, and
`str(error)` may be shown to whoever uploaded it. `EngineError` is about this machine or
this moment: it may pass, so a retry makes sense; `detail` is for the log only.
"""


class RenderError(Exception):
    """Base of everything this package raises on purpose. str() is one plain sentence."""

    sentence = "The video could not be rendered."

    def __init__(self, sentence: str | None = None, detail: str = "") -> None:
        """Keep the sentence for people and `detail` (ffmpeg's last words) for the log."""
        super().__init__(sentence or self.sentence)
        self.detail = detail


class MediaError(RenderError):
    """The file itself is the reason; trying again changes nothing."""


class NotAnMP4(MediaError):
    """The bytes are no MP4 container."""

    sentence = "This file is not an MP4 video."


class NoVideo(MediaError):
    """An MP4 without a picture track, or without a single frame in it."""

    sentence = "This file has no video in it."


class Truncated(MediaError):
    """The container promises more than the file holds."""

    sentence = "This video is cut off: part of the file is missing."


class Damaged(MediaError):
    """The media could not be decoded to the end the container promises."""

    sentence = "This video is damaged and could not be read to its end."


class Unsupported(MediaError):
    """The picture, or all sound, is in a format that this ffmpeg does not know or cannot keep."""

    sentence = "This video is in a format that is not supported."


class TooLarge(MediaError):
    """More pixels a frame than allowed."""

    sentence = "The picture of this video is too large."


class TooLong(MediaError):
    """Longer, or with more frames, than allowed."""

    sentence = "This video is too long."


class TooSlow(MediaError):
    """The wall clock ran out, or ffmpeg made no progress although it was running."""

    sentence = "This video took too long to render."


class TooBig(MediaError):
    """An output grew beyond every plausible size."""

    sentence = "The variations of this video grew too big to keep."


class EngineError(RenderError):
    """This machine or this moment is the reason; a retry may succeed."""


class DiskFull(EngineError):
    """No space was left for an output."""

    sentence = "The disk is full, so the video could not be rendered."


class Cancelled(RenderError):
    """The caller asked to stop; no output of this call may be used."""

    sentence = "Rendering was cancelled."
