-- Version 8: where each job stands, so that neither a claim nor a status call counts the queue.
-- Kept by jobs/standing.py, in the transaction of each change.

CREATE TABLE job_standing (                 -- a row a job
    job_id     TEXT NOT NULL PRIMARY KEY,
    revision   BIGINT NOT NULL DEFAULT 0,   -- grows with each change of what is shown of the job
    place      BIGINT NOT NULL UNIQUE,      -- in the sequence in which jobs came, from 1
    created_at DOUBLE PRECISION NOT NULL,   -- as in job
    turn       DOUBLE PRECISION NOT NULL,   -- when it was served last, or made; the smallest is next
    files      INTEGER NOT NULL,            -- that wait or are rendered
    work       BIGINT NOT NULL              -- of these: millionths of variations still to render
);
INSERT INTO job_standing (job_id, place, created_at, turn, files, work)
SELECT job.id, ROW_NUMBER() OVER (ORDER BY job.created_at, job.id), job.created_at,
       COALESCE((SELECT MAX(served_at) FROM job_file WHERE job_id = job.id), job.created_at),
       (SELECT COUNT(*) FROM job_file
        WHERE job_id = job.id AND status IN ('queued', 'processing')),
       (SELECT COALESCE(SUM(CAST(ROUND((1 - progress) * job.variations_per_video * 1000000)
                                 AS BIGINT)), 0)
        FROM job_file WHERE job_id = job.id AND status IN ('queued', 'processing'))
FROM job;
CREATE UNIQUE INDEX job_standing_turn ON job_standing (turn, created_at, job_id) WHERE files > 0;

-- Sums over the jobs that have such files, by blocks of places. A block holds 2^shift places;
-- its number is place >> shift.
CREATE TABLE queue_sum (
    shift INTEGER NOT NULL,
    block BIGINT NOT NULL,
    jobs  INTEGER NOT NULL,
    work  BIGINT NOT NULL,
    PRIMARY KEY (shift, block)
);
INSERT INTO queue_sum (shift, block, jobs, work)
SELECT size.shift, place >> size.shift, COUNT(*), SUM(work)
FROM job_standing, (SELECT 0 AS shift UNION ALL SELECT 3 UNION ALL SELECT 6 UNION ALL SELECT 9
                    UNION ALL SELECT 12 UNION ALL SELECT 15 UNION ALL SELECT 18
                    UNION ALL SELECT 21) AS size
WHERE files > 0 GROUP BY size.shift, place >> size.shift;

-- The next file of a job: one that is begun ('processing') before one that is 'queued'. In the
-- alphabet they are the last states.
CREATE INDEX job_file_next ON job_file (job_id, status, position) WHERE status >= 'processing';
-- The last event of a job itself; what the latest outputs took.
CREATE INDEX event_of_job_alone ON event (job_id, id) WHERE file_id IS NULL;
CREATE INDEX output_pace ON output (created_at, seconds);
