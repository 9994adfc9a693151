"""Settings: where each is read from, and how an unusable one stops the start."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from jobserver import config
from jobserver.config import ConfigError, load
from tests import support
from tests.support import PROJECT, Server
from tests.test_db import together

# name: (what the environment says, what instance/config.py says, what the overrides say)
GIVEN = {
    "AUTH_PASSWORD": ("by environment", "by file", "by override"),
    "DATABASE": ("environment.sqlite3", "file.sqlite3", "override.sqlite3"),
    "UPLOAD_DIR": ("environment-up", "file-up", "override-up"),
    "OUTPUT_DIR": ("environment-out", "file-out", "override-out"),
    "TOKEN_MAX_AGE": ("11", 12, 13),
    "MAX_FILE_SIZE": ("21", 22, 23),
    "MAX_FILES": ("31", 32, 33),
    "MAX_UPLOADS": ("41", 42, 43),
    "MAX_DOWNLOADS": ("45", 46, 47),
    "JOB_LIFETIME": ("51", 52, 53),
    "MIN_FREE_SPACE": ("61", 62, 63),
    "CLIENT_TIMEOUT": ("71", 72, 73),
    "TRUSTED_PROXIES": ("81", 82, 83),
    "LINK_LIFETIME": ("75", 76, 77),
    "STORAGE_QUOTA": ("78", 79, 80),
    "ACCEL_REDIRECT": ("/environment", "/file", "/override"),
    "WORKERS": ("1", 2, 3),
    "ENCODER": ("libx264", "libopenh264", "h264_nvenc"),
    "ENCODER_PRESET": ("fast", "slow", ""),
    "MAX_PIXELS": ("101", 102, 103),
    "MAX_DURATION": ("111", 112, 113),
    "RENDER_MEMORY": ("300000001", 300000002, 300000003),
    "PORT": ("8091", 8092, 8093),
}
NAMES = [*GIVEN, "SECRET_KEY", "FFMPEG", "ENCODER_RATE"]
NUMBERS = [name for name, given in GIVEN.items() if isinstance(given[1], int)]
MAY_BE_ZERO = ["MIN_FREE_SPACE", "STORAGE_QUOTA", "TRUSTED_PROXIES"]
PATHS = ["DATABASE", "UPLOAD_DIR", "OUTPUT_DIR"]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    folder = tmp_path / "instance"
    folder.mkdir()
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project with an empty instance folder of its own."""
    copy = tmp_path / "project"
    shutil.copytree(PROJECT / "jobserver", copy / "jobserver")
    for name in ("wsgi.py", "gunicorn.conf.py"):
        shutil.copy(PROJECT / name, copy)
    (copy / "instance").mkdir()
    monkeypatch.setattr(support, "PROJECT", copy)
    return copy


def value_of(name: str, text: str, folder: Path) -> object:
    """Return what `text` becomes when a setting of this name is read."""
    if name in NUMBERS:
        return int(text)
    return folder / text if name in PATHS else text


def refusal(server: Server) -> str:
    """Return the only line of a server that does not start."""
    server.launch()
    assert server.process is not None
    assert server.process.wait(20) not in (0, None)
    (line,) = server.log().splitlines()
    return line


def test_an_empty_folder_and_environment_give_the_defaults_in_their_units(instance: Path) -> None:
    values = load(instance)
    keys = values.pop("TOKEN_KEYS")
    assert values == {
        "AUTH_PASSWORD": None,
        "DATABASE": instance / "jobserver.sqlite3",
        "UPLOAD_DIR": instance / "uploads",
        "OUTPUT_DIR": instance / "outputs",
        "TOKEN_MAX_AGE": 86400,
        "MAX_FILE_SIZE": 524288000,
        "WORKERS": max(1, (os.cpu_count() or 1) // 4),
        "FFMPEG": None,
        "LINK_LIFETIME": 3600,
        "STORAGE_QUOTA": 0,
        "ACCEL_REDIRECT": None,
        "ENCODER": "libx264",
        "ENCODER_PRESET": "superfast",
        "ENCODER_RATE": ("-crf", "21"),
        "MAX_PIXELS": 4096 * 2304,
        "MAX_DURATION": 3600,
        "RENDER_MEMORY": 2147483648,
        "MAX_DOWNLOADS": 32,
        "MAX_FILES": 10,
        "MAX_UPLOADS": 8,
        "JOB_LIFETIME": 86400,
        "MIN_FREE_SPACE": 104857600,
        "CLIENT_TIMEOUT": 60,
        "TRUSTED_PROXIES": 0,
        "PORT": 8080,
    }
    assert len(keys) == 1
    assert len(keys[0]) >= 43  # 256 random bits
    assert (instance / "uploads").is_dir()
    assert (instance / "outputs").is_dir()


@pytest.mark.parametrize("name", GIVEN)
def test_overrides_win_over_the_file_and_the_file_over_the_environment(
    name: str, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, file, override = (
        str(instance / given) if name in PATHS else given for given in GIVEN[name]
    )
    monkeypatch.setenv(name, str(environment))
    from_file = {name: file}
    assert load(instance)[name] == value_of(name, str(environment), instance)
    assert load(instance, from_file)[name] == value_of(name, str(file), instance)
    assert load(instance, {name: override}, from_file)[name] == value_of(
        name, str(override), instance
    )


def test_create_app_reads_overrides_then_instance_config_py_then_the_environment(
    project: Path,
) -> None:
    (project / "instance" / "config.py").write_text(
        "MAX_FILES = 4\nMAX_UPLOADS = 5\nSECRET_KEY = 'by file'\nUNKNOWN = 1\n"
    )
    code = """if True:
        import json
        from jobserver import create_app
        names = ("PORT", "TOKEN_MAX_AGE", "MAX_FILES", "MAX_UPLOADS", "TOKEN_KEYS", "UPLOAD_DIR")
        config = create_app({"MAX_UPLOADS": 6}).config
        print(json.dumps([config[name] for name in names], default=str))"""
    environment = {
        "PYTHONPATH": str(project),
        "TOKEN_MAX_AGE": "3",
        "MAX_FILES": "3",
        "MAX_UPLOADS": "3",
        "SECRET_KEY": "by environment",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    uploads = str(project / "instance" / "uploads")
    assert json.loads(done.stdout) == [8080, 3, 4, 6, ["by file"], uploads]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["", "x", "1.5", "-1", "0x10", " ", "1e3", "9" * 5000, True, []])
def test_a_number_that_is_none_is_refused_with_one_sentence(
    name: str, value: object, instance: Path
) -> None:
    with pytest.raises(ConfigError, match=rf"\A{name} cannot be used: [^\n]+\Z"):
        load(instance, {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, 0) for name in NUMBERS if name not in MAY_BE_ZERO]
    + [("PORT", 65536), ("CLIENT_TIMEOUT", 10**20), ("JOB_LIFETIME", 10**13)],
)
def test_a_number_out_of_its_range_is_refused_with_one_sentence(
    name: str, value: int, instance: Path
) -> None:
    with pytest.raises(ConfigError, match=rf"\A{name} cannot be used: [^\n]+\Z"):
        load(instance, {name: value})


@pytest.mark.parametrize("name", MAY_BE_ZERO)
def test_none_kept_free_and_no_proxy_are_usable(name: str, instance: Path) -> None:
    assert load(instance, {name: "0"})[name] == 0


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("value", ["", " ", "nul\0nul", 5, [], "/proc/none/there"])
def test_a_path_that_cannot_be_made_is_refused_with_one_sentence(
    name: str, value: object, instance: Path
) -> None:
    with pytest.raises(ConfigError, match=rf"\A{name} cannot be used: [^\n]+\Z"):
        load(instance, {name: value})


@pytest.mark.parametrize("name", ["UPLOAD_DIR", "OUTPUT_DIR"])
def test_a_folder_that_is_a_file_is_refused(name: str, instance: Path) -> None:
    (instance / "taken").touch()
    with pytest.raises(ConfigError, match=f"{name} cannot be used"):
        load(instance, {name: instance / "taken"})


def test_a_database_that_is_a_folder_is_refused(instance: Path) -> None:
    with pytest.raises(ConfigError, match=f"DATABASE cannot be used: {instance} is not a file"):
        load(instance, {"DATABASE": instance})


@pytest.mark.parametrize("name", ["AUTH_PASSWORD", "SECRET_KEY"])
@pytest.mark.parametrize("value", ["", "  ", 5, b"bytes"])
def test_an_empty_secret_is_refused_and_not_shown(name: str, value: object, instance: Path) -> None:
    with pytest.raises(ConfigError, match=rf"\A{name} cannot be used: [^\n]+\Z"):
        load(instance, {name: value})


def test_a_password_is_taken_as_it_is(instance: Path) -> None:
    assert load(instance, {"AUTH_PASSWORD": " pässwörd, 1 "})["AUTH_PASSWORD"] == " pässwörd, 1 "


def test_a_secret_key_may_be_a_list_newest_first(instance: Path) -> None:
    assert load(instance, {"SECRET_KEY": "new, old"})["TOKEN_KEYS"] == ("new", "old")
    assert not (instance / "secret_key").exists()


@pytest.mark.parametrize("value", ["a,,b", ",a", "a,", ","])
def test_a_list_with_an_empty_key_is_refused_and_its_keys_not_shown(
    value: str, instance: Path
) -> None:
    with pytest.raises(ConfigError, match="SECRET_KEY cannot be used: ") as caught:
        load(instance, {"SECRET_KEY": value})
    assert "a," not in str(caught.value)


def test_a_secret_key_that_is_no_utf8_is_refused(instance: Path) -> None:
    with pytest.raises(ConfigError, match="SECRET_KEY cannot be used: "):
        load(instance, {"SECRET_KEY": b"\xff\xfe".decode("utf-8", "surrogateescape")})


def test_a_missing_secret_key_is_made_once_with_mode_0600_and_kept(instance: Path) -> None:
    first = load(instance)["TOKEN_KEYS"]
    path = instance / "secret_key"
    assert first == (path.read_text(),)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(instance)["TOKEN_KEYS"] == first


def test_two_instances_make_different_keys(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    assert load(folders[0])["TOKEN_KEYS"] != load(folders[1])["TOKEN_KEYS"]


def test_processes_started_at_the_same_time_have_the_same_key_and_leave_no_draft(
    instance: Path,
) -> None:
    settings = {name: instance / name for name in ("DATABASE", "UPLOAD_DIR", "OUTPUT_DIR")}
    for name in ("first", "second", "third"):
        folder = instance / name
        folder.mkdir()
        keys = together(8, lambda path: load(path, settings)["TOKEN_KEYS"], folder)
        assert len(set(keys)) == 1
        assert [path.name for path in folder.iterdir()] == ["secret_key"]
        assert keys[0] == ((folder / "secret_key").read_text(),)


def test_an_empty_key_file_is_refused_with_one_sentence(instance: Path) -> None:
    (instance / "secret_key").touch()
    with pytest.raises(ConfigError, match=r"\ASECRET_KEY cannot be used: [^\n]+\Z"):
        load(instance)


def test_a_key_that_cannot_be_kept_stops_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    elsewhere = {name: tmp_path / name for name in PATHS}
    with pytest.raises(ConfigError, match=r"\ASECRET_KEY cannot be used: [^\n]+\Z"):
        load(tmp_path / "taken", elsewhere)


def test_an_instance_folder_that_does_not_exist_is_made_for_the_key(tmp_path: Path) -> None:
    elsewhere = {name: tmp_path / name for name in PATHS}
    assert (
        load(tmp_path / "new", elsewhere)["TOKEN_KEYS"]
        == load(tmp_path / "new", elsewhere)["TOKEN_KEYS"]
    )


def test_a_made_key_is_the_same_for_all_workers_and_after_a_restart(
    project: Path, own_server: Server
) -> None:
    del own_server.settings["SECRET_KEY"]
    own_server.start()
    token = own_server.token
    assert {own_server.get("/api/jobs", token).status for _ in range(20)} == {200}
    own_server.stop()
    own_server.start()
    assert {own_server.get("/api/jobs", token).status for _ in range(20)} == {200}
    key = project / "instance" / "secret_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "99999"),
        ("SECRET_KEY", "a,,b"),
        ("UPLOAD_DIR", str(PROJECT / "wsgi.py")),
        ("CLIENT_TIMEOUT", "1" + "0" * 20),
    ],
)
def test_gunicorn_does_not_start_and_says_in_one_line_which_setting_is_wrong(
    name: str, value: str, own_server: Server
) -> None:
    own_server.init_db()
    own_server.settings[name] = value
    assert refusal(own_server).startswith(f"jobserver: {name} cannot be used: ")


def test_gunicorn_does_not_start_without_a_password(own_server: Server) -> None:
    own_server.init_db()
    del own_server.settings["AUTH_PASSWORD"]
    assert refusal(own_server).startswith("jobserver: AUTH_PASSWORD is not set")


def test_flask_run_does_not_start_without_a_password_either(own_server: Server) -> None:
    own_server.init_db()
    del own_server.settings["AUTH_PASSWORD"]
    done = own_server.flask("run", "--port", str(own_server.port))
    assert done.returncode != 0
    assert done.stderr.startswith("jobserver: AUTH_PASSWORD is not set")
    assert len(done.stderr.splitlines()) == 1


def test_commands_that_let_nobody_in_need_no_password(own_server: Server) -> None:
    del own_server.settings["AUTH_PASSWORD"]
    done = own_server.flask("init-db")
    assert (done.returncode, done.stderr) == (0, "")
    assert own_server.database.exists()


def test_every_setting_has_a_row_in_these_tests(instance: Path) -> None:
    assert {setting.name for setting in config.settings(instance)} == set(NAMES)


@pytest.mark.parametrize("folder", ["UPLOAD_DIR", "OUTPUT_DIR"])
def test_a_database_among_the_files_that_come_and_go_is_refused(
    instance: Path, folder: str
) -> None:
    settings = {folder: instance / "files", "DATABASE": instance / "files" / "db.sqlite3"}
    with pytest.raises(ConfigError, match=f"DATABASE cannot be used: it lies in {folder}"):
        load(instance, settings)


@pytest.mark.parametrize("mistake", ["MAX_FILES = (", "unknown", b"\xff\xfe", "raise OSError(2)"])
def test_a_mistake_in_instance_config_py_is_one_sentence_that_names_it(
    project: Path, mistake: str | bytes
) -> None:
    path = project / "instance" / "config.py"
    path.write_bytes(mistake if isinstance(mistake, bytes) else mistake.encode())
    done = support.Server(project).init_db()
    assert done.returncode == 1
    assert re.fullmatch(r"jobserver: .*/instance/config\.py cannot be used: .*\n", done.stderr)


def test_a_kept_key_that_is_no_text_is_one_sentence_that_names_it(instance: Path) -> None:
    (instance / "secret_key").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="SECRET_KEY cannot be used"):
        load(instance, {})
