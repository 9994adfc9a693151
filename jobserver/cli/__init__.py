"""What an operator types: `flask --app wsgi` with init-db, worker, jobs, sweep, adopt ..."""

from flask import Flask

from jobserver.cli import jobs, maintenance, migrate, serve, webhooks

COMMANDS = (
    *(serve.init_db, serve.worker, jobs.jobs, maintenance.sweep_all, maintenance.adopt),
    *(migrate.migrate_to, webhooks.webhook_secret),
)


def init_app(app: Flask) -> None:
    """Give `flask --app wsgi` our commands."""
    for command in COMMANDS:
        app.cli.add_command(command)
