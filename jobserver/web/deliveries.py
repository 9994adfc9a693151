"""HTTP in and out of what a job's webhook was posted: the log, and once more."""

from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from jobserver.db import claiming
from jobserver.errors import DeliveryNotFound, JobNotFound
from jobserver.jobs import queries, webhooks
from jobserver.jobs.webhooks import Delivery
from jobserver.times import iso_utc
from jobserver.web.auth import require_auth
from jobserver.web.context import get_db

bp = Blueprint("deliveries", __name__, url_prefix="/api/jobs")
bp.before_request(require_auth)


@bp.get("/<job_id>/deliveries")
def list_deliveries(job_id: str) -> ResponseReturnValue:
    """Answer 200 with the webhook of a job and its deliveries, newest first; 404."""
    db = get_db()
    _require_job(job_id)
    webhook = webhooks.find(db, job_id)
    return jsonify(
        webhook=webhook and webhook.url,
        webhookEvents=list(webhook.events) if webhook else [],
        deliveries=[_delivery_json(each) for each in webhooks.deliveries_of(db, job_id)],
    )


@bp.post("/<job_id>/deliveries/<delivery_id>/replay")
def replay_delivery(job_id: str, delivery_id: str) -> ResponseReturnValue:
    """Answer 202 with a delivery that is made again, under the same id; 404."""
    db = get_db()
    _require_job(job_id)
    with claiming(db):
        delivery = webhooks.replay(db, job_id, delivery_id, db.clock())
    if delivery is None:
        raise DeliveryNotFound
    return jsonify(_delivery_json(delivery)), 202


def _require_job(job_id: str) -> None:
    if queries.find_job(get_db(), job_id) is None:
        raise JobNotFound


def _delivery_json(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "event": delivery.kind,
        "url": delivery.url,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "createdAt": iso_utc(delivery.created_at),
        "lastAttemptAt": _time(delivery.tried_at),
        "nextAttemptAt": _time(delivery.next_at),
        "responseStatus": delivery.answer,
        "error": delivery.error,
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else iso_utc(seconds)
