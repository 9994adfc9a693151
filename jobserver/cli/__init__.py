"""What an operator types: `flask --app wsgi` with init-db, worker, jobs, sweep, doctor ..."""

from flask import Flask

from jobserver.cli import audit, backup, doctor, jobs, maintenance, migrate, serve, webhooks

COMMANDS = (
    *(serve.init_db, serve.worker, jobs.jobs, maintenance.sweep_all, maintenance.adopt),
    *(migrate.migrate_to, webhooks.webhook_secret, audit.show_audit),
    *(backup.backup, backup.restore, doctor.doctor),
)


def init_app(app: Flask) -> None:
    """Give `flask --app wsgi` our commands."""
    for command in COMMANDS:
        app.cli.add_command(command)
