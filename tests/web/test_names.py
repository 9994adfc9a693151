"""What a client saves a download as: one name alone and in the ZIP, safe, unlike, readable."""

import io
import subprocess
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from werkzeug.http import parse_options_header

from jobserver.jobs import queries
from jobserver.jobs.model import File
from jobserver.web import names
from tests.results import Clip, Job, make_job
from tests.support import Server, Site
from tests.web.test_archive import HOSTILE

pytestmark = pytest.mark.both_databases

NAMES = [
    *("clip.mp4", "Clip.mp4", "clip.MP4", "clip_2.mp4", "視頻.mp4", "視頻.mov", "Café é.mp4"),
    *("../../a/clip.mp4", "x" * 255, "..."),
]
STEMS = [
    *("clip", "Clip_2", "clip_3", "clip_2_2", "視頻", "視頻_2", "Café é", "clip_4", "x" * 80),
    "video",
]


def file_named(name: str, position: int = 0) -> File:
    return File(
        f"id{position}", "job", position, name, *("stored", 1, "queued", 0.0), *([None] * 9)
    )


def zip_names(site: Site, job: Job) -> list[str]:
    """The paths of the variations in the ZIP."""
    answer = site.client.get(job.download, headers=site.headers)
    with zipfile.ZipFile(io.BytesIO(answer.data)) as read:
        return read.namelist()[2:]


def saved_as(site: Site, path: str) -> tuple[str, str]:
    """Return the exact name that an answer gives its file, and the plain one."""
    header = site.client.get(path, headers=site.headers).headers["Content-Disposition"]
    plain = header.split('filename="', 1)[1].split('"', 1)[0]
    return parse_options_header(header)[1]["filename"], plain


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("clip.mp4", "clip"),
        ("clip", "clip"),
        ("a.b.mp4", "a.b"),
        ("Summer Sale (1).mp4", "Summer Sale (1)"),
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\a.mp4", "a"),
        ("a\0b.mp4", "a_b"),
        ("a\r\nb.mp4", "a__b"),
        ("....", "video"),
        ("", "video"),
        ("/", "video"),
        (".hidden.mp4", "hidden"),
        ("-i.mp4", "i"),
        ("a .mp4", "a"),
        ("what? <now>: *.mp4", "what_ _now"),
        ("\u202egpj.mp4", "gpj"),
        ("a\u00a0b\u3000c.mp4", "a b c"),
        ("a\ufeff\u200b\u2028b.mp4", "a___b"),
        ("\udcff.mp4", "video"),
        ("e\u0301.mp4", "é"),
        ("視频.mp4", "視频"),
        ("نمی‌خواهم.mp4", "نمی‌خواهم"),
        ("👩‍🚀 👍🏽.mp4", "👩‍🚀 👍🏽"),
        ("x" * 300, "x" * 80),
        ("視" * 80 + ".mp4", "視" * 66),
    ],
)
def test_a_stem_is_what_is_harmless_of_a_name_in_the_letters_of_the_client(name: str, stem: str):
    assert names.safe_stem(name) == stem


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_stem_can_be_a_file_on_any_system(name: str, tmp_path: Path):
    stem = names.safe_stem(name)
    assert stem
    assert not set(stem) & set('<>:"/\\|?*\0')
    assert stem.strip(" .") == stem
    assert len(stem) <= 80
    (tmp_path / f"{stem}_12_var20.mp4").touch()


def test_no_two_sources_of_a_job_have_variations_of_the_same_name():
    files = [file_named(name, position) for position, name in enumerate(NAMES)]
    assert list(names.stems(files).values()) == STEMS
    assert names.stems(files) == names.stems(files)
    plain = list(names.plain_stems(files).values())
    assert plain[4:7] == ["video", "video_2", "Cafe e"]
    for found in (STEMS, plain):
        assert len({stem.casefold() for stem in found}) == len(NAMES)


def test_a_variation_has_one_name_alone_and_in_the_zip(site: Site):
    job = make_job(site.server, *(Clip(name, [b"1", b"2"]) for name in NAMES))
    alone = [saved_as(site, job.output(n))[0] for n in range(len(job.outputs))]
    assert alone == [f"{stem}_var{n}.mp4" for stem in STEMS for n in (1, 2)]
    paths = zip_names(site, job)
    assert [path.partition("/")[2] for path in paths] == alone
    assert [path.partition("/")[0] for path in paths][::2] == [
        f"{position:02}_{stem}" for position, stem in enumerate(STEMS, 1)
    ]
    shown = [output for file in site.show(job.id)["files"] for output in file["outputs"]]
    assert [output["downloadName"] for output in shown] == alone


def test_clients_that_read_ascii_alone_get_names_that_differ_too(site: Site):
    job = make_job(site.server, *(Clip(name, [b"1", b"2"]) for name in NAMES))
    plain = [saved_as(site, job.output(n))[1] for n in range(len(job.outputs))]
    assert all(name.isascii() for name in plain)
    assert len({name.casefold() for name in plain}) == len(plain)
    assert plain[8:12:2] == ["video_var1.mp4", "video_2_var1.mp4"]


def test_a_zip_is_named_after_the_first_video(site: Site):
    job = make_job(site.server, Clip("Frühling 視.mp4"), Clip("b.mp4"))
    assert saved_as(site, job.download) == (
        "Frühling 視_variations.zip",
        "Fruhling_variations.zip",
    )
    assert saved_as(site, make_job(site.server, Clip("....")).download)[0] == (
        "video_variations.zip"
    )


@pytest.mark.parametrize(
    ("title", "begin"),
    [
        ("Spring Sale", "Spring Sale_"),
        ("A/B: test?", "A_B_ test_"),
        ("../../etc", "etc_"),
        ("x" * 200, "x" * 40 + "_"),
        ("視" * 200, "視" * 33 + "_"),
        ("...", ""),
    ],
)
def test_a_title_begins_the_names_of_the_zip_and_of_its_files(site: Site, title: str, begin: str):
    job = make_job(site.server, Clip("a.mp4", [b"1"]), Clip("b.mp4", [b"2"]), title=title)
    alone = [saved_as(site, job.output(n))[0] for n in (0, 1)]
    assert alone == [f"{begin}a_var1.mp4", f"{begin}b_var1.mp4"]
    assert zip_names(site, job) == [f"01_a/{alone[0]}", f"02_b/{alone[1]}"]
    shown = [output for file in site.show(job.id)["files"] for output in file["outputs"]]
    assert [output["downloadName"] for output in shown] == alone
    assert saved_as(site, job.download)[0] == f"{begin or 'a_'}variations.zip"


def test_long_titles_and_long_names_leave_room_on_any_file_system():
    videos = [file_named("é" * 255, position) for position in range(3)]
    for title in ("ü" * 200, "視" * 200, "👩‍🚀" * 60):
        found = names.stems(videos, title)
        assert all(
            len(stem) <= 82 and len(f"{stem}_var20.mp4".encode()) < 255 for stem in found.values()
        )
        assert len(set(found.values())) == 3


def test_outputs_of_a_brief_have_the_names_of_their_plan(site: Site):
    job = make_job(site.server, Clip("a.mp4", [b"1", b"2"]), title="Spring", axes={"look": None})
    planned = [path.name for path in job.paths]
    assert [saved_as(site, job.output(n))[0] for n in (0, 1)] == planned
    assert zip_names(site, job) == [f"01_a/{name}" for name in planned]


def test_a_name_stays_while_the_job_grows(site: Site):
    files = [file_named("a.mp4"), file_named("a.mp4", 1)]
    changed = [each._replace(status="failed", error="No.", sha256="1") for each in files]
    assert names.stems(files) == names.stems(changed) == {"id0": "a", "id1": "a_2"}


def test_an_output_of_a_job_that_is_just_deleted_is_a_404(site: Site):
    job = make_job(site.server)
    with closing(site.connect()) as db:
        assert queries.find_output(db, job.id, job.outputs[0]) is not None
    assert site.client.delete(job.url, headers=site.headers).status_code == 200
    assert site.client.get(job.output(), headers=site.headers).status_code == 410


@pytest.mark.tools
def test_curl_and_unzip_save_under_the_same_names(server: Server, tmp_path: Path):
    job = make_job(server, Clip("clip one.mp4", [b"1"]), Clip("Clip one.mp4", [b"2"]))
    header, url = f"Authorization: Bearer {server.token}", f"http://127.0.0.1:{server.port}"
    curl = ["curl", "-fsS", "-OJ", "-H", header]
    for path in (*(job.output(n) for n in (0, 1)), job.download):
        subprocess.run([*curl, url + path], cwd=tmp_path, check=True, timeout=30)
    subprocess.run(
        ["unzip", "-qj", "clip one_variations.zip", "-d", "all"], cwd=tmp_path, check=True
    )
    for name, content in (("clip one_var1.mp4", b"1"), ("Clip one_2_var1.mp4", b"2")):
        assert (tmp_path / name).read_bytes() == (tmp_path / "all" / name).read_bytes() == content


@pytest.mark.tools
@pytest.mark.parametrize("program", [["unzip", "-q"], ["7z", "x", "-bd"], ["bsdtar", "-xf"]])
def test_the_longest_names_can_be_unpacked(site: Site, tmp_path: Path, program: list[str]):
    job = make_job(site.server, *(Clip(letter * 250 + ".mp4", [b"1"]) for letter in "視é👍a"))
    packed, folder = tmp_path / "job.zip", tmp_path / "out"
    packed.write_bytes(site.client.get(job.download, headers=site.headers).data)
    folder.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    subprocess.run([*program, packed], cwd=folder, env=environment, check=True, timeout=30)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*.mp4")}
    assert found == set(zip_names(site, job))
