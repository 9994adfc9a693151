-- Version 15: what was measured of pictures. See the script of the same number for SQLite.

ALTER TABLE job_file ADD COLUMN picture TEXT;
ALTER TABLE output ADD COLUMN hashes TEXT;
ALTER TABLE output ADD COLUMN source_bits DOUBLE PRECISION;
ALTER TABLE output ADD COLUMN opening_bits DOUBLE PRECISION;
ALTER TABLE output ADD COLUMN nearest_bits DOUBLE PRECISION;
ALTER TABLE output ADD COLUMN nearest_output TEXT COLLATE "C";
