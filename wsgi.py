"""Where gunicorn and the flask command find the app."""

import sys

import click
from werkzeug.middleware.proxy_fix import ProxyFix

from jobserver import create_app, prepare_serving
from jobserver.config import ConfigError
from jobserver.db import DatabaseError


def _is_serving() -> bool:
    """Tell gunicorn, or `flask run`, from the flask commands that let nobody in."""
    command = click.get_current_context(silent=True)
    return command is None or command.info_name == "run"


try:
    app = create_app()
    if _is_serving():
        prepare_serving(app)
except (ConfigError, DatabaseError) as error:
    sys.exit(f"jobserver: {error}")

if proxies := app.config["TRUSTED_PROXIES"]:
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
        app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies, x_prefix=proxies
    )
