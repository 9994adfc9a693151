"""Clients of tus that nobody here wrote, against the running server."""

import io
from typing import Any

import pytest
from tusclient import client as tus_client
from tusclient.exceptions import TusCommunicationError

from tests.support import Server
from tests.tus import Uploads, video


@pytest.fixture
def client(server: Server) -> tus_client.TusClient:
    address = f"http://127.0.0.1:{server.port}/api/uploads"
    return tus_client.TusClient(address, headers=Server.bearer(server.token))


def uploader(client: tus_client.TusClient, content: bytes, **more: Any) -> Any:
    named = {"filename": "clip.mp4", "filetype": "application/octet-stream"}
    return client.uploader(file_stream=io.BytesIO(content), metadata=named, **more)


def test_tuspy_uploads_in_pieces_and_its_file_becomes_a_job(server, client):
    content = video(300_000)
    sent = uploader(client, content, chunk_size=100_000, upload_checksum=True)
    sent.upload()
    upload_id = sent.url.rpartition("/")[2]
    job = Uploads(server).post_job(videos=[upload_id])
    assert job.status == 202, job.body
    assert server.stored(job.json["jobId"]) == [content]


def test_tuspy_goes_on_where_it_was(server, client):
    content = video(300_000)
    first = uploader(client, content, chunk_size=100_000)
    first.upload_chunk()
    second = uploader(client, content, chunk_size=100_000, url=first.url)
    assert second.offset == 100_000
    second.upload()
    upload_id = second.url.rpartition("/")[2]
    job = Uploads(server).post_job(videos=[upload_id]).json
    assert server.stored(job["jobId"]) == [content]


def test_tuspy_is_refused_what_is_no_video(client):
    sent = uploader(client, b"\x89PNG\r\n\x1a\n" + bytes(100), chunk_size=1000)
    with pytest.raises(TusCommunicationError) as refused:
        sent.upload()
    assert refused.value.status_code == 400
