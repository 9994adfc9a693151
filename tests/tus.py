"""Requests of tus, one by one: what tests send, not what a client library would."""

import hashlib
import json
import socket
from base64 import b64encode
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from tests.support import MP4_HEAD, Answer, Server, read_answer, wait_for

VERSION = {"Tus-Resumable": "1.0.0"}
OFFSET_TYPE = {"Content-Type": "application/offset+octet-stream"}


def metadata(**values: str) -> str:
    return ",".join(f"{key} {b64encode(text.encode()).decode()}" for key, text in values.items())


def checksum(content: bytes, algorithm: str = "sha1") -> dict[str, str]:
    digest = hashlib.new(algorithm, content, usedforsecurity=False).digest()
    return {"Upload-Checksum": f"{algorithm} {b64encode(digest).decode()}"}


def video(size: int, seed: int = 0) -> bytes:
    """Return bytes that begin as an MP4 and are different at each place."""
    blocks = (hashlib.sha256(f"{seed} {n}".encode()).digest() for n in range(size // 32 + 1))
    return (MP4_HEAD + b"".join(blocks))[:size]


class Uploads:
    """What a server keeps of uploads, asked over its socket."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @property
    def headers(self) -> dict[str, str]:
        return {**VERSION, **Server.bearer(self.server.token)}

    def create(self, size: int, body: bytes | None = None, **named: str) -> Answer:
        headers = {**self.headers, "Upload-Length": str(size)}
        said = {"filename": "clip.mp4", "filetype": "video/mp4", **named}
        headers["Upload-Metadata"] = metadata(**{key: text for key, text in said.items() if text})
        if body is not None:
            headers |= OFFSET_TYPE
        return self.server.request("POST", "/api/uploads", body, headers)

    def begin(self, size: int, **named: str) -> str:
        """Begin an upload; return its path."""
        answer = self.create(size, **named)
        assert answer.status == 201, answer.body
        return answer.headers["Location"]

    def patch(self, path: str, offset: int, body: Any, **more: str) -> Answer:
        headers = {**self.headers, **OFFSET_TYPE, "Upload-Offset": str(offset)}
        named = {name.replace("_", "-"): text for name, text in more.items()}
        return self.server.request("PATCH", path, body, {**headers, **named})

    def head(self, path: str) -> Answer:
        return self.server.request("HEAD", path, headers=self.headers)

    def offset(self, path: str) -> int:
        answer = self.head(path)
        assert answer.status == 200, answer
        return int(answer.headers["Upload-Offset"])

    def open_patch(self, path: str, offset: int, length: int) -> socket.socket:
        """Send the headers of a PATCH; return the open socket."""
        headers = {
            **{"Host": "localhost", "Content-Length": str(length), "Upload-Offset": str(offset)},
            **self.headers,
            **OFFSET_TYPE,
        }
        return self._open("PATCH", path, headers)

    def _open(self, method: str, path: str, headers: Mapping[str, str]) -> socket.socket:
        sock = self.server.connect()
        lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
        sock.sendall(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode())
        return sock

    def cut_off(self, path: str, offset: int, content: bytes, after: int) -> None:
        """Send so many bytes of what shall be appended, then go away."""
        with closing(self.open_patch(path, offset, len(content))) as sock:
            sock.sendall(content[:after])

    def go_on(self, path: str, content: bytes) -> None:
        """Append what is missing, as a client does: at the offset that the server names."""

        def is_whole() -> bool:
            offset = self.offset(path)
            return self.patch(path, offset, content[offset:]).status == 204

        wait_for(is_whole, 60)

    def upload(self, content: bytes, **named: str) -> str:
        """Upload a file whole; return its id."""
        path = self.begin(len(content), **named)
        answer = self.patch(path, 0, content)
        assert answer.status == 204, answer.body
        return path.rpartition("/")[2]

    def post_job(self, **wishes: Any) -> Answer:
        headers = {**Server.bearer(self.server.token), "Content-Type": "application/json"}
        return self.server.request("POST", "/api/jobs", json.dumps(wishes), headers)

    @staticmethod
    def answer_of(sock: socket.socket) -> Answer:
        return read_answer(sock)
