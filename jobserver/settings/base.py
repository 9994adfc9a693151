"""What all groups of settings share.

pydantic-settings, because it is typed and maintained, and its models will also give the JSON
schemas of the API. environs would bring marshmallow and only read the environment.
"""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsGroup(BaseSettings):
    """Usable settings. Their names in the environment and in config.py are in upper case."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        case_sensitive=True,
        alias_generator=str.upper,
        enable_decoding=False,  # a list in the environment is not JSON
        validate_default=False,
        hide_input_in_errors=True,  # it may be a secret
    )

    instance_dir: Path = Field(description="the server's private folder; an argument, no setting")
