"""Settings: where each is read from, and how an unusable one stops the start."""

import json
import os
import re
import shutil
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from jobserver import store_of
from jobserver.folders import prepare_folders
from jobserver.settings import (
    Settings,
    SettingsError,
    load_settings,
    weak_secrets,
)
from jobserver.webhooks.address import Allowed
from tests import support
from tests.support import PROJECT, Server

# name: (what the environment says, what instance/config.py says, what the overrides say)
GIVEN = {
    "AUTH_PASSWORD": ("by environment", "by file", "by override"),
    "DATABASE": ("environment.sqlite3", "file.sqlite3", "override.sqlite3"),
    "UPLOAD_DIR": ("environment-up", "file-up", "override-up"),
    "OUTPUT_DIR": ("environment-out", "file-out", "override-out"),
    "TOKEN_MAX_AGE": ("11", 12, 13),
    "MAX_FILE_SIZE": ("21", 22, 23),
    "MAX_FILES": ("31", 32, 33),
    "MAX_OUTPUTS": ("34", 35, 36),
    "MAX_QUEUED_FILES": ("35", 36, 37),
    "MAX_QUEUED_FILES_PER_KEY": ("36", 37, 38),
    "AUDIT_DAYS": ("37", 38, 39),
    "MAX_UPLOADS": ("41", 42, 43),
    "MAX_DOWNLOADS": ("45", 46, 47),
    "JOB_LIFETIME": ("51", 52, 53),
    "UPLOAD_LIFETIME": ("51", 52, 53),
    "MIN_FREE_SPACE": ("61", 62, 63),
    "CLIENT_TIMEOUT": ("71", 72, 73),
    "TRUSTED_PROXIES": ("81", 82, 83),
    "LINK_LIFETIME": ("75", 76, 77),
    "STORAGE_QUOTA": ("78", 79, 80),
    "ACCEL_REDIRECT": ("/environment", "/file", "/override"),
    "WORKERS": ("1", 2, 3),
    "WORKER_GRACE": ("5", 6, 7),
    "CELERY_BROKER_URL": ("redis://environment", "redis://file", "redis://override"),
    "ENCODER": ("libx264", "libopenh264", "h264_nvenc"),
    "ENCODER_PRESET": ("fast", "slow", ""),
    "MAX_PIXELS": ("101", 102, 103),
    "MAX_DURATION": ("111", 112, 113),
    "RENDER_MEMORY": ("300000001", 300000002, 300000003),
    "HOST": ("10.0.0.2", "10.0.0.1", "::1"),
    "PORT": ("8091", 8092, 8093),
    "METRICS_TOKEN": ("environment-token", "file-token", "override-token"),
    "METRICS_DIR": ("environment-metrics", "file-metrics", "override-metrics"),
    "SCRATCH_DIR": ("environment-scratch", "file-scratch", "override-scratch"),
    "SCRATCH_SIZE": ("121", 122, 123),
    "ORPHAN_AGE": ("131", 132, 133),
    "FONTS_DIR": ("environment-fonts", "file-fonts", "override-fonts"),
}
FILES = ["AUTH_PASSWORD_FILE", "SECRET_KEY_FILE", "DATABASE_URL_FILE", "METRICS_TOKEN_FILE"]
STORAGE = ["STORAGE_URL", "STORAGE_PUBLIC_URL"]
SECRETS = ["SECRET_KEY", "DATABASE_URL"]
OTHERS = ["ACCEPT", "LOG_FORMAT", "FFMPEG", "ENCODER_RATE", "OUTPUT_GROUP", "WEBHOOK_ALLOW"]
OTHERS += ["CORS_ORIGINS"]
NAMES = [*GIVEN, *FILES, *STORAGE, *SECRETS, *OTHERS]
MANY_HOSTS = {"DATABASE_URL": "postgresql://db.test/x", "SECRET_KEY": "a key of twelve and more"}
NUMBERS = [name for name, given in GIVEN.items() if isinstance(given[1], int)]
MAY_BE_ZERO = ["MIN_FREE_SPACE", "STORAGE_QUOTA", "TRUSTED_PROXIES", "WORKER_GRACE"]
MADE = ["DATABASE", "UPLOAD_DIR", "OUTPUT_DIR", "SCRATCH_DIR"]
PATHS = [*MADE, "FONTS_DIR", "METRICS_DIR"]


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


def value(instance: Path, name: str, overrides: dict[str, object] | None = None) -> object:
    """Return one setting, by the name that it has in the environment."""
    return getattr(load_settings(instance, overrides), name.lower())


def parsed(name: str, text: str, folder: Path) -> object:
    """Return what `text` becomes when a setting of this name is read."""
    if name in NUMBERS:
        return int(text)
    return folder / text if name in PATHS else text


def needed_by(name: str) -> dict[str, str]:
    """Return the settings without which a folder of this name is not made."""
    return {**MANY_HOSTS, "STORAGE_URL": "s3://media"} if name == "SCRATCH_DIR" else {}


def refusal(server: Server) -> str:
    """Return the only line of a server that does not start."""
    server.launch()
    assert server.process is not None
    assert server.process.wait(20) not in (0, None)
    (line,) = server.log().splitlines()
    return line


# -- reading ----------------------------------------------------------------------------


def test_an_empty_folder_and_environment_give_the_defaults_in_their_units(instance: Path) -> None:
    assert load_settings(instance).model_dump() == {
        "instance_dir": instance,
        "auth_password": None,
        "auth_password_file": None,
        "secret_key": None,
        "secret_key_file": None,
        "database": instance / "jobserver.sqlite3",
        "database_url": None,
        "database_url_file": None,
        "upload_dir": instance / "uploads",
        "output_dir": instance / "outputs",
        "storage_url": None,
        "storage_public_url": None,
        "scratch_dir": instance / "scratch",
        "scratch_size": 10 * 1024**3,
        "orphan_age": 3600,
        "output_group": None,
        "token_max_age": 86400,
        "max_file_size": 524288000,
        "workers": max(1, (os.cpu_count() or 1) // 4),
        "worker_grace": 10,
        "celery_broker_url": None,
        "ffmpeg": None,
        "link_lifetime": 3600,
        "storage_quota": 0,
        "accel_redirect": None,
        "encoder": "libx264",
        "encoder_preset": "superfast",
        "encoder_rate": (),
        "fonts_dir": None,
        "max_pixels": 4096 * 2304,
        "max_duration": 3600,
        "render_memory": 2147483648,
        "max_downloads": 32,
        "accept": ("mp4",),
        "max_files": 10,
        "max_outputs": 500,
        "max_queued_files": 100000,
        "max_queued_files_per_key": 10000,
        "audit_days": 90,
        "webhook_allow": Allowed(),
        "max_uploads": 8,
        "job_lifetime": 86400,
        "upload_lifetime": 86400,
        "min_free_space": 104857600,
        "client_timeout": 60,
        "cors_origins": (),
        "trusted_proxies": 0,
        "host": "127.0.0.1",
        "log_format": "auto",
        "metrics_dir": instance / "metrics",
        "metrics_token": None,
        "metrics_token_file": None,
        "port": 8080,
    }


@pytest.mark.parametrize("name", GIVEN)
def test_overrides_win_over_the_environment_and_the_environment_over_the_file(
    name: str, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, file, override = (
        str(instance / given) if name in PATHS else given for given in GIVEN[name]
    )
    (instance / "config.py").write_text(f"{name} = {file!r}")
    assert value(instance, name) == parsed(name, str(file), instance)
    monkeypatch.setenv(name, str(environment))
    assert value(instance, name) == parsed(name, str(environment), instance)
    assert value(instance, name, {name: override}) == parsed(name, str(override), instance)


def test_every_setting_has_a_row_in_these_tests() -> None:
    fields = {name.upper() for name in Settings.model_fields}
    assert fields - {"INSTANCE_DIR"} == set(NAMES)


def test_none_in_the_file_or_the_overrides_counts_as_missing(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAX_FILES", "31")
    (instance / "config.py").write_text("MAX_FILES = None\nMAX_UPLOADS = 42")
    assert value(instance, "MAX_FILES") == 31
    assert value(instance, "MAX_UPLOADS", {"MAX_UPLOADS": None}) == 42


def test_other_names_are_not_read(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("max_files", "31")
    monkeypatch.setenv("INSTANCE_DIR", "/elsewhere")
    (instance / "config.py").write_text("import os\nmax_files = 32\nUNKNOWN = 1")
    settings = load_settings(instance, {"max_files": 33, "_env_file": "x", "OTHER": 1})
    assert settings.max_files == 10
    assert settings.instance_dir == instance


def test_reading_makes_no_folder_and_no_file(tmp_path: Path) -> None:
    load_settings(tmp_path / "new")
    load_settings(tmp_path / "new", {name: tmp_path / name / "below" for name in PATHS})
    assert list(tmp_path.iterdir()) == []


def test_settings_cannot_be_changed(instance: Path) -> None:
    settings = load_settings(instance)
    with pytest.raises(ValidationError, match="frozen"):
        settings.max_files = 5  # type: ignore[misc]


def test_secrets_are_not_shown(instance: Path) -> None:
    url = "postgresql://u:hidden3@h/d"
    given = {"AUTH_PASSWORD": "hidden 1", "SECRET_KEY": "hidden 2", "DATABASE_URL": url}
    settings = load_settings(instance, given)
    assert "hidden" not in f"{settings!r} {settings}"


def test_a_url_takes_the_place_of_the_database_file(instance: Path) -> None:
    url, key = "postgresql://u@h/d", {"SECRET_KEY": "of all hosts"}
    for scheme in (url, url.replace("postgresql", "postgres")):
        settings = load_settings(instance, {"DATABASE_URL": scheme, **key})
        assert (settings.database_place, settings.database_folder) == (scheme, None)
    in_uploads = {"UPLOAD_DIR": instance, "OUTPUT_DIR": instance.parent / "outputs"}
    assert load_settings(instance, {"DATABASE_URL": url, **key, **in_uploads})  # not looked at
    settings = load_settings(instance)
    file = instance / "jobserver.sqlite3"
    assert (settings.database_place, settings.database_folder) == (file, instance)


def test_a_url_may_be_in_a_file(instance: Path) -> None:
    (instance / "url").write_text("postgresql://u:hidden@h/d\n")
    given = {"DATABASE_URL_FILE": instance / "url", "SECRET_KEY": "of all hosts"}
    assert value(instance, "DATABASE_URL", given) == "postgresql://u:hidden@h/d"


def test_a_password_is_taken_as_it_is(instance: Path) -> None:
    given = {"AUTH_PASSWORD": " pässwörd, 1 "}
    assert value(instance, "AUTH_PASSWORD", given) == " pässwörd, 1 "


def test_a_secret_key_may_be_a_list_newest_first(instance: Path) -> None:
    assert value(instance, "SECRET_KEY", {"SECRET_KEY": "new, old"}) == ("new", "old")


def test_rate_options_are_split_as_a_shell_splits_words(instance: Path) -> None:
    given = {"ENCODER_RATE": "-crf 23 -x264-params 'a b'"}
    assert value(instance, "ENCODER_RATE", given) == ("-crf", "23", "-x264-params", "a b")


@pytest.mark.parametrize("given", ["A.example, 10.0.0.0/8", ["a.example", "10.0.0.0/8"]])
def test_receivers_of_webhooks_are_named_by_host_and_by_network(
    given: object, instance: Path
) -> None:
    expected = Allowed(frozenset({"a.example"}), (ip_network("10.0.0.0/8"),))
    assert value(instance, "WEBHOOK_ALLOW", {"WEBHOOK_ALLOW": given}) == expected


@pytest.mark.parametrize(
    ("given", "accept"),
    [
        ("mp4", ("mp4",)),
        ("mkv, MP4,mov,mp4", ("mp4", "mov", "mkv")),
        (["webm"], ("webm",)),
    ],
)
def test_containers_are_a_list_in_one_sequence(
    given: object, accept: tuple[str, ...], instance: Path
) -> None:
    assert value(instance, "ACCEPT", {"ACCEPT": given}) == accept


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        ("https://app.example", ("https://app.example",)),
        (
            "https://a.test, http://localhost:3000,http://[::1]:8080",
            ("https://a.test", "http://localhost:3000", "http://[::1]:8080"),
        ),
        (["https://a.test"], ("https://a.test",)),
    ],
)
def test_origins_are_a_list(given: object, origins: tuple[str, ...], instance: Path) -> None:
    assert value(instance, "CORS_ORIGINS", {"CORS_ORIGINS": given}) == origins


@pytest.mark.parametrize(
    "bad",
    [
        *("*", "null", "", "https://*.example", "app.example", "https://app.example/"),
        *("https://App.example", "https://app.example:443", "http://app.example:80", 5, [5]),
        "https://a.test,",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(bad: object, instance: Path) -> None:
    with pytest.raises(SettingsError, match=r"\ACORS_ORIGINS cannot be used: [^\n]+\Z"):
        load_settings(instance, {"CORS_ORIGINS": bad})


def test_a_program_is_found_by_its_name(instance: Path) -> None:
    assert value(instance, "FFMPEG", {"FFMPEG": "sh"}) == shutil.which("sh")


@pytest.mark.parametrize("name", MAY_BE_ZERO)
def test_none_kept_free_and_no_proxy_are_usable(name: str, instance: Path) -> None:
    assert value(instance, name, {name: "0"}) == 0


# -- refusing ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("bad", ["", "x", "1.5", "-1", "0x10", " ", "1e3", "9" * 5000, True, []])
def test_a_number_that_is_none_is_refused_with_one_sentence(
    name: str, bad: object, instance: Path
) -> None:
    with pytest.raises(SettingsError, match=rf"\A{name} cannot be used: [^\n]+\Z"):
        load_settings(instance, {name: bad})


@pytest.mark.parametrize(
    ("name", "bad"),
    [(name, 0) for name in NUMBERS if name not in MAY_BE_ZERO]
    + [("PORT", 65536), ("CLIENT_TIMEOUT", 10**20), ("JOB_LIFETIME", 10**13)],
)
def test_a_number_out_of_its_range_is_refused_with_one_sentence(
    name: str, bad: int, instance: Path
) -> None:
    with pytest.raises(SettingsError, match=rf"\A{name} cannot be used: [^\n]+\Z"):
        load_settings(instance, {name: bad})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"MAX_FILES": "0"}, "MAX_FILES cannot be used: 0 is not at least 1"),
        ({"MAX_FILES": "ten"}, "MAX_FILES cannot be used: 'ten' is not a whole number"),
        ({"PORT": "0"}, "PORT cannot be used: 0 is not at least 1 and at most 65535"),
        ({"PORT": 65536}, "PORT cannot be used: 65536 is not at least 1 and at most 65535"),
        ({"FFMPEG": "no-such"}, "FFMPEG cannot be used: there is no program no-such"),
        ({"ENCODER": ""}, "ENCODER cannot be used: it is empty or not a text"),
        ({"ENCODER_RATE": "'"}, "ENCODER_RATE cannot be used: No closing quotation"),
        ({"ENCODER_RATE": 21}, "ENCODER_RATE cannot be used: it is not a text"),
        (
            {"DATABASE_URL": "mysql://u:p@h/d"},
            "DATABASE_URL cannot be used: it does not begin with",
        ),
        (
            {"DATABASE_URL": "postgresql://u:p@h/d"},
            "SECRET_KEY cannot be used: DATABASE_URL is given, so every host needs the same one",
        ),
        ({"ACCEPT": "mp4,avi"}, "ACCEPT cannot be used: 'avi' is none of mp4, mov, webm, mkv"),
        ({"ACCEPT": "mp4,"}, "ACCEPT cannot be used: '' is none of mp4, mov, webm, mkv"),
        ({"HOST": "::1%"}, "HOST cannot be used: '::1%' is no IP address of this machine"),
        ({"HOST": "example.org"}, "HOST cannot be used: 'example.org' is no IP address of"),
        ({"METRICS_TOKEN": "a b"}, "METRICS_TOKEN cannot be used: it holds what no header can"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT cannot be used: 'xml' is none of auto, json, plain"),
        ({"ACCEPT": []}, "ACCEPT cannot be used: it names nothing"),
        (
            {"WEBHOOK_ALLOW": "a.example,10.0.0.1/8"},
            "WEBHOOK_ALLOW cannot be used: '10.0.0.1/8' is neither a host name nor an address or a"
            " network",
        ),
        ({"DATABASE": "a\0b"}, "DATABASE cannot be used: it holds a NUL"),
        ({"AUTH_PASSWORD": " ", "PORT": "0"}, "AUTH_PASSWORD cannot be used: it is empty or not"),
    ],
)
def test_a_refusal_says_what_is_wrong(
    given: dict[str, object], sentence: str, instance: Path
) -> None:
    with pytest.raises(SettingsError, match=rf"\A{re.escape(sentence)}"):
        load_settings(instance, given)


@pytest.mark.parametrize("name", ["AUTH_PASSWORD", "SECRET_KEY"])
@pytest.mark.parametrize("bad", ["", "  ", 5, b"bytes"])
def test_an_empty_secret_is_refused_and_not_shown(name: str, bad: object, instance: Path) -> None:
    with pytest.raises(SettingsError, match=rf"\A{name} cannot be used: [^\n]+\Z"):
        load_settings(instance, {name: bad})


@pytest.mark.parametrize("bad", ["hidden,,b", ",hidden", "hidden,", ","])
def test_a_list_with_an_empty_key_is_refused_and_its_keys_not_shown(
    bad: str, instance: Path
) -> None:
    with pytest.raises(SettingsError, match="SECRET_KEY cannot be used: ") as caught:
        load_settings(instance, {"SECRET_KEY": bad})
    assert "hidden" not in f"{caught.value} {caught.value.__cause__}"


def test_a_secret_key_that_is_no_utf8_is_refused(instance: Path) -> None:
    with pytest.raises(SettingsError, match="SECRET_KEY cannot be used: "):
        load_settings(instance, {"SECRET_KEY": b"\xff\xfe".decode("utf-8", "surrogateescape")})


@pytest.mark.parametrize("folder", ["UPLOAD_DIR", "OUTPUT_DIR"])
def test_a_database_among_the_files_that_come_and_go_is_refused(
    instance: Path, folder: str
) -> None:
    given = {folder: instance / "files", "DATABASE": instance / "files" / "db.sqlite3"}
    with pytest.raises(SettingsError, match=f"DATABASE cannot be used: it lies in {folder}"):
        load_settings(instance, given)
    with pytest.raises(SettingsError, match=f"DATABASE cannot be used: it lies in {folder}"):
        load_settings(instance, {folder: instance})  # where it lies by default


@pytest.mark.parametrize(
    ("uploads", "outputs", "sentence"),
    [
        ("files", "files", "OUTPUT_DIR cannot be used: it is UPLOAD_DIR or lies in it"),
        ("files", "files/outputs", "OUTPUT_DIR cannot be used: it is UPLOAD_DIR or lies in it"),
        ("files", "x/../files/o", "OUTPUT_DIR cannot be used: it is UPLOAD_DIR or lies in it"),
        ("files", "link", "OUTPUT_DIR cannot be used: it is UPLOAD_DIR or lies in it"),
        ("files/uploads", "files", "UPLOAD_DIR cannot be used: it lies in OUTPUT_DIR"),
    ],
)
def test_folders_that_lie_in_each_other_are_refused(
    uploads: str, outputs: str, sentence: str, instance: Path
) -> None:
    (instance / "link").symlink_to(instance / "files")
    given = {"UPLOAD_DIR": instance / uploads, "OUTPUT_DIR": instance / outputs}
    with pytest.raises(SettingsError, match=rf"\A{sentence}\Z"):
        load_settings(instance, given)


def test_folders_beside_each_other_are_told_apart(instance: Path) -> None:
    given = {"UPLOAD_DIR": instance / "a", "OUTPUT_DIR": instance / "a/../ab"}
    assert load_settings(instance, given).upload_dir == instance / "a"


@pytest.mark.parametrize("bad", ["correct horse\n", "correct\nhorse", "correct horse\r"])
def test_a_password_with_a_line_break_is_refused(bad: str, instance: Path) -> None:
    sentence = "AUTH_PASSWORD cannot be used: it holds a line break, which nobody can type"
    with pytest.raises(SettingsError, match=rf"\A{sentence}\Z"):
        load_settings(instance, {"AUTH_PASSWORD": bad})


@pytest.mark.parametrize(
    ("given", "warnings"),
    [
        ({}, []),
        ({"AUTH_PASSWORD": "x" * 8, "SECRET_KEY": f"{'a' * 12}, {'b' * 12}"}, []),
        (
            {"AUTH_PASSWORD": "x"},
            ["AUTH_PASSWORD has fewer than 8 characters, so it can be guessed"],
        ),
        (
            {"AUTH_PASSWORD": "é" * 7, "SECRET_KEY": f"{'a' * 12},b"},
            [
                "AUTH_PASSWORD has fewer than 8 characters, so it can be guessed",
                "A key of SECRET_KEY has fewer than 12 characters, so it can be guessed",
            ],
        ),
    ],
)
def test_a_secret_that_can_be_guessed_is_warned_about(
    given: dict[str, object], warnings: list[str], instance: Path
) -> None:
    assert weak_secrets(load_settings(instance, given)) == warnings


# -- secrets in files -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["AUTH_PASSWORD", "SECRET_KEY"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("source", ["override", "file", "environment"])
def test_a_secret_is_read_from_a_file(
    name: str, end: str, source: str, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = instance / "secret"
    path.write_bytes(f"corréct horse{end}".encode())
    given = {}
    if source == "environment":
        monkeypatch.setenv(f"{name}_FILE", str(path))
    elif source == "file":
        (instance / "config.py").write_text(f"{name}_FILE = {str(path)!r}")
    else:
        given = {f"{name}_FILE": path}
    expected = "corréct horse" if name == "AUTH_PASSWORD" else ("corréct horse",)
    assert value(instance, name, given) == expected


@pytest.mark.parametrize("name", ["AUTH_PASSWORD", "SECRET_KEY"])
def test_a_secret_that_is_given_twice_is_refused(
    name: str, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (instance / "secret").write_text("in the file")
    monkeypatch.setenv(name, "in the environment")
    sentence = f"{name}_FILE cannot be used: {name} is given as well"
    with pytest.raises(SettingsError, match=rf"\A{sentence}\Z"):
        load_settings(instance, {f"{name}_FILE": instance / "secret"})


@pytest.mark.parametrize("name", ["AUTH_PASSWORD", "SECRET_KEY"])
@pytest.mark.parametrize("content", [None, b"", b"\n", b"hidden\xff", "a folder"], ids=str)
def test_a_file_without_a_secret_is_one_sentence(
    name: str, content: bytes | str | None, instance: Path
) -> None:
    path = instance / "secret"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        path.mkdir()
    pattern = rf"\A{name}(_FILE)? cannot be used: [^\n]+\Z"
    with pytest.raises(SettingsError, match=pattern) as caught:
        load_settings(instance, {f"{name}_FILE": path})
    assert "hidden" not in str(caught.value)
    assert "xff" not in str(caught.value)


def test_a_password_in_a_file_that_ends_in_two_line_breaks_is_refused(instance: Path) -> None:
    (instance / "secret").write_text("correct horse\n\n")
    with pytest.raises(SettingsError, match="AUTH_PASSWORD cannot be used: it holds a line break"):
        load_settings(instance, {"AUTH_PASSWORD_FILE": instance / "secret"})


@pytest.mark.parametrize(
    "mistake",
    ["MAX_FILES = (", "unknown", b"\xff\xfe", "raise OSError(2)", "raise ValueError('a\\nb')"],
)
def test_a_mistake_in_instance_config_py_is_one_sentence(
    instance: Path, mistake: str | bytes
) -> None:
    path = instance / "config.py"
    path.write_bytes(mistake if isinstance(mistake, bytes) else mistake.encode())
    with pytest.raises(SettingsError, match=rf"\A{path} cannot be used: [^\n]+\Z"):
        load_settings(instance)


# -- the folders ------------------------------------------------------------------------


def test_folders_are_made_where_they_are_missing(instance: Path) -> None:
    settings = load_settings(instance, {name: instance / name / "below" for name in PATHS})
    for _ in range(2):
        prepare_folders(settings)
    assert settings.upload_dir.is_dir()
    assert settings.output_dir.is_dir()
    assert settings.database.parent.is_dir()
    assert not settings.database.exists()


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize(
    "bad", ["", " ", "nul\0nul", 5, [], b"bytes", "/proc/none/there", "x" * 300 + "/x"]
)
def test_a_path_that_cannot_be_made_is_refused_with_one_sentence(
    name: str, bad: object, instance: Path
) -> None:
    with pytest.raises(SettingsError, match=rf"\A{name} cannot be used: [^\n]+\Z"):
        prepare_folders(load_settings(instance, {name: bad, **needed_by(name)}))


@pytest.mark.parametrize("name", ["UPLOAD_DIR", "OUTPUT_DIR"])
def test_a_folder_that_is_a_file_is_refused(name: str, instance: Path) -> None:
    (instance / "taken").touch()
    with pytest.raises(SettingsError, match=f"{name} cannot be used"):
        prepare_folders(load_settings(instance, {name: instance / "taken"}))


@pytest.mark.parametrize("name", MADE)
def test_a_folder_that_cannot_be_written_is_refused(name: str, instance: Path) -> None:
    path = Path("/proc/sys")  # not even by root
    given = {name: path / "x" if name == "DATABASE" else path, **needed_by(name)}
    settings = load_settings(instance, given)
    with pytest.raises(SettingsError, match=f"{name} cannot be used: {path} is not writable"):
        prepare_folders(settings)


def test_a_database_that_is_a_folder_is_refused(instance: Path) -> None:
    settings = load_settings(instance, {"DATABASE": instance})
    with pytest.raises(SettingsError, match=f"DATABASE cannot be used: {instance} is not a file"):
        prepare_folders(settings)


# -- the whole server -------------------------------------------------------------------


def test_create_app_reads_overrides_then_the_environment_then_instance_config_py(
    project: Path,
) -> None:
    (project / "instance" / "config.py").write_text(
        "MAX_FILES = 4\nMAX_UPLOADS = 5\nSECRET_KEY = 'by file'\nUNKNOWN = 1\nTOKEN_MAX_AGE = 4"
    )
    code = """if True:
        import json
        from jobserver import create_app
        names = ("port", "token_max_age", "max_files", "max_uploads", "secret_key", "upload_dir")
        settings = create_app({"MAX_UPLOADS": 6}).extensions["settings"]
        print(json.dumps([getattr(settings, name) for name in names], default=str))"""
    environment = {
        "PYTHONPATH": str(project),
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
    assert json.loads(done.stdout) == [8080, 4, 3, 6, ["by environment"], uploads]


def test_gunicorn_reads_the_instance_folder_that_create_app_reads(
    project: Path, own_server: Server
) -> None:
    del own_server.settings["PORT"]
    (project / "instance" / "config.py").write_text(f"PORT = {own_server.port}\nMAX_FILES = 1\n")
    own_server.start()
    assert own_server.upload(b"one", b"two").status == 400


def test_gunicorn_and_the_flask_command_read_the_same_env_file(
    project: Path, own_server: Server
) -> None:
    (project / ".env").write_text("MAX_FILES=0\nPORT=99999\n")  # the environment wins: PORT
    sentence = "jobserver: MAX_FILES cannot be used: 0 is not at least 1"
    assert own_server.flask("init-db").stderr == f"{sentence}\n"
    assert refusal(own_server) == sentence


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("PORT", "99999"),
        ("SECRET_KEY", "a,,b"),
        ("UPLOAD_DIR", str(PROJECT / "wsgi.py")),
        ("CLIENT_TIMEOUT", "1" + "0" * 20),
    ],
)
def test_gunicorn_does_not_start_and_says_in_one_line_which_setting_is_wrong(
    name: str, bad: str, own_server: Server
) -> None:
    own_server.init_db()
    own_server.settings[name] = bad
    assert refusal(own_server).startswith(f"jobserver: {name} cannot be used: ")


def test_gunicorn_does_not_start_without_a_password(own_server: Server) -> None:
    own_server.init_db()
    del own_server.settings["AUTH_PASSWORD"]
    assert refusal(own_server).startswith("jobserver: AUTH_PASSWORD is not set")


def test_a_server_with_secrets_in_files_serves_and_warns_of_weak_ones(
    own_server: Server, tmp_path: Path
) -> None:
    for name, secret in (("AUTH_PASSWORD", "abc"), ("SECRET_KEY", "z")):
        del own_server.settings[name]
        own_server.settings[f"{name}_FILE"] = str(tmp_path / name)
        (tmp_path / name).write_text(f"{secret}\n")
    own_server.start()
    assert own_server.sign_in("abc").status == 200
    warnings = [line for line in own_server.log().splitlines() if "[WARNING]" in line]
    assert len(warnings) == 2
    assert all("so it can be guessed" in line for line in warnings)


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


@pytest.mark.parametrize("mistake", ["MAX_FILES = (", "unknown", b"\xff\xfe", "raise OSError(2)"])
def test_a_mistake_in_instance_config_py_stops_a_command_with_its_sentence(
    project: Path, mistake: str | bytes
) -> None:
    path = project / "instance" / "config.py"
    path.write_bytes(mistake if isinstance(mistake, bytes) else mistake.encode())
    done = support.Server(project).init_db()
    assert done.returncode == 1
    assert re.fullmatch(r"jobserver: .*/instance/config\.py cannot be used: .*\n", done.stderr)


# -- a store of objects -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "bucket", "prefix"),
    [
        ("s3://media", "media", ""),
        ("s3://media/", "media", ""),
        ("s3://media/jobs", "media", "jobs"),
        ("s3://my.media-1/a/b_c=1/", "my.media-1", "a/b_c=1"),
    ],
)
def test_a_storage_url_is_a_bucket_and_a_prefix(
    instance: Path, text: str, bucket: str, prefix: str
) -> None:
    assert value(instance, "STORAGE_URL", {**MANY_HOSTS, "STORAGE_URL": text}) == (bucket, prefix)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"STORAGE_URL": "media"}, "STORAGE_URL cannot be used: it does not begin with s3://"),
        ({"STORAGE_URL": "https://media"}, "it does not begin with s3://"),
        ({"STORAGE_URL": "s3://"}, "'' is no name of a bucket"),
        ({"STORAGE_URL": "s3:///jobs"}, "'' is no name of a bucket"),
        ({"STORAGE_URL": "s3://Media"}, "'Media' is no name of a bucket"),
        ({"STORAGE_URL": "s3://media/../x"}, "its prefix is not of letters"),
        ({"STORAGE_URL": "s3://media//x"}, "its prefix is not of letters"),
        ({"STORAGE_URL": "s3://media/a b"}, "its prefix is not of letters"),
        ({"STORAGE_URL": "s3://media?x"}, "'media?x' is no name of a bucket"),
        ({"STORAGE_PUBLIC_URL": "https://s3.test"}, "there is no STORAGE_URL"),
        (
            {"STORAGE_URL": "s3://media", "ACCEL_REDIRECT": "/.outputs"},
            "ACCEL_REDIRECT cannot be used: outputs are in STORAGE_URL, not in a folder",
        ),
        (
            {"STORAGE_URL": "s3://media", "MAX_FILE_SIZE": 10**12},
            "MAX_FILE_SIZE cannot be used: an object has at most 83886080000 bytes",
        ),
        *(
            (
                {"STORAGE_URL": "s3://media", "STORAGE_PUBLIC_URL": url},
                "STORAGE_PUBLIC_URL cannot be used: it is not like https://s3.example.com",
            )
            for url in (
                *("s3.test", "ftp://s3.test", "https://", "https://a b", "https://s3.test/?a=b"),
                *("https://u:p@s3.test", "https://s3.test:x", "https://s3.test; img-src *"),
            )
        ),
    ],
)
def test_a_store_that_cannot_be_used_is_one_sentence(
    instance: Path, given: dict[str, object], sentence: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(instance, {**MANY_HOSTS, **given})
    assert sentence in str(raised.value)


def test_sqlite_with_a_store_of_objects_is_refused(instance: Path) -> None:
    with pytest.raises(SettingsError, match="STORAGE_URL cannot be used: it needs DATABASE_URL"):
        load_settings(instance, {"STORAGE_URL": "s3://media"})


def test_a_store_of_objects_without_its_package_is_one_sentence(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    for name in [name for name in sys.modules if name.startswith("jobserver.files.s3")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SettingsError, match=r"not installed; pip install 'jobserver\[s3\]'"):
        store_of(load_settings(instance, {**MANY_HOSTS, "STORAGE_URL": "s3://media"}))


def test_a_store_of_objects_needs_no_folder_for_uploads_and_outputs(instance: Path) -> None:
    found = load_settings(instance, {**MANY_HOSTS, "STORAGE_URL": "s3://media"})
    prepare_folders(found)
    assert found.scratch_dir.is_dir()
    assert not found.upload_dir.exists()
    assert not found.output_dir.exists()
