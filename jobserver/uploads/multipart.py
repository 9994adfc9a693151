"""multipart/form-data (RFC 7578) becomes fields and IncomingFiles, while the body comes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, NamedTuple, Protocol, TypeAlias

from multipart import MultipartError, MultipartSegment, PushMultipartParser
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from jobserver.errors import (
    BodyTooLarge,
    MalformedBody,
    NothingChosen,
    NoVideos,
    TooManyFiles,
    UnexpectedPart,
)
from jobserver.files.store import Receiver, Store
from jobserver.uploads.body import pieces
from jobserver.uploads.committed import committed
from jobserver.uploads.containers import CONTAINERS, media_types
from jobserver.uploads.fingerprint import Fingerprint
from jobserver.uploads.incoming import IncomingFile, StoredFile
from jobserver.uploads.kinds import FIELDS, VIDEOS
from jobserver.uploads.limits import MAX_BRIEF_SIZE, MAX_FIELD_SIZE, UploadLimits

VIDEO_TYPES = media_types(list(CONTAINERS))
MAX_FIELDS = 50
MAX_AROUND = 8 * 1024  # bytes of headers, boundary and padding around one part
FIELD_SIZES = {"brief": MAX_BRIEF_SIZE}  # bytes of text fields that may be larger than others

Form: TypeAlias = MultiDict[str, str]
Files: TypeAlias = MultiDict[str, FileStorage]


class FormRequest(Protocol):
    """A request that parses its body with UploadParser when it is first looked at."""

    @property
    def form(self) -> Mapping[str, str]:
        """The first value of each text field."""

    @property
    def files(self) -> Files:
        """A ReceivedFile for each file part."""


class ReceivedForm(NamedTuple):
    """A form that was received whole; its files are durable.

    files: those of each field in the sequence of the body, the fields as in kinds.FIELDS: videos
    first.
    """

    fields: Mapping[str, str]
    files: list[StoredFile]


@contextmanager
def receive(request: FormRequest, store: Store) -> Iterator[ReceivedForm]:
    """Read the body and make its files durable; delete them if `with` raises, see committed().

    The files stay locked until the request closes them, as Flask does at its end.
    Raises NoVideos, what UploadParser raises, or OSError when the disk is full.
    """
    fields = request.form
    files = [
        each.incoming
        for field in FIELDS
        for each in request.files.getlist(field)
        if isinstance(each, ReceivedFile)
    ]
    if not request.files.getlist(VIDEOS):
        raise NoVideos
    with committed(store, files):
        yield ReceivedForm(fields, [file.described() for file in files])


class UploadParser(FormDataParser):
    """Parse multipart/form-data from the stream into fields and ReceivedFiles.

    In place of werkzeug's parser, which may store a byte too many, spools to the temporary
    folder and takes a body cut short for an empty form (see ARCHITECTURE.md, Decisions).
    """

    def __init__(
        self,
        store: Receiver,
        limits: UploadLimits,
        *,
        fingerprint: Fingerprint | None = None,
        on_chunk: Callable[[], None] = lambda: None,
    ) -> None:
        """fingerprint: takes what comes, if it is wanted. on_chunk: called as the body comes."""
        super().__init__(silent=False)
        self._store = store
        self._limits = limits
        self._fingerprint = fingerprint
        self._on_chunk = on_chunk

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
        parts = Parts(self._store, self._limits, self._fingerprint)
        if mimetype == "multipart/form-data":
            boundary = (options or {}).get("boundary", "").encode("latin-1", "replace")
            try:
                _parse(self._chunks(stream, content_length), boundary, parts)
            except BaseException:
                parts.discard()
                raise
        return stream, parts.form, parts.files

    def _chunks(self, stream: IO[bytes], content_length: int | None) -> Iterator[bytes]:
        for chunk in pieces(stream, content_length):
            self._on_chunk()
            yield chunk


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


class Parts:
    """What the parts of one body became: `form` fields and `files`."""

    def __init__(
        self, store: Receiver, limits: UploadLimits, fingerprint: Fingerprint | None = None
    ) -> None:
        self.form: Form = MultiDict()
        self.files: Files = MultiDict()
        self.count = 0
        self.content_size = 0  # bytes between the parts' headers and boundaries
        self._store = store
        self._limits = limits
        self._fingerprint = fingerprint
        self._part: Field | IncomingFile | None = None

    def take(self, event: MultipartSegment | bytes | None) -> None:
        """Take the parser's next event: the headers of a part, a piece of it, or its end."""
        if isinstance(event, MultipartSegment):
            self.count += 1
            self._part = self._begin(event)
            return
        assert self._part is not None  # noqa: S101  the parser begins a part before it goes on
        if event is None:
            self._finish(self._part)
        else:
            self.content_size += len(event)
            self._part.write(event)
            if self._fingerprint is not None:
                self._fingerprint.update(event)

    def discard(self) -> None:
        """Remove every file received so far."""
        for _, file in self.files.items(multi=True):
            file.close()

    def _begin(self, segment: MultipartSegment) -> "Field | IncomingFile":
        name = _client_name(segment)
        if self._fingerprint is not None:
            self._fingerprint.begin(_decoded(segment.name or ""), name)
        if segment.name in FIELDS and name is not None:
            return self._begin_file(segment.name, name, segment.content_type)
        if not segment.name or name is not None or segment.content_type in VIDEO_TYPES:
            raise UnexpectedPart("Send video files in the form field 'videos'")
        if self.count - self._file_count() > MAX_FIELDS:
            raise UnexpectedPart(f"Too many form fields (at most {MAX_FIELDS})")
        return Field(self.form, _decoded(segment.name))

    def _begin_file(self, field: str, name: str, content_type: str | None) -> IncomingFile:
        most = self._limits.most(FIELDS[field])
        if len(self.files.getlist(field)) == most:
            raise TooManyFiles(most, "files" if field == VIDEOS else field)
        size = self._limits.max_file_size
        incoming = IncomingFile(
            self._store,
            size,
            name=name,
            content_type=content_type,
            field=field,
            accept=self._limits.accept,
        )
        self.files.add(field, ReceivedFile(incoming, content_type))
        return incoming

    def _finish(self, part: "Field | IncomingFile") -> None:
        try:
            part.finish()
        except NothingChosen:
            assert isinstance(part, IncomingFile)  # noqa: S101  no field raises it
            part.discard()
            kept = self.files.getlist(part.field)[:-1]
            self.files.setlist(part.field, kept)

    def _file_count(self) -> int:
        return sum(1 for _ in self.files.items(multi=True))


class Field:
    """A text field; it joins `form` when it is whole."""

    def __init__(self, form: Form, name: str) -> None:
        self._form = form
        self._name = name
        self._content = b""
        self._max_size = FIELD_SIZES.get(name, MAX_FIELD_SIZE)

    def write(self, piece: bytes) -> None:
        """Take the next piece. Raises BodyTooLarge."""
        self._content += piece
        if len(self._content) > self._max_size:
            raise BodyTooLarge(f"A form field is too large (at most {self._max_size} bytes)")

    def finish(self) -> None:
        """Decode the value; what is not UTF-8 becomes U+FFFD."""
        self._form.add(self._name, self._content.decode("utf-8", "replace"))


class ReceivedFile(FileStorage):
    """An IncomingFile as Flask keeps it in `request.files`: its bytes are in the store alone.

    Flask closes it at the end of every request.
    """

    def __init__(self, incoming: IncomingFile, content_type: str | None) -> None:
        super().__init__(filename=incoming.name, name=incoming.field, content_type=content_type)
        self.incoming = incoming

    def close(self) -> None:
        """Release the file's lock and remove it unless it was committed."""
        self.incoming.discard()


def _client_name(segment: MultipartSegment) -> str | None:
    """Return the file name as the client sent it, or None for a text field.

    `filename*` (RFC 5987) has no place in a form (RFC 7578, 4.2), but some clients send it; it
    can hold a NUL, which PostgreSQL's text cannot: U+FFFD stands for it.
    """
    name: str | None = segment.filename
    if name is None:
        disposition = dict(segment.headerlist).get("Content-Disposition", "")
        name = parse_options_header(disposition)[1].get("filename", None)
        return None if name is None else name.replace("\0", "\ufffd")
    return _decoded(name).replace("\0", "\ufffd")


def _decoded(text: str) -> str:
    """Return what the client wrote; the parser was asked for latin-1, which takes every byte."""
    return text.encode("latin-1").decode("utf-8", "replace")
