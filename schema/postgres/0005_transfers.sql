-- Up to which sequence the messages of each stream outside of the store were moved into activity_queue.
CREATE TABLE activity_transfers (
    stream_id uuid PRIMARY KEY,
    sequence  bigint NOT NULL
) WITH (fillfactor = 10);
