-- What people asked of a station, and what became of it: commands, configuration, and dead letters sent in again.

-- A command and how far it has come. `args` is a JSON object; `once` the caller's own key, so that a repeated request
-- makes no second command.
CREATE TABLE commands (
    id TEXT PRIMARY KEY,
    station TEXT NOT NULL REFERENCES stations (code) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    args TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    state_at BIGINT NOT NULL,
    why TEXT NOT NULL,
    once TEXT
);
CREATE INDEX commands_by_station ON commands (station, made_at);
CREATE INDEX commands_by_state ON commands (state, made_at);
CREATE UNIQUE INDEX commands_once ON commands (made_by, once) WHERE once IS NOT NULL;

-- The configuration that is wanted of a station and the one it says it has, each a JSON object with its hash.
CREATE TABLE station_configs (
    station TEXT PRIMARY KEY REFERENCES stations (code) ON DELETE CASCADE,
    desired TEXT,
    desired_hash TEXT,
    desired_at BIGINT,
    desired_by TEXT,
    reported TEXT,
    reported_hash TEXT,
    reported_at BIGINT,
    differs_since BIGINT
);

-- Dead letters that somebody asked to send in again. A letter is named by its place in the store of dead letters and
-- the time it came, so that a store that was replaced is not taken for the old one.
CREATE TABLE replays (
    letter BIGINT PRIMARY KEY,
    received_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    why TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    asked_by TEXT NOT NULL,
    done_at BIGINT
);
CREATE INDEX replays_by_state ON replays (state, letter);
