-- Stock of items. Answers and locks: see cart_orders.sql.
-- Repeatable file: the transaction that raises the schema version runs it again, and nothing else does
-- (src/db/postgres/migrate.rs). Servers of two versions call these functions while they are replaced one
-- by one, so a changed signature or a changed answer is a new name beside the old one.

CREATE OR REPLACE FUNCTION cart_add_stock(p_item_id text, p_quantity bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    i cart_items;
BEGIN
    -- Against checkouts: the limit is tested on the stock that is then changed.
    SELECT * INTO i FROM cart_items WHERE item_id = p_item_id FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-item ' || p_item_id; END IF;
    -- A cancel may return what is sold, and it must fit then.
    IF i.stock + i.sold > cart_max_amount() - p_quantity
       OR i.added > 9223372036854775807 - p_quantity THEN
        RETURN 'amount-overflow';
    END IF;
    UPDATE cart_items SET stock = stock + p_quantity, added = added + p_quantity
    WHERE item_id = p_item_id;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION cart_subtract_stock(p_item_id text, p_quantity bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    i cart_items;
BEGIN
    -- Against checkouts: stock that is tested here must still be there when it is subtracted.
    SELECT * INTO i FROM cart_items WHERE item_id = p_item_id FOR UPDATE;
    IF NOT FOUND THEN RETURN 'no-item ' || p_item_id; END IF;
    IF i.stock < p_quantity THEN RETURN 'out-of-stock ' || p_item_id; END IF;
    UPDATE cart_items SET stock = stock - p_quantity, subtracted = subtracted + p_quantity
    WHERE item_id = p_item_id;
    RETURN NULL;
END
$$;
