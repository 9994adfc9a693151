"""tus 1.0.0 as a client sees it; over both databases, without a socket."""

import hashlib
from contextlib import closing
from pathlib import Path

import pytest

from jobserver.jobs import quota
from tests.support import MP4_HEAD, Site
from tests.tus import OFFSET_TYPE, VERSION, checksum, metadata, video

pytestmark = pytest.mark.both_databases
CONTENT = video(1000)


class Client:
    """A client of tus that keeps to no rule but the given headers."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.headers = {**site.headers, **VERSION}

    def create(self, size: int | str = len(CONTENT), data: bytes = b"", **named: str):
        said = {"filename": "clip.mp4", "filetype": "video/mp4", **named}
        headers = {
            "Upload-Length": str(size),
            "Upload-Metadata": metadata(**{key: text for key, text in said.items() if text}),
            **(OFFSET_TYPE if data else {}),
        }
        return self.send("POST", "/api/uploads", data, **headers)

    def begin(self, size: int = len(CONTENT), **named: str) -> str:
        answer = self.create(size, **named)
        assert answer.status_code == 201, answer.json
        return answer.headers["Location"]

    def patch(self, path: str, offset: int, data: bytes, **more: str):
        return self.send(
            "PATCH", path, data, **{**OFFSET_TYPE, "Upload-Offset": str(offset), **more}
        )

    def upload(self, content: bytes = CONTENT, **named: str) -> str:
        """Upload a file; return its id."""
        answer = self.create(len(content), content, **named)
        assert answer.status_code == 201, answer.json
        return answer.headers["Location"].rpartition("/")[2]

    def send(self, method: str, path: str, data: bytes = b"", **headers: str):
        named = {**self.headers, **headers}
        return self.site.client.open(path, method=method, data=data, headers=named)

    def offset(self, path: str) -> int:
        answer = self.send("HEAD", path)
        assert answer.status_code == 200
        return int(answer.headers["Upload-Offset"])

    def post_job(self, **wishes):
        return self.site.client.post("/api/jobs", json=wishes, headers=self.site.headers)


@pytest.fixture
def client(site: Site) -> Client:
    return Client(site)


def files(site: Site) -> list[bytes]:
    paths = sorted(Path(site.upload_dir).iterdir())
    return [path.read_bytes() for path in paths if path.name != ".database"]


# -- the protocol -------------------------------------------------------------


def test_options_say_what_the_server_can_do_without_a_token(site):
    for path in ("/api/uploads", "/api/uploads/any"):
        answer = site.client.options(path)
        assert answer.status_code == 204
        assert answer.headers["Tus-Resumable"] == answer.headers["Tus-Version"] == "1.0.0"
        extensions = "creation,creation-with-upload,checksum,expiration,termination"
        assert answer.headers["Tus-Extension"] == extensions
        assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256"
        assert answer.headers["Tus-Max-Size"] == str(site.settings.max_file_size)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", ""), ("HEAD", "/x"), ("PATCH", "/x"), ("DELETE", "/x"), ("POST", "/x")],
)
def test_everything_else_needs_a_token_and_the_version(client, method, path):
    address = f"/api/uploads{path}"
    assert client.send(method, address, Authorization="Bearer wrong").status_code == 401
    answer = client.send(method, address, **{"Tus-Resumable": "0.2.2"})
    assert (answer.status_code, answer.headers["Tus-Version"]) == (412, "1.0.0")


def test_a_file_arrives_in_pieces(client):
    path = client.begin()
    assert client.offset(path) == 0
    answer = client.patch(path, 0, CONTENT[:300])
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "300")
    assert "GMT" in answer.headers["Upload-Expires"]
    assert client.patch(path, 300, CONTENT[300:]).headers["Upload-Offset"] == "1000"
    assert files(client.site) == [CONTENT]
    shown = client.send("HEAD", path)
    assert shown.headers["Upload-Length"] == "1000"
    assert shown.headers["Cache-Control"] == "no-store"
    said = metadata(filename="clip.mp4", filetype="video/mp4")
    assert shown.headers["Upload-Metadata"] == said


def test_the_first_bytes_may_come_with_the_creation(client):
    answer = client.create(data=CONTENT[:10])
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "10")
    assert client.offset(answer.headers["Location"]) == 10


def test_a_wrong_offset_changes_nothing(client):
    path = client.begin()
    client.patch(path, 0, CONTENT[:300])
    for offset in (0, 299, 301, 1000):
        assert client.patch(path, offset, b"x").status_code == 409
    assert client.offset(path) == 300


@pytest.mark.parametrize("text", ["-1", "x", "", "1.5", "9" * 19])
def test_a_number_of_bytes_is_a_number(client, text):
    assert client.create(text).status_code == 400
    path = client.begin()
    assert client.patch(path, 0, b"x", **{"Upload-Offset": text}).status_code == 400


def test_only_bytes_at_an_offset_are_appended(client):
    path = client.begin()
    assert client.patch(path, 0, b"x", **{"Content-Type": "text/plain"}).status_code == 415
    assert client.patch(path, 0, CONTENT + b"x").status_code == 413
    assert client.offset(path) == 0


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_bytes_without_their_checksum_are_not_kept(client, algorithm):
    path = client.begin()
    first, second = CONTENT[:300], CONTENT[300:]
    assert client.patch(path, 0, first, **checksum(first, algorithm)).status_code == 204
    damaged = client.patch(path, 300, second, **checksum(first, algorithm))
    assert (damaged.status_code, client.offset(path)) == (460, 300)
    assert client.patch(path, 300, second, **checksum(second, algorithm)).status_code == 204
    assert files(client.site) == [CONTENT]


@pytest.mark.parametrize("text", ["md5 abcd", "sha1", "sha1 !", "sha1 YQ"])
def test_a_checksum_must_be_one_that_is_known(client, text):
    answer = client.patch(client.begin(), 0, CONTENT, **{"Upload-Checksum": text})
    assert answer.status_code in (400, 460)


def test_an_upload_can_be_removed(client):
    path = client.begin()
    client.patch(path, 0, CONTENT[:300])
    assert client.send("DELETE", path).status_code == 204
    for method in ("HEAD", "DELETE", "PATCH"):
        answer = client.send(method, path, **{**OFFSET_TYPE, "Upload-Offset": "300"})
        assert answer.status_code == 404
    assert files(client.site) == []


def test_a_post_may_say_which_method_it_stands_for(client):
    path = client.begin()
    named = {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH", **OFFSET_TYPE}
    assert client.send("POST", path, CONTENT, **named).status_code == 204
    removed = client.send("POST", path, **{"X-HTTP-Method-Override": "DELETE"})
    assert removed.status_code == 204
    assert client.send("POST", path, **{"X-HTTP-Method-Override": "PUT"}).status_code == 400


@pytest.mark.parametrize("text", ["key !", "two words YQ==", ",", "a YQ==,a YQ==", "ü YQ=="])
def test_metadata_are_pairs(client, text):
    answer = client.send("POST", "/api/uploads", **{"Upload-Length": "9", "Upload-Metadata": text})
    assert answer.status_code == 400


# -- what is taken ------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "status"),
    [
        ({"filetype": "image/png"}, 400),
        ({"filetype": "video/mp4; codecs=avc1"}, 201),
        ({"filetype": ""}, 201),
        ({"role": "titles"}, 400),
        ({"role": "overlays", "filetype": "image/png"}, 201),
        ({"role": "music", "filename": "a\0b.mp3", "filetype": "audio/mpeg"}, 201),
    ],
)
def test_what_is_declared_must_be_taken(client, named, status):
    assert client.create(**named).status_code == status


def test_sizes_are_those_of_a_form(client):
    most = client.site.settings.max_file_size
    assert client.create(most).status_code == 201
    assert client.create(most + 1).status_code == 413
    assert client.create(20 * 1024 * 1024 + 1, role="overlays").status_code == 413
    assert client.create(0).status_code == 400


@pytest.mark.parametrize("first", [4, 1000])
def test_an_upload_that_begins_as_something_else_is_removed(client, first):
    content = b"\x89PNG\r\n\x1a\n" + bytes(992)
    path = client.begin(filetype="application/octet-stream")
    answer = client.patch(path, 0, content[:first])
    if first == 4:
        assert answer.status_code == 204  # not enough to know
        answer = client.patch(path, first, content[first:])
    assert answer.json["error"] == "Only MP4 files are accepted"
    assert (answer.status_code, client.send("HEAD", path).status_code) == (400, 404)
    assert files(client.site) == []


def test_an_upload_counts_in_the_quota_before_it_has_arrived(client):
    client.site.change_settings(storage_quota=2500)
    first = client.begin()
    client.begin()
    assert client.create().status_code == 507
    assert client.create(2501).status_code == 507
    with closing(client.site.connect()) as db:
        assert quota.used_bytes(db) == 2000
    client.send("DELETE", first)
    assert client.create().status_code == 201


# -- a job of uploads ---------------------------------------------------------


def test_finished_uploads_become_a_job_without_a_copy(client):
    path = client.begin()
    client.patch(path, 0, CONTENT)
    upload_id = path.rpartition("/")[2]
    inode = next(client.site.upload_dir.glob(f"{upload_id}.*")).stat().st_ino
    answer = client.post_job(videos=[upload_id], variations=2, title="of an upload", seed=7)
    assert (answer.status_code, answer.json["totalVariations"]) == (202, 2)
    assert answer.json["files"] == [{"id": upload_id, "name": "clip.mp4", "size": 1000}]
    assert answer.headers["Location"] == answer.json["statusUrl"]
    stored = next(client.site.upload_dir.glob(f"{upload_id}.*"))
    assert (stored.stat().st_ino, stored.read_bytes()) == (inode, CONTENT)
    shown = client.site.show(answer.json["jobId"])
    assert (shown["title"], shown["seed"]) == ("of an upload", 7)
    assert client.send("HEAD", path).status_code == 410
    assert client.send("DELETE", path).status_code == 410
    assert client.patch(path, 1000, b"").status_code == 410


def test_an_upload_is_used_once(client):
    upload_id = client.upload()
    assert client.post_job(videos=[upload_id]).status_code == 202
    again = client.post_job(videos=[client.upload(), upload_id])
    assert again.status_code == 409
    assert again.json["error"] == f"The upload {upload_id} is used by another job"
    assert client.site.rows("SELECT COUNT(*) FROM job") == [(1,)]


def test_a_job_is_made_of_all_uploads_or_none(client):
    whole, unfinished = client.upload(), client.begin().rpartition("/")[2]
    cases = {
        (): 400,
        (whole, whole): 400,
        (whole, 7): 400,
        (whole, unfinished): 409,
        (whole, "unknown"): 404,
        (whole, *["x"] * 10): 400,
    }
    for ids, status in cases.items():
        answer = client.post_job(videos=list(ids))
        assert (answer.status_code, bool(answer.json["error"])) == (status, True)
    assert client.post_job(videos=whole).status_code == 400
    assert client.post_job(videos=[whole], recipe="none").status_code == 400
    assert client.post_job(videos=[whole], overlays=[client.upload()]).status_code == 400
    assert client.site.rows("SELECT COUNT(*) FROM job") == [(0,)]
    assert client.post_job(videos=[whole]).status_code == 202


def test_parts_of_a_brief_are_uploads_too(client):
    still = b"\x89PNG\r\n\x1a\n" + bytes(92)
    named = {"filename": "logo.png", "filetype": "image/png"}
    wishes = {
        "videos": [client.upload()],
        "hooks": [client.upload(filename="hook.mp4")],
        "overlays": [client.upload(still, role="overlays", **named)],
        "brief": {"logo": {"overlay": "logo.png"}},
        "unknown": 1,
    }
    answer = client.post_job(**wishes)
    assert answer.status_code == 202, answer.json
    assert [each["role"] for each in answer.json["assets"]] == ["hook", "overlay"]
    assert answer.json["ignoredFields"] == ["unknown"]


def test_the_bytes_of_an_upload_count_once(client):
    client.site.change_settings(storage_quota=1000)
    assert client.post_job(videos=[client.upload()]).status_code == 202
    assert client.create().status_code == 507


def test_a_job_takes_its_uploads_with_it(client):
    job = client.post_job(videos=[client.upload()]).json
    client.site.client.delete(f"/api/jobs/{job['jobId']}", headers=client.site.headers)
    assert client.site.rows("SELECT COUNT(*) FROM upload") == [(0,)]
    assert files(client.site) == []


def test_the_same_bytes_are_stored(client):
    content = MP4_HEAD + hashlib.sha256(b"any").digest() * 1000
    upload_id = client.upload(content)
    job = client.post_job(videos=[upload_id]).json
    assert client.site.server.stored(job["jobId"]) == [content]
