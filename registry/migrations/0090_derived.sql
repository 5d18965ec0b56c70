-- What of a station nobody measures: made of its other readings by a named method. `inputs` are codes of parameters with a
-- comma between them, in the method's order.
CREATE TABLE station_derived (
    station TEXT NOT NULL REFERENCES stations (code) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    parameter TEXT NOT NULL REFERENCES parameters (code),
    method TEXT NOT NULL,
    inputs TEXT NOT NULL,
    within_ms BIGINT NOT NULL,
    PRIMARY KEY (station, position)
);
