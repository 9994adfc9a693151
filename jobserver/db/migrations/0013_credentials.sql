-- Version 13: Content Credentials (C2PA) that a source carries, found when it is probed.

ALTER TABLE job_file ADD COLUMN credentials TEXT; -- JSON of what they claim, or none
