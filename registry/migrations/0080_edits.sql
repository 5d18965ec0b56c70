-- What people changed of what was measured. Rows are only added: `withdraw` names the edit that it ends.
CREATE TABLE edits (
    id INTEGER PRIMARY KEY,
    station TEXT NOT NULL,
    parameter TEXT NOT NULL,
    from_at BIGINT NOT NULL,
    to_at BIGINT NOT NULL,
    act TEXT NOT NULL,
    begins DOUBLE PRECISION,
    ends DOUBLE PRECISION,
    step_ms BIGINT,
    made_at BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    withdraws BIGINT UNIQUE REFERENCES edits (id)
);
CREATE INDEX edits_by_series ON edits (station, parameter);
CREATE TRIGGER edits_stay BEFORE UPDATE ON edits
BEGIN SELECT RAISE(ABORT, 'an edit is not changed: withdraw it and make another'); END;
CREATE TRIGGER edits_are_kept BEFORE DELETE ON edits
BEGIN SELECT RAISE(ABORT, 'an edit is not deleted: withdraw it'); END;
