-- Version 1 of the database. Never drops; later versions are steps in db.py.
-- Times are Unix seconds, UTC. Sizes are bytes.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE sign_in_failure (
    address TEXT NOT NULL,             -- client address, IPv6 by its /64 network
    at      DOUBLE PRECISION NOT NULL
);
CREATE INDEX sign_in_failure_at ON sign_in_failure (at);

CREATE TABLE job (
    id                   TEXT PRIMARY KEY,
    variations_per_video INTEGER NOT NULL CHECK (variations_per_video BETWEEN 1 AND 20),
    created_at           DOUBLE PRECISION NOT NULL
);
CREATE INDEX job_newest ON job (created_at, id);

CREATE TABLE job_file (
    id          TEXT PRIMARY KEY,
    job_id      TEXT NOT NULL REFERENCES job (id),
    position    INTEGER NOT NULL,      -- order in the upload, from 0
    name        TEXT NOT NULL,         -- as the client sent it: shown, never a path
    stored_name TEXT NOT NULL UNIQUE,  -- file in UPLOAD_DIR
    size        BIGINT NOT NULL CHECK (size > 0),
    status      TEXT NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'processing', 'completed', 'failed', 'cancelled')),
    UNIQUE (job_id, position)
);

-- A job's status follows from its files, so nothing has to keep the two in step.
CREATE VIEW job_status AS
SELECT job.*,
       (SELECT COUNT(*) FROM job_file WHERE job_id = job.id) AS total_videos,
       (SELECT CASE
                   WHEN COUNT(*) FILTER (WHERE status = 'queued') = COUNT(*) THEN 'queued'
                   WHEN COUNT(*) FILTER (WHERE status IN ('queued', 'processing')) > 0
                       THEN 'processing'
                   WHEN COUNT(*) FILTER (WHERE status = 'completed') > 0 THEN 'completed'
                   WHEN COUNT(*) FILTER (WHERE status = 'failed') = COUNT(*) THEN 'failed'
                   ELSE 'cancelled'
               END
        FROM job_file WHERE job_id = job.id) AS status
FROM job;
