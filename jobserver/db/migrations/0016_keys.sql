-- Version 16: keys for programs, and a record of who did what.

CREATE TABLE api_key (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,            -- as it was named when it was made
    scopes       TEXT NOT NULL,            -- as in auth/api_keys.py, by spaces
    hash         TEXT NOT NULL UNIQUE,     -- SHA-256 of the key; the key itself is nowhere
    created_at   DOUBLE PRECISION NOT NULL,
    last_used_at DOUBLE PRECISION          -- within a minute
);

-- How many files of a key wait is read here, before and while a job is queued.
ALTER TABLE job_standing ADD COLUMN key_id TEXT; -- that queued the job, none: a session
CREATE INDEX job_standing_of_key ON job_standing (key_id, files)
    WHERE key_id IS NOT NULL AND files > 0;

-- Rows are only added, and removed when they are old.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      DOUBLE PRECISION NOT NULL,
    actor   TEXT NOT NULL,                 -- 'session ...', 'key ...', or 'nobody'
    action  TEXT NOT NULL,                 -- as in auth/audit.py
    job_id  TEXT,                          -- also of one that has gone
    address TEXT,                          -- of the client
    data    TEXT NOT NULL DEFAULT '{}'     -- a small JSON object
);
CREATE INDEX audit_newest ON audit (at);
CREATE INDEX audit_of_job ON audit (job_id) WHERE job_id IS NOT NULL;
CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is only added to');
END;
