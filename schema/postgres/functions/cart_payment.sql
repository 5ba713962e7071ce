-- Credit of users, and cancelling paid orders. Answers and locks: see cart_orders.sql.
-- Repeatable file: the transaction that raises the schema version runs it again, and nothing else does
-- (src/db/postgres/migrate.rs). Servers of two versions call these functions while they are replaced one
-- by one, so a changed signature or a changed answer is a new name beside the old one.

CREATE OR REPLACE FUNCTION cart_add_funds(p_user_id text, p_amount bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    u cart_users;
BEGIN
    -- Against checkouts: the limit is tested on the credit that is then changed.
    SELECT * INTO u FROM cart_users WHERE user_id = p_user_id FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-user ' || p_user_id; END IF;
    -- A cancel may return what is charged, and it must fit then.
    IF u.credit + u.charged > cart_max_amount() - p_amount
       OR u.funded > 9223372036854775807 - p_amount THEN
        RETURN 'amount-overflow';
    END IF;
    UPDATE cart_users SET credit = credit + p_amount, funded = funded + p_amount
    WHERE user_id = p_user_id;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION cart_pay(p_user_id text, p_amount bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    u cart_users;
BEGIN
    -- Against checkouts: credit that is tested here must still be there when it is taken.
    SELECT * INTO u FROM cart_users WHERE user_id = p_user_id FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-user ' || p_user_id; END IF;
    IF u.credit < p_amount THEN RETURN 'not-enough-credit'; END IF;
    UPDATE cart_users SET credit = credit - p_amount, paid = paid + p_amount
    WHERE user_id = p_user_id;
    RETURN NULL;
END
$$;

-- A user or an item that fixtures have reset since the order was paid has another epoch: its sums no
-- longer contain the order, so nothing returns to it. A cancel is meant for one version of the order: one
-- that arrives late, after its server died, must not undo a payment that followed another cancel.
CREATE OR REPLACE FUNCTION cart_cancel(p_user_id text, p_order_id text, p_version bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    o cart_orders;
    cost bigint;
BEGIN
    -- Against a second cancel, which would return everything twice.
    SELECT * INTO o FROM cart_orders WHERE order_id = p_order_id FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-order'; END IF;
    IF o.user_id <> p_user_id THEN RETURN 'wrong-user'; END IF;
    IF NOT o.paid THEN RETURN 'not-paid'; END IF;
    IF o.version <> p_version THEN RETURN 'changed ' || o.version; END IF;
    SELECT sum(c) INTO cost FROM unnest(o.costs) c;
    -- Users before items, items ascending: the order of a checkout's locks.
    PERFORM FROM cart_users WHERE user_id = p_user_id FOR UPDATE;
    PERFORM FROM cart_items WHERE item_id = ANY (o.items) ORDER BY item_id FOR UPDATE;
    UPDATE cart_users SET credit = credit + cost, charged = charged - cost
    WHERE user_id = p_user_id AND epoch = o.user_epoch;
    UPDATE cart_items SET stock = stock + l.quantity, sold = sold - l.quantity
    FROM unnest(o.items, o.quantities, o.item_epochs) AS l (item, quantity, at_epoch)
    WHERE item_id = l.item AND epoch = l.at_epoch;
    UPDATE cart_orders
    SET paid = false, user_epoch = 0, item_epochs = '{}', version = o.version + 1
    WHERE order_id = p_order_id;
    RETURN NULL;
END
$$;
