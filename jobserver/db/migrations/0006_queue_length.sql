-- Version 6: how many files wait or are rendered, so that no upload has to count them. Kept by
-- the database itself: no writer can forget it, nor one of the version before.

CREATE TABLE queue_length (files INTEGER NOT NULL);  -- one row
INSERT INTO queue_length (files)
SELECT COUNT(*) FROM job_file WHERE status IN ('queued', 'processing');

CREATE TRIGGER job_file_added AFTER INSERT ON job_file
WHEN new.status IN ('queued', 'processing')
BEGIN
    UPDATE queue_length SET files = files + 1;
END;

CREATE TRIGGER job_file_changed AFTER UPDATE OF status ON job_file
WHEN (new.status IN ('queued', 'processing')) <> (old.status IN ('queued', 'processing'))
BEGIN
    UPDATE queue_length
    SET files = files + CASE WHEN new.status IN ('queued', 'processing') THEN 1 ELSE -1 END;
END;

CREATE TRIGGER job_file_deleted AFTER DELETE ON job_file
WHEN old.status IN ('queued', 'processing')
BEGIN
    UPDATE queue_length SET files = files - 1;
END;
