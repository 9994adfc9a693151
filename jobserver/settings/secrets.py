"""Secrets, each of which may be given by a file, and how long what they sign is good for."""

from typing import Any

from pydantic import Field, model_validator

from jobserver.settings.base import SettingsGroup
from jobserver.settings.errors import unusable
from jobserver.settings.values import (
    CENTURY_S,
    AbsolutePath,
    Keys,
    Password,
    Token,
    Url,
    Whole,
    absolute_path,
)

SECRETS = (
    "AUTH_PASSWORD",
    "SECRET_KEY",
    "DATABASE_URL",
    "METRICS_TOKEN",
)  # each may be given by a file
SAFE_PASSWORD, SAFE_KEY = 8, 12  # characters


class Secrets(SettingsGroup):
    """Who may sign in, what signs, and the secret of the database."""

    auth_password: Password | None = Field(
        None, repr=False, description="without it nobody can sign in"
    )
    auth_password_file: AbsolutePath | None = Field(
        None, description="holds AUTH_PASSWORD, and perhaps a line break behind it"
    )
    secret_key: Keys | None = Field(
        None, repr=False, description="comma-separated, newest first; None: made once and kept"
    )
    secret_key_file: AbsolutePath | None = Field(None, description="holds SECRET_KEY, as well")
    database_url: Url | None = Field(
        None, repr=False, description="of a PostgreSQL, in place of DATABASE"
    )
    database_url_file: AbsolutePath | None = Field(None, description="holds DATABASE_URL, as well")
    metrics_token: Token | None = Field(
        None, repr=False, description="bearer token of GET /metrics; None: there is none"
    )
    metrics_token_file: AbsolutePath | None = Field(
        None, description="holds METRICS_TOKEN, as well"
    )
    token_max_age: Whole = Field(24 * 3600, ge=1, description="seconds")
    link_lifetime: Whole = Field(3600, ge=2, le=CENTURY_S, description="seconds")

    @model_validator(mode="before")
    @classmethod
    def _read_secrets(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in SECRETS:
            if (file := values.get(f"{name}_FILE")) is None:
                continue
            if values.get(name) is not None:
                raise unusable(f"{name}_FILE", f"{name} is given as well")
            values = {**values, name: _secret_in(f"{name}_FILE", file)}
        return values


def weak_secrets(settings: Secrets) -> list[str]:
    """Return a sentence for each secret that can be guessed.

    Sign-ins are throttled, so eight characters hold; a key is tried without asking the
    server, by anybody who has a token or a link, so it needs more.
    """
    sentences = []
    if settings.auth_password and len(settings.auth_password) < SAFE_PASSWORD:
        sentences.append(f"AUTH_PASSWORD has fewer than {SAFE_PASSWORD} characters")
    if any(len(key) < SAFE_KEY for key in settings.secret_key or ()):
        sentences.append(f"A key of SECRET_KEY has fewer than {SAFE_KEY} characters")
    if settings.metrics_token and len(settings.metrics_token) < SAFE_KEY:
        sentences.append(f"METRICS_TOKEN has fewer than {SAFE_KEY} characters")
    return [f"{sentence}, so it can be guessed" for sentence in sentences]


def _secret_in(name: str, file: Any) -> str:
    """Return what a file holds, without the line break at its end. Raises SettingsError."""
    try:
        content = absolute_path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError:  # its text would show a byte of the secret
        raise unusable(name, f"{file} is not UTF-8") from None
    except (OSError, ValueError) as error:
        raise unusable(name, error) from error
    return content.removesuffix("\n")
