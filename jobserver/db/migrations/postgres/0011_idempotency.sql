-- Version 11: idempotency keys. See the script of the same number for SQLite.

CREATE TABLE idempotency_key (
    bearer      TEXT COLLATE "C" NOT NULL,
    key         TEXT COLLATE "C" NOT NULL,
    holder      TEXT COLLATE "C" NOT NULL,
    lease_until DOUBLE PRECISION NOT NULL,
    job_id      TEXT COLLATE "C" REFERENCES job (id) ON DELETE CASCADE,
    fingerprint TEXT,
    answer      TEXT,
    PRIMARY KEY (bearer, key)
);
CREATE INDEX idempotency_key_of_job ON idempotency_key (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX idempotency_key_held ON idempotency_key (lease_until) WHERE job_id IS NULL;
