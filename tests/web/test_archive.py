"""Downloads of a job: the names of files, the manifest, and the ZIP of what is published."""

import csv
import gc
import hashlib
import io
import json
import resource
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from werkzeug.http import parse_options_header

from jobserver import render
from jobserver.placements import PLACEMENTS
from jobserver.web.manifest import harmless
from jobserver.web.names import content_disposition
from jobserver.worker.render_thread import RenderThread
from tests.results import Clip, Job, make_job
from tests.support import Site

pytestmark = pytest.mark.both_databases

HOSTILE = {
    "quotes": 'a "quoted" name.mp4',
    "line breaks": "a\r\nSet-Cookie: b=c\r\n\r\n<html>.mp4",
    "NUL": "a\0b.mp4",
    "DEL and C1": "a\x7fb\x85c\x9f.mp4",
    "bidi": "a\u202egpj.mp4",
    "other bidi": "\u2066\u061c\u200f.mp4",
    "300 Chinese characters": "视" * 300 + ".mp4",
    "slashes": "../../etc\\passwd",
    "percent": "100%41.mp4",
    "semicolon": "a; filename=evil.mp4",
    "letters that decompose into slashes and quotes": "\u2100\uff0f\uff3c\uff02.mp4",
    "lone surrogate": "a\udc80.mp4",
    "NFD": "e\u0301.mp4",
    "dots": "....",
    "nothing": "",
}


def download(site: Site, job: Job, **headers: str):
    return site.client.get(job.download, headers={**site.headers, **headers})


def unzipped(site: Site, job: Job) -> zipfile.ZipFile:
    answer = download(site, job)
    assert answer.status_code == 200, answer.json
    assert answer.content_length == len(answer.data)
    return zipfile.ZipFile(io.BytesIO(answer.data))


def manifest_of(read: zipfile.ZipFile):
    assert read.namelist()[0] == "manifest.json"
    return json.loads(read.read("manifest.json"))


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("inline", [False, True])
def test_a_content_disposition_is_one_harmless_line_of_ascii(name: str, inline: bool):
    header = content_disposition(name, inline)
    assert header.isascii()
    assert header.isprintable()
    kind, options = parse_options_header(header)
    assert kind == ("inline" if inline else "attachment")
    assert set(options) == {"filename"}
    assert not set(options["filename"]) & set("/\\\r\n\0\u202e")
    plain = header.split('filename="', 1)[1].split('"', 1)
    assert not set(plain[0]) & set('/\\%"')
    assert plain[1].startswith("; filename*=UTF-8''")
    assert plain[1].count(";") == 1


@pytest.mark.parametrize("name", ["视频.mp4", "é ü.mp4", "a'b.mp4", "plain.mp4", "50% off.mp4"])
def test_a_harmless_name_arrives_as_it_was(name: str):
    assert parse_options_header(content_disposition(name, False))[1]["filename"] == name


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_an_output_of_any_source_name_can_be_downloaded(site: Site, name: str):
    job = make_job(site.server, Clip(name.encode("utf-8", "replace").decode()[:255], [b"content"]))
    answer = site.client.get(job.output(), headers=site.headers)
    assert (answer.status_code, answer.data) == (200, b"content")
    assert answer.headers["Content-Disposition"].startswith("attachment; ")
    assert "_var1.mp4" in answer.headers["Content-Disposition"]
    with unzipped(site, job) as read:
        folder = read.namelist()[2].split("/")
        assert len(folder) == 2
        assert folder[0].startswith("01_")
        assert all(part.isprintable() for part in folder)


def test_an_output_is_inline_when_a_player_asks_for_it(site: Site):
    job = make_job(site.server, Clip("holiday.mp4"))
    answer = site.client.get(job.output() + "?inline=1", headers=site.headers)
    assert answer.headers["Content-Disposition"].startswith('inline; filename="holiday_var1.mp4"')
    assert answer.headers["Content-Type"] == "video/mp4"


def test_a_zip_has_a_folder_a_source_and_lists_the_manifest_first(site: Site):
    sources = [Clip("a.mp4", [b"1", b"2"]), Clip("a.mp4", [b"3"]), Clip("../b.mp4", [b"4"])]
    with unzipped(site, make_job(site.server, *sources)) as read:
        assert read.testzip() is None
        assert read.namelist() == [
            *("manifest.json", "manifest.csv"),
            *("01_a/a_var1.mp4", "01_a/a_var2.mp4", "02_a_2/a_2_var1.mp4", "03_b/b_var1.mp4"),
        ]
        by_place = sorted(read.infolist(), key=lambda each: each.header_offset)
        assert by_place[-2:] == read.infolist()[:2]
        assert [read.read(name) for name in read.namelist()[2:]] == [b"1", b"2", b"3", b"4"]


def test_the_manifest_lists_every_member_with_its_sha256(site: Site):
    job = make_job(site.server, Clip("a.mp4"), Clip("视频.mp4", [b"third" * 1000]))
    with unzipped(site, job) as read:
        manifest = manifest_of(read)
        sources = manifest["sources"]
        listed = {each["path"]: each for source in sources for each in source["outputs"]}
        assert set(listed) == set(read.namelist()[2:])
        for path, output in listed.items():
            content = read.read(path)
            assert hashlib.sha256(content).hexdigest() == output["sha256"]
            assert len(content) == output["size"]
            assert output["madeWith"]
            assert output["parameters"] == {"zoom": 0.01 * output["index"]}
        assert [source["name"] for source in sources] == ["a.mp4", "视频.mp4"]
        assert (manifest["jobId"], manifest["seed"], manifest["recipe"]) == (job.id, 7, "subtle")


def test_the_answer_names_a_zip_and_its_etag(site: Site):
    job = make_job(site.server)
    answer = download(site, job)
    assert answer.headers["Content-Type"] == "application/zip"
    assert 'filename="clip_variations.zip"' in answer.headers["Content-Disposition"]
    assert answer.headers["ETag"].startswith('"')
    assert answer.headers["Cache-Control"] == "private, no-cache"  # it may grow
    again = download(site, job, If_None_Match=answer.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")


def test_a_zip_that_grew_has_another_etag(site: Site):
    first, second = (make_job(site.server, Clip(outputs=[b"1"] * n)) for n in (1, 2))
    assert download(site, first).headers["ETag"] != download(site, second).headers["ETag"]


def choose(site: Site, job: Job, ids: list[str] | str):
    chosen = ids if isinstance(ids, str) else ",".join(ids)
    return site.client.get(f"{job.download}?outputs={chosen}", headers=site.headers)


def test_a_zip_of_chosen_outputs_has_these_alone(site: Site):
    job = make_job(site.server, Clip("a.mp4", [b"1", b"2", b"3"]), Clip("b.mp4", [b"4"]))
    chosen = [job.outputs[3], job.outputs[1], job.outputs[1]]
    answer = choose(site, job, chosen)
    posted = site.client.post(job.download, json={"outputs": chosen}, headers=site.headers)
    assert (answer.status_code, posted.status_code) == (200, 200)
    assert answer.data == posted.data
    with zipfile.ZipFile(io.BytesIO(answer.data)) as read:
        assert read.testzip() is None
        assert read.namelist()[2:] == ["01_a/a_var2.mp4", "02_b/b_var1.mp4"]
        listed = [each for source in manifest_of(read)["sources"] for each in source["outputs"]]
        assert [each["id"] for each in listed] == [job.outputs[1], job.outputs[3]]
        assert len(read.read("manifest.csv").splitlines()) == 3
    rest = choose_range(site, job, chosen, len(answer.data) - 10)
    assert (rest.status_code, rest.data) == (206, answer.data[-10:])


def choose_range(site: Site, job: Job, ids: list[str], start: int):
    headers = {**site.headers, "Range": f"bytes={start}-"}
    return site.client.get(f"{job.download}?outputs={','.join(ids)}", headers=headers)


def test_a_signed_link_opens_a_choice_as_well(site: Site):
    job = make_job(site.server)
    url = f"{site.show(job.id)['downloadUrl']}&outputs={job.outputs[0]}"
    with zipfile.ZipFile(io.BytesIO(site.client.get(url).data)) as read:
        assert len(read.namelist()) == 3


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_choice_that_cannot_be_made_is_refused(site: Site, method: str):
    job, other = make_job(site.server), make_job(site.server)

    def status(ids: Any) -> int:
        if method == "get":
            return choose(site, job, ids).status_code
        return site.client.post(
            job.download, json={"outputs": ids}, headers=site.headers
        ).status_code

    assert status([job.outputs[0], other.outputs[0]]) == 404
    assert status(["unknown"]) == 404
    assert status("") == status([job.outputs[0], ""]) == 400
    if method == "post":
        assert status([]) == status([7]) == status({"a": 1}) == 400
        assert status(["x" * 22] * 4000) == 413


def test_the_manifest_as_csv_has_a_line_an_output(site: Site):
    axes = {"video": "a.mp4", "hook": None, "format": "9:16", "length": "full", "mirror": False}
    job = make_job(site.server, Clip("a.mp4", [b"1", b"22"]), axes=axes)
    with unzipped(site, job) as read:
        text = read.read("manifest.csv").decode()
        lines = list(csv.DictReader(io.StringIO(text)))
        assert [line["path"] for line in lines] == read.namelist()[2:]
    assert [(line["video"], line["hook"], line["format"], line["mirror"]) for line in lines] == [
        ("a.mp4", "", "9:16", "false")
    ] * 2
    assert [line["size"] for line in lines] == ["1", "2"]
    assert [line["outputId"] for line in lines] == job.outputs
    assert text.endswith("\r\n")


def test_status_and_manifests_say_which_placements_an_output_fits(site: Site):
    measured = {"width": 1080, "height": 1920, "duration": 8.0}
    job = make_job(site.server, Clip("a.mp4", [b"1" * 600_000]), measured=measured)
    with unzipped(site, job) as read:
        listed = manifest_of(read)["sources"][0]["outputs"][0]["placements"]
        (line,) = csv.DictReader(io.StringIO(read.read("manifest.csv").decode()))
    assert listed == site.show(job.id)["files"][0]["outputs"][0]["placements"]
    assert [name for name, reasons in listed.items() if not reasons] == line["placements"].split(
        "; "
    )
    assert set(listed) == {placement.name for placement in PLACEMENTS}
    assert listed["Meta Reels"] == []
    assert listed["LinkedIn"] == []


def test_an_output_that_was_not_measured_has_no_placements(site: Site):
    job = make_job(site.server, Clip("a.mp4", [b"1"]))
    with unzipped(site, job) as read:
        assert manifest_of(read)["sources"][0]["outputs"][0]["placements"] is None
        (line,) = csv.DictReader(io.StringIO(read.read("manifest.csv").decode()))
    assert line["placements"] == ""
    assert site.show(job.id)["files"][0]["outputs"][0]["placements"] is None


@pytest.mark.parametrize(
    "name",
    [
        *("=1+1.mp4", "+1.mp4", "-1.mp4", "@SUM(A1).mp4", "\t=1.mp4", "\r\n=1.mp4", " =1.mp4"),
        *("a;=1.mp4", "a,=1.mp4", 'a"=1.mp4', "a\n=1.mp4", "a|=1.mp4", "\uff1d1.mp4", "';=1.mp4"),
    ],
)
def test_no_spreadsheet_takes_a_name_for_a_formula(name: str):
    cell = harmless(name)
    begins = ("=", "+", "-", "@", "\uff1d")
    for separator in ("\0", "\t", "\r", "\n", ";", ",", "|", '"'):
        for piece in cell.split(separator):
            assert not piece.strip().startswith(begins)
    assert cell.replace("'", "") == name.replace("'", "")


@pytest.mark.parametrize("value", ["clip-1.mp4", "a=b", "9:16", 7, -14.1, None, "x@y.z"])
def test_harmless_cells_stay_as_they_are(value: Any):
    assert harmless(value) == value


@pytest.mark.parametrize("status", ["processing", "cancelled", "failed", "queued"])
def test_what_is_published_of_an_unfinished_job_can_be_downloaded(site: Site, status: str):
    job = make_job(
        site.server, Clip("a.mp4"), Clip("b.mp4", [b"one"], status), Clip("c", [], status)
    )
    with unzipped(site, job) as read:
        assert len(read.namelist()) == 5
        sources = manifest_of(read)["sources"]
        assert [source["status"] for source in sources] == ["completed", status, status]
        assert [len(source["outputs"]) for source in sources] == [2, 1, 0]


@pytest.mark.parametrize("status", ["queued", "processing", "cancelled", "failed"])
def test_a_job_without_outputs_is_a_409(site: Site, status: str):
    answer = download(site, make_job(site.server, Clip(outputs=[], status=status)))
    assert answer.status_code == 409
    assert answer.json == {
        "error": "No variation of the job is ready yet",
        "code": "nothing_to_download",
    }


def test_an_unknown_job_is_a_404(site: Site):
    answer = site.client.get("/api/jobs/unknown/download", headers=site.headers)
    assert (answer.status_code, answer.json) == (
        404,
        {"error": "Job not found", "code": "job_not_found"},
    )


def test_a_removed_job_is_a_410_and_stays_one(site: Site):
    job = make_job(site.server)
    assert site.client.delete(job.url, headers=site.headers).status_code == 200
    for path in (job.download, job.output(), f"{job.output()}/thumbnail"):
        answer = site.client.get(path, headers=site.headers)
        assert (answer.status_code, answer.json) == (
            410,
            {"error": "The job has expired", "code": "job_expired"},
        )
    assert site.client.get(job.url, headers=site.headers).status_code == 404


def test_an_output_of_another_job_is_a_404(site: Site):
    mine, other = make_job(site.server), make_job(site.server)
    answer = site.client.get(f"{mine.url}/outputs/{other.outputs[0]}", headers=site.headers)
    assert (answer.status_code, answer.json) == (
        404,
        {"error": "Output not found", "code": "output_not_found"},
    )


def test_an_output_whose_file_vanished_is_a_410(site: Site):
    job = make_job(site.server)
    job.paths[0].unlink()
    answer = site.client.get(job.output(), headers=site.headers)
    assert (answer.status_code, answer.json) == (
        410,
        {"error": "The file is gone", "code": "file_gone"},
    )
    assert site.client.get(job.output(1), headers=site.headers).status_code == 200


@pytest.mark.parametrize("change", ["gone", "shorter", "longer"])
def test_a_zip_with_a_missing_member_fails_before_its_first_byte(site: Site, change: str):
    job = make_job(site.server)
    if change == "gone":
        job.paths[1].unlink()
    else:
        job.paths[1].write_bytes(b"!" if change == "shorter" else b"!" * 1000)
    answer = download(site, job)
    assert (answer.status_code, answer.json) == (
        410,
        {"error": "The file is gone", "code": "file_gone"},
    )


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let this process open so many more files, and no others, whatever it holds."""
    gc.collect()  # files that are no longer used must not be closed in between
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    with ExitStack() as taken:
        taken.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        files = []
        with suppress(OSError):
            while True:
                files.append(taken.enter_context(open("/dev/null")))
        for file in files[:count]:
            file.close()
        yield


def test_too_many_open_files_are_a_503_and_not_a_410(site: Site):
    job = make_job(site.server, Clip(outputs=[b"x"] * 20), Clip(outputs=[b"x"] * 20))
    with download(site, job) as answer:
        assert answer.status_code == 200
    with descriptors_left(20), download(site, job) as answer:
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
    with download(site, job) as answer:
        assert answer.status_code == 200


def test_outputs_rendered_again_from_the_manifest_are_the_same_byte_for_byte(
    site: Site, render_thread: RenderThread, clip: bytes, tmp_path: Path
):
    job = Job(site.upload(clip, variations="2", seed="41"), [], [])
    while render_thread.work_once():
        pass
    with unzipped(site, job) as read:
        manifest = manifest_of(read)
        (source,) = manifest["sources"]
        assert source["sha256"] == hashlib.sha256(clip).hexdigest()
        assert source["size"] == len(clip)
        path = tmp_path / "again.mp4"
        path.write_bytes(clip)
        settings = render.Settings(encoding=render.Encoding(preset="ultrafast"))
        for each in source["outputs"]:
            parameters = render.parameters(manifest["seed"], each["index"], manifest["recipe"])
            assert each["parameters"] == dict(parameters.values)
            assert "ffmpeg" in each["madeWith"]
            assert "ultrafast" in each["madeWith"]
        recipe = manifest["recipe"]
        wanted = [(render.parameters(41, n, recipe), tmp_path / f"{n}.mp4") for n in (1, 2)]
        list(render.render(path, render.probe(path, settings), wanted, settings))
        for each in source["outputs"]:
            assert (tmp_path / f"{each['index']}.mp4").read_bytes() == read.read(each["path"])
