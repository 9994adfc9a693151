-- Version 12: webhooks. What a job asked for, and what is to be delivered about it.

CREATE TABLE webhook (
    job_id TEXT NOT NULL PRIMARY KEY REFERENCES job (id) ON DELETE CASCADE,
    url    TEXT NOT NULL,
    events TEXT NOT NULL                     -- kinds of event, between spaces
);

-- One event for one receiver. It has all that is needed to deliver it, also when its job has gone.
CREATE TABLE webhook_delivery (
    id         TEXT NOT NULL PRIMARY KEY,    -- the message's: webhook-id
    job_id     TEXT REFERENCES job (id) ON DELETE SET NULL,
    kind       TEXT NOT NULL,                -- of the event
    url        TEXT NOT NULL,
    host       TEXT NOT NULL,                -- of the URL
    body       TEXT NOT NULL,                -- JSON, as it is posted
    status     TEXT NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'delivered', 'failed')),
    created_at DOUBLE PRECISION NOT NULL,
    since      DOUBLE PRECISION NOT NULL,    -- when its day of attempts began
    next_at    DOUBLE PRECISION,             -- when it is due; of one that is posted, the end of its lease
    attempts   INTEGER NOT NULL DEFAULT 0,   -- that began; fences the last of them
    tried_at   DOUBLE PRECISION,             -- when the last attempt ended
    answer     INTEGER,                      -- its status, or none
    error      TEXT                          -- why it was none
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (next_at, host) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_delivery_of_job ON webhook_delivery (job_id, created_at);
