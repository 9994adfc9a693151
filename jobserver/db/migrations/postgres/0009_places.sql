-- Version 9: rows name where the store keeps an object. None: under its name in the job's folder,
-- as everything of before.

ALTER TABLE output ADD COLUMN place TEXT;               -- a key of files/keys.py
ALTER TABLE output ADD COLUMN thumbnail_place TEXT;
ALTER TABLE job_file ADD COLUMN thumbnail_place TEXT;
