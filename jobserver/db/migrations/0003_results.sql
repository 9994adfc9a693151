-- Version 3: results. What delivering and removing them needs.

ALTER TABLE job ADD COLUMN removed_at DOUBLE PRECISION;  -- marked: its files go, then its rows
ALTER TABLE job_file ADD COLUMN thumbnail TEXT;          -- file in OUTPUT_DIR/<job id>, or none
ALTER TABLE output ADD COLUMN thumbnail TEXT;
ALTER TABLE output ADD COLUMN crc32 BIGINT NOT NULL DEFAULT 0;  -- as in a ZIP
CREATE INDEX job_removed ON job (removed_at) WHERE removed_at IS NOT NULL;

CREATE TABLE expired_job (             -- so that an old link differs from a wrong one
    id         TEXT PRIMARY KEY,
    created_at DOUBLE PRECISION NOT NULL,  -- so that a page of the list that ends here goes on
    removed_at DOUBLE PRECISION NOT NULL
);
ALTER TABLE output ADD COLUMN made_with TEXT NOT NULL DEFAULT '';  -- server, ffmpeg, encoder
