"""HTTP in and out, one module a resource.

auth, sessions, keys, health, jobs, outputs,
storage, pages                                the blueprints; again: a job over kept files;
                                              briefs: what a brief would make;
                                              deliveries: of webhooks; metrics: for Prometheus;
                                              differences: how far outputs are from each other
resumable, from_uploads                       uploads by tus; a job of them
params, body, submission                      what comes in as text or JSON; the job it asks for
schemas, shapes, reasons                      JSON going out, and the types of its shapes
bearers, idempotency                          who asks; a request that is repeated
errors, error_codes                           each error's answer; the table of codes and statuses
context, fonts                                settings, store, database, fonts of a request
downloads, archive, manifest, names           ranges and ETags; the ZIP and its names
conditional, links                            304; signed links
cors                                          pages of other origins
polling, pieces, hot_path                     what makes a status call cheap
openapi/                                      what OpenAPI says of each route
static/, templates/                           the page
"""

from flask import Flask

from jobserver.settings import Settings
from jobserver.web import (
    again,
    auth,
    bearers,
    briefs,
    context,
    deliveries,
    differences,
    errors,
    fonts,
    health,
    jobs,
    keys,
    metrics,
    outputs,
    pages,
    polling,
    resumable,
    sessions,
    storage,
)
from jobserver.web.cors import CrossOrigin
from jobserver.web.openapi import pages as api_pages

__all__ = ["fonts", "init_app"]


def init_app(app: Flask) -> None:
    """Serve every resource; answer every error as JSON."""
    app.request_class = jobs.UploadRequest
    for part in (errors, context, bearers, polling):
        part.init_app(app)
    made = (jobs, again, resumable, outputs, differences)
    access = (auth, sessions, keys)
    for resource in (*access, health, *made, briefs, deliveries, storage, pages):
        app.register_blueprint(resource.bp)
    app.register_blueprint(metrics.bp)
    app.register_blueprint(api_pages.bp)
    settings: Settings = app.extensions["settings"]
    if settings.cors_origins:
        app.wsgi_app = CrossOrigin(  # type: ignore[method-assign]
            app.wsgi_app, settings.cors_origins
        )
