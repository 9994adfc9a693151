-- Version 10: jobs with a brief. See the script of the same number for SQLite.

ALTER TABLE job ADD COLUMN title TEXT;
ALTER TABLE job ADD COLUMN title_key TEXT;
ALTER TABLE job ADD COLUMN brief TEXT;
ALTER TABLE job ADD COLUMN total_outputs INTEGER;
CREATE INDEX job_titled ON job (created_at, id) WHERE title_key IS NOT NULL;

ALTER TABLE job_file ADD COLUMN role TEXT COLLATE "C" NOT NULL DEFAULT 'video'
    CHECK (role IN ('video', 'hook', 'ending', 'overlay', 'music'));
ALTER TABLE job_file ADD COLUMN planned INTEGER;
ALTER TABLE job_file ADD COLUMN weight DOUBLE PRECISION;
ALTER TABLE job_file ADD COLUMN stage INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job_file ADD COLUMN ready INTEGER NOT NULL DEFAULT 1;
ALTER TABLE job_file ADD COLUMN facts TEXT;
CREATE INDEX job_file_claimable ON job_file (job_id, status, position)
    WHERE status >= 'processing' AND ready = 1;

ALTER TABLE output ADD COLUMN axes TEXT;
ALTER TABLE output ADD COLUMN width INTEGER;
ALTER TABLE output ADD COLUMN height INTEGER;
ALTER TABLE output ADD COLUMN duration DOUBLE PRECISION;
ALTER TABLE output ADD COLUMN loudness TEXT;

CREATE TABLE shot (
    job_id     TEXT COLLATE "C" NOT NULL,
    file_id    TEXT COLLATE "C" NOT NULL REFERENCES job_file (id) ON DELETE CASCADE,
    key        TEXT COLLATE "C" NOT NULL,
    place      TEXT COLLATE "C" NOT NULL,
    size       BIGINT NOT NULL,
    facts      TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (job_id, key)
);
CREATE INDEX shot_of_file ON shot (file_id);

CREATE TABLE failed_output (
    file_id TEXT COLLATE "C" NOT NULL REFERENCES job_file (id) ON DELETE CASCADE,
    number  INTEGER NOT NULL,
    name    TEXT NOT NULL,
    axes    TEXT NOT NULL,
    reason  TEXT NOT NULL,
    PRIMARY KEY (file_id, number)
);

ALTER TABLE worker ADD COLUMN database_version INTEGER;
