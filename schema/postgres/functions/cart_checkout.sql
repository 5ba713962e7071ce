-- Checkouts. Answers and locks: see cart_orders.sql.
-- Repeatable file: the transaction that raises the schema version runs it again, and nothing else does
-- (src/db/postgres/migrate.rs). Servers of two versions call these functions while they are replaced one
-- by one, so a changed signature or a changed answer is a new name beside the old one.

-- Many checkouts in one transaction, because a commit costs a sync to disk however many it holds. All
-- rows are locked first, each kind once and ascending, so that two batches cannot deadlock; then each
-- order is paid or refused by itself, in the order given.
--
-- Each checkout is meant for one version of its order, which its server has seen before it sent this. If
-- the server dies and the statement arrives late, the order may have been paid by another statement,
-- cancelled or edited meanwhile: then its version has grown, and it is not paid.
CREATE OR REPLACE FUNCTION cart_checkout(p_order_ids text[], p_versions bigint[])
RETURNS TABLE (number integer, refused text) LANGUAGE plpgsql AS $$
DECLARE
    o cart_orders;
    u cart_users;
    epochs bigint[];
    cost bigint;
    missing text;
    newest bigint := (SELECT max(v) FROM unnest(p_versions) v);
BEGIN
    -- Orders first: which users and items are needed is known only when no order can change any more.
    -- A call whose orders have all changed locks none, so that its commit needs no sync. What is paid
    -- below is always locked here: versions only grow, so its version was not above its own before.
    PERFORM FROM cart_orders WHERE order_id = ANY (p_order_ids) AND version <= newest
    ORDER BY order_id FOR UPDATE;
    PERFORM FROM cart_users WHERE user_id IN (
        SELECT t.user_id FROM cart_orders t
        WHERE t.order_id = ANY (p_order_ids) AND t.version <= newest AND NOT t.paid)
    ORDER BY user_id FOR UPDATE;
    PERFORM FROM cart_items WHERE item_id IN (
        SELECT unnest(t.items) FROM cart_orders t
        WHERE t.order_id = ANY (p_order_ids) AND t.version <= newest AND NOT t.paid)
    ORDER BY item_id FOR UPDATE;
    FOR n IN 1 .. cardinality(p_order_ids) LOOP
        number := n;
        refused := NULL;
        SELECT * INTO o FROM cart_orders WHERE order_id = p_order_ids[number];
        IF NOT FOUND THEN
            refused := 'no-order';
        ELSIF NOT o.paid AND o.items = '{}' THEN
            refused := 'empty';
        ELSIF NOT o.paid AND o.version <> p_versions[number] THEN
            refused := 'changed ' || o.version;
        ELSIF NOT o.paid THEN
            SELECT * INTO u FROM cart_users WHERE user_id = o.user_id;
            SELECT sum(c) INTO cost FROM unnest(o.costs) c;
            IF u.user_id IS NULL THEN
                refused := 'no-user ' || o.user_id;
            ELSIF u.credit < cost THEN
                refused := 'not-enough-credit';
            ELSE
                SELECT min(CASE WHEN i.item_id IS NULL THEN 'no-item ' ELSE 'out-of-stock ' END
                           || l.item) FILTER (WHERE i.stock IS NULL OR i.stock < l.quantity),
                       array_agg(i.epoch ORDER BY l.n)
                INTO missing, epochs
                FROM unnest(o.items, o.quantities) WITH ORDINALITY AS l (item, quantity, n)
                LEFT JOIN cart_items i ON i.item_id = l.item;
                refused := missing;
                IF missing IS NULL THEN
                    UPDATE cart_items SET stock = stock - l.quantity, sold = sold + l.quantity
                    FROM unnest(o.items, o.quantities) AS l (item, quantity)
                    WHERE item_id = l.item;
                    UPDATE cart_users SET credit = credit - cost, charged = charged + cost
                    WHERE user_id = o.user_id;
                    UPDATE cart_orders
                    SET paid = true, user_epoch = u.epoch, item_epochs = epochs
                    WHERE order_id = o.order_id;
                END IF;
            END IF;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
