-- Keys of requests that changed the store, each with a hash of its request and what the request made,
-- as a repeat is told. Numbers ascend with the time of the request, so that the oldest keys are found
-- without an index of their expiry.
CREATE TABLE idempotency_keys (
    number      INTEGER PRIMARY KEY,
    key         TEXT NOT NULL UNIQUE,
    fingerprint BLOB NOT NULL,
    record      TEXT NOT NULL,
    expires_at  INTEGER NOT NULL -- in milliseconds since 1970
) STRICT;
