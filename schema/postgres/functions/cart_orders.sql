-- Orders that are not paid, and the largest amount.
-- Repeatable file: the transaction that raises the schema version runs it again, and nothing else does
-- (src/db/postgres/migrate.rs). Servers of two versions call these functions while they are replaced one
-- by one, so a changed signature or a changed answer is a new name beside the old one.
--
-- Of all functions cart_*: one call is one transaction and one round trip. The answer is NULL when the
-- change was made, else why it was refused, in the words that src/db/postgres/cart/mod.rs reads; a
-- refusal changes nothing. An edit of an order answers `version N`, its new version; a checkout or a cancel
-- that was meant for another version answers `changed N`, the present one, and changes nothing. Rows are
-- locked in one order in every function (orders, then users, then items, each ascending by id), so that no
-- two calls can deadlock. A row is locked before it is read, so that what was decided from it still holds
-- when it is written.

CREATE OR REPLACE FUNCTION cart_max_amount() RETURNS bigint LANGUAGE sql IMMUTABLE AS
    'SELECT 9007199254740991';

CREATE OR REPLACE FUNCTION cart_add_item(p_order_id text, p_item_id text, p_quantity bigint)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    o cart_orders;
    unit_price numeric;
    line integer;
BEGIN
    -- Against a checkout or another edit of the same order.
    SELECT * INTO o FROM cart_orders WHERE order_id = p_order_id FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-order'; END IF;
    IF o.paid THEN RETURN 'paid'; END IF;
    -- The item is not locked: its present price is copied, and its stock is not touched.
    SELECT price INTO unit_price FROM cart_items WHERE item_id = p_item_id;
    IF NOT FOUND THEN RETURN 'no-item ' || p_item_id; END IF;
    line := array_position(o.items, p_item_id);
    -- MAX_LINES of src/cart/model.rs.
    IF line IS NULL AND cardinality(o.items) >= 1000 THEN RETURN 'too-many-lines'; END IF;
    IF coalesce(o.quantities[line], 0) + p_quantity > cart_max_amount()
       OR (SELECT coalesce(sum(c), 0) FROM unnest(o.costs) c) + unit_price * p_quantity
          > cart_max_amount() THEN
        RETURN 'amount-overflow';
    END IF;
    IF line IS NULL THEN
        line := 1 + (SELECT count(*) FROM unnest(o.items) i WHERE i COLLATE "C" < p_item_id);
        o.items := o.items[:line - 1] || p_item_id || o.items[line:];
        o.quantities := o.quantities[:line - 1] || p_quantity || o.quantities[line:];
        o.costs := o.costs[:line - 1] || (unit_price * p_quantity)::bigint || o.costs[line:];
    ELSE
        o.quantities[line] := o.quantities[line] + p_quantity;
        o.costs[line] := o.costs[line] + (unit_price * p_quantity)::bigint;
    END IF;
    UPDATE cart_orders
    SET items = o.items, quantities = o.quantities, costs = o.costs, version = o.version + 1
    WHERE order_id = p_order_id;
    RETURN 'version ' || o.version + 1;
END
$$;

CREATE OR REPLACE FUNCTION cart_remove_item(p_order_id text, p_item_id text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    o cart_orders;
    line integer;
BEGIN
    -- Against a checkout or another edit of the same order.
    SELECT * INTO o FROM cart_orders WHERE order_id = p_order_id FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-order'; END IF;
    IF o.paid THEN RETURN 'paid'; END IF;
    line := array_position(o.items, p_item_id);
    IF line IS NULL THEN RETURN 'not-in-order'; END IF;
    IF o.quantities[line] = 1 THEN
        o.items := o.items[:line - 1] || o.items[line + 1:];
        o.quantities := o.quantities[:line - 1] || o.quantities[line + 1:];
        o.costs := o.costs[:line - 1] || o.costs[line + 1:];
    ELSE
        o.costs[line] := o.costs[line] - o.costs[line] / o.quantities[line];
        o.quantities[line] := o.quantities[line] - 1;
    END IF;
    UPDATE cart_orders
    SET items = o.items, quantities = o.quantities, costs = o.costs, version = o.version + 1
    WHERE order_id = p_order_id;
    RETURN 'version ' || o.version + 1;
END
$$;

CREATE OR REPLACE FUNCTION cart_remove_order(p_order_id text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    is_paid boolean;
BEGIN
    -- Against a checkout, which must not take stock for an order that is gone.
    SELECT paid INTO is_paid FROM cart_orders WHERE order_id = p_order_id FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-order'; END IF;
    IF is_paid THEN RETURN 'paid'; END IF;
    DELETE FROM cart_orders WHERE order_id = p_order_id;
    RETURN NULL;
END
$$;
