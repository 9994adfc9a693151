"""The page over a bucket: pictures and players follow to the store, and its policy lets them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from jobserver.ids import generate_id
from tests.bucket import BUCKET, Gateway
from tests.pages.conftest import NewVisitor
from tests.postgres import Cluster
from tests.support import Server, Worker

pytestmark = [pytest.mark.browser, pytest.mark.tools]

HAS_PICTURE = "images => images.length && images.every(each => each.naturalWidth > 0)"


@pytest.fixture
def bucket_server(tmp_path: Path, gateway: Gateway, cluster: Cluster) -> Iterator[Server]:
    settings = {
        "DATABASE_URL": cluster.create_initialised(),
        "STORAGE_URL": f"s3://{BUCKET}/pages/{generate_id()}",
        "STORAGE_PUBLIC_URL": gateway.url,
        "SCRATCH_DIR": str(tmp_path / "scratch"),
    }
    server = Server(tmp_path, **settings, **gateway.environment).start()
    worker = Worker(server).start()
    yield server
    worker.stop()
    server.stop()


def test_pictures_players_and_downloads_come_from_the_store(
    new_visitor: NewVisitor, bucket_server: Server, gateway: Gateway, clips: list[Path]
) -> None:
    visitor = new_visitor(bucket_server).open_signed_in()
    came_from: list[str] = []
    visitor.page.on("response", lambda answer: came_from.append(answer.url))
    visitor.choose(clips[0]).upload(variations=2)
    visitor.wait_for_status("completed")
    page = visitor.page
    expect(page.locator(".output")).to_have_count(2)
    page.wait_for_function(f"({HAS_PICTURE})([...document.querySelectorAll('.output img')])")
    page.get_by_role("button", name="Play variation 1 of").click()
    visitor.wait_for_videos("#compare video")
    assert any(url.startswith(gateway.url) and ".webp" in url for url in came_from)
    assert any(url.startswith(gateway.url) and ".mp4" in url for url in came_from)
    page.keyboard.press("Escape")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download variation 2 of").click()
    [(sha256,)] = bucket_server.rows("SELECT sha256 FROM output WHERE number = 2")
    assert hashlib.sha256(download.value.path().read_bytes()).hexdigest() == sha256
    assert download.value.suggested_filename.endswith("_var2.mp4")
    foreign = [error for error in visitor.page_errors if error.startswith("foreign request: ")]
    assert all(error.startswith(f"foreign request: {gateway.url}/{BUCKET}/") for error in foreign)
    visitor.page_errors[:] = [error for error in visitor.page_errors if error not in foreign]
