-- Version 16: keys and the audit. See the script of the same number for SQLite.

CREATE TABLE api_key (
    id           TEXT COLLATE "C" PRIMARY KEY,
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    hash         TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at   DOUBLE PRECISION NOT NULL,
    last_used_at DOUBLE PRECISION
);

ALTER TABLE job_standing ADD COLUMN key_id TEXT COLLATE "C";
CREATE INDEX job_standing_of_key ON job_standing (key_id, files)
    WHERE key_id IS NOT NULL AND files > 0;

CREATE TABLE audit (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      DOUBLE PRECISION NOT NULL,
    actor   TEXT COLLATE "C" NOT NULL,
    action  TEXT COLLATE "C" NOT NULL,
    job_id  TEXT COLLATE "C",
    address TEXT COLLATE "C",
    data    TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_newest ON audit (at);
CREATE INDEX audit_of_job ON audit (job_id) WHERE job_id IS NOT NULL;
CREATE FUNCTION audit_unchanged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is only added to';
END $$;
CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit
FOR EACH ROW EXECUTE FUNCTION audit_unchanged();
