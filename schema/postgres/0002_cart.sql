-- The cart. At any moment, of every user: credit = funded - paid - charged - written_off, and of every
-- item: stock = added - subtracted - sold - written_off. charged and sold are what follows from the
-- paid orders; written_off is what paid orders took that fixtures have replaced since. Fixtures reset a
-- user or an item under the next epoch: what paid orders of an older epoch took no longer counts.
-- The functions that change these tables are in functions/cart_*.sql.
-- fillfactor 80 leaves space in each page, so that most updates stay in it and touch no index (HOT).
CREATE TABLE cart_users (
    user_id     text COLLATE "C" PRIMARY KEY,
    credit      bigint NOT NULL CHECK (credit >= 0),
    funded      bigint NOT NULL,
    paid        bigint NOT NULL DEFAULT 0,
    charged     bigint NOT NULL DEFAULT 0,
    written_off bigint NOT NULL DEFAULT 0,
    epoch       bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);

CREATE TABLE cart_items (
    item_id     text COLLATE "C" PRIMARY KEY,
    price       bigint NOT NULL,
    stock       bigint NOT NULL CHECK (stock >= 0),
    added       bigint NOT NULL,
    subtracted  bigint NOT NULL DEFAULT 0,
    sold        bigint NOT NULL DEFAULT 0,
    written_off bigint NOT NULL DEFAULT 0,
    epoch       bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);

-- The lines of an order are arrays in its row, ascending by item, one element of each array a line:
-- lines are always read and written together, so that they need no table and no join of their own.
-- The epochs are those of the user and of each item when the order was paid. The version grows with
-- every edit, cancel and replacement: a checkout or a cancel names the version that it is meant for, so
-- that one that arrives late, after its server died, changes nothing.
CREATE TABLE cart_orders (
    order_id    text COLLATE "C" PRIMARY KEY,
    user_id     text COLLATE "C" NOT NULL,
    paid        boolean NOT NULL DEFAULT false,
    items       text[] COLLATE "C" NOT NULL DEFAULT '{}',
    quantities  bigint[] NOT NULL DEFAULT '{}',
    costs       bigint[] NOT NULL DEFAULT '{}',
    user_epoch  bigint NOT NULL DEFAULT 0,
    item_epochs bigint[] NOT NULL DEFAULT '{}',
    version     bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);
