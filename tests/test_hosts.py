"""Two hosts, as two servers, and their workers on one PostgreSQL; the folders are shared."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.postgres import Cluster
from tests.support import WORKERS, Server, Worker, file_part, form, wait_for

pytestmark = pytest.mark.tools


class Hosts(NamedTuple):
    cluster: Cluster
    one: Server
    other: Server

    @property
    def database(self) -> str:
        return str(self.one.place).rpartition("/")[2]


@contextmanager
def serving(cluster: Cluster, folder: Path) -> Iterator[Hosts]:
    """Servers on a database that their own init-db has made, and one set of folders."""
    url = cluster.url(cluster.create())
    with ExitStack() as stack:
        servers = []
        for name in ("one", "other"):
            (folder / name).mkdir()
            server = Server(
                folder / name,
                DATABASE_URL=url,
                UPLOAD_DIR=str(folder / "uploads"),
                OUTPUT_DIR=str(folder / "outputs"),
                DATABASE="/nowhere/looked/at",
            )
            server.upload_dir = folder / "uploads"
            stack.callback(server.stop)
            servers.append(server.start())
        yield Hosts(cluster, *servers)


@pytest.fixture(scope="module")
def hosts(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with serving(cluster, tmp_path_factory.mktemp("hosts")) as hosts:
        yield hosts


@pytest.fixture
def hosts_that_fail(tmp_path: Path) -> Iterator[Hosts]:
    """Hosts whose database a test may stop."""
    cluster = Cluster()
    try:
        with serving(cluster.start(), tmp_path) as hosts:
            yield hosts
    finally:
        cluster.remove()


@contextmanager
def working(server: Server) -> Iterator[Worker]:
    worker = Worker(server).start()
    try:
        yield worker
    finally:
        worker.kill()


def status(server: Server, job_id: str, token: str) -> str:
    return str(server.get(f"/api/jobs/{job_id}", token).json["status"])


def check_completed(hosts: Hosts, job_id: str) -> None:
    token = hosts.one.token
    wait_for(lambda: status(hosts.other, job_id, token) == "completed", 60, "a rendered job")
    for server in (hosts.one, hosts.other):
        answer = server.get(f"/api/jobs/{job_id}/download", token)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")


def test_one_host_takes_a_job_and_another_renders_and_shows_it(hosts: Hosts, clip: bytes) -> None:
    with working(hosts.other):
        answer = hosts.one.upload(clip, variations="2")
        assert answer.status == 202
        job_id = answer.json["jobId"]
        check_completed(hosts, job_id)
    shown = hosts.one.get("/api/jobs", hosts.one.token).json
    assert [(job["id"], job["completedVariations"]) for job in shown] == [(job_id, 2)]
    assert isinstance(hosts.one.get("/api/storage", hosts.one.token).json["used"], int)
    bearer = Server.bearer(hosts.one.token)
    assert hosts.one.request("DELETE", f"/api/jobs/{job_id}", headers=bearer).status == 200
    assert hosts.other.get(f"/api/jobs/{job_id}", hosts.one.token).status == 404


def test_of_requests_with_one_key_on_both_hosts_one_makes_the_job(
    hosts: Hosts, clip: bytes
) -> None:
    assert hosts.one.token
    assert hosts.other.token
    before = hosts.one.rows("SELECT COUNT(*) FROM job")[0][0]
    headers = {"Idempotency-Key": "on both hosts"}
    with ThreadPoolExecutor(8) as pool:
        servers = [hosts.one, hosts.other] * 4
        answers = list(pool.map(lambda each: each.post(form(file_part(clip)), headers), servers))
    accepted = [answer for answer in answers if answer.status == 202]
    assert {answer.status for answer in answers} <= {202, 409}
    assert len({answer.body for answer in accepted}) == 1
    assert hosts.one.rows("SELECT COUNT(*) FROM job") == [(before + 1,)]


def test_when_the_worker_that_kept_house_is_killed_another_does(hosts: Hosts) -> None:
    def noted() -> float:
        query = "SELECT value FROM meta WHERE name = 'clock'"
        return float(hosts.one.rows(query)[0][0].split()[0]) if hosts.one.rows(query) else 0.0

    def wait_for_rounds() -> None:
        before = noted()
        wait_for(lambda: noted() > before, 20, "a round of the housekeeping")

    first = Worker(hosts.one, HOUSEKEEPING_S="0.3").start()
    try:
        wait_for_rounds()
        other = Worker(hosts.other, HOUSEKEEPING_S="0.3").start()
        try:
            wait_for(lambda: hosts.one.get("/api/health").json["worker"]["count"] == 2, 20)
            first.kill()
            wait_for_rounds()
            wait_for_rounds()
        finally:
            other.kill()
    finally:
        first.kill()


def test_an_empty_list_and_names_with_a_nul_are_no_errors(hosts: Hosts, clip: bytes) -> None:
    token = hosts.one.token
    assert hosts.other.get("/api/jobs?limit=1", token).status == 200
    for path in ("/api/jobs/a%00b", "/api/jobs/a%00b/outputs/c%00"):
        assert hosts.one.get(path, token).status == 404
    answer = hosts.one.post(form(file_part(clip, "a\0b.mp4")))
    assert answer.status == 202
    assert answer.json["files"][0]["name"] == "a\ufffdb.mp4"
    shown = hosts.other.get(answer.json["statusUrl"], token).json
    assert shown["files"][0]["name"] == "a\ufffdb.mp4"


def test_wrong_passwords_count_for_all_hosts(hosts: Hosts) -> None:
    assert hosts.one.token
    statuses = [server.sign_in("wrong").status for server in (hosts.one, hosts.other) * 3]
    assert statuses == [401] * 5 + [429]
    hosts.cluster.execute("DELETE FROM sign_in_failure", hosts.database)
    assert [server.sign_in().status for server in (hosts.one, hosts.other)] == [200, 200]


def test_a_process_has_a_few_sessions_however_many_threads_ask(hosts: Hosts) -> None:
    token = hosts.one.token
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: hosts.one.get("/api/jobs", token).status, range(400)))
    assert answers == [200] * 400
    query = f"SELECT COUNT(*) FROM pg_stat_activity WHERE datname = '{hosts.database}'"  # noqa: S608
    ((sessions,),) = hosts.cluster.execute(query)
    assert sessions <= 2 * WORKERS * 8


def test_a_database_that_goes_away_is_a_503_and_all_goes_on_when_it_is_back(
    hosts_that_fail: Hosts, clip: bytes
) -> None:
    hosts, (cluster, one, other) = hosts_that_fail, hosts_that_fail
    token = one.token
    with working(other) as worker:
        first = one.upload(clip, variations="1").json["jobId"]
        check_completed(hosts, first)
        cluster.stop(signal.SIGQUIT)
        health = one.get("/api/health")
        assert (health.status, health.json["status"]) == (503, "error")
        assert health.json["error"].startswith("The database does not answer: ")
        assert "Connection refused" in health.json["error"]
        before = one.uploads()
        for answer in (
            one.get("/api/jobs", token),
            other.get(f"/api/jobs/{first}", token),
            one.upload(clip),
            one.sign_in(),
        ):
            assert answer.status == 503
            assert answer.json == {
                "error": "The database is not available",
                "code": "database_unavailable",
            }
        assert one.uploads() == before
        cluster.start()
        wait_for(lambda: one.get("/api/health").status == 200, 20, "health")
        wait_for(lambda: other.get("/api/jobs", token).status == 200, 20, "a list")
        second = other.upload(clip, variations="1")
        assert second.status == 202
        check_completed(hosts, second.json["jobId"])
        assert worker.process is not None
        assert worker.process.poll() is None
    for server in (one, other):
        assert "Traceback" not in server.log()
        assert "p@ss" not in server.log()
        assert "p%40ss" not in server.log()


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"password": "wrong"}, 'password authentication failed for user "jobserver"'),
        ({"port": 1}, "Connection refused"),
        ({"database": "none"}, 'database "none" does not exist'),
        ({}, "is empty; run `flask --app wsgi init-db`"),
    ],
)
def test_a_server_that_cannot_use_its_database_says_why_in_one_line(
    parts: dict[str, object], sentence: str, cluster: Cluster, own_server: Server
) -> None:
    url = cluster.url(**{"database": cluster.create(), **parts})  # type: ignore[arg-type]
    own_server.settings["DATABASE_URL"] = url
    for commands in (["jobs"], ["worker"]):
        done = own_server.flask(*commands)
        assert (done.returncode, done.stdout) == (1, "")
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1
    own_server.launch()
    assert own_server.process is not None
    assert own_server.process.wait(20) not in (0, None)
    (line,) = own_server.log().splitlines()
    assert line.startswith("jobserver: The database ")
    assert sentence in line


def test_init_db_names_the_database_without_its_password(
    cluster: Cluster, own_server: Server
) -> None:
    name = cluster.create()
    own_server.settings["DATABASE_URL"] = cluster.url(name)
    done = own_server.init_db()
    assert done.returncode == 0
    assert done.stdout.startswith(f"The database {name} at 127.0.0.1:{cluster.port} has version ")
    assert not own_server.database.exists()
