-- Bulk loads that replace the table overviews.
-- Repeatable file: the transaction that raises the schema version runs it again, and nothing else does
-- (src/db/postgres/migrate.rs). Servers of two versions call these functions while they are replaced one
-- by one, so a changed signature or a changed answer is a new name beside the old one.

-- What depends on overviews and would be lost, or prevents its DROP, when a load replaces the table;
-- NULL if nothing does.
CREATE OR REPLACE FUNCTION storefront_dependents() RETURNS text LANGUAGE sql STABLE AS $$
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

-- Gives the table overviews_load the grants, the owner and the further indexes of overviews. The
-- names of the indexes are taken until overviews is dropped, so they are built under other names;
-- the statements that rename them are returned, to be run after the DROP.
CREATE OR REPLACE FUNCTION storefront_clone_properties() RETURNS text LANGUAGE plpgsql AS $$
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
                      CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END AS grantee
               FROM pg_class, aclexplode(relacl) g WHERE oid = 'overviews'::regclass
    LOOP
        EXECUTE format('GRANT %s ON overviews_load TO %s%s', one.privilege_type, one.grantee,
            CASE WHEN one.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
    SELECT relowner::regrole::text AS name INTO one FROM pg_class WHERE oid = 'overviews'::regclass;
    EXECUTE format('ALTER TABLE overviews_load OWNER TO %s', one.name);
    RETURN renames;
END
$$;
