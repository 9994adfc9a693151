"""OpenAPI: every route is in it, and the real server answers as it says."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator

from jobserver.web.error_codes import CODES
from jobserver.web.openapi import downloads
from jobserver.web.openapi import operations as operations_table
from jobserver.web.openapi.document import routes
from jobserver.web.openapi.table import OPERATIONS
from jobserver.web.pages import POLICY
from tests.openapi import SCHEMAS, Contract
from tests.results import Clip, make_job
from tests.support import FORM_TYPE, MP4_HEAD, PASSWORD, Server, Site, field_part, file_part, form
from tests.tus import OFFSET_TYPE, VERSION, Uploads, metadata, video

AXES = {
    **dict.fromkeys(("hook", "ending", "headline", "music", "look")),
    **{"video": "a.mp4", "format": "9:16", "length": 6.5, "speed": 1, "mirror": False},
}
# What a worker has measured of each output.
MEASURED = {"source_bits": 12.5, "opening_bits": 3.0, "nearest_bits": 2.0}


@pytest.fixture
def document(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = site.client.get("/api/openapi.json").json
    return found


def values(document: Any, name: str) -> Iterator[Any]:
    """Yield what each key of this name has, at any depth."""
    if isinstance(document, dict):
        if name in document:
            yield document[name]
        for each in document.values():
            yield from values(each, name)
    elif isinstance(document, list):
        for each in document:
            yield from values(each, name)


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def test_every_route_is_described(app: Flask) -> None:
    assert {f"{method} {rule}" for method, rule, _ in routes(app)} - set(OPERATIONS) == set()


def test_every_code_that_is_named_is_in_the_table_of_codes(document: dict[str, Any]) -> None:
    for operation in (*operations_table.OPERATIONS.values(), *downloads.OPERATIONS.values()):
        assert set(operation.errors) <= set(CODES)
    assert set(document["x-error-codes"]) == set(CODES)
    for operation in operations(document):
        for status, answer in operation["responses"].items():
            assert all(CODES[code].status == int(status) for code in answer.get("x-codes", ()))


def test_every_reference_leads_somewhere_and_every_schema_is_one(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    references = [each for each in values(document, "$ref") if isinstance(each, str)]
    for reference in references:
        kind, _, name = reference.removeprefix("#/components/").partition("/")
        assert name in document["components"][kind]
    assert {"Job", "Error", "Brief", "BriefHeadline"} <= set(schemas)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    assert "x-schema" not in json.dumps(document)


def test_every_operation_has_a_name_of_its_own_and_parameters_of_its_path(
    document: dict[str, Any],
) -> None:
    names = [operation["operationId"] for operation in operations(document)]
    assert len(names) == len(set(names))
    for path, methods in document["paths"].items():
        for operation in methods.values():
            here = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert here == set(re.findall(r"\{(\w+)\}", path))


def test_only_what_is_public_needs_no_token(document: dict[str, Any]) -> None:
    public = {each["operationId"] for each in operations(document) if not each["security"]}
    assert public == {"sign_in", "show_health", "openapi", "docs"}


def test_it_says_of_each_operation_what_a_key_may_not_do(document: dict[str, Any]) -> None:
    by_password = {"create_key", "list_keys", "revoke_key", "revoke_all"}
    for each in operations(document):
        refused = each["responses"].get("403", {}).get("x-codes", [])
        code = "session_required" if each["operationId"] in by_password else "insufficient_scope"
        assert refused == ([code] if each["security"] else []), each["operationId"]


def test_whatever_queues_a_file_may_find_the_queue_of_its_key_full(
    document: dict[str, Any],
) -> None:
    found = {
        each["operationId"]
        for each in operations(document)
        if "key_queue_full" in each["responses"].get("429", {}).get("x-codes", [])
    }
    assert found == {"create_job", "make_again", "retry_job"}


def test_the_document_names_the_path_it_is_mounted_at(site: Site) -> None:
    for prefix in ("", "/videos"):
        answer = site.client.get("/api/openapi.json", base_url=f"http://localhost{prefix}")
        assert answer.json["servers"] == [{"url": prefix or "/"}]
    known = {"If-None-Match": answer.headers["ETag"]}
    again = site.client.get("/api/openapi.json", base_url="http://localhost/videos", headers=known)
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/api/openapi.json", "/api/docs"])
def test_it_is_public_and_protected_as_the_page_is(app: Flask, path: str) -> None:
    answer = app.test_client().get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"] == POLICY.format(store="")


def test_the_page_has_every_call_code_and_shape_and_loads_nothing_from_elsewhere(
    site: Site, document: dict[str, Any]
) -> None:
    page = site.client.get("/api/docs").text
    for path, methods in document["paths"].items():
        assert all(f"{method.upper()} {path}</code></h2>" in page for method in methods)
    assert all(f"<code>{code}</code></th>" in page for code in CODES)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert {each.removeprefix(SCHEMAS) for each in document["components"]["schemas"]} <= set(ids)
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?:https?:)?//', page) == []


def key_of(server: Server, *scopes: str) -> dict[str, str]:
    """Make a key; return its id and itself."""
    body = json.dumps({"name": "a program", "scopes": scopes})
    found: dict[str, str] = server.request(
        "POST", "/api/keys", body, Server.bearer(server.token)
    ).json
    return found


def test_the_real_server_answers_as_it_says(own_server: Server) -> None:
    # Not among these: /metrics, which is no part of the API, and OPTIONS, which describes itself.
    server = own_server.start()
    contract = Contract(server.get("/api/openapi.json").json)
    token = server.token
    done = make_job(
        server, Clip(), Clip("b.mp4", status="failed", outputs=()), axes=AXES, title="x"
    )
    measured = make_job(server, measured=MEASURED)
    key, revoked = key_of(server, "read"), key_of(server, "create", "delete")
    uploads, content = Uploads(server), video(1000)
    begun, unwanted, dropped, whole = (uploads.begin(len(content)) for _ in range(4))
    described = {
        **VERSION,
        "Upload-Length": str(len(content)),
        "Upload-Metadata": metadata(filename="a.mp4", filetype="video/mp4"),
    }
    piece = {**VERSION, **OFFSET_TYPE, "Upload-Offset": "0"}
    of_upload = json.dumps({"videos": [whole.rpartition("/")[2]]})
    hooked = server.upload(
        MP4_HEAD + b"z", webhook="https://example.com/", webhookEvents="output.ready"
    ).json["jobId"]
    waiting = server.upload(MP4_HEAD + b"x" * 100, title="Spring").json["jobId"]
    hooks = form(
        file_part(MP4_HEAD + b"x", "a.mp4"),
        file_part(MP4_HEAD + b"y", "b.mp4", "video/mp4", "hooks"),
        field_part("brief", '{"formats": ["9:16", "1:1"], "hooks": [null, "b.mp4"]}'),
    )
    briefed = server.post(hooks).json["jobId"]
    plan = {"videos": [{"name": "a.mp4", "duration": 9}], "brief": {"speeds": [1, 1.5]}}
    source = server.rows("SELECT id FROM job_file WHERE job_id = ?", done.id)[0][0]
    jobs, zip_ids = "/api/jobs", json.dumps({"outputs": done.outputs})
    calls: list[tuple[str, str, bytes | str | None, dict[str, str]]] = [
        ("GET", "/api/openapi.json", None, {}),
        ("GET", "/api/docs", None, {}),
        ("GET", "/api/health", None, {}),
        ("GET", "/api/storage", None, {}),
        ("POST", "/api/auth", json.dumps({"password": PASSWORD}), {}),
        ("POST", "/api/auth", "{}", {}),
        ("POST", "/api/auth", '{"password": "wrong"}', {}),
        ("GET", jobs, None, {}),
        ("GET", f"{jobs}?limit=1", None, {}),
        ("GET", f"{jobs}?limit=0", None, {}),
        *(("GET", f"{jobs}/{each}", None, {}) for each in (done.id, waiting, briefed, "none")),
        ("GET", f"{jobs}/{done.id}?outputs=false", None, {}),
        ("GET", f"{jobs}/{done.id}", None, {"If-None-Match": "*"}),
        ("GET", done.output(), None, {}),
        ("GET", done.output(), None, {"Range": "bytes=0-1"}),
        ("GET", done.output(), None, {"Range": "bytes=99999-"}),
        ("GET", done.output(), None, {"If-Match": '"other"'}),
        ("GET", f"{done.output()}/thumbnail", None, {}),
        ("GET", f"{jobs}/{done.id}/files/{source}", None, {}),
        ("GET", f"{jobs}/{done.id}/files/{source}/thumbnail", None, {}),
        ("GET", f"{jobs}/{done.id}/outputs/none", None, {}),
        ("GET", done.download, None, {}),
        ("GET", f"{done.download}?outputs=none", None, {}),
        ("POST", done.download, zip_ids, {}),
        ("POST", done.download, "[]", {}),
        ("GET", f"{jobs}/{waiting}/download", None, {}),
        ("GET", f"{jobs}/{waiting}/deliveries", None, {}),
        ("POST", f"{jobs}/{waiting}/deliveries/none/replay", None, {}),
        ("POST", jobs, form(file_part(MP4_HEAD)), {"Content-Type": FORM_TYPE}),
        ("POST", jobs, form(file_part(b"no MP4")), {"Content-Type": FORM_TYPE}),
        ("POST", jobs, hooks.replace(b"9:16", b"3:4"), {"Content-Type": FORM_TYPE}),
        ("POST", "/api/briefs/plan", json.dumps(plan), {}),
        ("POST", "/api/briefs/plan", "{}", {}),
        ("POST", f"{jobs}/{waiting}/again", '{"variations": 2}', {}),
        ("POST", f"{jobs}/{done.id}/retry", None, {}),
        ("POST", f"{jobs}/{waiting}/cancel", None, {}),
        ("POST", f"{jobs}/{waiting}/cancel", None, {}),
        ("DELETE", f"{jobs}/{waiting}", None, {}),
        ("DELETE", f"{jobs}/none", None, {}),
        ("GET", f"{jobs}/{waiting}/download", None, {}),
        ("GET", f"{jobs}/{measured.id}", None, {}),
        ("GET", f"{jobs}/{measured.id}/differences", None, {}),
        ("GET", f"{jobs}/{measured.id}/differences?file=none", None, {}),
        ("GET", f"{jobs}/{done.id}/differences", None, {}),
        ("GET", f"{jobs}/{hooked}/deliveries", None, {}),
        ("POST", f"{jobs}/{hooked}/again", '{"webhookEvents": ["job.failed"]}', {}),
        ("POST", "/api/uploads", "", described),
        ("POST", "/api/uploads", content, {**described, **OFFSET_TYPE}),
        ("POST", "/api/uploads", "", VERSION),
        ("HEAD", begun, None, VERSION),
        ("HEAD", "/api/uploads/none", None, VERSION),
        ("HEAD", begun, None, {}),
        ("PATCH", begun, content[:10], {**piece, "Upload-Checksum": "sha1 AAAA"}),
        ("PATCH", begun, content[:10], piece),
        ("PATCH", begun, content[:10], piece),
        ("PATCH", begun, content[:10], VERSION),
        ("PATCH", whole, content, piece),
        ("POST", unwanted, content[:10], {**piece, "X-HTTP-Method-Override": "PATCH"}),
        ("POST", unwanted, "", {**VERSION, "X-HTTP-Method-Override": "HEAD"}),
        ("POST", unwanted, "", {**VERSION, "X-HTTP-Method-Override": "DELETE"}),
        ("POST", unwanted, "", VERSION),
        ("DELETE", dropped, None, VERSION),
        ("DELETE", dropped, None, VERSION),
        ("POST", jobs, of_upload, {"Content-Type": "application/json"}),
        ("POST", jobs, of_upload, {"Content-Type": "application/json"}),
        ("DELETE", whole, None, VERSION),
        ("POST", "/api/keys", '{"name": "another", "scopes": ["create"]}', {}),
        ("POST", "/api/keys", '{"name": "another", "scopes": []}', {}),
        ("GET", "/api/keys", None, {}),
        ("GET", "/api/keys", "", Server.bearer(key["key"])),
        ("POST", f"{jobs}/{hooked}/cancel", "", Server.bearer(key["key"])),
        ("DELETE", f"/api/keys/{revoked['id']}", None, {}),
        ("DELETE", f"/api/keys/{revoked['id']}", None, {}),
        ("GET", jobs, "", Server.bearer(revoked["key"])),
        ("POST", "/api/auth/revoke-all", None, {}),
        ("GET", jobs, "", {}),
    ]
    seen = set()
    for method, path, body, headers in calls:
        for sent in (token, "bad") if body is None else (token,):
            answer = server.request(
                method, path, body, {"Authorization": f"Bearer {sent}", **headers}
            )
            contract.check(
                method, path, status=answer.status, headers=answer.headers, body=answer.body
            )
            seen.add((contract.operation(method, path)["operationId"], answer.status))
    assert {name for name, _ in seen} >= {
        each["operationId"] for each in operations(contract.document)
    }
    assert {status for _, status in seen} >= {
        *(200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 409, 410, 412, 415, 416, 460),
    }
