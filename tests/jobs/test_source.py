"""What a person sent, played beside what became of it; and the list of jobs, asked again."""

import pytest

from jobserver.jobs.slot import Slot
from tests.support import Site


@pytest.fixture
def job(site: Site, slot: Slot, clip: bytes) -> dict:
    """A job with one variation, ready."""
    job_id = site.upload(clip, variations="1")
    while slot.work_once():
        pass
    return site.wait_until(job_id, "completed")


def test_a_source_is_what_was_sent_and_its_link_needs_no_header(
    site: Site, clip: bytes, job: dict
) -> None:
    answer = site.client.get(job["files"][0]["url"] + "&inline=1")
    assert (answer.status_code, answer.data, answer.mimetype) == (200, clip, "video/mp4")
    assert answer.headers["Content-Disposition"].startswith("inline;")
    part = site.client.get(job["files"][0]["url"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.data) == (206, clip[10:20])


def test_a_source_has_no_link_before_it_is_known_to_be_a_video(site: Site, clip: bytes) -> None:
    job_id = site.upload(clip)
    assert site.show(job_id)["files"][0]["url"] is None


def test_a_source_is_for_nobody_without_a_token_or_link(site: Site, job: dict) -> None:
    path = job["files"][0]["url"].partition("?")[0]
    assert site.client.get(path).status_code == 401
    assert site.client.get(path, headers=site.headers).status_code == 200
    assert site.client.get(f"{path}x", headers=site.headers).status_code == 404


def test_an_unchanged_list_is_a_304_and_one_with_another_page_is_not(site: Site) -> None:
    site.upload(b"\0\0\0\x18ftypisom")
    first = site.client.get("/api/jobs?limit=1", headers=site.headers)
    known = {**site.headers, "If-None-Match": first.headers["ETag"]}
    assert site.client.get("/api/jobs?limit=1", headers=known).status_code == 304
    site.upload(b"\0\0\0\x18ftypisom")
    assert site.client.get("/api/jobs?limit=1", headers=known).status_code == 200
