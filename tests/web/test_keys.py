"""Keys over HTTP: who makes them, what each may do, and that revoking one holds at once."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from jobserver.auth import api_keys, audit, state
from jobserver.db import exclusive
from jobserver.web import bearers, jobs
from tests.jobs.house import AT, DAY, House
from tests.results import make_job
from tests.support import (
    FORM_TYPE,
    MP4_HEAD,
    PASSWORD,
    Server,
    Site,
    change_settings,
    file_part,
    form,
)

pytestmark = pytest.mark.both_databases

BODY = form(file_part(MP4_HEAD))


def make_key(site: Site, *scopes: str, name: str = "script") -> dict[str, Any]:
    sent = {"name": name, "scopes": list(scopes or api_keys.SCOPES)}
    answer = site.client.post("/api/keys", json=sent, headers=site.headers)
    assert answer.status_code == 201, answer.json
    return dict(answer.json)


def call(site: Site, key: str, method: str, path: str, **named: Any) -> Any:
    return site.client.open(path, method=method, headers=Server.bearer(key), **named)


def upload(site: Site, key: str) -> Any:
    return call(site, key, "POST", "/api/jobs", data=BODY, content_type=FORM_TYPE)


def revoke(site: Site, key: dict[str, Any]) -> Any:
    return site.client.delete(f"/api/keys/{key['id']}", headers=site.headers)


def acts(site: Site, **wanted: Any) -> list[tuple[str, str, str | None]]:
    with closing(site.connect()) as db:
        found = audit.entries(db, 1000, **wanted)
    return [(entry.actor.split()[0], entry.action, entry.job_id) for entry in found]


# -- making, listing, revoking ------------------------------------------------------------------


def test_a_key_is_shown_once(site: Site) -> None:
    made = make_key(site, "create", "read")
    assert made.keys() == {"id", "key", "name", "scopes"}
    assert (made["name"], made["scopes"]) == ("script", ["read", "create"])
    listed = site.client.get("/api/keys", headers=site.headers)
    assert [key["id"] for key in listed.json] == [made["id"]]
    assert listed.json[0].keys() == {"id", "name", "scopes", "createdAt", "lastUsedAt"}
    assert listed.json[0]["lastUsedAt"] is None
    assert made["key"] not in listed.text


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"name": "a"},
        {"name": "a", "scopes": []},
        {"name": "a", "scopes": "read"},
        {"name": "a", "scopes": ["read", "write"]},
        {"name": "a", "scopes": [["read"]]},
        {"name": "", "scopes": ["read"]},
        {"name": 7, "scopes": ["read"]},
        {"name": "a\nb", "scopes": ["read"]},
        {"name": "a\0", "scopes": ["read"]},
        {"name": "a" * 101, "scopes": ["read"]},
    ],
)
def test_a_key_that_says_too_little_is_a_400(site: Site, sent: dict[str, Any]) -> None:
    answer = site.client.post("/api/keys", json=sent, headers=site.headers)
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_option")
    assert site.rows("SELECT * FROM api_key") == []


def test_a_revoked_key_opens_nothing(site: Site) -> None:
    key = make_key(site)
    job_id = upload(site, key["key"]).json["jobId"]
    for path in ("/api/jobs", f"/api/jobs/{job_id}", f"/api/jobs/{job_id}"):
        assert call(site, key["key"], "GET", path).status_code == 200
    assert revoke(site, key).json == {"id": key["id"], "status": "revoked"}
    for path in ("/api/jobs", f"/api/jobs/{job_id}"):
        answer = call(site, key["key"], "GET", path)
        assert (answer.status_code, answer.json["code"]) == (401, "invalid_token")
    assert revoke(site, key).status_code == 404


def test_a_key_never_made_is_a_401(site: Site) -> None:
    for text in ("jsk_", "jsk_" + "0" * 64, "jsk_é", "JSK_" + "0" * 64):
        assert call(site, text, "GET", "/api/jobs").status_code == 401


def test_no_key_makes_or_revokes_keys_or_ends_sessions(site: Site) -> None:
    key = make_key(site)
    for method, path in (
        ("POST", "/api/keys"),
        ("GET", "/api/keys"),
        ("DELETE", f"/api/keys/{key['id']}"),
        ("POST", "/api/auth/revoke-all"),
    ):
        answer = call(site, key["key"], method, path, json={"name": "a", "scopes": ["read"]})
        assert (answer.status_code, answer.json["code"]) == (403, "session_required")
    assert len(site.rows("SELECT * FROM api_key")) == 1


def test_when_a_key_was_used_is_written_once_a_minute(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, noted = make_key(site), []
    note_use = api_keys.note_use

    def counted(*args: Any) -> None:
        noted.append(args)
        note_use(*args)

    monkeypatch.setattr(api_keys, "note_use", counted)
    for _ in range(5):
        assert call(site, key["key"], "GET", "/api/jobs").status_code == 200
    assert len(noted) == 1
    assert site.client.get("/api/keys", headers=site.headers).json[0]["lastUsedAt"]


# -- scopes -------------------------------------------------------------------------------------

READ, CREATE, DELETE = ("read",), ("create",), ("delete",)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/api/jobs", READ),
        ("HEAD", "/api/jobs/{id}", READ),
        ("GET", "/api/jobs/{id}", READ),
        ("GET", "/api/jobs/{id}?outputs=false", READ),
        ("GET", "/api/jobs/{id}/download", READ),
        ("POST", "/api/jobs/{id}/download", READ),
        ("GET", "/api/jobs/{id}/files/x", READ),
        ("GET", "/api/storage", READ),
        ("POST", "/api/jobs", CREATE),
        ("POST", "/api/jobs/{id}/cancel", CREATE),
        ("POST", "/api/jobs/{id}/retry", CREATE),
        ("POST", "/api/jobs/{id}/again", CREATE),
        ("POST", "/api/briefs/plan", CREATE),
        ("DELETE", "/api/jobs/{id}", DELETE),
    ],
)
def test_each_call_needs_its_scope(
    site: Site, method: str, path: str, scope: tuple[str, ...]
) -> None:
    job_id = site.upload(MP4_HEAD)
    others = [each for each in api_keys.SCOPES if each not in scope]
    good, bad = make_key(site, *scope)["key"], make_key(site, *others)["key"]
    for _ in range(2):  # the second answer may come from what the first one left
        answer = call(site, bad, method, path.format(id=job_id))
        assert answer.status_code == 403
        assert answer.headers["WWW-Authenticate"] == (
            f'Bearer error="insufficient_scope", scope="{scope[0]}"'
        )
        if method != "HEAD":
            assert answer.json["code"] == "insufficient_scope"
    assert call(site, good, method, path.format(id=job_id)).status_code not in (401, 403)


def test_a_status_that_is_kept_ready_is_not_for_a_key_that_may_not_read(site: Site) -> None:
    url = f"/api/jobs/{site.upload(MP4_HEAD)}"
    good, bad = make_key(site, "read")["key"], make_key(site, "create", "delete")["key"]
    tag = [call(site, good, "GET", url) for _ in range(2)][-1].headers["ETag"]
    for _ in range(2):
        assert call(site, bad, "GET", url).status_code == 403
        seen = call(site, bad, "GET", url, environ_base={"HTTP_IF_NONE_MATCH": tag})
        assert seen.status_code == 403


def test_a_key_that_may_not_read_sees_no_job_in_an_answer(site: Site) -> None:
    job_id = site.upload(MP4_HEAD)
    key = make_key(site, "create")["key"]
    assert call(site, key, "POST", f"/api/jobs/{job_id}/cancel").status_code == 200
    answer = call(site, key, "POST", f"/api/jobs/{job_id}/retry")
    assert (answer.status_code, answer.json) == (202, {"jobId": job_id, "status": "queued"})


# -- what a key holds ---------------------------------------------------------------------------


def test_a_key_queues_so_many_files_and_no_more(site: Site) -> None:
    change_settings(site.app, max_queued_files_per_key=2)
    one, other = make_key(site)["key"], make_key(site)["key"]
    first = upload(site, one)
    assert [upload(site, one).status_code for _ in range(2)] == [202, 429]
    refused = upload(site, one)
    assert (refused.json["code"], refused.headers["Retry-After"]) == ("key_queue_full", "60")
    again = call(site, one, "POST", first.json["statusUrl"] + "/again", json={})
    assert again.status_code == 429
    assert upload(site, other).status_code == 202
    assert site.post(file_part(MP4_HEAD)).status_code == 202
    cancelled = first.json["statusUrl"] + "/cancel"
    assert call(site, one, "POST", cancelled).status_code == 200
    assert upload(site, one).status_code == 202
    assert site.post_action(first.json["jobId"], "retry").status_code == 429


def test_keys_do_not_share_their_idempotency_keys(site: Site) -> None:
    one, other = make_key(site)["key"], make_key(site)["key"]

    def post(headers: dict[str, str]) -> Any:
        named = {**headers, "Idempotency-Key": "same"}
        return site.client.post("/api/jobs", data=BODY, content_type=FORM_TYPE, headers=named)

    answers = [post(Server.bearer(one)), post(Server.bearer(other)), post(site.headers)]
    assert len({answer.json["jobId"] for answer in answers}) == 3
    again = site.client.post("/api/auth", json={"password": PASSWORD}).json["token"]
    assert post(Server.bearer(again)).data == answers[2].data  # another session, the same person


def test_an_upload_ends_with_a_401_when_its_key_is_revoked_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, make_draft = make_key(site), jobs.make_draft

    def revoked_meanwhile(*args: Any, **named: Any) -> Any:
        with closing(site.connect()) as db, exclusive(db, "sign-in"):
            api_keys.revoke(db, key["id"])
        return make_draft(*args, **named)

    monkeypatch.setattr(jobs, "make_draft", revoked_meanwhile)
    assert upload(site, key["key"]).status_code == 401
    assert site.rows("SELECT * FROM job") == []
    assert {path.name for path in site.upload_dir.iterdir()} == {".database"}


# -- ending all sessions ------------------------------------------------------------------------


def test_every_token_and_link_is_void_at_once_and_keys_are_good(site: Site) -> None:
    key, job_id = make_key(site)["key"], make_job(site.server).id
    link = site.show(job_id)["files"][0]["outputs"][0]["url"]
    assert site.client.get(link).status_code == 200
    before = site.client.get(f"/api/jobs/{job_id}", headers=site.headers).headers["ETag"]
    answer = site.client.post("/api/auth/revoke-all", headers=site.headers)
    assert (answer.status_code, answer.json) == (200, {"status": "signed out"})
    for path in ("/api/jobs", f"/api/jobs/{job_id}"):
        assert site.client.get(path, headers=site.headers).status_code == 401
    assert site.client.get(link).status_code == 401
    shown = call(site, key, "GET", f"/api/jobs/{job_id}")
    assert shown.headers["ETag"] != before
    assert site.client.get(shown.json["files"][0]["outputs"][0]["url"]).status_code == 200
    new = site.client.post("/api/auth", json={"password": PASSWORD}).json["token"]
    assert call(site, new, "GET", f"/api/jobs/{job_id}").status_code == 200


def test_an_upload_ends_with_a_401_when_all_are_signed_out_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_draft = jobs.make_draft

    def signed_out(*args: Any, **named: Any) -> Any:
        with closing(site.connect()) as db, exclusive(db, "sign-in"):
            state.end_sessions(db)
        return make_draft(*args, **named)

    monkeypatch.setattr(jobs, "make_draft", signed_out)
    assert site.post(file_part(MP4_HEAD)).status_code == 401
    assert site.rows("SELECT * FROM job") == []


# -- the audit ----------------------------------------------------------------------------------


def test_the_audit_says_who_did_what_to_which_job(site: Site) -> None:
    key = make_key(site)
    job_id = upload(site, key["key"]).json["jobId"]
    url = f"/api/jobs/{job_id}"
    call(site, key["key"], "POST", f"{url}/cancel")
    call(site, key["key"], "POST", f"{url}/cancel")  # refused: nothing was done
    site.post_action(job_id, "retry")
    again = call(site, key["key"], "POST", f"{url}/again", json={}).json["jobId"]
    site.client.delete(url, headers=site.headers)
    assert call(site, key["key"], "DELETE", url).status_code == 404
    revoke(site, key)
    site.client.post("/api/auth", json={"password": "wrong"})
    site.client.post("/api/auth/revoke-all", headers=site.headers)
    assert acts(site) == [
        ("session", "sign-in", None),
        ("session", "key.create", None),
        ("key", "job.create", job_id),
        ("key", "job.cancel", job_id),
        ("session", "job.retry", job_id),
        ("key", "job.again", again),
        ("session", "job.delete", job_id),
        ("session", "key.revoke", None),
        ("nobody", "sign-in.failed", None),
        ("session", "sign-out.all", None),
    ]
    of_key = acts(site, actor=f"key {key['id']}")
    assert [action for _, action, _ in of_key] == ["job.create", "job.cancel", "job.again"]
    sessions = site.rows("SELECT DISTINCT actor FROM audit WHERE actor LIKE 'session %'")
    assert len(sessions) == 1  # the one that signed in did all of it
    rows = " ".join(map(str, site.rows("SELECT * FROM audit")))
    assert key["key"] not in rows
    assert "wrong" not in rows


def test_an_act_that_is_not_done_is_not_in_the_audit(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(audit, "record", fails)
    assert site.post(file_part(MP4_HEAD)).status_code == 507
    assert site.rows("SELECT * FROM job") == []  # one transaction


def test_the_housekeeping_removes_what_is_older_than_audit_days(site: Site) -> None:
    change_settings(site.app, audit_days=2)
    house = House(site)
    with closing(site.connect()) as db, exclusive(db, "sign-in"):
        db.write("DELETE FROM audit")
        for age in (0.5, 1.5, 2.5, 90.5):
            audit.record(db, audit.Actor("key a", None), "sign-in", AT - age * DAY)
    house.after(60)
    assert len(acts(site)) == 2


def test_many_keys_are_no_memory_that_grows(site: Site) -> None:
    known = site.app.extensions["known_keys"]
    known.update({str(n): None for n in range(bearers.MAX_KNOWN)})
    key = make_key(site)["key"]
    assert call(site, key, "GET", "/api/jobs").status_code == 200
    assert len(known) == 1


# -- several processes --------------------------------------------------------------------------


@pytest.mark.sqlite_only
def test_revoking_and_signing_out_hold_at_once_in_every_process(own_server: Server) -> None:
    own_server.start()
    json_type = {"Content-Type": "application/json", **own_server.bearer(own_server.token)}
    sent = '{"name": "script", "scopes": ["read"]}'
    key = own_server.request("POST", "/api/keys", sent, json_type).json
    url = own_server.upload(MP4_HEAD).json["statusUrl"]

    def statuses(token: str) -> set[int]:
        with ThreadPoolExecutor(8) as clients:
            paths = ["/api/jobs", url] * 16
            return set(clients.map(lambda path: own_server.get(path, token).status, paths))

    assert statuses(key["key"]) == statuses(own_server.token) == {200}
    assert own_server.request("DELETE", f"/api/keys/{key['id']}", None, json_type).status == 200
    assert statuses(key["key"]) == {401}
    assert own_server.request("POST", "/api/auth/revoke-all", None, json_type).status == 200
    assert statuses(own_server.token) == {401}
    assert key["key"] not in own_server.log()
