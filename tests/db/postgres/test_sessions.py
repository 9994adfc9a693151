"""Sessions are shared by threads, replaced when they break, and never shared by processes."""

import multiprocessing
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from jobserver import db
from jobserver.db import Connection, DatabaseUnavailable
from jobserver.db.errors import CommitUnknown
from jobserver.db.migrations import on_postgres
from jobserver.db.postgres import connection, sessions
from tests.postgres import Cluster
from tests.support import Site, together, wait_for

pytestmark = pytest.mark.tools

INSERT = "INSERT INTO job (id, variations_per_video, created_at) VALUES (:id, 5, 0)"


def backends(cluster: Cluster, url: str) -> int:
    name = url.rpartition("/")[2]
    query = f"SELECT COUNT(*) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608
    count: int = cluster.execute(query)[0][0]
    return count


def end_sessions(cluster: Cluster, url: str) -> int:
    """End every session of a database, as a server that is restarted does; return how many."""
    name = url.rpartition("/")[2]
    query = f"""
        SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = '{name}'"""  # noqa: S608
    return len(cluster.execute(query))


def in_threads(count: int, work: Callable[[], Any]) -> list[Any]:
    """Call `work` in so many threads at once; return what each returned, or its error."""
    barrier, results = threading.Barrier(count), []

    def run() -> None:
        barrier.wait()
        try:
            results.append(work())
        except Exception as error:
            results.append(repr(error))

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_durable_bounded_and_named(database: Connection) -> None:
    with db.claiming(database):
        shown = [
            database.value(f"SHOW {name}")
            for name in (
                *("synchronous_commit", "statement_timeout", "lock_timeout"),
                *("idle_in_transaction_session_timeout", "application_name", "client_encoding"),
            )
        ]
    assert shown == ["on", "1min", "5s", "10s", "jobserver", "UTF8"]
    with db.exclusive(database, "queue"):
        assert database.value("SHOW transaction_isolation") == "read committed"


def test_a_role_without_durable_commits_has_them_here(cluster: Cluster, url: str) -> None:
    cluster.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")
    with closing(db.connect(url)) as database:
        assert database.value("SHOW synchronous_commit") == "on"


def test_many_threads_share_a_few_sessions(cluster: Cluster, url: str) -> None:
    def read() -> object:
        with closing(db.connect(url)) as database:
            return [database.value("SELECT :n + 1", {"n": n}) for n in range(50)]

    with closing(db.connect(url)):
        assert in_threads(40, read) == [list(range(1, 51))] * 40
        assert 1 <= backends(cluster, url) <= sessions.MAX_SESSIONS
    wait_for(lambda: backends(cluster, url) == 0, what="no session without a user")


def test_those_who_wait_to_write_leave_sessions_to_those_who_read(
    cluster: Cluster, url: str
) -> None:
    def write() -> None:
        with closing(db.connect(url, 30)) as own, db.exclusive(own, "queue"):
            own.write(INSERT, {"id": str(threading.get_ident())})

    with closing(psycopg.connect(url)) as other, closing(db.connect(url)) as reader:
        other.execute(f"SELECT pg_advisory_xact_lock({connection.ALONE})".encode())
        writers = [threading.Thread(target=write) for _ in range(2 * sessions.MAX_SESSIONS)]
        for writer in writers:
            writer.start()
        query = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_for(lambda: cluster.execute(query)[0][0] == 1, what="a writer that waits")
        assert in_threads(4, lambda: reader.value("SELECT COUNT(*) FROM job")) == [0] * 4
        other.rollback()
        for writer in writers:
            writer.join()
        assert reader.value("SELECT COUNT(*) FROM job") == len(writers)


@pytest.mark.parametrize("new_thread", [True, False])
def test_health_answers_within_a_second_while_others_keep_all_sessions(
    new_thread: bool, tmp_path: Path, url: str
) -> None:
    site = Site(tmp_path, DATABASE_URL=url)
    ask = partial(site.client.get, "/api/health")
    assert ask().status_code == 200
    with ExitStack() as stack:
        for _ in range(sessions.MAX_SESSIONS):
            own = stack.enter_context(closing(db.connect(url)))
            stack.enter_context(db.claiming(own))
        start = time.monotonic()
        (answer,) = in_threads(1, ask) if new_thread else (ask(),)
        assert time.monotonic() - start < 1
    assert answer.status_code == 503
    assert answer.json["error"].startswith("The database does not answer")
    assert ask().status_code == 200


def test_sessions_that_were_ended_are_replaced_and_nobody_notices(
    cluster: Cluster, url: str
) -> None:
    with closing(db.connect(url)) as database:

        def wait_a_moment() -> object:
            return database.value("SELECT pg_sleep(0.2) IS NULL")

        in_threads(sessions.MAX_SESSIONS, wait_a_moment)
        for begin in (None, True, False):
            assert end_sessions(cluster, url) >= 1
            if begin is not None:
                database.begin(alone=begin)
            assert database.value("SELECT 1") == 1
            database.rollback()


def test_a_session_that_ends_in_a_transaction_leaves_nothing_and_is_not_used_again(
    cluster: Cluster, url: str, database: Connection
) -> None:
    def write() -> None:
        with db.exclusive(database, "queue"):
            database.write(INSERT, {"id": "undone"})
            assert end_sessions(cluster, url) == 1
            database.write(INSERT, {"id": "never"})

    with pytest.raises(DatabaseUnavailable):
        write()
    assert not database.in_transaction
    with db.exclusive(database, "queue"):
        database.write(INSERT, {"id": "next"})
    assert database.column("SELECT id FROM job") == ["next"]


def test_a_commit_without_an_answer_is_of_unknown_outcome(
    cluster: Cluster, url: str, database: Connection
) -> None:
    def write() -> None:
        with db.exclusive(database, "queue"):
            database.write(INSERT, {"id": "a"})
            end_sessions(cluster, url)

    with pytest.raises(CommitUnknown):
        write()
    assert not database.in_transaction
    assert database.column("SELECT id FROM job") == []


def test_a_server_that_is_away_is_unavailable_until_it_is_back(own_cluster: Cluster) -> None:
    url = own_cluster.create_initialised()
    with closing(db.connect(url)) as database:
        assert database.value("SELECT 1") == 1
        own_cluster.stop()
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable) as raised:
                database.value("SELECT 1")
            assert isinstance(raised.value.__cause__, psycopg.OperationalError)
            with pytest.raises(DatabaseUnavailable), db.exclusive(database, "queue"):
                pass
        own_cluster.start()
        wait_for(lambda: answers(database), 10, "an answer")
        with db.exclusive(database, "queue"):
            database.write(INSERT, {"id": "a"})


def answers(database: Connection) -> bool:
    try:
        return bool(database.value("SELECT 1") == 1)
    except DatabaseUnavailable:
        return False


def test_a_fork_has_sessions_of_its_own_and_leaves_its_parents_alone(
    url: str, database: Connection
) -> None:
    mine = database.value("SELECT pg_backend_pid()")
    database.begin(alone=True)
    database.write(INSERT, {"id": "of the parent"})
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()

    def child() -> None:
        inside = database.in_transaction  # it is the parent's
        results.put((inside, database.value("SELECT pg_backend_pid()"), database.clock() > 0))
        database.close()

    process = context.Process(target=child)
    process.start()
    process.join(20)
    assert process.exitcode == 0
    inside, other, _ = results.get()
    assert (inside, other == mine) == (False, False)
    database.commit()
    assert database.value("SELECT pg_backend_pid()") == mine
    assert database.column("SELECT id FROM job") == ["of the parent"]


def read_in_a_child(url: str) -> bool:
    with closing(db.connect(url)) as own:
        return bool(own.value("SELECT pg_backend_pid()") > 0)


def test_forks_at_once_read_beside_their_parent(url: str, database: Connection) -> None:
    database.value("SELECT 1")
    assert together(4, read_in_a_child, url) == [True] * 4  # type: ignore[arg-type]
    assert database.value("SELECT 1") == 1


def stop_inside_a_transaction(url: str, begun: Any) -> None:
    sessions.IDLE_IN_TRANSACTION_S = connection.IDLE_IN_TRANSACTION_S = 1.0
    with closing(db.connect(url)) as own, db.exclusive(own, "queue"):
        own.write(INSERT, {"id": "never"})
        begun.put(os.getpid())
        os.kill(os.getpid(), signal.SIGSTOP)


def test_a_holder_that_is_stopped_inside_a_transaction_loses_its_lock(
    url: str, database: Connection
) -> None:
    """As when its host is cut off: the server alone ends it."""
    context = multiprocessing.get_context("fork")
    begun = context.SimpleQueue()
    holder = context.Process(target=stop_inside_a_transaction, args=(url, begun))
    holder.start()
    try:
        begun.get()
        with db.exclusive(database, "queue"):  # waits for longer than the holder may
            database.write(INSERT, {"id": "a"})
        os.kill(holder.pid or 0, signal.SIGCONT)
        holder.join(20)
        assert holder.exitcode == 1  # it could not commit
        assert database.column("SELECT id FROM job") == ["a"]
    finally:
        holder.kill()


def test_a_nul_is_a_letter_that_shows_and_never_an_error(database: Connection) -> None:
    with db.exclusive(database, "queue"):
        database.write(INSERT, {"id": "a\0b"})
        database.write_many(INSERT, [{"id": "c\0"}])
    assert database.column("SELECT id FROM job ORDER BY id") == ["a\ufffdb", "c\ufffd"]
    query = "SELECT COUNT(*) FROM job WHERE id = :id"
    assert database.value(query, {"id": "a\0b"}) == 1


@pytest.mark.parametrize(
    ("sql", "values", "value"),
    [
        ("SELECT ':no' || :a", {"a": "b"}, ":nob"),
        ("SELECT :a || '%' || :a", {"a": "%s"}, "%s%%s"),
        ("SELECT CAST(:a AS TEXT) || :b::text", {"a": "1", "b": 2}, "12"),
        ("SELECT 5 % CAST(:a AS INTEGER)", {"a": 3, "unused": 1}, 2),
        ("SELECT '%s'", {}, "%s"),
    ],
)
def test_values_have_names(
    sql: str, values: dict[str, Any], value: object, database: Connection
) -> None:
    assert database.value(sql, values) == value


def test_ids_come_by_their_bytes(database: Connection) -> None:
    with db.exclusive(database, "queue"):
        database.write_many(INSERT, [{"id": each} for each in ("a", "B", "_", "Z", "é", "-")])
    assert database.column("SELECT id FROM job ORDER BY id") == ["-", "B", "Z", "_", "a", "é"]


# -- statements that are planned once ---------------------------------------------------------

PREPARED = "SELECT COUNT(*) FROM pg_prepared_statements WHERE statement LIKE '%FROM job%'"
OFTEN = sessions.PREPARE_AFTER + 2


def test_a_statement_that_runs_often_is_planned_once(database: Connection) -> None:
    for number in range(OFTEN):
        assert database.value("SELECT id FROM job WHERE id = :id", {"id": f"a{number}"}) is None
    assert database.value(PREPARED) == 1


@pytest.mark.parametrize("in_transaction", [True, False])
def test_what_is_planned_goes_on_when_another_host_has_upgraded_the_tables(
    in_transaction: bool, url: str, database: Connection
) -> None:
    """The view is made anew, its tables get columns."""
    with closing(db.connect(url)) as other, db.exclusive(other, "queue"):
        other.write(INSERT, {"id": "kept"})

    def read() -> list[Any]:
        return database.column("SELECT status FROM job_status WHERE id = :id", {"id": "kept"})

    def write(job_id: str) -> None:
        with db.exclusive(database, "queue"):
            database.write(INSERT, {"id": job_id})
            if in_transaction:
                read()

    for number in range(OFTEN):
        write(f"a{number}")
        read()
    with closing(db.connect(url)) as other, db.exclusive(other, "schema"):
        other.execute("ALTER TABLE job ADD COLUMN next TEXT NOT NULL DEFAULT '-'")
        other.execute("CREATE INDEX job_next ON job (next)")
        other.execute(on_postgres._VIEW)
    write("after")
    assert read() == ["queued"]
    assert database.value("SELECT COUNT(*) FROM job") == OFTEN + 2


class Pooler:
    """A relay that names another process than the server's, as PgBouncer does."""

    def __init__(self, port: int) -> None:
        self._port, self._listener = port, socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                key = b"K\0\0\0\x0c"  # BackendKeyData: a process, and a secret
                target.sendall(
                    re.sub(re.escape(key) + b"....", key + b"\0\0\0\1", piece, flags=re.S)
                )
        target.close()

    def close(self) -> None:
        self._listener.close()


def test_nothing_is_prepared_where_a_pooler_hands_sessions_on(cluster: Cluster, url: str) -> None:
    pooler = Pooler(cluster.port)
    try:
        with closing(db.connect(url.replace(f":{cluster.port}/", f":{pooler.port}/"))) as database:
            for number in range(2 * OFTEN):
                database.value("SELECT id FROM job WHERE id = :id", {"id": f"a{number}"})
            assert database.value(PREPARED) == 0
    finally:
        pooler.close()
