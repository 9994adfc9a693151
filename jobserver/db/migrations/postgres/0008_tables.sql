-- The tables of version 8, as SQLite's scripts have made them by then. Ids, names of files and
-- addresses compare by their bytes there: COLLATE "C".
-- Times are Unix seconds, UTC. Sizes are bytes.

CREATE TABLE meta (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE job (
    id                   TEXT COLLATE "C" PRIMARY KEY,
    recipe               TEXT NOT NULL DEFAULT 'subtle',
    seed                 BIGINT NOT NULL DEFAULT 0,
    variations_per_video INTEGER NOT NULL CHECK (variations_per_video > 0),
    created_at           DOUBLE PRECISION NOT NULL,
    removed_at           DOUBLE PRECISION  -- marked: its files are deleted, then its rows
);
CREATE INDEX job_newest ON job (created_at, id);
CREATE INDEX job_removed ON job (removed_at) WHERE removed_at IS NOT NULL;

CREATE TABLE job_file (
    id          TEXT COLLATE "C" PRIMARY KEY,
    job_id      TEXT COLLATE "C" NOT NULL REFERENCES job (id),
    position    INTEGER NOT NULL,      -- place in the upload, from 0
    name        TEXT NOT NULL,         -- as the client sent it: shown, never a path
    stored_name TEXT COLLATE "C" NOT NULL,           -- file in UPLOAD_DIR
    size        BIGINT NOT NULL CHECK (size > 0),
    status      TEXT COLLATE "C" NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'processing', 'completed', 'failed', 'cancelled')),
    worker      TEXT,                                -- the worker that claimed it last
    claim_token BIGINT NOT NULL DEFAULT 0,           -- fencing: grows with each claim and release
    lease_until DOUBLE PRECISION NOT NULL DEFAULT 0,
    served_at   DOUBLE PRECISION,                    -- when a claim last began or ended
    attempts    INTEGER NOT NULL DEFAULT 0,          -- claims since the last success
    not_before  DOUBLE PRECISION NOT NULL DEFAULT 0,
    progress    DOUBLE PRECISION NOT NULL DEFAULT 0, -- 0 to 1
    started_at  DOUBLE PRECISION,
    finished_at DOUBLE PRECISION,
    error       TEXT,                                -- a sentence for people
    duration    DOUBLE PRECISION,                    -- seconds
    width       INTEGER,                             -- pixels, as displayed
    height      INTEGER,
    sha256      TEXT,
    thumbnail   TEXT,                                -- file in OUTPUT_DIR/<job id>, or none
    own_seed    BIGINT,                              -- as in jobs/seeds.py
    UNIQUE (job_id, position)
);
CREATE INDEX job_file_unfinished ON job_file (job_id) WHERE status IN ('queued', 'processing');
CREATE INDEX job_file_stored ON job_file (stored_name);
-- The next file of a job: one that is begun ('processing') before one that is 'queued'.
CREATE INDEX job_file_next ON job_file (job_id, status, position) WHERE status >= 'processing';

CREATE TABLE output (
    id         TEXT COLLATE "C" PRIMARY KEY,
    file_id    TEXT COLLATE "C" NOT NULL REFERENCES job_file (id),
    number     INTEGER NOT NULL CHECK (number > 0),  -- which variation
    name       TEXT NOT NULL,             -- file in OUTPUT_DIR/<job id>
    size       BIGINT NOT NULL,
    sha256     TEXT NOT NULL,
    crc32      BIGINT NOT NULL DEFAULT 0, -- as in a ZIP
    parameters TEXT NOT NULL,             -- JSON object, as in render/recipe.py
    seconds    DOUBLE PRECISION NOT NULL, -- what rendering it took
    thumbnail  TEXT,
    made_with  TEXT NOT NULL DEFAULT '',  -- server, ffmpeg, encoder
    created_at DOUBLE PRECISION NOT NULL,
    UNIQUE (file_id, number)
);
CREATE INDEX output_newest ON output (created_at);
CREATE INDEX output_pace ON output (created_at, seconds);

CREATE TABLE expired_job (             -- so that an old link differs from a wrong one
    id         TEXT COLLATE "C" PRIMARY KEY,
    created_at DOUBLE PRECISION NOT NULL,  -- so that a page of the list that ends here goes on
    removed_at DOUBLE PRECISION NOT NULL
);

-- Each change of state of a job, a file or an output. No reference to the job: what somebody
-- waits for may be kept for longer than it.
CREATE TABLE event (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id    TEXT COLLATE "C" NOT NULL,
    file_id   TEXT COLLATE "C",
    output_id TEXT COLLATE "C",
    kind      TEXT NOT NULL,             -- as in jobs/events.py
    at        DOUBLE PRECISION NOT NULL,
    data      TEXT NOT NULL DEFAULT '{}' -- a small JSON object
);
CREATE INDEX event_of_job ON event (job_id, id);
CREATE INDEX event_of_job_alone ON event (job_id, id) WHERE file_id IS NULL;
CREATE INDEX event_of_file ON event (file_id, id) WHERE output_id IS NULL;

-- Where each job stands, kept by jobs/standing.py.
CREATE TABLE job_standing (                 -- a row a job
    job_id     TEXT COLLATE "C" PRIMARY KEY,
    revision   BIGINT NOT NULL DEFAULT 0,   -- grows with each change of what is shown of the job
    place      BIGINT NOT NULL UNIQUE,      -- in the sequence in which jobs came, from 1
    created_at DOUBLE PRECISION NOT NULL,   -- as in job
    turn       DOUBLE PRECISION NOT NULL,   -- when it was served last, or made; the smallest is next
    files      INTEGER NOT NULL,            -- that wait or are rendered
    work       BIGINT NOT NULL              -- of these: millionths of variations still to render
);
CREATE UNIQUE INDEX job_standing_turn ON job_standing (turn, created_at, job_id) WHERE files > 0;

-- Sums over the jobs that have such files, by blocks of 2^shift places.
CREATE TABLE queue_sum (
    shift INTEGER NOT NULL,
    block BIGINT NOT NULL,
    jobs  INTEGER NOT NULL,
    work  BIGINT NOT NULL,
    PRIMARY KEY (shift, block)
);

CREATE TABLE sign_in_failure (
    address  TEXT COLLATE "C" PRIMARY KEY,  -- an IPv4 address, or an IPv6 network
    failures INTEGER NOT NULL,           -- in a row, none longer ago than auth/throttle.py says
    last_at  DOUBLE PRECISION NOT NULL
);
CREATE INDEX sign_in_failure_oldest ON sign_in_failure (last_at);

CREATE TABLE worker (
    id         TEXT COLLATE "C" PRIMARY KEY,  -- made at each start of the process
    name       TEXT NOT NULL,               -- host:pid, as in job_file.worker
    threads    INTEGER NOT NULL,            -- files that it renders at once
    started_at DOUBLE PRECISION NOT NULL,
    seen_at    DOUBLE PRECISION NOT NULL,   -- its last heartbeat
    waits_for  TEXT                         -- why it claims nothing, as in jobs/workers.py, or none
);

-- How many files wait or are rendered, so that no upload has to count them.
CREATE TABLE queue_length (files BIGINT NOT NULL);  -- one row
INSERT INTO queue_length (files) VALUES (0);

CREATE FUNCTION count_queued() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change INTEGER := 0;
BEGIN
    IF TG_OP <> 'DELETE' AND new.status IN ('queued', 'processing') THEN
        change := change + 1;
    END IF;
    IF TG_OP <> 'INSERT' AND old.status IN ('queued', 'processing') THEN
        change := change - 1;
    END IF;
    IF change <> 0 THEN
        UPDATE queue_length SET files = files + change;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER job_file_counted AFTER INSERT OR UPDATE OF status OR DELETE ON job_file
FOR EACH ROW EXECUTE FUNCTION count_queued();
