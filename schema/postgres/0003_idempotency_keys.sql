-- Keys of requests that changed the store, each with a hash of its request and what the request made, as
-- a repeat is told. A request has an advisory lock of its key's hash until its transaction ends, so that
-- a repeat waits for that.
CREATE TABLE storefront_idempotency_keys (
    key         text COLLATE "C" PRIMARY KEY,
    fingerprint bytea NOT NULL,
    record      text NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX ON storefront_idempotency_keys (expires_at);
