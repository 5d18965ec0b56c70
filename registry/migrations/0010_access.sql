-- Who may come in at the front door, and until when.

-- A station that is disabled keeps its place in the book and is not let in.
ALTER TABLE stations ADD COLUMN disabled_at BIGINT;

-- `revoked_at` may lie ahead: until then a rotated key still opens (its grace). The four columns are the key's
-- SCRAM-SHA-256 verifier (RFC 5802, section 3) in hex; keys made before this step have none and cannot use SCRAM.
-- The salt is the station's: a key in its grace and its successor share it, because a challenge names one salt.
ALTER TABLE station_keys ADD COLUMN salt TEXT;
ALTER TABLE station_keys ADD COLUMN iterations BIGINT;
ALTER TABLE station_keys ADD COLUMN stored_key TEXT;
ALTER TABLE station_keys ADD COLUMN server_key TEXT;

-- People and services at the door. The token is a secret shown once: only its BLAKE3 hash (hex) is here.
CREATE TABLE tokens (
    name TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    salt TEXT NOT NULL,
    iterations BIGINT NOT NULL,
    stored_key TEXT NOT NULL,
    server_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
-- What a token may do: `verb` is read, write or readwrite, on what the topic filter matches.
CREATE TABLE token_grants (
    token TEXT NOT NULL REFERENCES tokens (name) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    verb TEXT NOT NULL,
    filter TEXT NOT NULL,
    denies BIGINT NOT NULL,
    PRIMARY KEY (token, position)
);

-- Codes that exchange for a station's key, once. Only the BLAKE3 hash (hex) of a code is here.
CREATE TABLE claims (
    hash TEXT PRIMARY KEY,
    station TEXT NOT NULL REFERENCES stations (code) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX claims_by_station ON claims (station);
