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

-- Refuses an existing table that the program cannot read and write, before anything is changed.
DO $$
DECLARE
    wrong text;
BEGIN
    SELECT string_agg(format('%s is %s and should be %s', w.name,
                             coalesce(format_type(a.atttypid, NULL), 'missing'), w.types[1]), '; ')
    INTO wrong
    FROM (VALUES ('game_id', '{integer}'::text[]), ('game_name', '{text,character varying}'),
                 ('description', '{text,character varying}'),
                 ('release_date', '{text,character varying}'),
                 ('developer', '{text,character varying}'),
                 ('publisher', '{text,character varying}'),
                 ('tags', '{text[],character varying[]}')) AS w (name, types)
    LEFT JOIN pg_attribute a ON a.attrelid = 'overviews'::regclass AND a.attname = w.name
                            AND NOT a.attisdropped
    WHERE a.attname IS NULL OR format_type(a.atttypid, NULL) <> ALL (w.types);
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'its table overviews is not that of a game store (%): alter it, or name '
                        'another database', wrong;
    END IF;
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'overviews'::regclass
               AND attname = 'game_id' AND attidentity <> '') THEN
        RAISE EXCEPTION 'its column overviews.game_id is an identity column: make it a serial one';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = 'overviews'::regclass AND indisunique
                   AND indpred IS NULL AND indnkeyatts = 1 AND indkey[0] =
                   (SELECT attnum FROM pg_attribute
                    WHERE attrelid = 'overviews'::regclass AND attname = 'game_id')) THEN
        IF EXISTS (SELECT FROM overviews GROUP BY game_id HAVING count(*) > 1) THEN
            RAISE EXCEPTION 'its table overviews has several rows of game_id %: leave one',
                (SELECT game_id FROM overviews GROUP BY game_id HAVING count(*) > 1 LIMIT 1);
        END IF;
        ALTER TABLE overviews ADD PRIMARY KEY (game_id);
    END IF;
END
$$;

-- The sequence that assigns ids. Creates without an id and bulk loads advance it, explicit ids never
-- do. It is not an identity column because a load hands it over to the table that it builds, and
-- OWNED BY cannot do that with the sequence of an identity column.
DO $$
BEGIN
    IF pg_get_serial_sequence('overviews', 'game_id') IS NULL THEN
        CREATE SEQUENCE overviews_game_id_seq AS integer OWNED BY overviews.game_id;
        ALTER TABLE overviews ALTER game_id SET DEFAULT nextval('overviews_game_id_seq');
    END IF;
END
$$;

-- Facts about the whole store. 'demo' holds the number and the checksum of the demo games as they
-- were installed: while the table has the same checksum, it holds nothing else.
CREATE TABLE storefront_marks (
    name  text PRIMARY KEY,
    value text NOT NULL
);

-- The load journal: bulk loads. One that is not finished can be resumed.
CREATE TABLE storefront_loads (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seed     bigint NOT NULL,
    wanted   bigint NOT NULL,
    target   text NOT NULL CHECK (target IN ('append', 'replace', 'replace-merging')),
    finished boolean NOT NULL DEFAULT false
);
COMMENT ON COLUMN storefront_loads.wanted IS 'games that the load adds';
COMMENT ON COLUMN storefront_loads.target IS
    'append: rows go into overviews; replace: into a table that replaces overviews at the end; '
    'replace-merging: the same, and games created meanwhile are copied into it';
-- At most one load is open: a second INSERT of an open one fails, whichever server it comes from.
CREATE UNIQUE INDEX storefront_loads_one_open ON storefront_loads (finished) WHERE NOT finished;

-- Ids that a load has reserved; end_id is exclusive.
CREATE TABLE storefront_load_ranges (
    load     bigint NOT NULL REFERENCES storefront_loads ON DELETE CASCADE,
    first_id bigint NOT NULL,
    end_id   bigint NOT NULL,
    PRIMARY KEY (load, first_id)
);

-- Chunks that are stored; end_id is exclusive, stored is the number of their rows.
CREATE TABLE storefront_load_chunks (
    load     bigint NOT NULL REFERENCES storefront_loads ON DELETE CASCADE,
    first_id bigint NOT NULL,
    end_id   bigint NOT NULL,
    stored   bigint NOT NULL,
    PRIMARY KEY (load, first_id)
);
