-- Version 4: tables without the limits that later versions would break, events, and one row an
-- address for failed sign-ins. SQLite changes no CHECK and no UNIQUE in place, so the tables are
-- made anew from their own rows. From here on migrations only add.

DROP VIEW job_status;

CREATE TABLE new_job (
    id                   TEXT PRIMARY KEY,
    recipe               TEXT NOT NULL DEFAULT 'subtle',
    seed                 BIGINT NOT NULL DEFAULT 0,
    variations_per_video INTEGER NOT NULL CHECK (variations_per_video > 0),
    created_at           DOUBLE PRECISION NOT NULL,
    removed_at           DOUBLE PRECISION  -- marked: its files are deleted, then its rows
);
INSERT INTO new_job (id, recipe, seed, variations_per_video, created_at, removed_at)
SELECT id, recipe, seed, variations_per_video, created_at, removed_at FROM job;
DROP TABLE job;
ALTER TABLE new_job RENAME TO job;
CREATE INDEX job_newest ON job (created_at, id);
CREATE INDEX job_removed ON job (removed_at) WHERE removed_at IS NOT NULL;

CREATE TABLE new_job_file (
    id          TEXT PRIMARY KEY,
    job_id      TEXT NOT NULL REFERENCES job (id),
    position    INTEGER NOT NULL,      -- place in the upload, from 0
    name        TEXT NOT NULL,         -- as the client sent it: shown, never a path
    stored_name TEXT NOT NULL,         -- file in UPLOAD_DIR
    size        BIGINT NOT NULL CHECK (size > 0),
    status      TEXT NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'processing', 'completed', 'failed', 'cancelled')),
    worker      TEXT,                                -- the worker that claimed it last
    claim_token INTEGER NOT NULL DEFAULT 0,          -- fencing: grows with each claim and release
    lease_until DOUBLE PRECISION NOT NULL DEFAULT 0,
    served_at   DOUBLE PRECISION,                    -- when a claim last began or ended
    attempts    INTEGER NOT NULL DEFAULT 0,          -- claims since the last success
    not_before  DOUBLE PRECISION NOT NULL DEFAULT 0,
    progress    DOUBLE PRECISION NOT NULL DEFAULT 0, -- 0 to 1
    started_at  DOUBLE PRECISION,
    finished_at DOUBLE PRECISION,
    error       TEXT,                                -- a sentence for people
    duration    DOUBLE PRECISION,                    -- seconds
    width       INTEGER,                             -- pixels, as displayed
    height      INTEGER,
    sha256      TEXT,
    thumbnail   TEXT,                                -- file in OUTPUT_DIR/<job id>, or none
    UNIQUE (job_id, position)
);
INSERT INTO new_job_file
    (id, job_id, position, name, stored_name, size, status, worker, claim_token, lease_until,
     served_at, attempts, not_before, progress, started_at, finished_at, error, duration, width,
     height, sha256, thumbnail)
SELECT id, job_id, position, name, stored_name, size, status, worker, token, lease_until,
       served_at, attempts, not_before, progress, started_at, finished_at, error, duration, width,
       height, sha256, thumbnail
FROM job_file;
DROP TABLE job_file;
ALTER TABLE new_job_file RENAME TO job_file;
CREATE INDEX job_file_unfinished ON job_file (job_id) WHERE status IN ('queued', 'processing');
CREATE INDEX job_file_stored ON job_file (stored_name);

CREATE TABLE new_output (
    id         TEXT PRIMARY KEY,
    file_id    TEXT NOT NULL REFERENCES job_file (id),
    number     INTEGER NOT NULL CHECK (number > 0),  -- which variation
    name       TEXT NOT NULL,             -- file in OUTPUT_DIR/<job id>
    size       BIGINT NOT NULL,
    sha256     TEXT NOT NULL,
    crc32      BIGINT NOT NULL DEFAULT 0, -- as in a ZIP
    parameters TEXT NOT NULL,             -- JSON object, as in render/recipe.py
    seconds    DOUBLE PRECISION NOT NULL, -- what rendering it took
    thumbnail  TEXT,
    made_with  TEXT NOT NULL DEFAULT '',  -- server, ffmpeg, encoder
    created_at DOUBLE PRECISION NOT NULL,
    UNIQUE (file_id, number)
);
INSERT INTO new_output
    (id, file_id, number, name, size, sha256, crc32, parameters, seconds, thumbnail, made_with,
     created_at)
SELECT id, file_id, number, name, size, sha256, crc32, parameters, seconds, thumbnail, made_with,
       created_at
FROM output;
DROP TABLE output;
ALTER TABLE new_output RENAME TO output;
CREATE INDEX output_newest ON output (created_at);

-- The status of a job follows from its files, so nothing has to keep the two in step.
CREATE VIEW job_status AS
SELECT job.id, job.recipe, job.seed, job.variations_per_video, job.created_at, job.removed_at,
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

-- Each change of state of a job, a file or an output. No reference to the job: what somebody
-- waits for may be kept for longer than it.
CREATE TABLE event (
    id        INTEGER PRIMARY KEY,
    job_id    TEXT NOT NULL,
    file_id   TEXT,
    output_id TEXT,
    kind      TEXT NOT NULL,             -- as in jobs/events.py
    at        DOUBLE PRECISION NOT NULL,
    data      TEXT NOT NULL DEFAULT '{}' -- a small JSON object
);
CREATE INDEX event_of_job ON event (job_id, id);
CREATE INDEX event_of_file ON event (file_id, id) WHERE output_id IS NULL;

CREATE TABLE new_sign_in_failure (
    address  TEXT PRIMARY KEY,           -- an IPv4 address, or an IPv6 network
    failures INTEGER NOT NULL,           -- in a row, none longer ago than auth/throttle.py says
    last_at  DOUBLE PRECISION NOT NULL
);
INSERT INTO new_sign_in_failure (address, failures, last_at)
SELECT address, COUNT(*), MAX(at) FROM sign_in_failure GROUP BY address;
DROP TABLE sign_in_failure;
ALTER TABLE new_sign_in_failure RENAME TO sign_in_failure;
CREATE INDEX sign_in_failure_oldest ON sign_in_failure (last_at);

-- What the housekeeping noted last: that time, and from when on its clock is trusted.
UPDATE meta SET name = 'clock', value = value || ' ' || value WHERE name = 'last_seen';
