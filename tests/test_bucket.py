"""The whole way over a bucket: what a server and its workers do is the same, no folder is used."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from jobserver import render, store_of
from jobserver.db import CommitUnknown, DatabaseBusy, exclusive
from jobserver.db.postgres.connection import PostgresConnection
from jobserver.files.s3.cleanup import Ages
from jobserver.files.s3.store import S3Store
from jobserver.ids import generate_id
from jobserver.jobs import queue, sweep
from jobserver.jobs.quota import SpaceLimits
from jobserver.worker.engine import render_settings
from jobserver.worker.heartbeat import Heartbeat
from jobserver.worker.maintenance import Housekeeper
from jobserver.worker.render_thread import RenderThread
from tests.bucket import BUCKET, Gateway
from tests.postgres import Cluster
from tests.support import FORM_TYPE, Site, change_settings, field_part, file_part, form, wait_for
from tests.uploads.brief_parts import brief_part, contents_of, parts
from tests.worker.briefs import Parts, queue_brief
from tests.worker.claims import run_claims

pytestmark = pytest.mark.tools


@pytest.fixture
def prefix() -> str:
    return f"sites/{generate_id()}"


@pytest.fixture
def make_site(
    tmp_path: Path, prefix: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Site]:
    url = cluster.create_initialised()

    def make(gateway: Gateway, **settings: str) -> Site:
        for name, value in gateway.environment.items():
            monkeypatch.setenv(name, value)
        return Site(
            tmp_path,
            DATABASE_URL=url,
            STORAGE_URL=f"s3://{BUCKET}/{prefix}",
            SCRATCH_DIR=str(tmp_path / "scratch"),
            **gateway.environment,
            **settings,
        )

    return make


@pytest.fixture
def site(make_site: Callable[..., Site], gateway: Gateway) -> Site:
    """A server whose browsers reach the store."""
    return make_site(gateway, STORAGE_PUBLIC_URL=gateway.url)


@pytest.fixture
def thread_of() -> Iterator[Callable[[Site], RenderThread]]:
    """Make a render thread of any site; work_once() is one claim."""
    with ExitStack() as stack:

        def make(site: Site) -> RenderThread:
            heartbeat = Heartbeat(site.server.place)
            stack.enter_context(heartbeat.running())
            settings = render_settings(site.settings)
            return RenderThread(site.server.place, site.store, settings, heartbeat)

        yield make


@pytest.fixture
def own_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("own")).start()
    yield gateway
    gateway.kill()


def get(site: Site, path: str, method: str = "GET", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return site.client.open(path, method=method, headers={**site.headers, **named})


def fetch(link: str, **headers: str) -> bytes:
    with urlopen(Request(link, headers=headers)) as answer:
        return answer.read()


def names(gateway: Gateway, prefix: str) -> set[str]:
    """The keys of a site without their prefix and the owner's mark."""
    keys = {key.removeprefix(f"{prefix}/") for key in gateway.keys(prefix)}
    return keys - {".database"}


# -- the whole way --------------------------------------------------------------------------


def test_a_job_lives_in_the_bucket_from_upload_to_deletion(
    site: Site, render_thread: RenderThread, gateway: Gateway, prefix: str, clip: bytes
) -> None:
    job_id = site.upload(clip, variations="2")
    assert len(names(gateway, prefix)) == 1
    assert run_claims(render_thread) == 1
    job = site.show(job_id)
    assert job["status"] == "completed"
    (file,) = job["files"]
    places = {
        place for row in site.rows("SELECT place, thumbnail_place FROM output") for place in row
    }
    assert len(places) == 4
    assert {place.rpartition("/")[0] for place in places} == {f"outputs/{job_id}/{file['id']}.1"}
    assert places < names(gateway, prefix)
    for output in file["outputs"]:
        answer = get(site, output["url"])
        assert answer.status_code == 302
        assert answer.headers["Cache-Control"] == "private, max-age=1800"
        content = fetch(answer.headers["Location"])
        assert hashlib.sha256(content).hexdigest() == output["sha256"]
        assert fetch(get(site, output["thumbnailUrl"]).headers["Location"])[8:12] == b"WEBP"
    assert fetch(get(site, file["url"]).headers["Location"]) == clip
    assert fetch(get(site, file["thumbnailUrl"]).headers["Location"])[8:12] == b"WEBP"
    with zipfile.ZipFile(io.BytesIO(get(site, job["downloadUrl"]).data)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 4
    assert not site.upload_dir.exists()
    assert not site.output_dir.exists()
    assert site.client.delete(f"/api/jobs/{job_id}", headers=site.headers).status_code == 200
    assert names(gateway, prefix) == set()


def test_parts_of_a_brief_and_a_job_made_again_live_in_the_bucket(
    site: Site, gateway: Gateway, prefix: str
) -> None:
    sent = (*parts("videos", "a.mp4"), *parts("hooks", "b.mp4"), *parts("endings", "end.png"))
    refused = site.post(*sent, *parts("overlays", "unused.png"))
    assert refused.json["path"] == "logo"
    assert names(gateway, prefix) == set()
    assert gateway.unfinished(prefix) == []
    job = site.post(*sent, brief_part(formats=["9:16", "1:1"])).json
    assert (job["totalVariations"], len(names(gateway, prefix))) == (2, 3)
    url = f"/api/jobs/{job['jobId']}/again"
    again = site.client.post(url, json={"brief": {"hooks": [None]}}, headers=site.headers)
    assert again.status_code == 202, again.json
    assert [each["name"] for each in again.json["assets"]] == ["end.png"]
    assert len(names(gateway, prefix)) == 5
    late = site.client.post(url, json={"brief": {"hooks": ["none.mp4"]}}, headers=site.headers)
    assert (late.status_code, len(names(gateway, prefix))) == (400, 5)
    assert site.client.delete(url.removesuffix("/again"), headers=site.headers).status_code == 200
    kept = names(gateway, prefix)
    assert {key.rpartition(".")[2] for key in kept} == {"mp4", "png"}
    for key in kept:
        with site.store.open(key) as file:
            assert file.read() in {
                contents_of("a.mp4", "videos"),
                contents_of("end.png", "endings"),
            }
    gone = site.client.post(url, json={}, headers=site.headers)
    assert gone.status_code == 404


def test_shots_that_one_worker_put_into_the_bucket_are_joined_by_another(
    site: Site,
    thread_of: Callable[[Site], RenderThread],
    gateway: Gateway,
    prefix: str,
    clip: bytes,
) -> None:
    job_id = queue_brief(site, Parts({"clip.mp4": clip}, hooks={"hook.mp4": clip}))
    sources = names(gateway, prefix)
    first = thread_of(site)
    joinable = "SELECT 1 FROM job_file WHERE stage = 2 AND ready = 1"
    while not site.rows(joinable):
        assert first.work_once()
    places = {place for (place,) in site.rows("SELECT place FROM shot")}
    assert len(places) == 4
    assert places < names(gateway, prefix)
    change_settings(site.app, scratch_dir=site.settings.scratch_dir / "another")
    assert run_claims(thread_of(site)) == 1
    assert site.show(job_id)["status"] == "completed"
    ((place, picture),) = site.rows("SELECT place, thumbnail_place FROM output")
    thumbnails = {place for (place,) in site.rows("SELECT thumbnail_place FROM job_file")}
    assert names(gateway, prefix) == {*sources, *thumbnails, place, picture}


def test_a_source_that_left_the_bucket_is_a_409_and_leaves_no_copy(
    site: Site, gateway: Gateway, prefix: str
) -> None:
    job = site.post(*parts("videos", "a.mp4", "b.mp4")).json
    (stored_name,) = site.rows("SELECT stored_name FROM job_file WHERE position = 1")[0]
    site.store.delete(f"uploads/{stored_name}")
    answer = site.client.post(f"/api/jobs/{job['jobId']}/again", headers=site.headers)
    assert answer.status_code == 409
    assert len(names(gateway, prefix)) == 1


def test_head_and_304_are_answered_without_the_store(
    make_site: Callable[..., Site], own_gateway: Gateway, clip: bytes
) -> None:
    site = make_site(own_gateway, STORAGE_PUBLIC_URL=own_gateway.url)
    job = site.show(site.upload(clip, variations="1"))
    url = f"/api/jobs/{job['jobId']}/files/{job['files'][0]['id']}"
    own_gateway.kill()
    head = get(site, url, "HEAD")
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(clip)))
    assert head.headers["Content-Type"] == "video/mp4"
    assert head.headers["Accept-Ranges"] == "bytes"
    etag = head.headers["ETag"]
    assert get(site, url, If_None_Match=etag).status_code == 304
    assert get(site, url, "HEAD", If_None_Match=etag).status_code == 304
    assert get(site, url, If_None_Match='"other"').status_code == 302
    own_gateway.start()


def test_conditions_that_name_our_etag_are_answered_from_here(site: Site, clip: bytes) -> None:
    job = site.show(site.upload(clip, variations="1"))
    url = f"/api/jobs/{job['jobId']}/files/{job['files'][0]['id']}"
    etag = get(site, url, "HEAD").headers["ETag"]
    whole = get(site, url, If_Match=etag)
    assert (whole.status_code, whole.data) == (200, clip)
    part = get(site, url, If_Range=etag, Range="bytes=10-19")
    assert (part.status_code, part.data) == (206, clip[10:20])
    assert get(site, url, If_Match='"other"').status_code == 412
    assert get(site, url, Range="bytes=10-19").status_code == 302


def test_without_an_address_for_browsers_all_goes_through_the_server(
    make_site: Callable[..., Site], gateway: Gateway, clip: bytes
) -> None:
    site = make_site(gateway)
    job = site.show(site.upload(clip, variations="1"))
    url = f"/api/jobs/{job['jobId']}/files/{job['files'][0]['id']}"
    assert get(site, url).data == clip
    part = get(site, url, Range="bytes=100-")
    assert (part.status_code, part.data) == (206, clip[100:])
    assert part.headers["Content-Range"] == f"bytes 100-{len(clip) - 1}/{len(clip)}"
    assert get(site, url, Range="bytes=5-9").data == clip[5:10]
    head = get(site, url, "HEAD")
    assert (head.data, head.headers["Content-Length"]) == (b"", str(len(clip)))
    assert get(site, url, Range=f"bytes={len(clip)}-").status_code == 416


def test_an_output_that_somebody_deleted_is_gone(
    make_site: Callable[..., Site], gateway: Gateway, prefix: str, clip: bytes
) -> None:
    site = make_site(gateway)
    job = site.show(site.upload(clip, variations="1"))
    (key,) = names(gateway, prefix)
    gateway.client().delete_object(Bucket=BUCKET, Key=f"{prefix}/{key}")
    url = f"/api/jobs/{job['jobId']}/files/{job['files'][0]['id']}"
    assert get(site, url).status_code == 410


def test_the_page_may_show_what_the_store_gives(site: Site, gateway: Gateway) -> None:
    policy = site.client.get("/").headers["Content-Security-Policy"]
    assert f"img-src 'self' blob: {gateway.url};" in policy
    assert f"media-src 'self' blob: {gateway.url};" in policy
    assert "default-src 'self';" in policy


def test_a_store_without_an_end_has_no_free_bytes(site: Site) -> None:
    storage = get(site, "/api/storage").json
    assert (storage["free"], storage["used"]) == (None, 0)
    assert get(site, "/api/health").json["freeBytes"] is None


# -- uploads that are refused, and commits that are not answered ---------------------------------


@pytest.mark.parametrize("fields", [{"recipe": "none"}, {"seed": "x"}])
def test_an_upload_that_is_refused_leaves_no_object_and_no_part(
    site: Site, gateway: Gateway, prefix: str, clip: bytes, fields: dict[str, str]
) -> None:
    parts = [
        file_part(clip + bytes(9 * 1024 * 1024)),
        *(field_part(*pair) for pair in fields.items()),
    ]
    assert site.post(*parts).status_code == 400
    assert names(gateway, prefix) == set()
    assert gateway.unfinished(prefix) == []


def test_an_upload_that_breaks_off_leaves_no_object_and_no_part(
    site: Site, gateway: Gateway, prefix: str, clip: bytes
) -> None:
    body = form(file_part(clip), file_part(clip + bytes(9 * 1024 * 1024)))[:-1000]
    answer = site.client.post("/api/jobs", data=body, content_type=FORM_TYPE, headers=site.headers)
    assert answer.status_code == 400
    assert names(gateway, prefix) == set()
    assert gateway.unfinished(prefix) == []


@pytest.mark.parametrize("committed", [True, False])
def test_files_stay_when_nobody_knows_whether_their_rows_do(
    site: Site,
    gateway: Gateway,
    prefix: str,
    clip: bytes,
    monkeypatch: pytest.MonkeyPatch,
    committed: bool,
) -> None:
    commit = PostgresConnection.commit

    def lose_the_answer(db: PostgresConnection) -> None:
        if committed:
            commit(db)
        raise CommitUnknown

    monkeypatch.setattr(PostgresConnection, "commit", lose_the_answer)
    answer = site.post(file_part(clip))
    monkeypatch.undo()
    assert answer.status_code == 503
    assert len(names(gateway, prefix)) == 1
    assert len(site.rows("SELECT id FROM job_file")) == committed
    with closing(site.connect()) as db:
        site.store.ages = Ages(orphan=0, longest_upload=7200)
        assert sweep.sweep_uploads(db, site.store) == (not committed)
    assert len(names(gateway, prefix)) == committed


def test_files_go_when_their_rows_surely_do_not_stay(
    site: Site, gateway: Gateway, prefix: str, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(db: PostgresConnection) -> None:
        raise DatabaseBusy

    monkeypatch.setattr(PostgresConnection, "commit", refuse)
    assert site.post(file_part(clip)).status_code == 503
    monkeypatch.undo()
    assert names(gateway, prefix) == set()


# -- claims ---------------------------------------------------------------------------------------


def during_put(store: S3Store, monkeypatch: pytest.MonkeyPatch, happen: Callable[[], Any]) -> None:
    """Let something happen before the first output is put, and its picture after it."""
    put = store.put
    begun: list[Path] = []

    def put_after(path: Path, key: str, *, sync: bool = True) -> Any:
        if sync and not begun:
            begun.append(path)
            happen()
        return put(path, key, sync=sync)

    monkeypatch.setattr(store, "put", put_after)


def test_a_worker_goes_on_with_the_source_that_it_has(
    site: Site,
    render_thread: RenderThread,
    thread_of: Callable[[Site], RenderThread],
    clip: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two workers, two files of two groups each: each source is fetched once, not by both."""
    monkeypatch.setattr(render, "group_size", lambda *_: 1)
    job_id = site.upload(clip, clip, variations="2")
    first = next(file["id"] for file in site.show(job_id)["files"])
    scratch = site.settings.scratch_dir.with_name("scratch of the other")
    monkeypatch.setitem(
        site.app.extensions,
        "store",
        store_of(site.settings.model_copy(update={"scratch_dir": scratch})),
    )
    other = thread_of(site)
    fetched: list[str] = []
    real = S3Store.open

    def count(store: S3Store, key: str) -> Any:
        fetched.append(key)
        return real(store, key)

    monkeypatch.setattr(S3Store, "open", count)
    during_put(render_thread._store, monkeypatch, other.work_once)
    assert render_thread.work_once()
    assert other.work_once()  # the first file comes first, and nobody holds it
    assert render_thread.work_once()
    query = "SELECT COUNT(*) FROM output WHERE file_id = ?"
    assert site.rows(query.replace("?", f"'{first}'")) == [(2,)]
    assert site.show(job_id)["status"] == "completed"
    assert len(fetched) == len(set(fetched)) == 2


def test_a_worker_that_stops_while_it_fetches_gives_the_video_back(
    site: Site, render_thread: RenderThread, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = site.upload(clip, variations="1")
    real = S3Store.open

    def open_and_stop(store: S3Store, key: str) -> Any:
        render_thread._heartbeat.cancel_all()
        return real(store, key)

    with monkeypatch.context() as patch:
        patch.setattr(S3Store, "open", open_and_stop)
        assert render_thread.work_once()
    assert site.rows("SELECT attempts, lease_until FROM job_file") == [(0, 0)]
    assert site.store.near_uploads() == []
    assert run_claims(render_thread) == 1
    assert site.show(job_id)["status"] == "completed"


def test_a_claim_that_was_lost_takes_its_objects_back(
    site: Site,
    render_thread: RenderThread,
    gateway: Gateway,
    prefix: str,
    clip: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job_id = site.upload(clip, variations="2")
    during_put(site.store, monkeypatch, lambda: site.post_action(job_id, "cancel"))
    assert render_thread.work_once()
    assert site.show(job_id)["status"] == "cancelled"
    assert site.show(job_id)["files"][0]["outputs"] == []
    rest = names(gateway, prefix)
    assert {name.rpartition(".")[2] for name in rest} == {"mp4", "webp"}
    assert len(rest) == 2  # the source and its picture


def test_nothing_is_taken_back_after_an_error_and_the_sweep_has_it_later(
    site: Site,
    render_thread: RenderThread,
    gateway: Gateway,
    prefix: str,
    clip: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job_id = site.upload(clip, variations="1")

    def fail(*_: Any) -> None:
        raise CommitUnknown

    with monkeypatch.context() as patch:
        patch.setattr(queue, "insert_outputs", fail)
        assert render_thread.work_once()
    token_1 = {name for name in names(gateway, prefix) if ".1/" in name}
    assert len(token_1) == 3  # the source's picture, an output and its picture
    with closing(site.connect()) as db, exclusive(db, "queue"):
        db.write("UPDATE job_file SET not_before = 0")
    assert run_claims(render_thread) == 1
    assert site.show(job_id)["status"] == "completed"
    with closing(site.connect()) as db:
        assert sweep.sweep_outputs(db, site.store) == 0  # too young
        site.store.ages = Ages(orphan=0, longest_upload=7200)
        assert sweep.sweep_outputs(db, site.store) == 2
        assert sweep.sweep_outputs(db, site.store) == 0
        assert sweep.forget_missing(db, site.store, 0) == 0
    listed = site.rows("SELECT place, thumbnail_place FROM output") + site.rows(
        "SELECT thumbnail_place FROM job_file"
    )
    assert {name for name in names(gateway, prefix) if name.startswith("outputs/")} == {
        place for row in listed for place in row
    }


def test_the_sweep_spares_what_a_claim_holds_and_takes_what_no_job_has(
    site: Site,
    render_thread: RenderThread,
    gateway: Gateway,
    prefix: str,
    clip: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job_id = site.upload(clip, variations="1")
    site.store.ages = Ages(orphan=0, longest_upload=7200)
    stranger = f"{prefix}/outputs/{generate_id()}/file.1/1.mp4"
    gateway.client().put_object(Bucket=BUCKET, Key=stranger, Body=b"x")
    swept: list[int] = []

    def sweep_now() -> None:
        with closing(site.connect()) as db:
            swept.append(sweep.sweep_outputs(db, site.store))

    put = site.store.put

    def put_and_sweep(path: Path, key: str, *, sync: bool = True) -> Any:
        staged = put(path, key, sync=sync)
        sweep_now()
        return staged

    monkeypatch.setattr(site.store, "put", put_and_sweep)
    assert render_thread.work_once()
    assert swept == [1, 0, 0]  # the stranger alone, by the source's picture
    assert stranger not in gateway.keys(prefix)
    assert site.show(job_id)["status"] == "completed"
    (file,) = site.show(job_id)["files"]
    assert fetch(get(site, file["outputs"][0]["url"]).headers["Location"])


def test_what_is_published_while_the_sweep_looks_is_spared(
    site: Site, render_thread: RenderThread, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is held when the objects are listed, and has ended when the claims are read."""
    job_id = site.upload(clip, variations="1")
    site.store.ages = Ages(orphan=0, longest_upload=7200)
    publish = site.store.publish
    listed = site.store.list_outputs
    seen: list[dict[str, set[str]]] = []

    def list_at_publish(staged: Any) -> None:
        publish(staged)
        seen.append(listed())

    with monkeypatch.context() as patch:
        patch.setattr(site.store, "publish", list_at_publish)
        assert render_thread.work_once()
    assert len(seen[-1][job_id]) == 3
    monkeypatch.setattr(site.store, "list_outputs", lambda: seen[-1])
    with closing(site.connect()) as db:
        assert sweep.sweep_outputs(db, site.store) == 0
    (file,) = site.show(job_id)["files"]
    assert fetch(get(site, file["outputs"][0]["url"]).headers["Location"])


def test_a_bucket_is_listed_four_times_in_the_age_of_an_orphan_not_each_round(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[float] = []
    with closing(site.connect()) as db:
        limits = SpaceLimits.of(site.settings)
        housekeeper = Housekeeper(db, site.store, limits, lifetime_s=86400, audit_s=60)
        monkeypatch.setattr(sweep, "sweep_outputs", lambda db, store: listed.append(at) or 0)
        for at in (0.0, 60.0, 899.0, 900.0, 960.0, 1800.0):
            housekeeper.round(1_000_000 + at, at)
    assert listed == [0.0, 900.0, 1800.0]


# -- a store that is away, and one of another database -------------------------------------------


def test_a_store_that_is_away_costs_no_attempt_and_stops_uploads_alone(
    make_site: Callable[..., Site],
    own_gateway: Gateway,
    clip: bytes,
    thread_of: Callable[[Site], RenderThread],
) -> None:
    site = make_site(own_gateway)
    thread = thread_of(site)
    job_id = site.upload(clip, variations="1")
    own_gateway.kill()
    wait_for(lambda: get(site, "/api/health").json["status"] == "degraded", what="degraded")
    health = get(site, "/api/health")
    assert (health.status_code, health.json["volumeMounted"]) == (200, False)
    (reason,) = [each for each in health.json["reasons"] if each["code"] == "storage_unavailable"]
    assert reason["message"].startswith("STORAGE_URL cannot be used: the store does not answer")
    refused = site.post(file_part(clip))
    assert (refused.status_code, refused.json) == (
        503,
        {"error": "The storage is not available; try again", "code": "store_unreachable"},
    )
    assert refused.headers["Retry-After"] == "30"
    assert site.show(job_id)["status"] == "queued"
    assert len(get(site, "/api/jobs").json) == 1
    for _ in range(5):
        assert not thread.work_once()
    assert site.rows("SELECT attempts, claim_token FROM job_file") == [(0, 0)]
    own_gateway.start()
    wait_for(lambda: get(site, "/api/health").json["volumeMounted"], what="the store")
    assert run_claims(thread) == 1
    assert site.show(job_id)["status"] == "completed"


def test_a_store_that_goes_while_a_file_is_rendered_costs_no_attempt(
    make_site: Callable[..., Site],
    own_gateway: Gateway,
    clip: bytes,
    thread_of: Callable[[Site], RenderThread],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = make_site(own_gateway)
    thread = thread_of(site)
    job_id = site.upload(clip, variations="1")
    with monkeypatch.context() as patch:
        during_put(site.store, patch, own_gateway.kill)
        assert thread.work_once()
    assert site.rows("SELECT attempts, status FROM job_file") == [(0, "processing")]
    assert not thread.work_once()  # it waits, and claims nothing
    own_gateway.start()
    wait_for(lambda: get(site, "/api/health").json["volumeMounted"], what="the store")
    with closing(site.connect()) as db, exclusive(db, "queue"):
        db.write("UPDATE job_file SET not_before = 0")
    thread._readiness._retry_at = 0.0
    assert run_claims(thread) == 1
    assert site.show(job_id)["status"] == "completed"


def test_the_bucket_of_another_database_is_left_alone(
    make_site: Callable[..., Site], gateway: Gateway, prefix: str, clip: bytes
) -> None:
    mark = {"Bucket": BUCKET, "Key": f"{prefix}/.database"}
    gateway.client().put_object(**mark, Body=b"another")
    stranger = {"Bucket": BUCKET, "Key": f"{prefix}/uploads/{generate_id()}.mp4"}
    gateway.client().put_object(**stranger, Body=b"x")
    site = make_site(gateway)
    assert site.post(file_part(clip)).status_code == 503
    health = get(site, "/api/health")
    assert health.status_code == 503
    assert health.json["error"].startswith("STORAGE_URL does not hold the files of this database")
    assert names(gateway, prefix) == {stranger["Key"].removeprefix(f"{prefix}/")}
    runner = site.app.test_cli_runner()
    assert runner.invoke(args=["sweep"]).exit_code == 1
    assert "STORAGE_URL is this database's now." in runner.invoke(args=["adopt"]).output
    assert site.post(file_part(clip)).status_code == 202
