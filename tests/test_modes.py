"""Who may read what is made: the database and uploads nobody else, outputs one group."""

import grp
import multiprocessing
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from jobserver import db, store_of
from jobserver.auth.keys import signing_keys
from jobserver.files.keys import output_key
from jobserver.folders import prepare_folders
from jobserver.settings import Settings, SettingsError, load_settings
from tests.nginx import Nginx
from tests.support import Server, Worker, file_part, form, wait_for

UMASKS = [0o000, 0o022, 0o077]
USER, OTHER_USER, GROUP = 54321, 54322, 54323  # nobody's on this machine
IS_ROOT = os.geteuid() == 0


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder in which any user may make something; pytest's own let nobody in."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def modes_below(folder: Path) -> dict[str, str]:
    """Return the mode of every file and folder, by its path with ids and names shortened."""
    found = {}
    for path in folder.rglob("*"):
        parts = [part if len(part) < 22 else f"*{Path(part).suffix}" for part in path.parts]
        found["/".join(parts[len(folder.parts) :])] = mode(path)
    return found


def server_in(folder: Path, **settings: str) -> Server:
    """Return a server whose folders are yet to be made, one below the other."""
    server = Server(folder, **settings)
    server.database = folder / "site/state/db.sqlite3"
    server.upload_dir = folder / "site/media/uploads"
    server.settings |= {
        "DATABASE": str(server.database),
        "UPLOAD_DIR": str(server.upload_dir),
        "OUTPUT_DIR": str(folder / "site/media/outputs"),
    }
    return server


def render(server: Server, content: bytes) -> Any:
    """Upload and have a worker render it; return the job as it is then."""
    job_id = server.post(form(file_part(content))).json["jobId"]
    worker = Worker(server).start()
    try:
        path = f"/api/jobs/{job_id}"
        wait_for(lambda: server.get(path, server.token).json["status"] == "completed", 60, "a job")
    finally:
        worker.stop()
    return server.get(path, server.token).json


@pytest.mark.parametrize("mask", UMASKS, ids=oct)
def test_every_file_and_folder_has_its_mode_whatever_the_umask(
    mask: int, tmp_path: Path, clip: bytes
) -> None:
    server = server_in(tmp_path)
    with umask(mask):
        server.start()
        render(server, clip)
    found = modes_below(tmp_path / "site")
    server.stop()
    assert found == {
        "state": "0o700",
        "state/db.sqlite3": "0o600",
        "state/db.sqlite3-wal": "0o600",
        "state/db.sqlite3-shm": "0o600",
        "state/db.sqlite3-reserve": "0o600",
        "media": "0o750",
        "media/uploads": "0o700",
        "media/uploads/.database": "0o600",
        "media/uploads/*.mp4": "0o600",
        "media/outputs": "0o750",
        "media/outputs/.database": "0o600",
        "media/outputs/*": "0o750",
        "media/outputs/*/*.mp4": "0o640",
        "media/outputs/*/*.webp": "0o640",
    }


def settings_in(folder: Path, **values: Any) -> Settings:
    return load_settings(folder / "instance", {"AUTH_PASSWORD": "correct horse", **values})


@pytest.mark.parametrize("mask", UMASKS, ids=oct)
def test_the_instance_folder_leads_to_outputs_and_holds_secrets(mask: int, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with umask(mask):
        signing_keys(settings)
        prepare_folders(settings)
        db.initialise(settings.database)
    assert modes_below(tmp_path) == {
        "instance": "0o750",
        "instance/secret_key": "0o600",
        "instance/jobserver.sqlite3": "0o600",
        "instance/uploads": "0o700",
        "instance/outputs": "0o750",
    }


@pytest.mark.parametrize("mask", UMASKS, ids=oct)
def test_what_is_being_written_is_private(mask: int, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    store = store_of(settings)
    with umask(mask):
        prepare_folders(settings)
        incoming = store.receive("clip.mp4")
        with store.scratch_dir(job_id="j" * 22, file_id="f" * 22, claim_token=1) as scratch:
            assert mode(scratch) == "0o700"
        (part,) = settings.upload_dir.iterdir()
        assert mode(part) == "0o600"
        incoming.discard()


def test_a_database_of_before_is_closed_to_others_and_left_to_its_group(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    db.initialise(path)
    path.chmod(0o664)
    with closing(db.connect(path)) as database:
        database.execute("SELECT 1 FROM meta").fetchall()
        for name in ("db.sqlite3-wal", "db.sqlite3-shm"):
            (tmp_path / name).chmod(0o664)
        db.initialise(path)
        assert set(modes_below(tmp_path).values()) == {"0o660"}


def test_folders_that_were_there_keep_their_modes(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    for folder in (settings.instance_dir, settings.upload_dir, settings.output_dir):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o775)
    prepare_folders(settings)
    assert set(modes_below(tmp_path).values()) == {"0o775"}


# -- OUTPUT_GROUP -------------------------------------------------------------------------------


def as_user(user: int, groups: list[int], work: Callable[[], Any]) -> Any:
    """Return what `work` returns when this user calls it, or the text of what it raises."""
    results = multiprocessing.get_context("fork").SimpleQueue()

    def run() -> None:
        if IS_ROOT:  # else this is an ordinary user already
            os.setgroups(groups)
            os.setgid(user)
            os.setuid(user)
        try:
            results.put(work())
        except Exception as error:
            results.put(f"{type(error).__name__}: {error}")

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    result = results.get()
    process.join()
    return result


def publish(settings: Settings) -> Path:
    """Make the folders, a database, an upload and an output; return the path of the output."""
    store = store_of(settings)
    prepare_folders(settings)
    db.initialise(settings.database)
    incoming = store.receive("clip.mp4")
    incoming.write(b"source")
    incoming.commit()
    incoming.discard()
    with store.scratch_dir(job_id="j" * 22, file_id="f" * 22, claim_token=1) as scratch:
        (scratch / "out.mp4").write_bytes(b"output")
        store.publish([store.put(scratch / "out.mp4", output_key("j" * 22, "out.mp4"))])
    return settings.output_dir / ("j" * 22) / "out.mp4"


def readable(folder: Path) -> set[str]:
    """Return the names of the files that this process can read."""
    names = set()
    for path in folder.rglob("*"):
        try:
            if path.is_file() and path.read_bytes() is not None:
                names.add(path.name)
        except PermissionError:
            continue
    return names


def own_group() -> int:
    return GROUP if IS_ROOT else os.getgroups()[-1]


@pytest.mark.parametrize("mask", UMASKS, ids=oct)
def test_an_ordinary_user_shares_outputs_with_one_group_and_nothing_else(
    mask: int, open_folder: Path
) -> None:
    settings = settings_in(open_folder, OUTPUT_GROUP=str(own_group()))
    with umask(mask):
        output = as_user(USER, [own_group()], lambda: publish(settings))
    assert isinstance(output, Path), output
    shared = [output, output.parent, settings.output_dir, settings.instance_dir]
    assert {path.stat().st_gid for path in shared} == {own_group()}
    assert [mode(path) for path in shared] == ["0o640", "0o750", "0o750", "0o750"]
    if IS_ROOT:
        of_group = as_user(OTHER_USER, [own_group()], lambda: readable(open_folder))
        assert of_group == {"out.mp4"}
        assert as_user(OTHER_USER, [], lambda: readable(open_folder)) == set()


def test_an_output_folder_of_before_is_given_to_the_group(open_folder: Path) -> None:
    settings = settings_in(open_folder, OUTPUT_GROUP=str(own_group()))

    def twice() -> str:
        settings.output_dir.mkdir(parents=True)
        settings.output_dir.chmod(0o700)
        for _ in range(2):
            prepare_folders(settings)
        return mode(settings.output_dir)

    assert as_user(USER, [own_group()], twice) == "0o750"
    assert settings.output_dir.stat().st_gid == own_group()


def foreign_group() -> int:
    return next(group for group in range(GROUP + 1, GROUP + 100) if group not in os.getgroups())


def test_a_group_that_the_user_is_not_in_is_refused_and_nothing_is_made(open_folder: Path) -> None:
    group = foreign_group()
    settings = settings_in(open_folder, OUTPUT_GROUP=str(group))
    sentence = f"OUTPUT_GROUP cannot be used: this user is not in the group {group}"
    assert as_user(USER, [], lambda: prepare_folders(settings)) == f"SettingsError: {sentence}"
    assert list(open_folder.iterdir()) == []


def test_a_group_is_given_by_name_or_id(tmp_path: Path) -> None:
    own = grp.getgrgid(os.getgid())
    assert settings_in(tmp_path, OUTPUT_GROUP=own.gr_name).output_group == own.gr_gid
    assert settings_in(tmp_path, OUTPUT_GROUP=str(own.gr_gid)).output_group == own.gr_gid
    assert settings_in(tmp_path, OUTPUT_GROUP=7).output_group == 7


@pytest.mark.parametrize("bad", ["", " ", "no-such-group", "-1", "4294967295", "\0", "³"])
def test_a_group_that_there_is_not_is_one_sentence(bad: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"\AOUTPUT_GROUP cannot be used: [^\n]+\Z"):
        settings_in(tmp_path, OUTPUT_GROUP=bad)


@pytest.mark.tools
def test_nginx_as_its_own_user_sends_outputs_of_its_group(open_folder: Path, clip: bytes) -> None:
    group = grp.getgrnam("nogroup").gr_gid if IS_ROOT else os.getgid()
    accel = {"TRUSTED_PROXIES": "1", "ACCEL_REDIRECT": "/.outputs", "OUTPUT_GROUP": str(group)}
    server = server_in(open_folder, **accel).start()
    alias = {
        "alias /srv/jobserver/outputs/;": f"alias {server.settings['OUTPUT_DIR']}/;",
    }
    (open_folder / "nginx").mkdir()
    nginx = Nginx(open_folder / "nginx", server.port, user="nobody nogroup", **alias).start()
    try:
        job = render(server, clip)
        path = job["files"][0]["outputs"][0]["url"]
        answer = server.request("GET", path, port=nginx.port)
        assert answer.status == 200
        assert b"ftyp" in answer.body[:12]
        assert "Permission denied" not in nginx.error_log.read_text()
    finally:
        nginx.stop()
        server.stop()
