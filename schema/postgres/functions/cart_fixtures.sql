-- Fixtures of orders. Locks: see cart_orders.sql.
-- Repeatable file: the transaction that raises the schema version runs it again, and nothing else does
-- (src/db/postgres/migrate.rs). Servers of two versions call these functions while they are replaced one
-- by one, so a changed signature or a changed answer is a new name beside the old one.

-- Puts orders in place of those of the same ids, many in one transaction; the lines of each are arrays
-- in text form. What a replaced order had taken while it was paid moves to written_off, because it no
-- longer follows from any order. enable_seqscan is off because the planner has no statistics yet of a
-- table that was just filled; rows are found by their keys all the same. An order gets a higher version than
-- the one that it replaces, so that a late checkout of that one does not pay it.
CREATE OR REPLACE FUNCTION cart_put_orders(p_order_ids text[], p_user_ids text[], p_items text[],
                                           p_quantities text[], p_costs text[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    existing text[] := p_order_ids;
BEGIN
    -- Inserts what is missing and locks what exists. Repeated if an order was removed between the two
    -- steps: it is neither inserted nor locked then.
    LOOP
        WITH made AS (
            INSERT INTO cart_orders (order_id, user_id, items, quantities, costs)
            SELECT o, u, i::text[], q::bigint[], c::bigint[]
            FROM unnest(p_order_ids, p_user_ids, p_items, p_quantities, p_costs)
                 AS fixture (o, u, i, q, c)
            WHERE o IN (SELECT unnest(existing))
            -- Ascending: an INSERT waits for a row of the same key that another transaction inserts.
            ORDER BY o COLLATE "C" ON CONFLICT (order_id) DO NOTHING RETURNING order_id)
        SELECT array_agg(o) INTO existing
        FROM (SELECT unnest(existing) EXCEPT SELECT order_id FROM made) AS remaining (o);
        IF existing IS NULL THEN RETURN; END IF;
        EXIT WHEN cardinality(existing) = (SELECT count(*) FROM (
            SELECT FROM cart_orders WHERE order_id = ANY (existing) ORDER BY order_id FOR UPDATE
        ) AS locked);
    END LOOP;
    -- Users before items, each ascending: the order of a checkout's locks.
    PERFORM FROM cart_users WHERE user_id IN (
        SELECT t.user_id FROM cart_orders t WHERE t.order_id = ANY (existing) AND t.paid)
    ORDER BY user_id FOR UPDATE;
    PERFORM FROM cart_items WHERE item_id IN (
        SELECT unnest(t.items) FROM cart_orders t WHERE t.order_id = ANY (existing) AND t.paid)
    ORDER BY item_id FOR UPDATE;
    UPDATE cart_users SET charged = charged - t.cost, written_off = written_off + t.cost
    FROM (SELECT o.user_id, o.user_epoch, sum(c) AS cost FROM cart_orders o, unnest(o.costs) c
          WHERE o.order_id = ANY (existing) AND o.paid GROUP BY o.user_id, o.user_epoch) AS t
    WHERE cart_users.user_id = t.user_id AND epoch = t.user_epoch;
    UPDATE cart_items SET sold = sold - t.quantity, written_off = written_off + t.quantity
    FROM (SELECT l.item, l.at_epoch, sum(l.quantity) AS quantity
          FROM cart_orders o,
               unnest(o.items, o.quantities, o.item_epochs) AS l (item, quantity, at_epoch)
          WHERE o.order_id = ANY (existing) AND o.paid GROUP BY l.item, l.at_epoch) AS t
    WHERE item_id = t.item AND epoch = t.at_epoch;
    UPDATE cart_orders
    SET user_id = u, paid = false, items = i::text[], quantities = q::bigint[], costs = c::bigint[],
        user_epoch = 0, item_epochs = '{}', version = version + 1
    FROM unnest(p_order_ids, p_user_ids, p_items, p_quantities, p_costs) AS fixture (o, u, i, q, c)
    WHERE order_id = o AND o IN (SELECT unnest(existing));
END
$$;
