"""Where gunicorn and the flask command find the app."""

import sys

import click
from werkzeug.middleware.proxy_fix import ProxyFix

from jobserver import create_app, prepare_serving
from jobserver.errors import JobserverError
from jobserver.settings import Settings


def _is_serving() -> bool:
    """Return whether this is gunicorn or `flask run`, not a flask command that lets nobody in."""
    command = click.get_current_context(silent=True)
    return command is None or command.info_name == "run"


try:
    app = create_app()
    if _is_serving():
        prepare_serving(app)
except JobserverError as error:
    sys.exit(f"jobserver: {error}")

settings: Settings = app.extensions["settings"]
if proxies := settings.trusted_proxies:
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
        app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies, x_prefix=proxies
    )
