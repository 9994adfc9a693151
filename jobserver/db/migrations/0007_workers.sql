-- Version 7: workers say that they live, so that a dead one is noticed.

CREATE TABLE worker (
    id         TEXT PRIMARY KEY,            -- made at each start of the process
    name       TEXT NOT NULL,               -- host:pid, as in job_file.worker
    threads    INTEGER NOT NULL,            -- files that it renders at once
    started_at DOUBLE PRECISION NOT NULL,
    seen_at    DOUBLE PRECISION NOT NULL,   -- its last heartbeat
    waits_for  TEXT                         -- why it claims nothing, as in jobs/workers.py, or none
);
