-- The province's book. Plain SQL that PostgreSQL reads as well as SQLite: BIGINT for whole numbers, DOUBLE PRECISION
-- for the rest, TEXT for words and for hashes in hex, instants in milliseconds of UTC since 1970.

-- One row. `version` grows with every change of the book, in the same transaction, so that whoever keeps a copy in
-- memory asks for one number. `audits` numbers the audit. A change begins by writing this row: that puts changes in
-- a queue, on SQLite by its write lock and on PostgreSQL by the row's.
CREATE TABLE counters (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL,
    audits BIGINT NOT NULL
);
INSERT INTO counters (id, version, audits) VALUES (1, 0, 0);

CREATE TABLE parameters (
    code TEXT PRIMARY KEY,
    unit TEXT NOT NULL,
    ucum TEXT NOT NULL,
    name_vi TEXT NOT NULL,
    name_en TEXT NOT NULL,
    decimals BIGINT NOT NULL,
    fail_low DOUBLE PRECISION,
    fail_high DOUBLE PRECISION,
    suspect_low DOUBLE PRECISION,
    suspect_high DOUBLE PRECISION
);

CREATE TABLE stations (
    code TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    lat DOUBLE PRECISION,
    lon DOUBLE PRECISION,
    river TEXT,
    km_from_mouth DOUBLE PRECISION,
    interval_ms BIGINT NOT NULL
);

-- A station's own names and units: value = scale * said + shift.
CREATE TABLE station_fields (
    station TEXT NOT NULL REFERENCES stations (code) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    parameter TEXT NOT NULL REFERENCES parameters (code),
    scale DOUBLE PRECISION NOT NULL,
    shift DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (station, name)
);

-- Hashes (BLAKE3, hex) of keys that were shown once. At most one of a station's keys is not revoked.
CREATE TABLE station_keys (
    hash TEXT PRIMARY KEY,
    station TEXT NOT NULL REFERENCES stations (code) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX station_keys_by_station ON station_keys (station);
CREATE UNIQUE INDEX station_keys_one_opens ON station_keys (station) WHERE revoked_at IS NULL;

-- Lines of the map. `line` is a JSON array of [lon, lat], from the mouth up.
CREATE TABLE rivers (
    code TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    name_en TEXT NOT NULL,
    schematic BIGINT NOT NULL,
    line TEXT NOT NULL
);

CREATE TABLE rules (
    code TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    parameter TEXT NOT NULL REFERENCES parameters (code),
    hold_ms BIGINT NOT NULL
);
CREATE TABLE rule_levels (
    rule TEXT NOT NULL REFERENCES rules (code) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    limit_from DOUBLE PRECISION NOT NULL,
    clear_below DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (rule, position)
);
CREATE TABLE rule_stations (
    rule TEXT NOT NULL REFERENCES rules (code) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    station TEXT NOT NULL REFERENCES stations (code),
    PRIMARY KEY (rule, station)
);

CREATE TABLE people (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    phone TEXT,
    email TEXT,
    language TEXT NOT NULL
);
-- No rule means every rule, no station every station.
CREATE TABLE duties (
    person TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    rule TEXT REFERENCES rules (code) ON DELETE CASCADE,
    station TEXT REFERENCES stations (code) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    from_level BIGINT NOT NULL
);
CREATE UNIQUE INDEX duties_once
    ON duties (person, COALESCE(rule, ''), COALESCE(station, ''), channel);

CREATE TABLE users (
    name TEXT PRIMARY KEY,
    password TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
-- The id in the cookie is a secret: only its BLAKE3 hash (hex) is here.
CREATE TABLE sessions (
    id_hash TEXT PRIMARY KEY,
    user_name TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    csrf TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_name);

CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    made_at BIGINT NOT NULL,
    who TEXT NOT NULL,
    act TEXT NOT NULL,
    before_text TEXT NOT NULL,
    after_text TEXT NOT NULL
);
