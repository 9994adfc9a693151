-- Version 14: uploads (tus). See the script of the same number for SQLite.

CREATE TABLE upload (
    id TEXT COLLATE "C" PRIMARY KEY,
    field TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    content_type TEXT COLLATE "C",
    metadata TEXT COLLATE "C",
    stored_name TEXT COLLATE "C" NOT NULL UNIQUE,
    size BIGINT NOT NULL,
    received BIGINT NOT NULL DEFAULT 0,
    state TEXT COLLATE "C" NOT NULL DEFAULT '',
    start TEXT COLLATE "C" NOT NULL DEFAULT '',
    finished INTEGER NOT NULL DEFAULT 0,
    write_token INTEGER NOT NULL DEFAULT 0,
    lease_until DOUBLE PRECISION NOT NULL DEFAULT 0,
    part_number INTEGER NOT NULL DEFAULT 0,
    job_id TEXT COLLATE "C" REFERENCES job (id) ON DELETE CASCADE,
    expires_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX upload_of_job ON upload (job_id);
