-- Version 10: jobs with a brief. Their hooks, endings, overlays and music are files of the job
-- as its videos are; what is made of them has axes, and may lack some outputs.
-- The view job_status stays for servers of the version before; it counts files of every role.

ALTER TABLE job ADD COLUMN title TEXT;            -- as the client sent it, or none
ALTER TABLE job ADD COLUMN title_key TEXT;        -- the title as a search compares it
ALTER TABLE job ADD COLUMN brief TEXT;            -- canonical JSON, or none
ALTER TABLE job ADD COLUMN total_outputs INTEGER; -- that the brief plans; none without one
CREATE INDEX job_titled ON job (created_at, id) WHERE title_key IS NOT NULL;

ALTER TABLE job_file ADD COLUMN role TEXT NOT NULL DEFAULT 'video'
    CHECK (role IN ('video', 'hook', 'ending', 'overlay', 'music'));
ALTER TABLE job_file ADD COLUMN planned INTEGER;  -- outputs; none: the job's variations_per_video
ALTER TABLE job_file ADD COLUMN weight DOUBLE PRECISION; -- of its progress; none: as all others
ALTER TABLE job_file ADD COLUMN stage INTEGER NOT NULL DEFAULT 0; -- 0 probe, 1 shots, 2 joins
ALTER TABLE job_file ADD COLUMN ready INTEGER NOT NULL DEFAULT 1; -- 0: waits for other files
ALTER TABLE job_file ADD COLUMN facts TEXT;       -- JSON of the probe
-- The next file of a job, as job_file_next; what waits for other files is no candidate.
CREATE INDEX job_file_claimable ON job_file (job_id, status, position)
    WHERE status >= 'processing' AND ready = 1;

ALTER TABLE output ADD COLUMN axes TEXT;          -- a JSON object, or none
ALTER TABLE output ADD COLUMN width INTEGER;      -- pixels
ALTER TABLE output ADD COLUMN height INTEGER;
ALTER TABLE output ADD COLUMN duration DOUBLE PRECISION; -- seconds
ALTER TABLE output ADD COLUMN loudness TEXT;      -- a JSON object, or none

-- A part in one appearance, kept until the last output that needs it is there. Rows go with
-- their file, also when a server of the version before deletes it.
CREATE TABLE shot (
    job_id     TEXT NOT NULL,
    file_id    TEXT NOT NULL REFERENCES job_file (id) ON DELETE CASCADE,
    key        TEXT NOT NULL,             -- of its appearance: SHA-256
    place      TEXT NOT NULL,             -- a key of files/keys.py
    size       BIGINT NOT NULL,
    facts      TEXT NOT NULL,             -- JSON of what was encoded
    created_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (job_id, key)
);
CREATE INDEX shot_of_file ON shot (file_id);

-- Outputs that cannot be made, as with a broken hook.
CREATE TABLE failed_output (
    file_id TEXT NOT NULL REFERENCES job_file (id) ON DELETE CASCADE,
    number  INTEGER NOT NULL,
    name    TEXT NOT NULL,
    axes    TEXT NOT NULL,                -- a JSON object
    reason  TEXT NOT NULL,                -- a sentence for people
    PRIMARY KEY (file_id, number)
);

-- The latest version of the database that a worker's code knows; none before 10.
ALTER TABLE worker ADD COLUMN database_version INTEGER;

-- A job as it is shown. It has ended when nothing of it waits or runs, whatever its role; how it
-- ended, its videos say.
CREATE VIEW job_summary AS
SELECT job.id, job.title, job.title_key, job.recipe, job.seed, job.variations_per_video,
       job.total_outputs, job.created_at, job.removed_at,
       (SELECT COUNT(*) FROM job_file WHERE job_id = job.id AND role = 'video') AS total_videos,
       (SELECT CASE
                   WHEN COUNT(*) FILTER (WHERE status = 'queued') = COUNT(*) THEN 'queued'
                   WHEN COUNT(*) FILTER (WHERE status IN ('queued', 'processing')) > 0
                       THEN 'processing'
                   WHEN COUNT(*) FILTER (WHERE role = 'video' AND status = 'completed') > 0
                       THEN 'completed'
                   WHEN COUNT(*) FILTER (WHERE role = 'video' AND status <> 'failed') = 0
                       THEN 'failed'
                   ELSE 'cancelled'
               END
        FROM job_file WHERE job_id = job.id) AS status
FROM job;
