-- How the readings of an interval become one number: mean, total or direction.
ALTER TABLE parameters ADD COLUMN aggregation TEXT NOT NULL DEFAULT 'mean';
UPDATE parameters SET aggregation = 'total' WHERE code = 'rainfall';
UPDATE parameters SET aggregation = 'direction' WHERE code = 'wind_direction';
