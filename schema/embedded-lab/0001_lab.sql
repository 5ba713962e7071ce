-- The lab's own store: a file of its own. Ids are the 16 bytes of a UUID, times are microseconds since
-- 1970, records are JSON.

-- One row: in whose name databases are created and marked.
CREATE TABLE lab (
    only   INTEGER PRIMARY KEY CHECK (only = 1),
    lab_id BLOB NOT NULL
) STRICT;

-- Registered databases. A registration that replaces another has a new id, so that a reset of the one
-- before cannot end as a reset of this one. `resetting_since` is the order of resets. Records hold
-- passwords.
CREATE TABLE databases (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    resource_id     TEXT NOT NULL UNIQUE,
    identity        TEXT NOT NULL,
    record          TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('free', 'leased', 'resetting', 'broken')),
    resetting_since INTEGER NOT NULL,
    generation      INTEGER,
    lease_id        BLOB,
    expires_at      INTEGER,
    why             TEXT,
    CHECK ((state IN ('free', 'leased')) = (generation IS NOT NULL)),
    CHECK ((state = 'leased') = (lease_id IS NOT NULL AND expires_at IS NOT NULL)),
    CHECK ((state = 'broken') = (why IS NOT NULL))
) STRICT;
-- Databases of one server are one lease.
CREATE UNIQUE INDEX databases_one_lease ON databases (identity) WHERE state = 'leased';

-- Every generation that may exist at a server: it is noted before it is created, and removed when it is
-- known to be dropped. AUTOINCREMENT: no number is used twice. `dropped_by` is the generation whose reset
-- drops it.
CREATE TABLE generations (
    number            INTEGER PRIMARY KEY AUTOINCREMENT,
    resource_id       TEXT NOT NULL,
    identity          TEXT NOT NULL,
    connection_string TEXT NOT NULL,
    dropped_by        INTEGER
) STRICT;
-- Labs that share a server begin at numbers of their own: a name that another lab has is not touched.
INSERT INTO sqlite_sequence (name, seq) VALUES ('generations', abs(random() % 1000000) * 1000);

-- At most one row: the reset that is under way in one of the processes.
CREATE TABLE reset_claim (
    only          INTEGER PRIMARY KEY CHECK (only = 1),
    owner         BLOB NOT NULL,
    claimed_until INTEGER NOT NULL,
    database_id   INTEGER NOT NULL,
    identity      TEXT NOT NULL,
    generation    INTEGER NOT NULL
) STRICT;

-- Jobs in the order in which they were added.
CREATE TABLE jobs (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id        BLOB NOT NULL UNIQUE,
    run_id        BLOB NOT NULL,
    has_ended     INTEGER NOT NULL,
    read_pattern  INTEGER NOT NULL,
    write_pattern INTEGER NOT NULL,
    cached_as     TEXT,
    record        TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_run ON jobs (run_id, number);
-- One cached run of each key and patterns.
CREATE UNIQUE INDEX jobs_cached ON jobs (cached_as, read_pattern, write_pattern) WHERE cached_as IS NOT NULL;

-- The latest version of each second.
CREATE TABLE windows (
    job_id      BLOB NOT NULL,
    second      INTEGER NOT NULL,
    is_final    INTEGER NOT NULL,
    record      TEXT NOT NULL,
    read_times  BLOB NOT NULL,
    write_times BLOB NOT NULL,
    PRIMARY KEY (job_id, second)
) STRICT;

-- What happened to jobs. SQLite has one writer at a time, so numbers become visible in their order.
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id BLOB NOT NULL,
    kind   TEXT NOT NULL CHECK (kind IN ('state', 'window', 'end')),
    record TEXT,
    CHECK ((kind = 'end') = (record IS NULL))
) STRICT;
CREATE INDEX events_job ON events (job_id, number);
