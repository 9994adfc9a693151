"""The shapes of what is around jobs: tokens, health, webhooks, keys, ...; as shapes.py."""

from typing import Annotated, Literal, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from jobserver.web.shapes import KnownTime, Reason, Time

Scope: TypeAlias = Annotated[str, Field(description="`read`, `create` or `delete`")]


class Token(TypedDict):
    """A bearer token. expiresIn: seconds."""

    token: str
    expiresIn: int


class Workers(TypedDict):
    """Workers that live, and when one was seen last; null where the database does not answer."""

    count: int | None
    lastSeen: Time | None


class Health(TypedDict):
    """Whether the server serves. degraded: it does, and something waits for the operator.

    uptime: seconds. freeBytes: of the fuller disk, null where that has no end. error, code: of
    status `error`.
    """

    status: Literal["ok", "degraded", "error"]
    timestamp: Time
    volumeMounted: bool
    pythonVersion: str
    version: str
    uptime: int
    worker: Workers
    freeBytes: int | None
    reasons: NotRequired[list[Reason]]
    error: NotRequired[str]
    code: NotRequired[str]


class Storage(TypedDict):
    """Bytes used by jobs, the quota and bytes free for uploads (null: no end), and jobs."""

    used: int
    quota: int | None
    free: int | None
    jobs: int


class Delivery(TypedDict):
    """A post to a webhook. responseStatus: of the last attempt; error: why it failed."""

    id: str
    event: str
    url: str
    status: str
    attempts: int
    createdAt: KnownTime
    lastAttemptAt: Time | None
    nextAttemptAt: Time | None
    responseStatus: int | None
    error: str | None


class Deliveries(TypedDict):
    """The webhook of a job, null without one, and what it was posted, newest first."""

    webhook: str | None
    webhookEvents: list[str]
    deliveries: list[Delivery]


class Differences(TypedDict):
    """How far the outputs of a video are from each other: bits of 64, rows in this sequence."""

    outputs: list[str]
    bits: list[list[float]]


class NewKey(TypedDict):
    """A key that was made: a bearer token for programs, shown this once."""

    id: str
    key: str
    name: str
    scopes: list[Scope]


class Key(TypedDict):
    """A key that is good. lastUsedAt: to the minute."""

    id: str
    name: str
    scopes: list[Scope]
    createdAt: KnownTime
    lastUsedAt: Time | None


class RevokedKey(TypedDict):
    """A key that opens nothing any more."""

    id: str
    status: Literal["revoked"]


class SignedOut(TypedDict):
    """Every token and every signed address is void."""

    status: Literal["signed out"]
