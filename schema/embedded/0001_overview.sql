-- The game pages. tags is a JSON array of strings; null is no tags.
CREATE TABLE overviews (
    game_id      INTEGER PRIMARY KEY CHECK (game_id BETWEEN -2147483648 AND 2147483647),
    game_name    TEXT NOT NULL,
    description  TEXT NOT NULL,
    release_date TEXT NOT NULL,
    developer    TEXT NOT NULL,
    publisher    TEXT NOT NULL,
    tags         TEXT
) STRICT;

-- The next id to assign; moved by creates without an id and by loads, never by explicit ids.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters (name, next) VALUES ('game_id', 1);

-- Facts about the whole store. 'demo': row count and checksum of the demo games as they were
-- installed; while the games in the store have the same, the store holds nothing but demo data.
CREATE TABLE marks (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Loads; one that is not finished can be resumed at next_id.
CREATE TABLE loads (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    seed     INTEGER NOT NULL,
    wanted   INTEGER NOT NULL,
    written  INTEGER NOT NULL,
    next_id  INTEGER NOT NULL,
    end_id   INTEGER NOT NULL,
    finished INTEGER NOT NULL CHECK (finished IN (0, 1))
) STRICT;
