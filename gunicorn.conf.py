"""How gunicorn serves jobserver; read from the project's folder when it starts there."""

import json
import logging
import os
import resource
import socket
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

from flask import Flask
from flask.cli import load_dotenv
from flask.helpers import get_load_dotenv
from gunicorn import util

from jobserver.db import Reserve
from jobserver.logs import is_json
from jobserver.serving.gunicorn_worker import (
    BoundedThreadWorker,
    default_worker_class,
    missing_limits,
)
from jobserver.serving.log import ACCESS_FORMAT, LineLogger
from jobserver.settings import SettingsError, load_settings
from jobserver.web.error_codes import code_of_status

if get_load_dotenv():  # as the flask command does, so that both read the same settings
    load_dotenv()
try:
    # The instance folder is where Flask puts create_app's: in the checkout, or in the virtual
    # environment that jobserver was installed into.
    _settings = load_settings(Path(Flask("jobserver", static_folder=None).instance_path))
except SettingsError as error:
    sys.exit(f"jobserver: {error}")

# By default 127.0.0.1: the reverse proxy on this machine is the only one who should reach gunicorn.
bind = f"{f'[{_settings.host}]' if ':' in _settings.host else _settings.host}:{_settings.port}"
# Threads, because an upload waits for the network most of its time.
worker_class = default_worker_class()
# Headers are small, and their sender has shown no token yet.
BoundedThreadWorker.header_timeout_s = min(5, _settings.client_timeout)
BoundedThreadWorker.silence_s = _settings.client_timeout
# One process a core: Python runs one thread of a process at a time. Two at least, so that a
# status request finds a process whose interpreter is not busy with an upload.
workers = max(2, os.cpu_count() or 1)
# More threads than uploads and downloads: with all their slots taken, others are still served.
threads = _settings.max_uploads + _settings.max_downloads + 8

# A ZIP of 200 outputs opens 200 files at once, and many may be downloaded at a time.
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

# Load the app once, before forking: a setting that cannot be used stops the start with its
# sentence, leftovers are swept once, and the workers share the memory of the code.
preload_app = True

# A connection waits for its next request outside the threads; longer than nginx keeps it.
keepalive = 75
# On SIGTERM, uploads in progress have this long to finish (seconds).
graceful_timeout = 30
# A process whose main thread is silent for so long is replaced. Uploads do not count: they
# run in threads.
timeout = 60

# A token of 10 KB is answered by us with a 401, not by gunicorn with a page.
limit_request_field_size = 16384

# X-Forwarded-* is read in wsgi.py alone, by TRUSTED_PROXIES.
forwarded_allow_ips = ""
# gunicorn's heartbeat file must not need a disk or the temporary folder.
worker_tmp_dir = next(
    (folder for folder in ("/dev/shm",) if os.access(folder, os.W_OK)),  # noqa: S108
    str(_settings.database_folder or Path(tempfile.gettempdir())),
)
control_socket_disable = True

# The path without its query, which may carry signed links; the id that the client was given.
logger_class = LineLogger
LineLogger.as_json = is_json(_settings.log_format)
accesslog = "-"
access_log_format = ACCESS_FORMAT


def _write_json_error(sock: socket.socket, status: int, reason: str, _message: str) -> None:
    """Refuse as JSON what gunicorn refuses itself: a malformed request, a header too long."""
    body = json.dumps({"error": reason, "code": code_of_status(status)}).encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\n"
        "Content-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode("latin-1") + body)


util.write_error = _write_json_error  # there is no setting for it


def _redact_invalid_request(record: logging.LogRecord) -> bool:
    """Keep a malformed request out of the log: it may hold a password or a token."""
    if str(record.msg).startswith("Invalid request from "):
        record.msg = record.msg.partition(": ")[0]
    return True


def when_ready(server: Any) -> None:
    """Limit how long a response may wait for its client, and what is logged.

    Accepted connections inherit SO_SNDTIMEO from their listener (socket(7)).
    """
    server.log.error_log.addFilter(_redact_invalid_request)
    silence = struct.pack("ll", _settings.client_timeout, 0)
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, silence)
    if lacking := missing_limits(server.worker_class, server.cfg.is_ssl):
        server.log.warning("jobserver: %s", lacking)


def on_exit(_server: Any) -> None:
    """Keep what the database's log had: its last connection has deleted it with its process."""
    if _settings.database_url is None:
        Reserve(_settings.database).restore_after_close()
