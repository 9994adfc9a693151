"""The request body becomes whole, durable files in UPLOAD_DIR, or leaves nothing there.

A part is received into `<id>.part`, synced, renamed to its final name; only then may a row
name it. Each file stays locked (flock) until its request is over, so a sweep can tell the
leftovers of a killed server from a living upload, whoever runs it and whenever.
"""

import fcntl
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

from multipart import MultipartError, MultipartSegment, PushMultipartParser
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from jobserver.errors import (
    BodyTooLarge,
    Busy,
    ClientGone,
    EmptyFile,
    FileTooLarge,
    InsufficientStorage,
    MalformedBody,
    NotAnMP4,
    NoVideos,
    QuotaExceeded,
    TooManyFiles,
    UnexpectedPart,
)
from jobserver.ids import generate_id
from jobserver.jobs.output import sync_folder
from jobserver.jobs.store import Upload

MIB = 1024 * 1024
READ_SIZE = MIB  # gunicorn receives up to 1 MiB and recopies what a smaller read leaves
WRITE_BACK_SIZE = 32 * MIB  # how much may wait in memory for the disk
MAX_FIELDS = 50
MAX_FIELD_SIZE = 16 * 1024
MAX_AROUND = 8 * 1024  # bytes of headers, boundary and padding around one part
MAX_NAME_LENGTH = 255
PART_SUFFIX = ".part"

Form: TypeAlias = MultiDict[str, str]
Files: TypeAlias = MultiDict[str, FileStorage]


class Limits(NamedTuple):
    """What one server process accepts: sizes in bytes, and a slot for each upload at once."""

    upload_dir: Path
    max_file_size: int
    max_files: int
    min_free_space: int
    slots: threading.BoundedSemaphore

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Limits":
        """Take the limits from the settings."""
        return cls(
            config["UPLOAD_DIR"],
            config["MAX_FILE_SIZE"],
            config["MAX_FILES"],
            config["MIN_FREE_SPACE"],
            threading.BoundedSemaphore(config["MAX_UPLOADS"]),
        )

    @property
    def max_body_size(self) -> int:
        """No accepted body has more bytes: full files, their headers, full fields."""
        return self.max_files * (self.max_file_size + MAX_FIELD_SIZE) + MIB

    def check_space(self, size: int) -> None:
        """Raise InsufficientStorage when `size` more bytes would use the space kept free."""
        disk = os.statvfs(self.upload_dir)
        if disk.f_bavail * disk.f_frsize - size < self.min_free_space:
            raise InsufficientStorage


@contextmanager
def admitted(
    limits: Limits, content_length: int | None, admit: Callable[[int], bool]
) -> Iterator[None]:
    """Receive one upload inside `with`; refuse it before any of its body is read.

    admit: says whether there is room for so many bytes more, and makes it on the disk.
    Uploads have fewer slots than the server has threads, so status calls always find one.
    Raises BodyTooLarge, Busy, QuotaExceeded or InsufficientStorage, and what `admit` raises.
    """
    size = content_length or 0
    if size > limits.max_body_size:
        raise BodyTooLarge(f"Request too large (at most {limits.max_body_size // MIB} MB)")
    if not limits.slots.acquire(blocking=False):
        raise Busy("Too many uploads at once; try again")
    try:
        if not admit(size):
            limits.check_space(size)  # the disk is full of something else, or of the work
            raise QuotaExceeded
        yield
    finally:
        limits.slots.release()


@contextmanager
def received(limits: Limits, files: Sequence[FileStorage]) -> Iterator[list[Upload]]:
    """Make the received files durable under their final names; remove them if `with` fails.

    Yields one Upload a file, in order. Raises NoVideos, or OSError when the disk is full.
    """
    if not files:
        raise NoVideos
    uploads = [_upload(file) for file in files if isinstance(file, ReceivedFile)]
    try:
        for file, upload in zip(files, uploads, strict=True):
            file.save(limits.upload_dir / upload.stored_name)
        sync_folder(limits.upload_dir)
        yield uploads
    except BaseException:
        for upload in uploads:
            (limits.upload_dir / upload.stored_name).unlink(missing_ok=True)
        raise


class UploadParser(FormDataParser):
    """Parse multipart/form-data from the stream into fields and ReceivedFiles.

    In place of werkzeug's parser, which may store a byte too many, spools to the temporary
    folder and takes a body cut short for an empty form (see ARCHITECTURE.md, Decisions).
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__(silent=False)
        self._limits = limits

    def parse(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str] | None = None,
    ) -> tuple[IO[bytes], Form, Files]:
        """Return (stream, fields, files); another mimetype has neither and is not read.

        Raises the class of errors.py that names the mistake; then no file is left.
        """
        parts = Parts(self._limits)
        if mimetype == "multipart/form-data":
            boundary = (options or {}).get("boundary", "").encode("latin-1", "replace")
            try:
                _parse(_chunks(stream, content_length), boundary, parts)
            except BaseException:
                parts.discard()
                raise
        return stream, parts.form, parts.files


def _parse(chunks: Iterator[bytes], boundary: bytes, parts: "Parts") -> None:
    received = 0
    try:
        # latin-1 takes every byte; _client_name decodes what is a name
        with PushMultipartParser(boundary, header_charset="latin-1") as parser:
            for chunk in chunks:
                received += len(chunk)
                for event in parser.parse(chunk):
                    parts.take(event)
                if received - parts.content_size > MAX_AROUND * (parts.count + 1):
                    raise MalformedBody
    except MultipartError as error:
        raise MalformedBody from error


def _chunks(stream: IO[bytes], content_length: int | None) -> Iterator[bytes]:
    """Yield the body. Raises ClientGone when it ends before its Content-Length."""
    received = 0
    while chunk := stream.read(READ_SIZE):
        received += len(chunk)
        yield chunk
    if content_length is not None and received != content_length:
        raise ClientGone


class Parts:
    """What the parts of one body became: `form` fields and `files`."""

    def __init__(self, limits: Limits) -> None:
        self.form: Form = MultiDict()
        self.files: Files = MultiDict()
        self.count = 0
        self.content_size = 0  # bytes between the parts' headers and boundaries
        self._limits = limits
        self._part: Field | ReceivedFile | None = None

    def take(self, event: MultipartSegment | bytes | None) -> None:
        """Take the parser's next event: the headers of a part, a piece of it, or its end."""
        if isinstance(event, MultipartSegment):
            self.count += 1
            self._part = self._begin(event)
            return
        assert self._part is not None  # noqa: S101  the parser begins a part before it goes on
        if event is None:
            self._part.finish()
        else:
            self.content_size += len(event)
            self._part.write(event)

    def discard(self) -> None:
        """Remove every file received so far."""
        for file in self.files.getlist("videos"):
            file.close()

    def _begin(self, segment: MultipartSegment) -> "Field | ReceivedFile":
        name = _client_name(segment)
        if segment.name == "videos" and name is not None:
            return self._begin_file(name, segment.content_type)
        if not segment.name or name is not None or segment.content_type == "video/mp4":
            raise UnexpectedPart("Send video files in the form field 'videos'")
        if self.count - len(self.files.getlist("videos")) > MAX_FIELDS:
            raise UnexpectedPart(f"Too many form fields (at most {MAX_FIELDS})")
        return Field(self.form, segment.name)

    def _begin_file(self, name: str, content_type: str | None) -> "ReceivedFile":
        if len(self.files.getlist("videos")) == self._limits.max_files:
            raise TooManyFiles(self._limits.max_files)
        if content_type not in ("video/mp4", "application/octet-stream", None):
            raise NotAnMP4
        file = ReceivedFile(self._limits, name, content_type)
        self.files.add("videos", file)
        return file


class Field:
    """A text field; it joins `form` when it is whole."""

    def __init__(self, form: Form, name: str) -> None:
        self._form = form
        self._name = name
        self._content = b""

    def write(self, piece: bytes) -> None:
        """Take the next piece. Raises BodyTooLarge."""
        self._content += piece
        if len(self._content) > MAX_FIELD_SIZE:
            raise BodyTooLarge(f"A form field is too large (at most {MAX_FIELD_SIZE} bytes)")

    def finish(self) -> None:
        """Decode the value; what is no UTF-8 becomes U+FFFD."""
        self._form.add(self._name, self._content.decode("utf-8", "replace"))


class ReceivedFile(FileStorage):
    """A file part, received into a locked `.part` file which save() makes durable.

    close() removes what was not saved; Flask calls it at the end of every request.
    """

    def __init__(self, limits: Limits, name: str, content_type: str | None) -> None:
        self.id, self._part = _create_part(limits.upload_dir)
        super().__init__(self._part, filename=name, name="videos", content_type=content_type)
        self.size = 0
        self._limits = limits
        self._path = limits.upload_dir / (self.id + PART_SUFFIX)
        self._declared = content_type == "video/mp4"
        self._start = b""
        self._written_back = 0

    def write(self, piece: bytes) -> None:
        """Append to the file. Raises FileTooLarge, NotAnMP4, InsufficientStorage, OSError."""
        self.size += len(piece)
        if self.size > self._limits.max_file_size:
            raise FileTooLarge(self._limits.max_file_size)
        if len(self._start) < 8:
            self._start += piece[:8]
            self._check_start(whole=False)
        view = memoryview(piece)
        while view:  # a write may take less than it was given
            view = view[os.write(self._part.fileno(), view) :]
        if self.size - self._written_back >= WRITE_BACK_SIZE:
            self._write_back()

    def finish(self) -> None:
        """Accept the part as whole. Raises NoVideos, EmptyFile, NotAnMP4, InsufficientStorage."""
        if not self.size:
            raise EmptyFile if self.filename else NoVideos  # a browser's form without a choice
        self._check_start(whole=True)
        self._limits.check_space(0)
        if os.fstat(self._part.fileno()).st_size != self.size:
            raise InsufficientStorage

    def save(self, dst: Path, buffer_size: int = 0) -> None:  # type: ignore[override]
        """Make the file durable and rename it to `dst`; the folder is still to be synced."""
        os.fdatasync(self._part.fileno())
        os.rename(self._path, dst)

    def close(self) -> None:
        """Release the file's lock and remove it unless it was saved."""
        self._path.unlink(missing_ok=True)
        self._part.close()

    def _check_start(self, whole: bool) -> None:
        """An undeclared type is taken for MP4 when the first box is `ftyp` (ISO 14496-12)."""
        if not self._declared and (whole or len(self._start) >= 8) and self._start[4:8] != b"ftyp":
            raise NotAnMP4

    def _write_back(self) -> None:
        """Start writing to disk early, so that the last fdatasync finds little left to do."""
        self._limits.check_space(0)
        length = self.size - self._written_back
        os.posix_fadvise(self._part.fileno(), self._written_back, length, os.POSIX_FADV_DONTNEED)
        self._written_back = self.size


def _create_part(folder: Path) -> tuple[str, IO[bytes]]:
    """Return a new id and its locked, empty `.part` file."""
    while True:
        file_id = generate_id()
        part = open(folder / (file_id + PART_SUFFIX), "xb", buffering=0, opener=_private)  # noqa: SIM115
        fcntl.flock(part, fcntl.LOCK_EX)
        if os.fstat(part.fileno()).st_nlink:
            return file_id, part
        part.close()  # a sweep came between creating and locking


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _client_name(segment: MultipartSegment) -> str | None:
    """Return the file name as the client sent it, or None for a text field.

    `filename*` (RFC 5987) has no place in a form (RFC 7578, 4.2), but some clients send it.
    """
    name: str | None = segment.filename
    if name is None:
        disposition = dict(segment.headerlist).get("Content-Disposition", "")
        return parse_options_header(disposition)[1].get("filename", None)
    return name.encode("latin-1").decode("utf-8", "replace")


def _upload(file: ReceivedFile) -> Upload:
    name = file.filename or ""
    return Upload(file.id, name[:MAX_NAME_LENGTH], file.id + _extension(name), file.size)


def _extension(name: str) -> str:
    """Return the extension of a client's file name when it is harmless, else `.mp4`."""
    found = re.search(r"\.[A-Za-z0-9]{1,10}\Z", name)
    return found[0] if found and found[0].lower() != PART_SUFFIX else ".mp4"
