-- The game pages. A table of the earlier service is used as it is, with or without a serial default.
CREATE TABLE IF NOT EXISTS overviews (
    game_id      integer PRIMARY KEY,
    game_name    text NOT NULL,
    description  text NOT NULL,
    release_date text NOT NULL,
    developer    text NOT NULL,
    publisher    text NOT NULL,
    tags         text[]
);

-- The counter of ids, moved by creates without an id and by bulk loads, never by explicit ids.
-- A load hands it on to the table that it builds, which an identity column would not allow.
DO $$
BEGIN
    IF pg_get_serial_sequence('overviews', 'game_id') IS NULL THEN
        CREATE SEQUENCE overviews_game_id_seq AS integer OWNED BY overviews.game_id;
        ALTER TABLE overviews ALTER game_id SET DEFAULT nextval('overviews_game_id_seq');
    END IF;
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'overviews'::regclass
               AND attname = 'game_id' AND attidentity <> '') THEN
        RAISE EXCEPTION 'overviews.game_id is an identity column: make it a serial one first';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = 'overviews'::regclass AND indisunique
                   AND indpred IS NULL AND indnkeyatts = 1 AND indkey[0] =
                   (SELECT attnum FROM pg_attribute
                    WHERE attrelid = 'overviews'::regclass AND attname = 'game_id')) THEN
        ALTER TABLE overviews ADD PRIMARY KEY (game_id);
    END IF;
END
$$;

-- Facts about the whole store. 'demo' holds the checksum of the demo games that were put in: while
-- the table has the same, they are all there is.
CREATE TABLE storefront_marks (
    name  text PRIMARY KEY,
    value text NOT NULL
);

-- Bulk loads; one that is not finished can be resumed. One that builds a table of its own takes the
-- place of what was there when it ends; 'carry' tells whether games created meanwhile come along.
CREATE TABLE storefront_loads (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seed     bigint NOT NULL,
    wanted   bigint NOT NULL,
    place    text NOT NULL CHECK (place IN ('beside', 'instead', 'instead-and-carry')),
    finished boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX storefront_loads_one_open ON storefront_loads (finished) WHERE NOT finished;

-- Ids that a load has reserved.
CREATE TABLE storefront_load_ranges (
    load   bigint NOT NULL REFERENCES storefront_loads ON DELETE CASCADE,
    first  bigint NOT NULL,
    behind bigint NOT NULL,
    PRIMARY KEY (load, first)
);

-- Chunks that are stored.
CREATE TABLE storefront_load_chunks (
    load   bigint NOT NULL REFERENCES storefront_loads ON DELETE CASCADE,
    first  bigint NOT NULL,
    behind bigint NOT NULL,
    stored bigint NOT NULL,
    PRIMARY KEY (load, first)
);
