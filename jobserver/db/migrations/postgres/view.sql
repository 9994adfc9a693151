-- The status of a job follows from its files, so nothing has to keep the two in step. This one is
-- for servers of version 9.
DROP VIEW IF EXISTS job_status;
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

-- A job as it is shown. It has ended when nothing of it waits or runs, whatever its role; how it
-- ended, its videos say.
DROP VIEW IF EXISTS job_summary;
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
