-- Firmware: the images that somebody vouched for, what stations say they run, and roll-outs with their stations.

-- An image. Its bytes are a file named by its digest; the signature is hex.
CREATE TABLE firmware_images (
    digest TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    size BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    signature TEXT NOT NULL,
    added_at BIGINT NOT NULL,
    added_by TEXT NOT NULL
);
CREATE UNIQUE INDEX firmware_images_by_version ON firmware_images (model, version);

-- What a station says of itself, and where that stands in the journal of what stations say. `digest`, `state`, `have`, `chunks` and `why` are of the image it was busy with last.
CREATE TABLE station_firmware (
    station TEXT PRIMARY KEY REFERENCES stations (code) ON DELETE CASCADE,
    model TEXT,
    version TEXT,
    running_since BIGINT,
    digest TEXT,
    state TEXT,
    have BIGINT,
    chunks BIGINT,
    why TEXT,
    said_at BIGINT NOT NULL,
    said_position BIGINT NOT NULL
);

-- A roll-out: made, going, paused, halted, done. `ring` counts from 0 and is NULL before the stations have their seats.
CREATE TABLE rollouts (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL REFERENCES firmware_images (digest),
    state TEXT NOT NULL,
    why TEXT NOT NULL,
    state_at BIGINT NOT NULL,
    ring BIGINT,
    ring_at BIGINT,
    soak_ms BIGINT NOT NULL,
    silent_after_ms BIGINT NOT NULL,
    silent_intervals BIGINT NOT NULL,
    healthy_percent BIGINT NOT NULL,
    named TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    made_by TEXT NOT NULL
);
CREATE INDEX rollouts_by_state ON rollouts (state, made_at);

-- A station of a roll-out. `bad` is what the halt found wrong with it.
CREATE TABLE rollout_stations (
    rollout TEXT NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,
    station TEXT NOT NULL REFERENCES stations (code) ON DELETE CASCADE,
    place BIGINT NOT NULL,
    ring BIGINT NOT NULL,
    offered_at BIGINT,
    installing_at BIGINT,
    running_at BIGINT,
    failed_at BIGINT,
    fault TEXT,
    withdrawn_at BIGINT,
    bad TEXT,
    excused_at BIGINT,
    PRIMARY KEY (rollout, station)
);
CREATE INDEX rollout_stations_by_station ON rollout_stations (station);
