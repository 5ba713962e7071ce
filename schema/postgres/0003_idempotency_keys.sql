-- Keys of requests that changed the store, each with a hash of its request and what the request made, as
-- a repeat is told. A row is inserted at the beginning of the transaction of its request, so that a
-- repeat waits for its end; record is null until the end only.
CREATE TABLE storefront_idempotency_keys (
    key         text COLLATE "C" PRIMARY KEY,
    fingerprint bytea NOT NULL,
    record      text,
    expires_at  timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX ON storefront_idempotency_keys (expires_at);
