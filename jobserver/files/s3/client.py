"""The one module that speaks to S3: boto3's client with our time limits, its errors as ours.

Credentials, region and endpoint are boto's own (AWS_*, AWS_ENDPOINT_URL_S3, a machine's role).
Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html,
https://docs.aws.amazon.com/boto3/latest/guide/configuration.html
"""

import os
import threading
import zlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from boto3.s3.transfer import TransferConfig
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from jobserver.files.s3.errors import translate, unreachable

LISTED_AT_ONCE = 1000  # keys that one DeleteObjects takes
# A ranged answer has no checksum of its bytes alone, although some servers send the whole object's.
_COMMON = {"response_checksum_validation": "when_required", "max_pool_connections": 64}
_WORK = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 4},
    **_COMMON,
)
_LOOK = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1}, **_COMMON)
_SIGN = Config(signature_version="s3v4")
# One request up to here: what fails begins again. Beyond, parts, a few of them at once.
_TRANSFER = TransferConfig(
    multipart_threshold=64 * 1024 * 1024, multipart_chunksize=64 * 1024 * 1024, max_concurrency=4
)
_HEADERS = {
    "Content-Type": "ResponseContentType",
    "Content-Disposition": "ResponseContentDisposition",
    "Cache-Control": "ResponseCacheControl",
}


class Clients:
    """boto3's clients of one process: a fork must not share their connections.

    public_url: where browsers reach the store; signs links, and is never connected to.
    """

    def __init__(self, public_url: str | None) -> None:
        self._makers = {
            "work": partial(_make_client, _WORK),
            "look": partial(_make_client, _LOOK),
            "sign": partial(_make_client, _SIGN, public_url),
        }
        self._lock = threading.Lock()
        self._made: dict[tuple[int, str], Any] = {}

    def get(self, kind: str) -> Any:
        """Return the client that works, looks (once, and briefly), or signs."""
        place = (os.getpid(), kind)
        if (client := self._made.get(place)) is None:
            with self._lock:
                client = self._made.setdefault(place, self._makers[kind]())
        return client


def _make_client(config: Config, endpoint: str | None = None) -> Any:
    try:
        return Session().client("s3", config=config, endpoint_url=endpoint)
    except BotoCoreError as error:
        raise translate(error, "", "") from error
    except ValueError as error:  # of an address that is none
        raise unreachable(f"{error} (AWS_ENDPOINT_URL_S3)") from error


class Found(NamedTuple):
    """An object. age_s: seconds since it was stored, by the store's own clock."""

    key: str
    size: int
    age_s: float


class Unfinished(NamedTuple):
    """An upload in parts that was neither completed nor aborted."""

    key: str
    upload_id: str
    age_s: float


class Part(NamedTuple):
    """What completing an upload has to say about one of its parts."""

    number: int
    etag: str
    crc32: str | None

    def described(self) -> dict[str, Any]:
        """Return it as the API takes it."""
        checksum = {"ChecksumCRC32": self.crc32} if self.crc32 else {}
        return {"PartNumber": self.number, "ETag": self.etag, **checksum}


class Body:
    """The bytes of an answer, read once and in their sequence."""

    def __init__(self, stream: Any, errors: Any) -> None:
        self._stream, self._errors = stream, errors

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer at the end. Raises StoreUnreachable."""
        with self._errors():
            return bytes(self._stream.read(size))

    def close(self) -> None:
        """Give the connection back; one with bytes left is closed."""
        self._stream.close()


class _Bucket:
    """One prefix of one bucket. Keys are those of files/keys.py.

    What reads or writes there raises StoreUnreachable, or OSError with ENOSPC.
    """

    def __init__(self, bucket: str, prefix: str, clients: Clients) -> None:
        """prefix: without slashes at its ends; may be empty."""
        self._bucket, self._clients = bucket, clients
        self._prefix = f"{prefix}/" if prefix else ""

    @property
    def _client(self) -> Any:
        return self._clients.get("work")

    def _name(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _pages(self, operation: str, prefix: str) -> Iterator[dict[str, Any]]:
        with self._errors(prefix):
            pages = self._client.get_paginator(operation)
            yield from pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise translate(error, self._bucket, key) from error


class Objects(_Bucket):
    """Reads, writes, lists and deletes objects."""

    def put(self, key: str, path: Path) -> None:
        """Store a file."""
        with self._errors(key), path.open("rb") as file:
            names = (self._bucket, self._prefix + key)
            self._clients.get("work").upload_fileobj(file, *names, Config=_TRANSFER)

    def put_bytes(self, key: str, content: bytearray) -> None:
        """Store what is in memory."""
        with self._errors(key):
            self._client.put_object(**self._name(key), Body=bytes(content))

    def copy(self, key: str, to: str) -> None:
        """Let the store copy an object, in parts where it is large. Raises FileNotFoundError."""
        source, target = self._name(key), self._name(to)
        with self._errors(key):
            self._client.copy(source, target["Bucket"], target["Key"], Config=_TRANSFER)

    def open(self, key: str, start: int = 0) -> Body:
        """Return the bytes from a place on. Raises FileNotFoundError."""
        with self._errors(key):
            answer = self._client.get_object(**self._name(key), Range=f"bytes={start}-")
        return Body(answer["Body"], partial(self._errors, key))

    def look(self, key: str) -> Found | None:
        """Return the object, or None when there is none, or no bucket."""
        try:
            with self._errors(key):
                answer = self._client.head_object(**self._name(key))
        except FileNotFoundError:
            return None
        return Found(key, answer["ContentLength"], _age_s(answer, answer["LastModified"]))

    def list(self, prefix: str) -> Iterator[Found]:
        """Yield the objects whose keys begin so."""
        for page in self._pages("list_objects_v2", prefix):
            for each in page.get("Contents", ()):
                key = each["Key"].removeprefix(self._prefix)
                yield Found(key, each["Size"], _age_s(page, each["LastModified"]))

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; one that is missing counts as deleted."""
        if len(keys) > 1 and self._delete_together(keys):
            return
        for key in keys:
            with self._errors(key):
                self._client.delete_object(**self._name(key))

    def link(self, key: str, headers: Mapping[str, str], lifetime_s: int) -> str:
        """Return an address that gives the object to anybody who has it, for so many seconds."""
        said = {_HEADERS[name]: value for name, value in headers.items()}
        with self._errors(key):
            address: str = self._clients.get("sign").generate_presigned_url(
                "get_object", Params={**self._name(key), **said}, ExpiresIn=lifetime_s
            )
        return address

    def read_mark(self, key: str, size: int) -> bytes | None:
        """Return the first bytes of a small object, or None without it; asks once, briefly."""
        try:
            with self._errors(key):
                answer = self._clients.get("look").get_object(**self._name(key))
                with answer["Body"] as stream:
                    return bytes(stream.read(size))
        except FileNotFoundError:
            return None

    def write_mark(self, key: str, content: bytes, *, only_new: bool) -> None:
        """Store a small object; leave the one that is there if `only_new`.

        A store that does not know the condition overwrites.
        """
        condition = {"IfNoneMatch": "*"} if only_new else {}
        try:
            with self._errors(key):
                self._client.put_object(**self._name(key), Body=content, **condition)
        except OSError as error:
            if not only_new or _code_of(error) not in ("PreconditionFailed", "412"):
                raise

    def _delete_together(self, keys: Sequence[str]) -> bool:
        """Delete with one request a thousand; False where the store wants it otherwise.

        Older code of MinIO and Ceph wants an MD5 that boto3 does not send any more.
        """
        for start in range(0, len(keys), LISTED_AT_ONCE):
            names = [{"Key": self._prefix + key} for key in keys[start : start + LISTED_AT_ONCE]]
            try:
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": names, "Quiet": True}
                )
            except (ClientError, BotoCoreError):  # one by one says what it is
                return False
            if answer.get("Errors"):
                return False
        return True


class PartUploads(_Bucket):
    """Uploads in parts, which become one object each."""

    def begin(self, key: str) -> str:
        """Begin an upload in parts; return its id."""
        with self._errors(key):
            upload_id: str = self._client.create_multipart_upload(**self._name(key))["UploadId"]
        return upload_id

    def put_part(self, key: str, upload_id: str, number: int, content: bytearray) -> Part:
        """Store one part with its CRC-32, which the store compares; return it."""
        checksum = {"ChecksumCRC32": _crc32(content)} if self._sends_checksums else {}
        with self._errors(key):
            answer = self._client.upload_part(
                **self._name(key), UploadId=upload_id, PartNumber=number, Body=content, **checksum
            )
        return Part(number, answer["ETag"], answer.get("ChecksumCRC32"))

    def complete(self, key: str, upload_id: str, parts: Sequence[Part], size: int) -> None:
        """Make an upload of so many bytes an object.

        Repeated by boto after an answer was lost it finds no upload: then the object decides.
        """
        described = {"Parts": [part.described() for part in parts]}
        try:
            with self._errors(key):
                self._client.complete_multipart_upload(
                    **self._name(key), UploadId=upload_id, MultipartUpload=described
                )
        except OSError as error:
            if _code_of(error) != "NoSuchUpload" or self._size(key) != size:
                raise

    def abort(self, key: str, upload_id: str) -> None:
        """Delete the parts of an upload; one that has ended counts as aborted."""
        try:
            with self._errors(key):
                self._client.abort_multipart_upload(**self._name(key), UploadId=upload_id)
        except OSError as error:
            if _code_of(error) != "NoSuchUpload":
                raise

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """Yield the uploads in parts whose keys begin so."""
        for page in self._pages("list_multipart_uploads", prefix):
            for each in page.get("Uploads", ()):
                key = each["Key"].removeprefix(self._prefix)
                yield Unfinished(key, each["UploadId"], _age_s(page, each["Initiated"]))

    @property
    def _sends_checksums(self) -> bool:
        """Whether AWS_REQUEST_CHECKSUM_CALCULATION leaves them on; some stores refuse them."""
        return bool(self._client.meta.config.request_checksum_calculation == "when_supported")

    def _size(self, key: str) -> int:
        with self._errors(key):
            size: int = self._client.head_object(**self._name(key))["ContentLength"]
        return size


def _code_of(error: OSError) -> str:
    """Return the code of the store's answer that an error of ours was made of, or nothing."""
    response: dict[str, Any] = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _age_s(answer: Mapping[str, Any], moment: datetime) -> float:
    """Return the seconds from a moment to an answer, both by the clock of the store."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if date is None:
        return 0.0
    age = parsedate_to_datetime(date).replace(tzinfo=UTC) - moment
    return max(0.0, age.total_seconds())  # the date has whole seconds


def _crc32(content: bytearray) -> str:
    return b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()
