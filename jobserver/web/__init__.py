"""HTTP in and out, one module a resource.

auth, health, jobs, outputs, storage, pages   the blueprints
params, schemas, reasons                      what comes in as text; JSON shapes going out
errors                                        each error's status
context                                       settings, store and database of a request
downloads, archive, conditional, links        ranges and ETags; names and ZIP; 304; signed links
polling, hot_path                             what makes a status call cheap
static/, templates/                           the page
"""

from flask import Flask

from jobserver.web import auth, context, errors, health, jobs, outputs, pages, polling, storage


def init_app(app: Flask) -> None:
    """Serve every resource; answer every error as JSON."""
    app.request_class = jobs.UploadRequest
    for part in (errors, context, polling):
        part.init_app(app)
    for resource in (auth, health, jobs, outputs, storage, pages):
        app.register_blueprint(resource.bp)
