"""Databases as older versions of jobserver left them, with rows in every state.

Made with the scripts of their time and no other code of ours. Rows are written with the names
that columns had in version 3; an older version has those of them that it knows.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from jobserver.db.migrations import SCRIPTS

AT = 1_800_000_000.0
DATABASE_ID = "nvfrPLKdS3UWXmMEjqVZAD"
STATUSES = ("queued", "processing", "completed", "failed", "cancelled")
TABLES = ("job", "job_file", "output", "expired_job")
RENAMED = {"token": "claim_token"}

# What this version says where an older version had no column.
DEFAULTS: dict[str, Any] = {
    "recipe": "subtle",
    "seed": 0,
    "removed_at": None,
    "worker": None,
    "claim_token": 0,
    "lease_until": 0,
    "served_at": None,
    "attempts": 0,
    "not_before": 0,
    "progress": 0,
    "started_at": None,
    "finished_at": None,
    "error": None,
    "duration": None,
    "width": None,
    "height": None,
    "sha256": None,
    "thumbnail": None,
    "crc32": 0,
    "made_with": "",
    "own_seed": None,
    "title": None,
    "title_key": None,
    "brief": None,
    "total_outputs": None,
    "role": "video",
    "planned": None,
    "weight": None,
    "stage": 0,
    "ready": 1,
    "facts": None,
    "credentials": None,
    "axes": None,
    "loudness": None,
}

# Of wrong passwords: an address, Unix seconds.
FAILURES = [
    ("203.0.113.7", AT - 100),
    ("203.0.113.7", AT - 60),
    ("203.0.113.7", AT - 70),
    ("2001:db8:0:7::/64", AT - 5),
]

Rows = dict[str, dict[str, dict[str, Any]]]  # by table and id


def make_database(path: Path, version: int) -> None:
    """Make a database of version 1, 2 or 3 with jobs in every state."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA foreign_keys = ON")
        for script in SCRIPTS[:version]:
            db.executescript(script)
        meta = {"schema_version": str(version), "database_id": DATABASE_ID}
        if version == 3:
            meta["last_seen"] = str(AT)
        db.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", meta.items())
        db.executemany("INSERT INTO sign_in_failure (address, at) VALUES (?, ?)", FAILURES)
        for table in TABLES:
            for row in _rows()[table]:
                _insert(db, table, row)


def rows_of(path: Path) -> Rows:
    """Return every row of TABLES, by column."""
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        return {
            table: {row["id"]: dict(row) for row in db.execute(f"SELECT * FROM {table}")}  # noqa: S608
            for table in TABLES
            if _columns(db, table)
        }


def statuses_of(path: Path) -> dict[str, tuple[int, str]]:
    """Return how many files each job has, and its status."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT id, total_videos, status FROM job_status").fetchall()
        return {job_id: (files, status) for job_id, files, status in rows}


def version_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        query = "SELECT value FROM meta WHERE name = 'schema_version'"
        return str(db.execute(query).fetchone()[0])


def expected(before: Rows) -> Rows:
    """Return the rows that an upgrade to version 4 makes of those of an older version."""
    renamed = {
        table: {
            row_id: {RENAMED.get(name, name): value for name, value in row.items()}
            for row_id, row in rows.items()
        }
        for table, rows in before.items()
    }
    return {table: renamed.get(table, {}) for table in TABLES}


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}


def _insert(db: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    known = {name: value for name, value in row.items() if name in _columns(db, table)}
    if known:
        names, marks = ", ".join(known), ", ".join("?" * len(known))
        db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", [*known.values()])  # noqa: S608


def _rows() -> dict[str, list[dict[str, Any]]]:
    """Return a job of each state, one of all of them, and one whose files are being deleted."""
    tables: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for n, statuses in enumerate([*((status,) * 2 for status in STATUSES), STATUSES]):
        _add_job(tables, f"{'-'.join(dict.fromkeys(statuses))}", n, statuses)
    _add_job(tables, "removed", 9, ("completed",))
    tables["job"][-1]["removed_at"] = AT - 1
    tables["expired_job"] = [
        {"id": f"expired{n}", "created_at": AT - 200_000 + n, "removed_at": AT - n}
        for n in range(2)
    ]
    return tables


def _add_job(
    tables: dict[str, list[dict[str, Any]]], job_id: str, n: int, statuses: tuple[str, ...]
) -> None:
    job = {"id": job_id, "recipe": "bold", "seed": 2**32 - 1 - n, "removed_at": None}
    tables["job"].append({**job, "variations_per_video": 1 + n, "created_at": AT - 1000 + n})
    for position, status in enumerate(statuses):
        file = _file(f"{job_id}.{position}", status)
        tables["job_file"].append({**file, "job_id": job_id, "position": position})
        if status in ("completed", "processing", "cancelled"):
            tables["output"].extend(_output(file["id"], number) for number in (1, 20))


def _file(file_id: str, status: str) -> dict[str, Any]:
    begun, ended = status != "queued", status in ("completed", "failed", "cancelled")
    return {
        "id": file_id,
        "name": f"Clip „{file_id}“; 'quoted'.mp4",
        "stored_name": f"{file_id}.mp4",
        "size": 2**33 + len(file_id),
        "status": status,
        "worker": "host:7" if begun else None,
        "token": 3 if begun else 0,
        "lease_until": AT + 30 if status == "processing" else 0,
        "served_at": AT - 40 if begun else None,
        "attempts": 2 if status == "processing" else 0,
        "not_before": AT - 50 if status == "failed" else 0,
        "progress": {"queued": 0, "completed": 1}.get(status, 0.4),
        "started_at": AT - 90 if begun else None,
        "finished_at": AT - 10.25 if ended else None,
        "error": "This video cannot be read." if status == "failed" else None,
        "duration": 12.48 if begun else None,
        "width": 1080 if begun else None,
        "height": 1920 if begun else None,
        "sha256": "ab" * 32 if begun else None,
        "thumbnail": f"{file_id}.webp" if begun else None,
    }


def _output(file_id: str, number: int) -> dict[str, Any]:
    return {
        "id": f"{file_id}.{number}",
        "file_id": file_id,
        "number": number,
        "name": f"Clip_var{number}_{file_id}.mp4",
        "size": 2**32 + number,
        "sha256": "cd" * 32,
        "crc32": 2**32 - number,
        "parameters": '{"zoom": 1.01}',
        "seconds": 4.5 + number,
        "thumbnail": f"Clip_var{number}_{file_id}.webp" if number == 1 else None,
        "made_with": "jobserver 0.1.0; ffmpeg version 7.0.2; libx264",
        "created_at": AT - 30 + number,
    }
