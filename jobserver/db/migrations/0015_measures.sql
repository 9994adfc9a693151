-- Version 15: what was measured of pictures. Hashes are base64 of 8 bytes a frame, two frames a
-- second; bits are of 64, a mean over time. None of what was made before.

ALTER TABLE job_file ADD COLUMN picture TEXT;                  -- hashes, and two bytes of light a frame
ALTER TABLE output ADD COLUMN hashes TEXT;
ALTER TABLE output ADD COLUMN source_bits DOUBLE PRECISION;    -- from its source
ALTER TABLE output ADD COLUMN opening_bits DOUBLE PRECISION;   -- the first 3 s alone
ALTER TABLE output ADD COLUMN nearest_bits DOUBLE PRECISION;   -- from its nearest sibling
ALTER TABLE output ADD COLUMN nearest_output TEXT;             -- its id
