-- The cart. At any moment, of every user: credit = funded - paid - charged - written_off, and of
-- every item: stock = added - subtracted - sold - written_off. charged and sold follow from the paid
-- orders; written_off is what paid orders had taken that were replaced since. Fixtures reset a user
-- or an item: its epoch moves on, and what older paid orders took of it no longer counts.
CREATE TABLE cart_users (
    user_id     TEXT PRIMARY KEY,
    credit      INTEGER NOT NULL CHECK (credit >= 0),
    funded      INTEGER NOT NULL,
    paid        INTEGER NOT NULL DEFAULT 0,
    charged     INTEGER NOT NULL DEFAULT 0,
    written_off INTEGER NOT NULL DEFAULT 0,
    epoch       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE cart_items (
    item_id     TEXT PRIMARY KEY,
    price       INTEGER NOT NULL,
    stock       INTEGER NOT NULL CHECK (stock >= 0),
    added       INTEGER NOT NULL,
    subtracted  INTEGER NOT NULL DEFAULT 0,
    sold        INTEGER NOT NULL DEFAULT 0,
    written_off INTEGER NOT NULL DEFAULT 0,
    epoch       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- The epochs are those of the user and of each item when the order was paid.
CREATE TABLE cart_orders (
    order_id   TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL,
    paid       INTEGER NOT NULL DEFAULT 0 CHECK (paid IN (0, 1)),
    user_epoch INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE cart_lines (
    order_id   TEXT NOT NULL,
    item_id    TEXT NOT NULL,
    quantity   INTEGER NOT NULL CHECK (quantity > 0),
    cost       INTEGER NOT NULL CHECK (cost >= 0),
    item_epoch INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, item_id)
) STRICT, WITHOUT ROWID;
