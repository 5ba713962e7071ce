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

-- An older table must be what the program reads and writes.
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

-- The counter of ids, moved by creates without an id and by bulk loads, never by explicit ids.
-- A load hands it on to the table that it builds, which an identity column would not allow.
DO $$
BEGIN
    IF pg_get_serial_sequence('overviews', 'game_id') IS NULL THEN
        CREATE SEQUENCE overviews_game_id_seq AS integer OWNED BY overviews.game_id;
        ALTER TABLE overviews ALTER game_id SET DEFAULT nextval('overviews_game_id_seq');
    END IF;
END
$$;

-- What hangs on the table and would be lost or in the way when a load puts another in its place.
CREATE FUNCTION storefront_dependents() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(what, ', ' ORDER BY what) FROM (
        SELECT format('view %s', r.ev_class::regclass) AS what
        FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
          AND d.refobjid = 'overviews'::regclass AND r.ev_class <> 'overviews'::regclass
        UNION SELECT format('trigger %s', tgname) FROM pg_trigger
        WHERE tgrelid = 'overviews'::regclass AND NOT tgisinternal
        UNION SELECT format('policy %s', polname) FROM pg_policy
        WHERE polrelid = 'overviews'::regclass
        UNION SELECT format('constraint %s', conname) FROM pg_constraint
        WHERE contype = 'f' AND 'overviews'::regclass IN (conrelid, confrelid)
    ) dependents
$$;

-- Gives the table overviews_load what overviews has besides its rows: grants, owner and further
-- indexes. The names of those are free only when overviews is gone: the statements that give them
-- are returned, to be run then.
CREATE FUNCTION storefront_clone_properties() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    one record;
    renames text := '';
BEGIN
    FOR one IN SELECT i.indexrelid, c.relname, pg_get_indexdef(i.indexrelid) AS definition
               FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
               WHERE i.indrelid = 'overviews'::regclass
                 AND NOT (i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL
                          AND i.indkey[0] = (SELECT attnum FROM pg_attribute
                                             WHERE attrelid = i.indrelid AND attname = 'game_id'))
    LOOP
        EXECUTE regexp_replace(one.definition, '^(CREATE (?:UNIQUE )?INDEX ).*? ON .*? USING ',
            format('\1%I ON overviews_load USING ', 'overviews_load_' || one.indexrelid));
        renames := renames || format('ALTER INDEX %I RENAME TO %I; ',
            'overviews_load_' || one.indexrelid, one.relname);
    END LOOP;
    FOR one IN SELECT g.privilege_type, g.is_grantable,
                      CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END AS whom
               FROM pg_class, aclexplode(relacl) g WHERE oid = 'overviews'::regclass
    LOOP
        EXECUTE format('GRANT %s ON overviews_load TO %s%s', one.privilege_type, one.whom,
            CASE WHEN one.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
    SELECT relowner::regrole::text AS name INTO one FROM pg_class WHERE oid = 'overviews'::regclass;
    EXECUTE format('ALTER TABLE overviews_load OWNER TO %s', one.name);
    RETURN renames;
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
    target   text NOT NULL CHECK (target IN ('append', 'replace', 'replace-merging')),
    finished boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX storefront_loads_one_open ON storefront_loads (finished) WHERE NOT finished;

-- Ids that a load has reserved.
CREATE TABLE storefront_load_ranges (
    load   bigint NOT NULL REFERENCES storefront_loads ON DELETE CASCADE,
    first_id  bigint NOT NULL,
    end_id bigint NOT NULL,
    PRIMARY KEY (load, first_id)
);

-- Chunks that are stored.
CREATE TABLE storefront_load_chunks (
    load   bigint NOT NULL REFERENCES storefront_loads ON DELETE CASCADE,
    first_id  bigint NOT NULL,
    end_id bigint NOT NULL,
    stored bigint NOT NULL,
    PRIMARY KEY (load, first_id)
);
