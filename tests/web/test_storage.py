"""GET /api/storage: how much is stored, how much still fits."""

import pytest

from tests.results import Clip, make_job
from tests.support import Site

pytestmark = pytest.mark.both_databases


def storage(site: Site):
    answer = site.client.get("/api/storage", headers=site.headers)
    assert answer.status_code == 200
    return answer.json


def test_storage_counts_bytes_and_jobs(site: Site):
    assert list(storage(site)) == ["used", "quota", "free", "jobs"]
    assert (storage(site)["used"], storage(site)["jobs"]) == (0, 0)
    make_job(site.server, Clip(outputs=[b"x" * 300, b"y" * 50], size=1000))
    make_job(site.server, Clip(outputs=[], size=7, status="queued"))
    assert (storage(site)["used"], storage(site)["jobs"]) == (1357, 2)


def test_a_deleted_job_is_no_longer_counted(site: Site):
    job = make_job(site.server)
    assert storage(site)["used"]
    assert site.client.delete(job.url, headers=site.headers).status_code == 200
    assert (storage(site)["used"], storage(site)["jobs"]) == (0, 0)


def test_the_quota_is_a_number_or_null(site: Site):
    assert storage(site)["quota"] is None
    site.change_settings(storage_quota=12345)
    assert storage(site)["quota"] == 12345


def test_free_is_what_uploads_may_still_use(site: Site):
    free = site.store.free()
    assert abs(storage(site)["free"] - free) < 2**30
    site.change_settings(min_free_space=free // 2)
    assert abs(storage(site)["free"] - free // 2) < 2**30
    site.change_settings(min_free_space=2 * free)
    assert storage(site)["free"] == 0


def test_storage_needs_a_token(site: Site):
    assert site.client.get("/api/storage").status_code == 401
    assert site.client.get("/api/storage?signature=x&expires=9999999999").status_code == 401
