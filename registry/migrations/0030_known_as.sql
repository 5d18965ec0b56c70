-- What other systems call a station: a LoRaWAN DevEUI, a Sparkplug device, a level of somebody's topic. `folded` is the
-- name in lower case, and unique: a name means one station.
CREATE TABLE station_names (
    folded TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    station TEXT NOT NULL REFERENCES stations (code) ON DELETE CASCADE,
    position BIGINT NOT NULL
);
CREATE INDEX station_names_by_station ON station_names (station);
