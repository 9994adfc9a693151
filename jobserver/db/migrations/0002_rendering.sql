-- Version 2: rendering. What a worker needs to know about a file, and what came out of it.

ALTER TABLE job ADD COLUMN recipe TEXT NOT NULL DEFAULT 'subtle';
ALTER TABLE job ADD COLUMN seed BIGINT NOT NULL DEFAULT 0;

ALTER TABLE job_file ADD COLUMN worker TEXT;                   -- who claimed it last
ALTER TABLE job_file ADD COLUMN token INTEGER NOT NULL DEFAULT 0;  -- fencing: grows with each claim
ALTER TABLE job_file ADD COLUMN lease_until DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE job_file ADD COLUMN served_at DOUBLE PRECISION;  -- when a claim last began or ended
ALTER TABLE job_file ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;  -- claims since the last success
ALTER TABLE job_file ADD COLUMN not_before DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE job_file ADD COLUMN progress DOUBLE PRECISION NOT NULL DEFAULT 0;  -- 0 to 1
ALTER TABLE job_file ADD COLUMN started_at DOUBLE PRECISION;
ALTER TABLE job_file ADD COLUMN finished_at DOUBLE PRECISION;
ALTER TABLE job_file ADD COLUMN error TEXT;                    -- a sentence for people
ALTER TABLE job_file ADD COLUMN duration DOUBLE PRECISION;     -- seconds
ALTER TABLE job_file ADD COLUMN width INTEGER;                 -- pixels, as displayed
ALTER TABLE job_file ADD COLUMN height INTEGER;
ALTER TABLE job_file ADD COLUMN sha256 TEXT;
CREATE INDEX job_file_unfinished ON job_file (job_id) WHERE status IN ('queued', 'processing');

CREATE TABLE output (
    id         TEXT PRIMARY KEY,
    file_id    TEXT NOT NULL REFERENCES job_file (id),
    number     INTEGER NOT NULL CHECK (number BETWEEN 1 AND 20),  -- which variation
    name       TEXT NOT NULL,             -- file in OUTPUT_DIR/<job id>
    size       BIGINT NOT NULL,
    sha256     TEXT NOT NULL,
    parameters TEXT NOT NULL,             -- JSON object, as in render/recipe.py
    seconds    DOUBLE PRECISION NOT NULL, -- what rendering it took
    created_at DOUBLE PRECISION NOT NULL,
    UNIQUE (file_id, number)
);
CREATE INDEX output_newest ON output (created_at);
