-- Activities: the queue of messages, their final states, and the catalogue of the tables that they make.
-- The tables themselves are in a schema of their own, which activity_catalogue names.

-- Queued messages in the order in which they are applied; a row is removed by the transaction that applies
-- its message. Rows come and go at one end and the other: vacuumed by their number, not by their share.
CREATE TABLE activity_queue (
    position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          uuid NOT NULL UNIQUE,
    body        text NOT NULL,
    bytes       integer NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- How often the message was begun alone, after crashes.
    attempts    integer NOT NULL DEFAULT 0,
    retry_of    uuid
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
        autovacuum_vacuum_insert_threshold = -1);

-- The queue's length is the sum of these rows: what each transaction added or removed. So writers do not
-- wait for each other, as they would for one row. A server that finds many rows replaces them by their sum.
CREATE TABLE activity_queue_totals (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    messages bigint NOT NULL,
    bytes    bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Messages that have ended.
CREATE TABLE activity_messages (
    id          uuid PRIMARY KEY,
    state       text NOT NULL CHECK (state IN ('applied', 'rejected')),
    -- Of a rejected one: a sentence, the activity that failed, what rejections are grouped by, the text.
    error       text,
    activity    integer,
    cause       text COLLATE "C",
    body        text,
    received_at timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    attempts    integer NOT NULL,
    retry_of    uuid,
    retried_as  uuid
);
CREATE INDEX ON activity_messages (state, id);
CREATE INDEX ON activity_messages (cause, id) WHERE state = 'rejected' AND retried_as IS NULL;
CREATE INDEX ON activity_messages (ended_at) WHERE state = 'applied' OR retried_as IS NOT NULL;

-- One row. The version changes with each change of the tables below, and only their worker makes one.
CREATE TABLE activity_catalogue (
    is_only     boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    version     bigint NOT NULL,
    -- The schema of the tables that messages make.
    data_schema text NOT NULL
);
CREATE TABLE activity_tables (
    number          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text COLLATE "C" NOT NULL UNIQUE,
    -- The same, or a generated one where PostgreSQL cannot have a table of that name.
    physical_name   text NOT NULL,
    rows            bigint NOT NULL DEFAULT 0,
    last_applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The sets of columns by which rows are found through an index: numbers, ascending, with commas.
    indexed         text[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);
CREATE TABLE activity_columns (
    table_number  bigint NOT NULL REFERENCES activity_tables ON DELETE CASCADE,
    -- From 0, in the order in which they were added.
    number        integer NOT NULL,
    name          text COLLATE "C" NOT NULL,
    -- INTEGER, TEXT, DOUBLE, BOOLEAN or DECIMAL(p,s).
    type          text NOT NULL,
    physical_name text NOT NULL,
    PRIMARY KEY (table_number, number)
);

-- One row. A transaction that applies messages locks it FOR KEY SHARE. That holds up a change of the
-- token, which is the key, and not that of a renewal.
CREATE TABLE activity_worker (
    token       bigint PRIMARY KEY,
    renewal     bigint NOT NULL,
    owner       text,
    -- No message in the queue has a lower position, nor will any have; nor has any of the totals a lower
    -- number.
    queue_from  bigint NOT NULL DEFAULT 0,
    totals_from bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
CREATE UNIQUE INDEX ON activity_worker ((true));
INSERT INTO activity_worker (token, renewal) VALUES (0, 0);

-- A name that is too long to be followed by the suffix is shortened to its hash.
INSERT INTO activity_catalogue (version, data_schema)
SELECT 0, CASE WHEN octet_length(current_schema()) <= 52 THEN current_schema()
               ELSE 'storefront_' || md5(current_schema()) END || '_activities';

-- Without the right to create a schema all but the worker works, which tries again.
DO $$
BEGIN
    EXECUTE (SELECT format('CREATE SCHEMA IF NOT EXISTS %I', data_schema) FROM activity_catalogue);
EXCEPTION WHEN insufficient_privilege THEN
    NULL;
END
$$;
