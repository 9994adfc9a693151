"""What deploy/ says can be read by what reads it, and names nothing that is not there.

No container was started: neither a Docker daemon nor its compose plugin is part of the tests.
"""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from gunicorn.config import Config

from jobserver import cli
from jobserver.settings import Settings, load_settings
from tests.nginx import Nginx
from tests.support import PROJECT, Server, free_port

DEPLOY = PROJECT / "deploy"
SETTINGS = {name.upper() for name in Settings.model_fields}
# What boto3 reads, and what the images of others do.
FOREIGN = re.compile(r"(AWS|POSTGRES|GARAGE)_[A-Z0-9_]+\Z")
COMPOSE = pytest.mark.parametrize("name", ["compose.yaml", "compose.one-machine.yaml"])
UNITS = sorted(path.name for path in (DEPLOY / "systemd").glob("*.service"))
EACH_UNIT = pytest.mark.parametrize("name", UNITS)


# -- compose -------------------------------------------------------------------------------


def variables(path: Path) -> dict[str, str]:
    """The lines of an environment file, without comments."""
    lines = (line.partition(" #")[0].strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value.strip() for name, _, value in pairs}


def filled_in() -> dict[str, str]:
    """The example's variables, each with a value that it may have."""
    return {name: value or "k" * 32 for name, value in variables(DEPLOY / "env.example").items()}


def compose(name: str, values: dict[str, str]) -> dict[str, Any]:
    """Read a compose file as compose does: variables first. KeyError: one that nobody names."""

    def value(found: re.Match[str]) -> str:
        variable, _, default = found[1].partition(":")
        return values[variable] or default.removeprefix("-")

    return yaml.safe_load(re.sub(r"\$\{([^}]+)\}", value, (DEPLOY / name).read_text()))


def our_services(read: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for service in read["services"].values():
        if service["image"] == "jobserver":
            yield service


@COMPOSE
def test_a_compose_file_names_settings_that_there_are_and_that_fit_together(
    name: str, tmp_path: Path
) -> None:
    read = compose(name, filled_in())
    services = list(our_services(read))
    assert len(services) == 3
    for service in services:
        environment = service["environment"]
        assert {each for each in environment if not FOREIGN.match(each)} <= SETTINGS
        ours = {each: value for each, value in environment.items() if each in SETTINGS}
        settings = load_settings(tmp_path, {**ours, "SCRATCH_DIR": "/scratch"})
        assert (settings.database_url is None) == (name == "compose.one-machine.yaml")
        if settings.database_url is not None:
            assert settings.database_url.endswith("@postgres/jobserver")
    worker = read["services"]["worker"]
    grace = int(
        worker["environment"].get("WORKER_GRACE", Settings.model_fields["worker_grace"].default)
    )
    assert int(worker["stop_grace_period"].removesuffix("s")) >= grace + 10


@COMPOSE
def test_a_compose_file_has_what_its_services_need(name: str) -> None:
    read = compose(name, filled_in())
    services = read["services"]
    for service in services.values():
        for needed, condition in service.get("depends_on", {}).items():
            assert needed in services
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in services[needed]
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (DEPLOY / source).is_file()
            elif ":" in volume:
                assert source in read["volumes"]
        if build := service.get("build"):
            assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()


@COMPOSE
def test_every_variable_of_the_example_is_used_somewhere(name: str) -> None:
    used = set(
        re.findall(r"\$\{(\w+)", "".join(path.read_text() for path in DEPLOY.glob("*.yaml")))
    )
    assert used == set(filled_in())
    with pytest.raises(KeyError):
        compose(name, {})


@COMPOSE
def test_commands_of_services_are_commands(name: str) -> None:
    for service in our_services(compose(name, filled_in())):
        check_command(service.get("command") or image_command())


def check_command(words: list[str]) -> None:
    if Path(words[0]).name == "flask":
        assert words[1:3] == ["--app", "wsgi"]
        assert words[3] in {command.name for command in cli.COMMANDS}
    else:
        assert Path(words[0]).name == "gunicorn"
        parser = Config().parser()
        assert parser.parse_args(words[1:]).args == ["wsgi:app"]


@pytest.mark.tools
@COMPOSE
def test_nginx_takes_what_the_compose_file_makes_of_our_configuration(
    name: str, tmp_path: Path
) -> None:
    """The name `web` is an address only among containers, so ours stands for it."""
    shell = compose(name, filled_in())["services"]["nginx"]["command"][2]
    script = re.search(r"sed '([^']+)' /etc/jobserver.conf", shell)
    assert script
    done = subprocess.run(
        ["sed", script[1], DEPLOY / "nginx.conf"], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("server web:8080;") == 1
    nginx = Nginx(tmp_path, free_port())
    changed = done.stdout.replace("server web:8080;", "server 127.0.0.1:8080;")
    (tmp_path / "jobserver.conf").write_text(changed)
    checked = subprocess.run(
        [shutil.which("nginx") or "/usr/sbin/nginx", "-t", "-p", tmp_path, "-c", "nginx.conf"],
        capture_output=True,
        text=True,
    )
    assert (checked.returncode, nginx.process) == (0, None), checked.stderr


# -- the image -----------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def image_command() -> list[str]:
    (command,) = (rest for word, rest in instructions() if word == "CMD")
    return list(yaml.safe_load(command))


def test_the_image_copies_what_there_is_and_installs_extras_that_there_are() -> None:
    for word, rest in instructions():
        if word == "COPY":
            *sources, _ = rest.split()
            assert [each for each in sources if not (PROJECT / each).exists()] == []
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg")
    (extras,) = re.findall(r"'\.\[([a-z0-9,]+)\]'", (DEPLOY / "Dockerfile").read_text())
    assert set(extras.split(",")) <= set(setup["options.extras_require"])
    check_command(image_command())


def test_the_image_says_whether_it_is_healthy_and_is_asked_only_where_it_serves() -> None:
    (check,) = (rest for word, rest in instructions() if word == "HEALTHCHECK")
    words = yaml.safe_load(check.partition("CMD ")[2])
    compile(words[2], "healthcheck", "exec")
    assert words[:2] == ["python", "-c"]
    for name in ("compose.yaml", "compose.one-machine.yaml"):
        for service in our_services(compose(name, filled_in())):
            serves = (service.get("command") or image_command())[0] == "gunicorn"
            assert service["healthcheck"].get("disable", False) != serves


@pytest.mark.tools
def test_the_check_of_the_image_fails_when_the_server_does(own_server: Server) -> None:
    (check,) = (rest for word, rest in instructions() if word == "HEALTHCHECK")
    _, option, code = yaml.safe_load(check.partition("CMD ")[2])

    def status() -> int:
        words = [sys.executable, option, code]
        return subprocess.run(words, env=own_server.environment, capture_output=True).returncode

    assert status() == 1
    own_server.start()
    assert status() == 0
    own_server.upload_dir.rename(own_server.upload_dir.with_name("away"))
    assert status() == 1


# -- systemd -------------------------------------------------------------------------------


def unit(name: str) -> dict[str, list[str]]:
    """The lines of [Service], by name."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@EACH_UNIT
def test_a_unit_starts_a_command_of_ours_and_waits_longer_than_it_takes_to_end(name: str) -> None:
    service = unit(name)
    for line in (*service["ExecStart"], *service.get("ExecStartPre", ())):
        check_command(shlex.split(line))
    assert service["KillMode"] == ["mixed"]
    assert service["EnvironmentFile"] == ["/etc/jobserver.env"]
    grace = int(variables(DEPLOY / "systemd/jobserver.env")["WORKER_GRACE"])
    needed = grace if "worker" in name else 30  # graceful_timeout in gunicorn.conf.py
    assert int(service["TimeoutStopSec"][0]) >= needed + 10


def test_the_settings_of_the_units_fit_together_for_one_machine_and_for_many(
    tmp_path: Path,
) -> None:
    path = DEPLOY / "systemd/jobserver.env"
    one = variables(path)
    settings = load_settings(tmp_path, {name: one[name] for name in one})
    assert set(one) <= SETTINGS
    assert settings.upload_dir.is_relative_to("/var/lib/jobserver")
    assert settings.scratch_dir.is_relative_to("/var/cache/jobserver")
    commented = re.findall(r"^#(\w+)=(.*)$", path.read_text(), re.M)
    many = {name: value for name, value in commented if not FOREIGN.match(name)}
    assert set(many) == {"DATABASE_URL", "STORAGE_URL"}
    assert load_settings(tmp_path, {**one, **many}).storage_url is not None


@pytest.mark.tools
@EACH_UNIT
def test_systemd_reads_a_unit_without_a_word(name: str, tmp_path: Path) -> None:
    """Without the program that it starts systemd refuses a unit: ours stands for it."""
    text = (DEPLOY / "systemd" / name).read_text()
    text = text.replace("/srv/jobserver/.venv/bin/", "/bin/true ")
    copy = tmp_path / name.replace("@.", "@1.")
    copy.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True
    )
    ours = [line for line in done.stderr.splitlines() if "jobserver" in line]
    assert (done.returncode, ours) == (0, [])
    (tmp_path / "wrong.service").write_text(
        text.replace("KillMode=mixed", "KillMode=none of these")
    )
    wrong = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "wrong.service"],
        capture_output=True,
        text=True,
    )
    assert "Failed to parse kill mode" in wrong.stderr


def test_a_worker_has_the_memory_that_its_renders_may_take_and_survives_one_that_is_killed(
    tmp_path: Path,
) -> None:
    service = unit("jobserver-worker@.service")
    settings = load_settings(tmp_path, variables(DEPLOY / "systemd/jobserver.env"))
    gib = int(service["MemoryMax"][0].removesuffix("G"))
    assert gib * 2**30 >= settings.workers * settings.render_memory + 2**30
    assert service["OOMPolicy"] == ["continue"]


@pytest.mark.tools
@EACH_UNIT
def test_a_unit_is_confined(name: str) -> None:
    """systemd's own estimate of how much a unit may do, from 0 (nothing) to 100 (all)."""
    path = DEPLOY / "systemd" / name
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=20", path]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
