"""The store in a bucket: the contract over a real server, and what it asks of it."""

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobserver.errors import StoreUnreachable
from jobserver.files.keys import source_key
from jobserver.files.s3 import incoming as incoming_module
from jobserver.files.s3.cleanup import Ages
from jobserver.files.s3.store import Bucket, S3Store
from jobserver.files.scratch import Scratch
from jobserver.ids import generate_id
from tests.bucket import BUCKET, Gateway
from tests.files.contract import (
    JOB,
    StoreContract,
    content_of,
    exists,
    placed,
    published,
    received,
    uploaded,
)
from tests.files.resumable import ResumableContract, Right, begun, extend
from tests.support import wait_for

pytestmark = pytest.mark.tools
MIB = 1024 * 1024
AGES = Ages(orphan=3600, longest_upload=7200)


@pytest.fixture
def prefix() -> str:
    return f"tests/{generate_id()}"


@pytest.fixture
def make_store(
    gateway: Gateway, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., S3Store]:
    for name, value in gateway.environment.items():
        monkeypatch.setenv(name, value)

    def make(bucket: str = BUCKET, public_url: str | None = None, **values: Any) -> S3Store:
        scratch = Scratch(tmp_path / "scratch", values.get("scratch_size", 10 * MIB))
        return S3Store(Bucket(bucket, prefix, public_url), scratch, AGES)

    return make


@pytest.fixture
def store(make_store: Callable[..., S3Store]) -> S3Store:
    return make_store()


@pytest.fixture
def grown_old(store: S3Store) -> Callable[[], None]:
    """Objects cannot be made older, so the store is made to ask for less."""

    def shorten() -> None:
        store.ages = Ages(orphan=0, longest_upload=store.ages.longest_upload)

    return shorten


class TestS3Store(StoreContract, ResumableContract):
    """S3Store keeps the contract."""


# -- uploads ------------------------------------------------------------------------------------


def test_an_upload_goes_in_parts_and_is_invisible_until_it_is_committed(
    store: S3Store, gateway: Gateway, prefix: str
) -> None:
    content = os.urandom(2 * incoming_module.PART_SIZE + 12_345)
    incoming = received(store, content)
    key = f"{prefix}/{source_key(incoming.stored_name)}"
    assert gateway.keys(prefix) == set()
    assert gateway.unfinished(prefix) == [key]
    incoming.commit()
    assert gateway.keys(prefix) == {key}
    assert gateway.unfinished(prefix) == []
    assert gateway.client().head_object(Bucket=BUCKET, Key=key)["ETag"].endswith('-3"')
    assert content_of(store, source_key(incoming.stored_name)) == content


def test_an_upload_that_is_discarded_leaves_no_part(
    store: S3Store, gateway: Gateway, prefix: str
) -> None:
    incoming = store.receive("clip.mp4")
    incoming.write(b"x" * (incoming_module.PART_SIZE + 1))
    assert len(gateway.unfinished(prefix)) == 1
    incoming.discard()
    assert gateway.unfinished(prefix) == []
    assert gateway.keys(prefix) == set()


def test_an_upload_holds_one_part_in_memory(store: S3Store) -> None:
    incoming = store.receive("clip.mp4")
    for _ in range(20):
        incoming.write(bytes(MIB))
        assert len(incoming._part) < incoming_module.PART_SIZE
    incoming.discard()


def test_a_commit_whose_answer_was_lost_is_repeated_and_counts_once(
    store: S3Store, gateway: Gateway, prefix: str
) -> None:
    """What boto does by itself: the second attempt finds no upload any more."""
    incoming = received(store, b"content")
    incoming.commit()
    incoming.commit()
    assert content_of(store, source_key(incoming.stored_name)) == b"content"
    gateway.client().delete_object(
        Bucket=BUCKET, Key=f"{prefix}/{source_key(incoming.stored_name)}"
    )
    with pytest.raises(OSError, match=r"No such file"):
        incoming.commit()


def test_uploads_that_no_request_can_still_be_sending_are_aborted(
    store: S3Store, gateway: Gateway, prefix: str
) -> None:
    incoming = received(store, b"content")
    (key,) = store.list_uploads()
    assert not store.delete_orphan(key, lambda: False)
    store.ages = Ages(orphan=3600, longest_upload=0)
    assert store.delete_orphan(key, lambda: False)
    assert gateway.unfinished(prefix) == []
    incoming.discard()


def test_an_upload_that_was_begun_twice_is_aborted_although_its_file_is_there(
    store: S3Store, gateway: Gateway, prefix: str
) -> None:
    """As when the answer to the first beginning was lost: no row can be missing for it."""
    key = uploaded(store, b"content")
    store._uploads.begin(key)
    assert store.abort_dead_uploads() == 0
    store.ages = Ages(orphan=3600, longest_upload=0)
    assert store.abort_dead_uploads() == 1
    assert gateway.unfinished(prefix) == []
    assert content_of(store, key) == b"content"


def test_uploads_that_other_requests_may_go_on_with_are_not_aborted(
    store: S3Store, gateway: Gateway, prefix: str
) -> None:
    upload = extend(store, begun(20 * MIB), Right(), bytes(9 * MIB))
    store.ages = Ages(orphan=3600, longest_upload=0)
    assert store.abort_dead_uploads({upload.id}) == 0
    assert store.abort_dead_uploads() == 1


def test_a_tail_that_was_replaced_is_deleted(store: S3Store, gateway: Gateway, prefix: str) -> None:
    upload, hold = begun(20 * MIB), Right()
    for _ in range(3):
        upload = extend(store, upload, hold, bytes(MIB))
    assert gateway.keys(prefix) == {f"{prefix}/uploads/{upload.id}.t3"}
    upload = extend(store, upload, hold, bytes(17 * MIB))
    store.resumable.complete(upload)
    assert gateway.keys(prefix) == {f"{prefix}/uploads/{upload.stored_name}"}


def test_a_young_object_is_no_orphan(store: S3Store) -> None:
    key = uploaded(store, b"content")
    assert not store.delete_orphan(key, lambda: False)
    assert exists(store, key)


# -- outputs ------------------------------------------------------------------------------------


def test_two_claims_have_two_keys(store: S3Store) -> None:
    first, second = (placed(store, "1.mp4", claim_token=token) for token in (1, 2))
    assert (first, second) == (f"outputs/{JOB}/file.1/1.mp4", f"outputs/{JOB}/file.2/1.mp4")


def test_a_deleted_job_leaves_no_begun_upload_of_an_output(
    store: S3Store, gateway: Gateway, prefix: str
) -> None:
    key = f"{prefix}/{placed(store, '1.mp4')}"
    gateway.client().create_multipart_upload(Bucket=BUCKET, Key=key)
    published(store, "2.mp4", b"x")
    assert store.list_outputs() == {JOB: {"file.1/1.mp4", "file.1/2.mp4"}}
    store.delete_job(JOB)
    assert gateway.unfinished(prefix) == []
    assert gateway.keys(prefix) == set()


def test_an_object_has_no_descriptor_and_says_so(store: S3Store) -> None:
    with store.open(uploaded(store, b"x")) as file, pytest.raises(OSError, match="fileno"):
        file.fileno()


# -- links ----------------------------------------------------------------------------------------


def test_a_link_gives_the_object_its_headers_and_its_ranges(
    make_store: Callable[..., S3Store], gateway: Gateway
) -> None:
    store = make_store(public_url=gateway.url)
    key = uploaded(store, b"content")
    said = {"Content-Type": "video/mp4", "Content-Disposition": 'attachment; filename="a b.mp4"'}
    link = store.link(key, {**said, "Cache-Control": "private, max-age=86400"}, 60)
    assert link is not None
    with urllib.request.urlopen(link) as answer:
        assert answer.read() == b"content"
        assert {name: answer.headers[name] for name in said} == said
        assert answer.headers["Cache-Control"] == "private, max-age=86400"
    ranged = urllib.request.Request(link, headers={"Range": "bytes=2-3"})
    with urllib.request.urlopen(ranged) as answer:
        assert (answer.status, answer.read()) == (206, b"nt")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(link.replace(key, placed(store, "1.mp4")))


def test_without_an_address_for_browsers_there_is_no_link(store: S3Store) -> None:
    assert store.link(uploaded(store, b"x"), {}, 60) is None
    assert store.link_origin() is None


@pytest.mark.parametrize(
    ("style", "origin"),
    [("auto", "https://s3.test:9000"), ("virtual", f"https://{BUCKET}.s3.test:9000")],
)
def test_the_origin_of_links_is_that_of_the_links(
    make_store: Callable[..., S3Store],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    style: str,
    origin: str,
) -> None:
    """boto can be set to make the bucket a part of the host."""
    config = tmp_path / "config"
    config.write_text(f"[default]\ns3 =\n    addressing_style = {style}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    store = make_store(public_url="https://s3.test:9000")
    assert store.link_origin() == origin
    assert str(store.link("uploads/a.mp4", {}, 60)).startswith(f"{origin}/")


# -- scratch -------------------------------------------------------------------------------------


def test_a_source_is_fetched_once_for_all_who_want_it(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = uploaded(store, os.urandom(3 * MIB))
    opened: list[str] = []
    original = store.open
    monkeypatch.setattr(store, "open", lambda key: opened.append(key) or original(key))
    barrier, paths = threading.Barrier(4), []

    def use() -> None:
        barrier.wait()
        with store.local_path(key) as path:
            paths.append((path, path.stat().st_size))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 1
    assert paths[0][1] == 3 * MIB
    assert opened == [key]


# -- a store that does not answer ---------------------------------------------------------------


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[Gateway]:
    (tmp_path / "gateway").mkdir()
    gateway = Gateway(tmp_path / "gateway").start()
    yield gateway
    gateway.thaw()
    gateway.kill()


def test_a_store_that_is_away_is_an_error_of_its_own_and_keeps_what_it_had(
    own_gateway: Gateway,
    make_store: Callable[..., S3Store],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", own_gateway.url)
    store = make_store()
    key = uploaded(store, b"content")
    incoming = received(store, b"more")
    assert store.is_writable()
    own_gateway.kill()
    for call in (
        lambda: store.open(key),
        lambda: store.delete(key),
        lambda: list(store.list_uploads()),
        lambda: store.roots[0].is_empty(),
        lambda: wait_for(lambda: not store.is_writable(), what="the end of what was remembered"),
    ):
        with pytest.raises(StoreUnreachable, match=r"^STORAGE_URL cannot be used: the store does"):
            call()
    incoming.discard()  # bears it
    own_gateway.start()
    wait_for(lambda: _answers(store), what="what was remembered to end")
    assert content_of(store, key) == b"content"


def _answers(store: S3Store) -> bool:
    try:
        return store.is_writable()
    except StoreUnreachable:
        return False


def test_a_frozen_store_is_noticed_within_seconds(
    own_gateway: Gateway, make_store: Callable[..., S3Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", own_gateway.url)
    store = make_store()
    assert store.roots[0].owner() is None
    own_gateway.freeze()
    with pytest.raises(StoreUnreachable, match="does not answer"):
        wait_for(lambda: not store.is_writable(), what="the end of what was remembered")


# -- what an operator may have set wrong --------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "bucket", "sentence"),
    [
        ({}, "no-such-bucket", "there is no bucket no-such-bucket"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, BUCKET, "the store does not accept the credentials"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, BUCKET, "the store does not accept the credentials"),
        ({"AWS_ACCESS_KEY_ID": ""}, BUCKET, "there are no credentials for the store"),
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, BUCKET, "the store does not answer"),
        ({"AWS_ENDPOINT_URL_S3": "localhost"}, BUCKET, "Invalid endpoint: localhost"),
        ({"AWS_DEFAULT_REGION": "no region"}, BUCKET, "AWS_DEFAULT_REGION is no name of a region"),
    ],
)
def test_what_is_set_wrong_is_one_sentence(
    make_store: Callable[..., S3Store],
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    bucket: str,
    sentence: str,
) -> None:
    store = make_store(bucket)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
        if not value:
            monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreUnreachable, match=r"^STORAGE_URL cannot be used: ") as raised:
        store.is_writable()
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)
