-- Version 13: Content Credentials of sources. See the script of the same number for SQLite.

ALTER TABLE job_file ADD COLUMN credentials TEXT;
