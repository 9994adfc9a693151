"""The client module against the real server: uploads, the list, downloads that resume."""

from pathlib import Path

import pytest

from jobserver.client import (
    ApiError,
    Client,
    ClientError,
    Damaged,
    Job,
    JobRequest,
    LocalProblem,
    NotSignedIn,
    Output,
    ServerUnavailable,
)
from jobserver.client.multipart import Form
from tests.client.relay import CuttingRelay
from tests.results import Clip, make_job
from tests.support import MP4_HEAD, Server, free_port

CONTENT = bytes(range(256)) * 4096  # 1 MiB
NAMES = ("clip.mp4", 'a "quoted" clip.mp4', "Größe 名前.mp4", "a\nb.mp4", "a%22b.mp4")


def no_sleep(_seconds: float) -> None:
    """A client of a test waits for nothing."""


def client_of(server: Server, url: str | None = None) -> Client:
    address = url or f"http://127.0.0.1:{server.port}"
    return Client(address, token=server.token, sleep=no_sleep)


@pytest.fixture
def client(server: Server) -> Client:
    return client_of(server)


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    for n, name in enumerate(NAMES):
        (tmp_path / name).write_bytes(MP4_HEAD + b"x" * n)
    return [tmp_path / name for name in NAMES]


def made(server: Server, content: bytes = CONTENT) -> tuple[str, Output]:
    """Make a job with one finished output; return both as the API names them."""
    job = make_job(server, Clip(outputs=[content]), variations=1)
    found = client_of(server).job(job.id)
    assert found.succeeded
    return job.id, found.outputs[0]


# -- uploads ---------------------------------------------------------------------------------


def test_files_of_any_name_arrive_as_they_are(server: Server, client: Client, clips: list[Path]):
    counted: list[int] = []
    request = JobRequest(videos=clips, variations=2, title="Größe", seed=7, recipe="classic")
    job_id = client.send(request, counted.append)
    assert server.stored(job_id) == [path.read_bytes() for path in clips]
    assert sum(counted) == sum(path.stat().st_size for path in clips)
    job = client.job(job_id)
    names = [file["name"] for file in job.json["files"]]
    assert names[:3] == list(NAMES[:3])
    assert (job.status, job.title, job.total, job.json["seed"]) == ("queued", "Größe", 10, 7)


def test_a_brief_and_its_parts_make_a_job(server: Server, client: Client, clips: list[Path]):
    brief = {"formats": ["9:16", "1:1"]}
    job_id = client.send(JobRequest(videos=clips[:1], hooks=clips[2:3], brief=brief))
    job = client.job(job_id)
    assert job.total == 2
    assert [asset["role"] for asset in job.json["assets"]] == ["hook"]


def test_an_upload_whose_answer_is_lost_is_sent_again_and_is_one_job(
    server: Server, clips: list[Path]
):
    before = server.rows("SELECT COUNT(*) FROM job")[0][0]
    counted: list[int] = []
    with CuttingRelay(server.port, 0, when=b"POST /api/jobs ").running() as relay:
        job_id = client_of(server, relay.url).send(JobRequest(videos=clips), counted.append)
    assert relay.cuts == []
    assert server.rows("SELECT COUNT(*) FROM job")[0][0] == before + 1
    assert server.stored(job_id) == [path.read_bytes() for path in clips]
    assert sum(counted) == sum(path.stat().st_size for path in clips)


PATCH = {"of_requests": True, "when": b"PATCH "}


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of two MiB."""
    (tmp_path / "large.mp4").write_bytes(MP4_HEAD + CONTENT * 2)
    return tmp_path / "large.mp4"


def test_an_upload_that_is_cut_off_goes_on_where_the_server_has_it(server: Server, large: Path):
    counted: list[int] = []
    with CuttingRelay(server.port, 900_000, 500_000, 0, **PATCH).running() as relay:
        job_id = client_of(server, relay.url).send(JobRequest(videos=[large]), counted.append)
    assert relay.cuts == []
    assert server.stored(job_id) == [large.read_bytes()]
    assert sum(counted) == large.stat().st_size


def test_the_next_run_goes_on_with_an_upload_and_its_job_ends_that(server: Server, large: Path):
    begun: dict[str, str] = {}
    request = JobRequest(videos=[large])
    with CuttingRelay(server.port, 900_000, *[0] * 20, **PATCH).running() as relay:
        client = client_of(server, relay.url)
        with pytest.raises(ServerUnavailable, match="run it again to go on"):
            client.send(request, begun=begun)
        assert len(begun) == 1
        relay.cuts.clear()
        counted: list[int] = []
        first = client.send(request, counted.append, begun=begun)
    assert counted[0] > 0  # that the server had
    assert begun == {}
    second = client_of(server).send(request, begun=begun)
    assert first != second
    assert server.stored(first) == server.stored(second) == [large.read_bytes()]


def test_an_upload_that_the_server_has_forgotten_begins_anew(server: Server, large: Path):
    begun: dict[str, str] = {}
    client, request = client_of(server), JobRequest(videos=[large])
    relay = CuttingRelay(server.port, *[0] * 20, **PATCH)
    with relay.running(), pytest.raises(ServerUnavailable):
        client_of(server, relay.url).send(request, begun=begun)
    begun.update(dict.fromkeys(begun, "none"))
    assert server.stored(client.send(request, begun=begun)) == [large.read_bytes()]


def test_what_the_server_refuses_is_said_in_its_words(
    server: Server, client: Client, tmp_path: Path
):
    (tmp_path / "text.txt").write_bytes(b"no video")
    with pytest.raises(ApiError, match="Only MP4 files are accepted") as refused:
        client.send(JobRequest(videos=[tmp_path / "text.txt"]))
    assert refused.value.status == 400
    with pytest.raises(ApiError, match="Job not found") as missing:
        client.job("none")
    assert missing.value.status == 404
    with pytest.raises(NotSignedIn, match="Invalid or expired token"):
        Client(client._transport.url, token="wrong").job("a")
    with pytest.raises(NotSignedIn, match="Invalid password"):
        Client(client._transport.url).sign_in("wrong")


def test_a_refusal_in_the_middle_of_an_upload_is_read(tmp_path: Path, own_server: Server):
    """Not the broken pipe that the rest of the upload meets."""
    own_server.settings["MAX_FILE_SIZE"] = "1000"
    own_server.start()
    (tmp_path / "large.mp4").write_bytes(MP4_HEAD + bytes(64 * 1024 * 1024))
    with pytest.raises(ApiError, match="File too large") as refused:
        client_of(own_server).send(JobRequest(videos=[tmp_path / "large.mp4"]))
    assert refused.value.status == 413


def test_a_server_that_is_not_there_is_asked_five_times() -> None:
    waits: list[float] = []
    client = Client(f"http://127.0.0.1:{free_port()}", token="a", sleep=waits.append)
    with pytest.raises(ServerUnavailable, match="does not answer: Connection refused"):
        client.job("a")
    assert waits == [1, 2, 4, 8]


@pytest.mark.parametrize(
    "url", ["", "videos.example", "ftp://a.b", "http://", "http://a:b", "http://ä"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ClientError, match="is no address like"):
        Client(url)


def test_a_file_that_cannot_be_read_or_shrinks_is_a_local_problem(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with pytest.raises(LocalProblem, match="No such file"):
        Form({}, [("videos", path)])
    path.write_bytes(CONTENT)
    form = Form({}, [("videos", path)])
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(LocalProblem, match="became shorter"):
        list(form.pieces(lambda _: None))


def test_a_form_has_the_length_that_it_says_and_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(CONTENT)
    form = Form({"title": "Größe", "brief": "{}"}, [("videos", path), ("hooks", path)])
    pieces = list(form.pieces(lambda _: None))
    assert sum(map(len, pieces)) == form.size
    assert max(map(len, pieces)) <= 256 * 1024


# -- jobs ------------------------------------------------------------------------------------


def test_jobs_are_listed_over_pages_newest_first(server: Server, client: Client):
    ids = [make_job(server, title=f"Listed {n}").id for n in range(55)]
    found = [job.id for job in client.jobs(limit=53)]
    assert found == ids[::-1][:53]
    assert [job.id for job in client.jobs(text="listed 54")] == ids[-1:]
    assert list(client.jobs(limit=0)) == []


def test_a_job_is_watched_to_its_end(server: Server, client: Client, clips: list[Path]):
    job_id = client.send(JobRequest(videos=clips[:1]))
    seen: list[Job] = []
    for job in client.watch(job_id):
        seen.append(job)
        if not job.ended:
            client.cancel(job_id)
    assert [job.status for job in seen] == ["queued", "cancelled"]
    assert not client.wait(job_id).succeeded
    with pytest.raises(ApiError, match="The job has ended"):
        client.cancel(job_id)
    client.retry(job_id)
    assert client.job(job_id).status == "queued"


# -- downloads -------------------------------------------------------------------------------


def test_a_download_is_complete_and_is_not_made_twice(
    server: Server, client: Client, tmp_path: Path
):
    job_id, output = made(server)
    counted: list[int] = []
    path = client.download(job_id, output, tmp_path / "new" / "folder", counted.append)
    assert (path.name, path.read_bytes()) == (output.name, CONTENT)
    assert sum(counted) == len(CONTENT)
    with CuttingRelay(server.port).running() as relay:
        assert client_of(server, relay.url).download(job_id, output, path.parent) == path
        assert relay.connections == 0
    assert list(path.parent.iterdir()) == [path]


def test_a_download_that_is_cut_off_goes_on_where_it_was(server: Server, tmp_path: Path):
    job_id, output = made(server)
    counted: list[int] = []
    with CuttingRelay(server.port, 300_000, 200_000, 0).running() as relay:
        path = client_of(server, relay.url).download(job_id, output, tmp_path, counted.append)
    assert path.read_bytes() == CONTENT
    assert relay.connections == 4
    assert sum(counted) == len(CONTENT)
    assert min(counted) >= 0  # nothing came twice


def test_the_next_run_goes_on_with_what_the_last_one_left(server: Server, tmp_path: Path):
    job_id, output = made(server)
    relay = CuttingRelay(server.port, 300_000, *[0] * 4)
    with relay.running(), pytest.raises(ServerUnavailable, match="run it again to go on"):
        client_of(server, relay.url).download(job_id, output, tmp_path)
    (part,) = tmp_path.iterdir()
    begun = part.stat().st_size
    assert 0 < begun < 300_000
    counted: list[int] = []
    path = client_of(server).download(job_id, output, tmp_path, counted.append)
    assert (path.read_bytes(), counted[0]) == (CONTENT, begun)


@pytest.mark.parametrize("size", [100, len(CONTENT), 2 * len(CONTENT)])
def test_a_part_of_other_bytes_is_noticed_and_fetched_anew(
    server: Server, client: Client, tmp_path: Path, size: int
):
    job_id, output = made(server)
    (tmp_path / f".{output.id}.{output.sha256[:12]}.part").write_bytes(b"x" * size)
    counted: list[int] = []
    path = client.download(job_id, output, tmp_path, counted.append)
    assert path.read_bytes() == CONTENT
    assert sum(counted) == len(CONTENT)
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_that_are_damaged_at_the_server_never_get_the_name(
    server: Server, client: Client, tmp_path: Path
):
    job = make_job(server, Clip(outputs=[CONTENT]), variations=1)
    job.paths[0].write_bytes(CONTENT[:-1] + b"x")
    (output,) = client.job(job.id).outputs
    with pytest.raises(Damaged):
        client.download(job.id, output, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_file_is_never_overwritten(server: Server, client: Client, tmp_path: Path):
    """Two jobs of one clip give their outputs the same names."""
    found = [made(server, content) for content in (b"one", b"two", b"two")]
    for _ in range(2):
        paths = [client.download(job_id, output, tmp_path) for job_id, output in found]
        assert [path.read_bytes() for path in paths] == [b"one", b"two", b"two"]
        assert len(set(paths)) == len(list(tmp_path.iterdir())) == 3
    for path in paths:
        path.write_bytes(b"mine")
    with pytest.raises(LocalProblem, match="is there, and is something else"):
        client.download(*found[1], tmp_path)
    assert [path.read_bytes() for path in paths] == [b"mine"] * 3


@pytest.mark.parametrize("name", ["..", "a/..", "", "a\0b"])
def test_a_server_cannot_choose_another_folder(client: Client, tmp_path: Path, name: str):
    with pytest.raises(LocalProblem, match="is no name of a file"):
        client.download("a", Output("b", name, 1, "c"), tmp_path)


def test_what_is_gone_is_an_error_of_the_server(server: Server, client: Client, tmp_path: Path):
    job = make_job(server, Clip(outputs=[CONTENT]), variations=1)
    (output,) = client.job(job.id).outputs
    job.paths[0].unlink()
    with pytest.raises(ApiError, match="The file is gone"):
        client.download(job.id, output, tmp_path)
