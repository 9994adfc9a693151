"""Where settings are read from, and the sentence for the first that cannot be used."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from jobserver.settings.errors import SettingsError, unusable
from jobserver.settings.model import Settings


def load_settings(instance: Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read every setting of a server whose private folder is `instance`. Raises SettingsError.

    overrides: values by upper-case name. None counts as missing, there and in config.py.
    """
    file = _run_config_file(instance / "config.py")
    values = {name: value for name, value in file.items() if name not in os.environ}
    values |= _given(overrides or {})
    try:
        return Settings(**{**values, "INSTANCE_DIR": instance})
    except ValidationError as error:
        raise _first_problem(error) from error


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _run_config_file(path: Path) -> dict[str, Any]:
    """Return the upper-case names that the Python program at `path` sets; {} without a file.

    Source: https://flask.palletsprojects.com/en/stable/api/#flask.Config.from_pyfile
    """
    module = ModuleType("config")
    module.__file__ = str(path)
    try:
        if path.exists():
            exec(compile(path.read_bytes(), path, "exec"), module.__dict__)  # noqa: S102
    except Exception as error:  # any program can raise anything
        raise unusable(str(path), error) from error
    return _given({name: value for name, value in vars(module).items() if name.isupper()})


def _first_problem(error: ValidationError) -> SettingsError:
    problem = error.errors()[0]
    name = str(problem["loc"][0])
    if problem["type"] in ("greater_than_equal", "less_than_equal"):
        return unusable(name, f"{problem['input']} is not {_range(name)}")
    return unusable(name, problem.get("ctx", {}).get("error", problem["msg"]))


def _range(name: str) -> str:
    """Return the usable values of a number in words: `at least 1 and at most 65535`."""
    field = Settings.model_json_schema()["properties"][name]
    upper = f" and at most {field['maximum']}" if "maximum" in field else ""
    return f"at least {field['minimum']}{upper}"
