"""GET /metrics: with its own token alone, over all web processes and workers."""

import re
import subprocess

import pytest
import yaml
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from tests.support import PROJECT, Server, field_part, file_part, form, wait_for

TOKEN = "token-of-metrics"


@pytest.fixture
def metered(own_server: Server) -> Server:
    own_server.settings |= {
        "METRICS_TOKEN": TOKEN,
        "METRICS_DIR": str(own_server.folder / "metrics"),
        "ENCODER_PRESET": "ultrafast",
    }
    return own_server.start()


def text_of(server: Server) -> str:
    answer = server.get("/metrics", TOKEN)
    assert (answer.status, answer.headers["Content-Type"].split(";")[0]) == (200, "text/plain")
    return answer.body.decode()


def values(server: Server, name: str, **labels: str) -> float:
    """The sum of the samples of a name that have these labels."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(text_of(server))
        for sample in family.samples
        if sample.name == f"jobserver_{name}" and labels.items() <= sample.labels.items()
    )


def test_without_its_token_there_are_no_metrics(app: Flask) -> None:
    answer = app.test_client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.json["error"]) == (404, "Not found")


def test_a_job_is_seen_from_its_upload_to_its_download(metered: Server, clip: bytes) -> None:
    body = form(
        file_part(clip),
        file_part(b"\x00\x00\x00\x18ftypisom" + bytes(900), "bad.mp4"),
        field_part("variations", "2"),
    )
    job_id = metered.post(body).json["jobId"]
    assert values(metered, "queue_files") == 2
    assert values(metered, "queue_head_age_seconds") >= 0
    assert values(metered, "received_bytes_total") >= len(body)
    assert metered.flask("worker", "--once").returncode == 0
    job = metered.get(f"/api/jobs/{job_id}", metered.token).json
    output = job["files"][0]["outputs"][0]
    file = metered.get(f"/api/jobs/{job_id}/outputs/{output['id']}", metered.token).body
    metered.get(f"/api/jobs/{'x' * 22}/secret/path", metered.token)

    assert values(metered, "queue_files") == values(metered, "queue_head_age_seconds") == 0
    assert values(metered, "files_total", state="completed") == 1
    assert values(metered, "files_total", state="failed") == 1
    assert values(metered, "jobs_total", state="completed") == 1
    assert values(metered, "outputs_total", state="ready") == 2
    assert values(metered, "rendered_frames_total") == 2 * 13
    assert values(metered, "render_failures_total") == 1
    assert values(metered, "storage_used_bytes") > len(clip)
    assert values(metered, "storage_free_bytes") > 0
    assert values(metered, "webhook_deliveries") == 0
    rule = "/api/jobs/<job_id>/outputs/<output_id>"
    counted = {"method": "GET", "route": rule, "status": "200"}
    wait_for(lambda: values(metered, "requests_total", **counted) == 1, 5, "the download")
    assert values(metered, "sent_bytes_total") > len(file)
    assert values(metered, "requests_total", route="/api/jobs", method="POST", status="202") == 1
    text = text_of(metered)
    assert job_id not in text
    assert "secret" not in text
    assert TOKEN not in text + metered.log()


def test_only_its_token_opens_metrics_and_it_opens_nothing_else(metered: Server) -> None:
    for token in (None, "", TOKEN[:-1], f"{TOKEN}x", metered.token):
        answer = metered.get("/metrics", token)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert metered.get("/api/jobs", TOKEN).status == 401
    assert values(metered, "requests_total", route="/metrics", status="401") == 5


def test_polls_are_counted_whichever_way_they_are_answered(metered: Server, clip: bytes) -> None:
    job_id = metered.upload(clip).json["jobId"]
    first = metered.get(f"/api/jobs/{job_id}", metered.token)
    for _ in range(5):
        metered.get(f"/api/jobs/{job_id}", metered.token, If_None_Match=first.headers["ETag"])
    route = "/api/jobs/<job_id>"
    wait_for(lambda: values(metered, "requests_total", route=route) == 6, 5, "six requests")


def test_metrics_are_there_while_the_database_is_not(metered: Server) -> None:
    metered.database.rename(metered.database.with_suffix(".away"))
    assert values(metered, "database_up") == 0
    assert values(metered, "build") == 1


def test_a_folder_that_cannot_be_made_stops_the_start(own_server: Server) -> None:
    file = own_server.folder / "file"
    file.touch()
    own_server.settings |= {"METRICS_TOKEN": TOKEN, "METRICS_DIR": str(file / "metrics")}
    done = own_server.flask("init-db")
    assert done.returncode != 0
    assert "METRICS_DIR cannot be used" in done.stderr


def test_alerts_name_metrics_that_there_are(metered: Server) -> None:
    """Also those that nothing has happened of yet: by the definitions."""
    source = "".join(path.read_text() for path in PROJECT.glob("jobserver/*/m*.py"))
    rules = yaml.safe_load((PROJECT / "deploy/prometheus.rules.yaml").read_text())
    docs = (PROJECT / "docs/operations.md").read_text()
    for rule in rules["groups"][0]["rules"]:
        for name in names_in(rule["expr"]):
            stem = name.removeprefix("jobserver_").removesuffix("_total").removesuffix("_bucket")
            assert f'"{stem}"' in source or f'"jobserver_{stem}"' in source, name
        assert f"| `{rule['alert']}` |" in docs


@pytest.mark.tools
def test_promtool_finds_nothing_wrong_with_the_alerts() -> None:
    rules = PROJECT / "deploy/prometheus.rules.yaml"
    done = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True)
    found = rules.read_text().count("- alert:")
    assert (done.returncode, f"SUCCESS: {found} rules found" in done.stdout) == (0, True), done


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"jobserver_[a-z_]+", expression))
