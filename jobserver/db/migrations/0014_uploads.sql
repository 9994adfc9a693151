-- Version 14: uploads that come in several requests (tus), until they become files of a job.

CREATE TABLE upload (
    id           TEXT PRIMARY KEY,                    -- the last part of its address
    field        TEXT NOT NULL,                       -- of the form, as uploads/kinds.py has them
    name         TEXT NOT NULL,                       -- as the client sent it
    content_type TEXT,                                -- as the client declared it, or none
    metadata     TEXT,                                -- the header Upload-Metadata, or none
    stored_name  TEXT NOT NULL UNIQUE,                -- what its key names once it is whole
    size         BIGINT NOT NULL,
    received     BIGINT NOT NULL DEFAULT 0,           -- bytes that are durable
    state        TEXT NOT NULL DEFAULT '',            -- what its store keeps of it, JSON
    start        TEXT NOT NULL DEFAULT '',            -- its first bytes, hexadecimal
    finished     INTEGER NOT NULL DEFAULT 0,          -- 1: its key names it
    write_token  INTEGER NOT NULL DEFAULT 0,          -- fencing: of the request that may append
    lease_until  DOUBLE PRECISION NOT NULL DEFAULT 0, -- 0: no request appends
    part_number  INTEGER NOT NULL DEFAULT 0,          -- the last that a request has taken
    job_id       TEXT REFERENCES job (id) ON DELETE CASCADE, -- that it became a file of, or none
    expires_at   DOUBLE PRECISION NOT NULL
);
CREATE INDEX upload_of_job ON upload (job_id);
