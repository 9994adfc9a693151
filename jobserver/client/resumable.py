"""Files that are uploaded one by one and go on where they were cut off: tus 1.0.0.

Source: https://tus.io/protocols/resumable-upload
"""

import mimetypes
from base64 import b64encode
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path

from jobserver.client.errors import ApiError, ClientError, LocalProblem, ServerUnavailable
from jobserver.client.transport import ATTEMPTS, LINE_FAILED, Body, Transport, refusal_of

PIECE_SIZE = 256 * 1024
_TUS = {"Tus-Resumable": "1.0.0"}
_CONTENT_TYPE = "application/offset+octet-stream"
_GONE = (404, 410)
_AGAIN = (409, 423, 460)  # another offset, or another request has the upload
OnBytes = Callable[[int], object]
# Ids of uploads that have begun, by what tells a file from all others.
Begun = MutableMapping[str, str]


class Upload:
    """Sends one file. begun: what earlier calls have begun, and this one adds to."""

    def __init__(
        self,
        transport: Transport,
        role: str,
        path: Path,
        *,
        begun: Begun,
        pause: Callable[[int], None],
    ) -> None:
        """pause: called before another attempt with the number of those that failed in a row.

        Raises LocalProblem.
        """
        self._transport, self._role, self._path, self._pause = transport, role, path, pause
        try:
            about = path.stat()
        except OSError as error:
            raise LocalProblem(f"{path}: {error.strerror}") from error
        self._size, self._begun = about.st_size, begun
        place = (transport.url, role, str(path.absolute()))
        self._key = "\n".join((*place, str(about.st_size), str(about.st_mtime_ns)))

    def send(self, on_bytes: OnBytes) -> str:
        """Return the id of the upload once all of it is at the server.

        on_bytes: called with how many bytes more are there, negative when some got lost. Raises
        ApiError, ServerUnavailable or LocalProblem.
        """
        offset = self._known_offset()
        if offset is None:
            self._begun[self._key] = self._create()
            offset = 0
        on_bytes(offset)
        failed = 0
        while offset < self._size:
            sent = [0]
            try:
                self._append(offset, sent, on_bytes)
            except LINE_FAILED as error:
                failed += 1
                if failed == ATTEMPTS:
                    sentence = f"{self._path.name} could not be sent; run it again to go on"
                    raise ServerUnavailable(sentence) from error
                self._pause(failed)
            kept = self._known_offset()
            if kept is None:
                raise ServerUnavailable(f"The server has lost what was sent of {self._path.name}")
            on_bytes(kept - offset - sent[0])
            if kept > offset:
                failed = 0
            offset = kept
        return self._begun[self._key]

    def forget(self) -> None:
        """A job has it: another one needs another upload."""
        self._begun.pop(self._key, None)

    def _known_offset(self) -> int | None:
        """Return how much the server has of an upload that has begun; None without one."""
        if (upload_id := self._begun.get(self._key)) is None:
            return None
        try:
            answer = self._transport.call("HEAD", f"/api/uploads/{upload_id}", headers=_TUS)
        except ApiError as error:
            if error.status not in _GONE:
                raise
            self.forget()
            return None
        return int(answer.headers["Upload-Offset"] or 0)

    def _create(self) -> str:
        name = self._path.name.encode("utf-8", "replace").decode()
        metadata = {"filename": name, "role": self._role}
        if content_type := mimetypes.guess_type(name)[0]:
            metadata["filetype"] = content_type
        pairs = (f"{key} {b64encode(value.encode()).decode()}" for key, value in metadata.items())
        headers = {**_TUS, "Upload-Length": str(self._size), "Upload-Metadata": ",".join(pairs)}
        answer = self._transport.call("POST", "/api/uploads", headers=headers)
        location = answer.headers["Location"] or ""
        if not (upload_id := location.rstrip("/").rpartition("/")[2]):
            raise ClientError("What answers there is no jobserver")
        return upload_id

    def _append(self, offset: int, sent: list[int], on_bytes: OnBytes) -> None:
        """Send what is missing, once. Raises LINE_FAILED, ApiError or LocalProblem."""

        def pieces() -> Iterator[bytes]:
            for piece in self._content(offset):
                yield piece
                sent[0] += len(piece)
                on_bytes(len(piece))

        body = Body(_CONTENT_TYPE, self._size - offset, pieces)
        headers = {**_TUS, "Upload-Offset": str(offset)}
        path = f"/api/uploads/{self._begun[self._key]}"
        with self._transport.open("PATCH", path, body=body, headers=headers) as response:
            if response.status >= 400 and response.status not in _AGAIN:
                error = refusal_of(response)
                if isinstance(error, ServerUnavailable):
                    raise ConnectionError(str(error))
                raise error
            response.read()
            if response.status >= 400:
                raise ConnectionError("The server has another offset")

    def _content(self, offset: int) -> Iterator[bytes]:
        left = self._size - offset
        try:
            with self._path.open("rb") as file:
                file.seek(offset)
                while left and (piece := file.read(min(PIECE_SIZE, left))):
                    yield piece
                    left -= len(piece)
        except OSError as error:
            raise LocalProblem(f"{self._path}: {error.strerror}") from error
        if left:
            raise LocalProblem(f"{self._path} became shorter while it was sent")
