-- The activities: a file of its own beside the store's. Ids are the 16 bytes of a UUIDv7, times are
-- microseconds since 1970.
--
-- Names that begin with activity_ are this program's. Clients' data is in activity_rows_<table number>,
-- with the columns row, c0, c1, and so on; a view has the name that the client gave, where SQLite can
-- have one.

-- Accepted messages in the order in which they are applied.
CREATE TABLE activity_queue (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    id          BLOB NOT NULL,
    body        TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    retry_of    BLOB
) STRICT;
CREATE UNIQUE INDEX activity_queue_id ON activity_queue (id);

-- Applied messages, by their position in the queue: the oldest are found without an index of their end.
CREATE TABLE activity_applied (
    position    INTEGER PRIMARY KEY,
    id          BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    retry_of    BLOB
) STRICT;
CREATE UNIQUE INDEX activity_applied_id ON activity_applied (id);

-- Rejected messages.
CREATE TABLE activity_rejected (
    position    INTEGER PRIMARY KEY,
    id          BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    retry_of    BLOB,
    retried_as  BLOB,
    cause       TEXT NOT NULL,
    error       TEXT NOT NULL,
    activity    INTEGER,
    body        TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX activity_rejected_id ON activity_rejected (id);
CREATE INDEX activity_rejected_cause ON activity_rejected (cause, position) WHERE retried_as IS NULL;
CREATE INDEX activity_rejected_end ON activity_rejected (ended_at) WHERE retried_as IS NOT NULL;

-- How many rejected messages of each cause were not retried; at least one.
CREATE TABLE activity_causes (
    cause    TEXT PRIMARY KEY,
    messages INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: what the queue holds, and the version of the catalogue, which grows with each change of
-- activity_tables, activity_columns and activity_column_sets that a cached copy must not miss.
CREATE TABLE activity_totals (
    only              INTEGER PRIMARY KEY CHECK (only = 1),
    messages          INTEGER NOT NULL,
    bytes             INTEGER NOT NULL,
    catalogue_version INTEGER NOT NULL
) STRICT;
INSERT INTO activity_totals (only, messages, bytes, catalogue_version) VALUES (1, 0, 0, 0);

-- The catalogue. Names are compared byte by byte.
CREATE TABLE activity_tables (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT NOT NULL UNIQUE,
    rows            INTEGER NOT NULL,
    last_applied_at INTEGER NOT NULL,
    has_view        INTEGER NOT NULL CHECK (has_view IN (0, 1))
) STRICT;

CREATE TABLE activity_columns (
    table_number INTEGER NOT NULL,
    position     INTEGER NOT NULL,
    name         TEXT NOT NULL,
    type         TEXT NOT NULL,
    PRIMARY KEY (table_number, position)
) STRICT, WITHOUT ROWID;

-- Sets of columns that deletes have named. activity_hashes_<table number> has a hash of the values of
-- each row up to filled_to and of each row after declared_at; rows between have none yet.
CREATE TABLE activity_column_sets (
    table_number INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    columns      TEXT NOT NULL, -- their positions, ascending, with commas
    filled_to    INTEGER NOT NULL,
    declared_at  INTEGER NOT NULL,
    PRIMARY KEY (table_number, number)
) STRICT, WITHOUT ROWID;

-- One row: who applies messages.
CREATE TABLE activity_worker (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    token   INTEGER NOT NULL,
    renewal INTEGER NOT NULL,
    owner   TEXT
) STRICT;
INSERT INTO activity_worker (only, token, renewal, owner) VALUES (1, 0, 0, NULL);

-- The table idempotency_keys is in the same step: see schema/embedded/0003_idempotency_keys.sql.
