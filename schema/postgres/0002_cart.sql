-- The cart. At any moment, of every user: credit = funded - paid - charged - written_off, and of every
-- item: stock = added - subtracted - sold - written_off. charged and sold are what follows from the paid
-- orders; written_off is what paid orders took that were replaced since. A test bed begins a user or an
-- item anew: its epoch moves on, and what older paid orders took of it counts no more.
CREATE TABLE cart_users (
    user_id text COLLATE "C" PRIMARY KEY,
    credit  bigint NOT NULL CHECK (credit >= 0),
    funded  bigint NOT NULL,
    paid    bigint NOT NULL DEFAULT 0,
    charged bigint NOT NULL DEFAULT 0,
    written_off  bigint NOT NULL DEFAULT 0,
    epoch   bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);

CREATE TABLE cart_items (
    item_id    text COLLATE "C" PRIMARY KEY,
    price      bigint NOT NULL,
    stock      bigint NOT NULL CHECK (stock >= 0),
    added      bigint NOT NULL,
    subtracted bigint NOT NULL DEFAULT 0,
    sold       bigint NOT NULL DEFAULT 0,
    written_off     bigint NOT NULL DEFAULT 0,
    epoch      bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);

-- The lines of an order are in its row, ascending by item, one entry of each array a line: what is
-- in an order is always read and written together. The epochs are those of the user and of each
-- item when the order was paid.
CREATE TABLE cart_orders (
    order_id    text COLLATE "C" PRIMARY KEY,
    user_id     text COLLATE "C" NOT NULL,
    paid        boolean NOT NULL DEFAULT false,
    items       text[] COLLATE "C" NOT NULL DEFAULT '{}',
    quantities  bigint[] NOT NULL DEFAULT '{}',
    costs       bigint[] NOT NULL DEFAULT '{}',
    user_epoch  bigint NOT NULL DEFAULT 0,
    item_epochs bigint[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 80);

-- Each act below is one call, so one round trip. It locks rows in one order, the same for all acts:
-- orders, then users, then items, each kind ascending; so no two acts wait for each other in a
-- circle. It gives null when it was done, else why it was refused, as the program spells it; then
-- nothing has changed.

CREATE FUNCTION cart_most() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 9007199254740991';

CREATE FUNCTION cart_add_item(of_order text, of_item text, more bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    o cart_orders;
    unit numeric;
    at integer;
    place integer;
BEGIN
    SELECT * INTO o FROM cart_orders WHERE order_id = of_order FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-order'; END IF;
    IF o.paid THEN RETURN 'paid'; END IF;
    SELECT price INTO unit FROM cart_items WHERE item_id = of_item;
    IF NOT FOUND THEN RETURN 'no-item ' || of_item; END IF;
    at := array_position(o.items, of_item);
    IF coalesce(o.quantities[at], 0) + more > cart_most()
       OR (SELECT coalesce(sum(c), 0) FROM unnest(o.costs) c) + unit * more > cart_most() THEN
        RETURN 'too-much';
    END IF;
    IF at IS NULL THEN
        place := 1 + (SELECT count(*) FROM unnest(o.items) i WHERE i COLLATE "C" < of_item);
        o.items := o.items[:place - 1] || of_item || o.items[place:];
        o.quantities := o.quantities[:place - 1] || more || o.quantities[place:];
        o.costs := o.costs[:place - 1] || (unit * more)::bigint || o.costs[place:];
    ELSE
        o.quantities[at] := o.quantities[at] + more;
        o.costs[at] := o.costs[at] + (unit * more)::bigint;
    END IF;
    UPDATE cart_orders SET items = o.items, quantities = o.quantities, costs = o.costs
    WHERE order_id = of_order;
    RETURN NULL;
END
$$;

CREATE FUNCTION cart_remove_item(of_order text, of_item text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    o cart_orders;
    at integer;
BEGIN
    SELECT * INTO o FROM cart_orders WHERE order_id = of_order FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-order'; END IF;
    IF o.paid THEN RETURN 'paid'; END IF;
    at := array_position(o.items, of_item);
    IF at IS NULL THEN RETURN 'not-in-order'; END IF;
    IF o.quantities[at] = 1 THEN
        o.items := o.items[:at - 1] || o.items[at + 1:];
        o.quantities := o.quantities[:at - 1] || o.quantities[at + 1:];
        o.costs := o.costs[:at - 1] || o.costs[at + 1:];
    ELSE
        o.costs[at] := o.costs[at] - o.costs[at] / o.quantities[at];
        o.quantities[at] := o.quantities[at] - 1;
    END IF;
    UPDATE cart_orders SET items = o.items, quantities = o.quantities, costs = o.costs
    WHERE order_id = of_order;
    RETURN NULL;
END
$$;

CREATE FUNCTION cart_remove_order(of_order text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    is_paid boolean;
BEGIN
    SELECT paid INTO is_paid FROM cart_orders WHERE order_id = of_order FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-order'; END IF;
    IF is_paid THEN RETURN 'paid'; END IF;
    DELETE FROM cart_orders WHERE order_id = of_order;
    RETURN NULL;
END
$$;

CREATE FUNCTION cart_add_stock(of_item text, n bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    had bigint;
    gone bigint;
    ever bigint;
BEGIN
    SELECT stock, sold, added INTO had, gone, ever FROM cart_items WHERE item_id = of_item FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-item ' || of_item; END IF;
    -- What is sold may return some day, and must fit then.
    IF had + gone > cart_most() - n OR ever > 9223372036854775807 - n THEN RETURN 'too-much'; END IF;
    UPDATE cart_items SET stock = stock + n, added = added + n WHERE item_id = of_item;
    RETURN NULL;
END
$$;

CREATE FUNCTION cart_subtract_stock(of_item text, n bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    had bigint;
BEGIN
    SELECT stock INTO had FROM cart_items WHERE item_id = of_item FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-item ' || of_item; END IF;
    IF had < n THEN RETURN 'out-of-stock ' || of_item; END IF;
    UPDATE cart_items SET stock = stock - n, subtracted = subtracted + n WHERE item_id = of_item;
    RETURN NULL;
END
$$;

CREATE FUNCTION cart_add_funds(of_user text, n bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    had bigint;
    gone bigint;
    ever bigint;
BEGIN
    SELECT credit, charged, funded INTO had, gone, ever FROM cart_users WHERE user_id = of_user FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-user ' || of_user; END IF;
    IF had + gone > cart_most() - n OR ever > 9223372036854775807 - n THEN RETURN 'too-much'; END IF;
    UPDATE cart_users SET credit = credit + n, funded = funded + n WHERE user_id = of_user;
    RETURN NULL;
END
$$;

CREATE FUNCTION cart_pay(of_user text, n bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    had bigint;
BEGIN
    SELECT credit INTO had FROM cart_users WHERE user_id = of_user FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-user ' || of_user; END IF;
    IF had < n THEN RETURN 'not-enough-credit'; END IF;
    UPDATE cart_users SET credit = credit - n, paid = paid + n WHERE user_id = of_user;
    RETURN NULL;
END
$$;

-- Many checkouts in one transaction, because a commit costs a sync to disk, however many are in it.
-- All rows are locked first; then each order is paid or refused by itself, in the order given.
CREATE FUNCTION cart_checkout(of_orders text[]) RETURNS TABLE (number integer, refused text)
LANGUAGE plpgsql AS $$
DECLARE
    o cart_orders;
    u cart_users;
    epochs bigint[];
    cost bigint;
    short text;
BEGIN
    PERFORM FROM cart_orders WHERE order_id = ANY (of_orders) ORDER BY order_id FOR UPDATE;
    PERFORM FROM cart_users WHERE user_id IN (
        SELECT t.user_id FROM cart_orders t WHERE t.order_id = ANY (of_orders) AND NOT t.paid)
    ORDER BY user_id FOR UPDATE;
    PERFORM FROM cart_items WHERE item_id IN (
        SELECT unnest(t.items) FROM cart_orders t WHERE t.order_id = ANY (of_orders) AND NOT t.paid)
    ORDER BY item_id FOR UPDATE;
    FOR n IN 1 .. cardinality(of_orders) LOOP
        number := n;
        refused := NULL;
        SELECT * INTO o FROM cart_orders WHERE order_id = of_orders[number];
        IF NOT FOUND THEN
            refused := 'no-order';
        ELSIF NOT o.paid AND o.items = '{}' THEN
            refused := 'empty';
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
                INTO short, epochs
                FROM unnest(o.items, o.quantities) WITH ORDINALITY AS l (item, quantity, n)
                LEFT JOIN cart_items i ON i.item_id = l.item;
                refused := short;
                IF short IS NULL THEN
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

-- What a test bed has begun anew since has forgotten the order: nothing of it returns.
CREATE FUNCTION cart_cancel(of_user text, of_order text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    o cart_orders;
    cost bigint;
BEGIN
    SELECT * INTO o FROM cart_orders WHERE order_id = of_order FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-order'; END IF;
    IF o.user_id <> of_user THEN RETURN 'anothers-order'; END IF;
    IF NOT o.paid THEN RETURN 'not-paid'; END IF;
    SELECT sum(c) INTO cost FROM unnest(o.costs) c;
    PERFORM FROM cart_users WHERE user_id = of_user FOR UPDATE;
    PERFORM FROM cart_items WHERE item_id = ANY (o.items) ORDER BY item_id FOR UPDATE;
    UPDATE cart_users SET credit = credit + cost, charged = charged - cost
    WHERE user_id = of_user AND epoch = o.user_epoch;
    UPDATE cart_items SET stock = stock + l.quantity, sold = sold - l.quantity
    FROM unnest(o.items, o.quantities, o.item_epochs) AS l (item, quantity, at_epoch)
    WHERE item_id = l.item AND epoch = l.at_epoch;
    UPDATE cart_orders SET paid = false, user_epoch = 0, item_epochs = '{}'
    WHERE order_id = of_order;
    RETURN NULL;
END
$$;

-- Orders in place of those of the same ids, many in one transaction; the lines of each are arrays as
-- SQL writes them. What a paid order took that is replaced is remembered apart from what present
-- orders took. Rows are found by their keys, whatever the planner knows of a table just filled.
CREATE FUNCTION cart_put_orders(of_orders text[], of_users text[], new_items text[],
                                new_quantities text[], new_costs text[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    rest text[] := of_orders;
BEGIN
    -- Again if one was removed between the two steps.
    LOOP
        WITH made AS (
            INSERT INTO cart_orders (order_id, user_id, items, quantities, costs)
            SELECT o, u, i::text[], q::bigint[], c::bigint[]
            FROM unnest(of_orders, of_users, new_items, new_quantities, new_costs) AS bed (o, u, i, q, c)
            WHERE o IN (SELECT unnest(rest))
            ORDER BY o COLLATE "C" ON CONFLICT (order_id) DO NOTHING RETURNING order_id)
        SELECT array_agg(o) INTO rest FROM (SELECT unnest(rest) EXCEPT SELECT order_id FROM made) AS left_over (o);
        IF rest IS NULL THEN RETURN; END IF;
        EXIT WHEN cardinality(rest) = (SELECT count(*) FROM (
            SELECT FROM cart_orders WHERE order_id = ANY (rest) ORDER BY order_id FOR UPDATE) AS locked);
    END LOOP;
    PERFORM FROM cart_users WHERE user_id IN (
        SELECT t.user_id FROM cart_orders t WHERE t.order_id = ANY (rest) AND t.paid)
    ORDER BY user_id FOR UPDATE;
    PERFORM FROM cart_items WHERE item_id IN (
        SELECT unnest(t.items) FROM cart_orders t WHERE t.order_id = ANY (rest) AND t.paid)
    ORDER BY item_id FOR UPDATE;
    UPDATE cart_users SET charged = charged - t.cost, written_off = written_off + t.cost
    FROM (SELECT o.user_id, o.user_epoch, sum(c) AS cost FROM cart_orders o, unnest(o.costs) c
          WHERE o.order_id = ANY (rest) AND o.paid GROUP BY o.user_id, o.user_epoch) AS t
    WHERE cart_users.user_id = t.user_id AND epoch = t.user_epoch;
    UPDATE cart_items SET sold = sold - t.quantity, written_off = written_off + t.quantity
    FROM (SELECT l.item, l.at_epoch, sum(l.quantity) AS quantity
          FROM cart_orders o, unnest(o.items, o.quantities, o.item_epochs) AS l (item, quantity, at_epoch)
          WHERE o.order_id = ANY (rest) AND o.paid GROUP BY l.item, l.at_epoch) AS t
    WHERE item_id = t.item AND epoch = t.at_epoch;
    UPDATE cart_orders
    SET user_id = u, paid = false, items = i::text[], quantities = q::bigint[], costs = c::bigint[],
        user_epoch = 0, item_epochs = '{}'
    FROM unnest(of_orders, of_users, new_items, new_quantities, new_costs) AS bed (o, u, i, q, c)
    WHERE order_id = o AND o IN (SELECT unnest(rest));
END
$$;
