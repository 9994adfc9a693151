"""Files become a job: one by one where the server takes parts, else all in one request."""

import json
import uuid
from collections.abc import Callable, Iterator

from jobserver.client.errors import ApiError
from jobserver.client.model import JobRequest
from jobserver.client.multipart import Form
from jobserver.client.resumable import Begun, OnBytes, Upload
from jobserver.client.transport import Body, Transport


def submit(
    transport: Transport,
    request: JobRequest,
    on_bytes: OnBytes,
    *,
    begun: Begun,
    pause: Callable[[int], None],
) -> str:
    """Return the id of the new job. See Client.send() and Upload for what is passed and raised."""
    if not _takes_parts(transport):
        return _create(transport, _form(request, on_bytes))
    uploads = [
        (role, Upload(transport, role, path, begun=begun, pause=pause))
        for role, path in request.files()
    ]
    asked = request.options()
    for role, upload in uploads:
        asked.setdefault(role, []).append(upload.send(on_bytes))
    job_id = _create(transport, Body.of_json(asked))
    for _, upload in uploads:
        upload.forget()
    return job_id


def _takes_parts(transport: Transport) -> bool:
    """Return whether the server takes files that come in several requests."""
    try:
        answer = transport.call("OPTIONS", "/api/uploads")
    except ApiError:
        return False
    return answer.headers["Tus-Version"] is not None


def _form(request: JobRequest, on_bytes: OnBytes) -> Body:
    """Return all of it as one body, that may be sent several times."""
    options = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in request.options().items()
    }
    form = Form(options, list(request.files()))
    sent = [0]

    def count(size: int) -> None:
        sent[0] += size
        on_bytes(size)

    def pieces() -> Iterator[bytes]:
        if sent[0]:
            count(-sent[0])
        return form.pieces(count)

    return Body(form.content_type, form.size, pieces)


def _create(transport: Transport, body: Body) -> str:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    job_id: str = transport.call("POST", "/api/jobs", body=body, headers=headers).json["jobId"]
    return job_id
