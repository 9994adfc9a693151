"""What lasts is logged once by the server, however many ask meanwhile."""

import time
from contextlib import closing

import pytest

from jobserver.jobs import retention
from tests.db.damage import remove_database
from tests.disk import mounted
from tests.support import MP4_HEAD, Site, file_part


def test_a_database_that_is_gone_is_one_line_however_many_ask(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = site.upload(MP4_HEAD)
    remove_database(site.server.database)
    for _ in range(20):
        path = f"/api/jobs/{job_id}"
        assert site.client.get(path, headers=site.headers).status_code == 503
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize("become", ["empty", "missing"])
def test_a_volume_that_is_not_mounted_is_one_line_however_many_upload(
    site: Site, caplog: pytest.LogCaptureFixture, become: str
) -> None:
    site.upload(MP4_HEAD)
    site.upload_dir.rename(site.upload_dir.with_name("away"))
    if become == "empty":
        site.upload_dir.mkdir()
    for _ in range(20):
        assert site.post(file_part(MP4_HEAD)).status_code == 503
    assert len(caplog.records) == 1


@pytest.mark.tools
def test_a_job_that_cannot_be_deleted_yet_is_one_line_however_often_it_is_tried(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = site.upload(MP4_HEAD)
    (site.output_dir / job_id).mkdir()
    with mounted(site.output_dir / job_id / "held", 1):  # a mount point cannot be removed
        assert site.client.delete(f"/api/jobs/{job_id}", headers=site.headers).status_code == 200
        with closing(site.connect()) as db:
            for _ in range(20):
                assert retention.remove_marked(db, site.store, time.time()) == 0
    (record,) = caplog.records
    assert record.getMessage().startswith(f"job {job_id} could not be deleted yet: ")
