-- Version 11: requests that name themselves, so that one that is repeated makes no second job.

-- A row a key: held by a running request until its lease ends, then kept as long as the job.
CREATE TABLE idempotency_key (
    bearer      TEXT NOT NULL,             -- whose key it is, as in web/idempotency.py
    key         TEXT NOT NULL,             -- as the client sent it
    holder      TEXT NOT NULL,             -- the request that runs, or ran
    lease_until DOUBLE PRECISION NOT NULL,
    job_id      TEXT REFERENCES job (id) ON DELETE CASCADE, -- none while the request runs
    fingerprint TEXT,                      -- of what was asked for: SHA-256
    answer      TEXT,                      -- body of the 202, JSON
    PRIMARY KEY (bearer, key)
);
CREATE INDEX idempotency_key_of_job ON idempotency_key (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX idempotency_key_held ON idempotency_key (lease_until) WHERE job_id IS NULL;
