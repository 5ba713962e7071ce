-- Writes under a key.
-- Repeatable file: the transaction that raises the schema version runs it again, and nothing else does
-- (src/db/postgres/migrate.rs). Servers of two versions call these functions while they are replaced one
-- by one, so a changed signature or a changed answer is a new name beside the old one.

-- Runs a statement of this program, a call of a function cart_* or an insert, unless the key tells that
-- it was run before. The statement has one parameter, an array of its values as text, and returns one
-- text. Answers what the statement answers; or `replayed ` and the record of the request that had the key
-- before; or `key-reused` if that was another request.
--
-- The key is locked first: a second request under it waits here until the first one has ended. Keys come
-- before orders, users and items in the order of locks (cart_orders.sql). Batches try the same lock
-- (src/db/postgres/idempotency.rs); two keys of one hash wait for each other, which does no harm.
CREATE OR REPLACE FUNCTION storefront_once(p_key text, p_fingerprint bytea, p_kept_for_ms bigint,
                                           p_record text, p_statement text, p_values text[])
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    known storefront_idempotency_keys;
    answer text;
BEGIN
    PERFORM pg_advisory_xact_lock(1937010546, hashtext(p_key));
    SELECT * INTO known FROM storefront_idempotency_keys
    WHERE key = p_key AND expires_at > now();
    IF FOUND THEN
        IF known.fingerprint <> p_fingerprint THEN RETURN 'key-reused'; END IF;
        RETURN 'replayed ' || known.record;
    END IF;
    EXECUTE p_statement INTO answer USING p_values;
    -- A refusal has changed nothing, and a repeat is judged anew.
    IF answer IS NULL OR answer LIKE 'version %' THEN
        -- A key that is there has expired.
        INSERT INTO storefront_idempotency_keys AS k (key, fingerprint, record, expires_at)
        VALUES (p_key, p_fingerprint, p_record, now() + p_kept_for_ms * interval '1 millisecond')
        ON CONFLICT (key) DO UPDATE
        SET fingerprint = excluded.fingerprint, record = excluded.record,
            expires_at = excluded.expires_at;
    END IF;
    RETURN answer;
END
$$;
