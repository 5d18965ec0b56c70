-- What a station's conductivity is referred to (raw, 25, 20; NULL: what the parameter itself is), and how many seconds its
-- clock is ahead of UTC where it writes times without an offset.
ALTER TABLE station_fields ADD COLUMN ec TEXT;
ALTER TABLE stations ADD COLUMN utc_offset_s BIGINT;

-- By how much the times of a dead letter are moved that cannot be believed, milliseconds; NULL: not at all.
ALTER TABLE replays ADD COLUMN shift_ms BIGINT;
