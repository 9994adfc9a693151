-- Version 5: each file of a job has a seed of its own, as in jobs/seeds.py. Without one, as in
-- jobs that an older version queued, it is rendered with the job's.
ALTER TABLE job_file ADD COLUMN own_seed BIGINT;
