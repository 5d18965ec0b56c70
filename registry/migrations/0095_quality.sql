-- Which series are tested how, as the pack's quality.toml has it: one document for the province.
CREATE TABLE quality (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    document TEXT NOT NULL
);
