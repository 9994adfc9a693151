"""What can go wrong, as classes without HTTP: `web/error_codes.py` gives each a code and a status.

`str(error)` is one plain sentence that may be shown to a client. `retry_after`: seconds after
which the same request may succeed, or None where repeating does not help.
"""


def in_words(size: int) -> str:
    """Return bytes as people say them, rounded down: `500 MB`, `20 KB`, `7 bytes`."""
    for unit, bytes_each in (("MB", 1024 * 1024), ("KB", 1024)):
        if size >= bytes_each:
            return f"{size // bytes_each} {unit}"
    return f"{size} bytes"


class JobserverError(Exception):
    """Base of every error that is raised on purpose."""

    sentence = "Something went wrong"
    retry_after: int | None = None

    def __init__(self, sentence: str | None = None, *, retry_after: int | None = None) -> None:
        """Take another sentence, or another number of seconds, than the class has."""
        super().__init__(sentence or self.sentence)
        if retry_after is not None:
            self.retry_after = retry_after


# -- signing in ---------------------------------------------------------------


class AuthError(JobserverError):
    """A request that may not do what it asks for."""


class PasswordRequired(AuthError):
    sentence = "Password required"


class PasswordTooLong(AuthError):
    sentence = "Password too long"


class InvalidPassword(AuthError):
    sentence = "Invalid password"


class TooManyAttempts(AuthError):
    sentence = "Too many wrong passwords; try again later"


class InvalidToken(AuthError):
    """A bearer token, or a signed link, that is forged, expired or malformed."""

    sentence = "Invalid or expired token"


class AuthorizationRequired(InvalidToken):
    sentence = "Authorization required"


class Forbidden(AuthError):
    """A good bearer token that may not do this."""


class InsufficientScope(Forbidden):
    """A key without the scope that a request needs."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"This key may not do that: it lacks the scope '{scope}'")
        self.scope = scope


class SessionRequired(Forbidden):
    sentence = "Keys may not do that: sign in by password"


class KeyNotFound(AuthError):
    sentence = "Key not found"


class TooManyKeys(AuthError):
    sentence = "There are as many keys as there may be: revoke one that is not used"


# -- the form -----------------------------------------------------------------


class InvalidOption(JobserverError):
    """A `recipe`, `seed`, `limit` or `before` that cannot be used."""


class NotAJsonObject(InvalidOption):
    """A body that should be one JSON object."""


class InvalidIdempotencyKey(InvalidOption):
    sentence = "Idempotency-Key must have 1 to 255 printable ASCII characters"


class UploadError(JobserverError):
    """An upload that cannot be accepted."""


class NoVideos(UploadError):
    sentence = "No video files uploaded"


class NotAccepted(UploadError):
    """A part that is declared, or begins, as something that its field does not take."""


class NotAnMP4(NotAccepted):
    """A video that is declared, or begins, as something else."""

    sentence = "Only MP4 files are accepted"


class EmptyFile(UploadError):
    sentence = "A video file is empty"


class NothingChosen(UploadError):
    """A file field beside the videos that nobody has filled: a file without name and content."""

    sentence = "A file without a name is empty"


class UnexpectedPart(UploadError):
    """A form part that has no place in an upload."""


class MalformedBody(UploadError):
    sentence = "The multipart body is malformed or incomplete"


class ClientGone(UploadError):
    sentence = "The connection ended before the whole body arrived"


class ClientTooSlow(UploadError):
    sentence = "The body did not arrive in time"


class TooManyFiles(UploadError):
    def __init__(self, max_files: int, noun: str = "files") -> None:
        super().__init__(f"Too many {noun} (at most {max_files})")


class BodyTooLarge(UploadError):
    """More bytes than any accepted request can have."""


class FileTooLarge(BodyTooLarge):
    def __init__(self, max_size: int) -> None:
        super().__init__(f"File too large (at most {in_words(max_size)})")


# -- uploads that come in several requests (tus) ---------------------------------


class ChecksumMismatch(UploadError):
    sentence = "The bytes do not have the checksum that was given; none of them was kept"


class ProtocolVersion(UploadError):
    sentence = "Tus-Resumable must be 1.0.0"


class UnsupportedType(UploadError):
    sentence = "Content-Type must be application/offset+octet-stream"


# -- space --------------------------------------------------------------------


class InsufficientStorage(JobserverError):
    sentence = "Not enough disk space for this upload"


class LargerThanQuota(InsufficientStorage):
    """An upload that would not fit if everything else went."""

    def __init__(self, quota: int) -> None:
        super().__init__(f"This upload is larger than the whole storage ({in_words(quota)})")


class QuotaExceeded(InsufficientStorage):
    """Jobs that wait or run fill the storage; they can be evicted once they have ended."""

    sentence = "The storage is full of jobs that wait or run; try again"
    retry_after = 60  # rendering takes minutes rather than seconds


# -- jobs and their files -----------------------------------------------------


class NotFound(JobserverError):
    sentence = "Not found"


class JobNotFound(NotFound):
    sentence = "Job not found"


class OutputNotFound(NotFound):
    sentence = "Output not found"


class UploadNotFound(NotFound):
    sentence = "Upload not found"


class DeliveryNotFound(NotFound):
    sentence = "Delivery not found"


class Gone(JobserverError):
    """It was there once."""


class JobExpired(Gone):
    sentence = "The job has expired"


class OutputGone(Gone):
    sentence = "The file is gone"


class UploadGone(Gone):
    """An upload that a job has taken, or whose bytes have gone."""

    sentence = "The bytes of the upload are gone"


class Conflict(JobserverError):
    """The job's state does not allow it."""


class NothingToDownload(Conflict):
    sentence = "No variation of the job is ready yet"


class JobEnded(Conflict):
    sentence = "The job has ended"


class NothingToRetry(Conflict):
    sentence = "No file of the job has failed or was cancelled"


class OffsetMismatch(Conflict):
    sentence = "The upload is at another offset; ask for it with HEAD"


class UploadUnfinished(Conflict):
    sentence = "The upload is not finished"


class UploadUsed(Conflict):
    sentence = "The upload is used by another job"


class UploadTakenOver(JobserverError):
    sentence = "Another request goes on with this upload"


class SourcesGone(Conflict):
    sentence = "The files of the job are gone"


class IdempotencyKeyInUse(Conflict):
    """Another request with the same key runs, or has made the job meanwhile."""

    sentence = "Another request with this Idempotency-Key is running; try again"
    retry_after = 5


class IdempotencyKeyReused(JobserverError):
    """A key that named another request before."""

    sentence = "This Idempotency-Key was used for another request; choose a new one"


# -- the server's own state ---------------------------------------------------


class Unavailable(JobserverError):
    """The server cannot do it at the moment, for any client."""


class OutcomeUnknown(Unavailable):
    """Nobody knows whether it was done: nothing that belongs to it may be removed."""


class Busy(Unavailable):
    """Something is in use by others for the moment; the client may repeat the request."""

    retry_after = 5


class QueueFull(Unavailable):
    """As many files wait or are rendered as MAX_QUEUED_FILES allows."""

    retry_after = 60  # rendering takes minutes rather than seconds

    def __init__(self, most: int) -> None:
        super().__init__(f"The queue is full (at most {most:,} files); try again later")


class KeyQueueFull(JobserverError):
    sentence = "Too many files of this key wait; try again later"
    retry_after = 60


class OldWorker(Unavailable):
    """Servers are newer than a worker, during an upgrade."""

    sentence = "A worker of an older version still runs, which cannot do this; try again"
    retry_after = 60


class StorageUnavailable(Unavailable):
    """A folder is missing, read-only, or holds the files of another database."""

    sentence = "The folder for uploads or outputs is not available"


class StoreUnreachable(StorageUnavailable, OSError):
    """An object store does not answer, or refuses us; its text is for the operator.

    An OSError too: what bears a disk that fails bears this.
    """

    sentence = "The storage is not available; try again"
    retry_after = 30


class FetchCancelled(JobserverError):
    """Who fetches an object has been asked to stop."""


# -- the worker ---------------------------------------------------------------


class WorkLeft(JobserverError):
    """A worker that was to empty the queue could not."""

    sentence = "Videos wait that this worker could not render; its log says why"
