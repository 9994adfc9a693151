"""Why rendering failed: one class per reason, each with one sentence.

`MediaError` is about the file: it fails again on every retry, and `str(error)` may be shown to
the uploader. `EngineError` is about this machine or a temporary state: a retry may succeed.
`detail` is for the log only.
"""


class RenderError(Exception):
    """Base of every error that this package raises on purpose. str() is one plain sentence."""

    sentence = "The video could not be rendered."

    def __init__(self, sentence: str | None = None, detail: str = "") -> None:
        """Take the sentence for users, and `detail` (the end of ffmpeg's log) for the log."""
        super().__init__(sentence or self.sentence)
        self.detail = detail


class MediaError(RenderError):
    """The file is the reason; a retry gives the same result."""


class NotAnMP4(MediaError):
    """The file is not an MP4 container."""

    sentence = "This file is not an MP4 video."


class NotAPicture(MediaError):
    """The file is not a PNG, JPEG or WebP picture."""

    sentence = "This file is not a PNG, JPEG or WebP picture."


class NoVideo(MediaError):
    """The MP4 has no video track."""

    sentence = "This file has no video in it."


class Truncated(MediaError):
    """The container declares more than the file holds."""

    sentence = "This video is cut off: part of the file is missing."


class Damaged(MediaError):
    """The video could not be decoded to the end that the container declares."""

    sentence = "This video is damaged and could not be read to its end."


class DamagedSound(Damaged):
    """The sound could not be decoded as long as the container declares."""

    sentence = "The sound of this video is damaged: parts of it are missing."


class Unsupported(MediaError):
    """The file needs something that this ffmpeg lacks: a codec, a decryption key, an encoder."""

    sentence = "This video is in a format that is not supported."


class TooLarge(MediaError):
    """A frame has more pixels than allowed."""

    sentence = "The picture of this video is too large."


class TooLong(MediaError):
    """The video has a longer duration, or more frames, than allowed."""

    sentence = "This video is too long."


class TooSlow(MediaError):
    """ffmpeg exceeded its time limit, or ran without making progress."""

    sentence = "This video took too long to render."


class TooBig(MediaError):
    """An output exceeded the maximum file size."""

    sentence = "The variations of this video grew too big to keep."


class EngineError(RenderError):
    """This machine or a temporary state is the reason; a retry may succeed."""


class DiskFull(EngineError):
    """No disk space was left for an output."""

    sentence = "The disk is full, so the video could not be rendered."


class Cancelled(RenderError):
    """The caller asked to stop; no output of this call is complete."""

    sentence = "Rendering was cancelled."
