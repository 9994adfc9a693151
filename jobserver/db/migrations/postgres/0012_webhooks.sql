-- Version 12: webhooks. See the script of the same number for SQLite.

CREATE TABLE webhook (
    job_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES job (id) ON DELETE CASCADE,
    url    TEXT COLLATE "C" NOT NULL,
    events TEXT COLLATE "C" NOT NULL
);

CREATE TABLE webhook_delivery (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    job_id     TEXT COLLATE "C" REFERENCES job (id) ON DELETE SET NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    url        TEXT COLLATE "C" NOT NULL,
    host       TEXT COLLATE "C" NOT NULL,
    body       TEXT NOT NULL,
    status     TEXT COLLATE "C" NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'delivered', 'failed')),
    created_at DOUBLE PRECISION NOT NULL,
    since      DOUBLE PRECISION NOT NULL,
    next_at    DOUBLE PRECISION,
    attempts   INTEGER NOT NULL DEFAULT 0,
    tried_at   DOUBLE PRECISION,
    answer     INTEGER,
    error      TEXT
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (next_at, host) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_delivery_of_job ON webhook_delivery (job_id, created_at);
