-- What a station's payloads are (a name of the closed list of formats; NULL: nobody said it), and how its bytes lie where
-- it sends bare bytes. `absent` is a list in JSON of raw numbers, or "nan".
ALTER TABLE stations ADD COLUMN format TEXT;
CREATE TABLE station_layout (
    station TEXT NOT NULL REFERENCES stations (code) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    port BIGINT,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    byte_order TEXT NOT NULL,
    mask BIGINT,
    scale DOUBLE PRECISION NOT NULL,
    shift DOUBLE PRECISION NOT NULL,
    unit TEXT,
    parameter TEXT NOT NULL REFERENCES parameters (code),
    absent TEXT NOT NULL,
    PRIMARY KEY (station, position)
);
