-- The schema of the reservation service on SQLite. The MySQL file beside it has the same tables and columns.
-- Times are milliseconds since 1970 UTC, given by the service's clock; money is in minor units.

CREATE TABLE users (
    id              INTEGER PRIMARY KEY,
    balance         INTEGER NOT NULL CHECK (balance >= 0),
    -- What the user began with, so that an audit can fold the ledger from it.
    initial_balance INTEGER NOT NULL
);

-- Every change of a balance. A charge carries its idempotency key; a payment's key is on its payment.
CREATE TABLE balance_ledger (
    id             INTEGER PRIMARY KEY,
    user_id        INTEGER NOT NULL,
    entry          INTEGER NOT NULL, -- 1 charge, 2 payment
    amount         INTEGER NOT NULL, -- positive; the entry says in which direction
    balance_after  INTEGER NOT NULL,
    reservation_id INTEGER,
    idem_key       TEXT,
    idem_hash      BLOB,
    created_at_ms  INTEGER NOT NULL
);
CREATE UNIQUE INDEX balance_ledger_idem ON balance_ledger (user_id, idem_key);

CREATE TABLE concerts (
    id    INTEGER PRIMARY KEY,
    title TEXT NOT NULL
);

CREATE TABLE schedules (
    id           INTEGER PRIMARY KEY,
    concert_id   INTEGER NOT NULL,
    starts_at_ms INTEGER NOT NULL
);
CREATE INDEX schedules_concert ON schedules (concert_id, starts_at_ms, id);

-- No foreign key and no fixed index on schedule_id: the index on the seat map's predicate is a switch
-- (`service index`), and `none` must truly be none.
CREATE TABLE seats (
    id             INTEGER PRIMARY KEY,
    schedule_id    INTEGER NOT NULL,
    number         INTEGER NOT NULL,
    price          INTEGER NOT NULL,
    status         INTEGER NOT NULL DEFAULT 0, -- 0 available, 1 held, 2 sold
    -- While held: until when. An expired hold is claimable at once; the sweeper flips it back to available.
    held_until_ms  INTEGER,
    -- While held or sold: the reservation that owns the seat.
    reservation_id INTEGER,
    -- Counts changes, for optimistic locking.
    version        INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX seats_by_schedule_status ON seats (schedule_id, status);

CREATE TABLE reservations (
    id            INTEGER PRIMARY KEY,
    seat_id       INTEGER NOT NULL,
    schedule_id   INTEGER NOT NULL,
    user_id       INTEGER NOT NULL,
    amount        INTEGER NOT NULL,
    status        INTEGER NOT NULL, -- 0 pending, 1 paid, 2 cancelled, 3 expired
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    idem_key      TEXT NOT NULL,
    idem_hash     BLOB NOT NULL
);
CREATE UNIQUE INDEX reservations_idem ON reservations (user_id, idem_key);
-- The sweeper looks for pending reservations past their expiry.
CREATE INDEX reservations_expiry ON reservations (status, expires_at_ms);

-- Written as pending with its reservation; the key is set when it is paid.
CREATE TABLE payments (
    id              INTEGER PRIMARY KEY,
    reservation_id  INTEGER NOT NULL UNIQUE,
    user_id         INTEGER NOT NULL,
    amount          INTEGER NOT NULL,
    status          INTEGER NOT NULL, -- 0 pending, 1 completed, 2 cancelled
    -- What the answer said, for a replay.
    balance_after   INTEGER,
    completed_at_ms INTEGER,
    idem_key        TEXT,
    idem_hash       BLOB
);
CREATE UNIQUE INDEX payments_idem ON payments (user_id, idem_key);

-- The last sequence number of each shard. Raised as one of the last statements of a payment, so that the order of the
-- numbers is the order of the commits, and a gap proves a loss.
CREATE TABLE outbox_sequence (
    shard INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL
);

CREATE TABLE outbox (
    event_id       INTEGER PRIMARY KEY,
    shard          INTEGER NOT NULL,
    seq            INTEGER NOT NULL,
    schedule_id    INTEGER NOT NULL, -- the key of the message
    reservation_id INTEGER NOT NULL,
    payload        TEXT NOT NULL,    -- JSON
    trace_parent   TEXT, -- of the request that paid
    created_at_ms  INTEGER NOT NULL
);
CREATE UNIQUE INDEX outbox_shard_seq ON outbox (shard, seq);

-- Which relay publishes a shard. Every change of hands raises the fence; a relay marks progress under its own fence
-- only, so that one that was paused past its lease cannot move the mark. Everything up to published_seq is published.
CREATE TABLE outbox_lease (
    shard         INTEGER PRIMARY KEY,
    owner         TEXT,
    fence         INTEGER NOT NULL DEFAULT 0,
    until_ms      INTEGER NOT NULL DEFAULT 0,
    published_seq INTEGER NOT NULL DEFAULT 0
);

-- Which relays live, so that each leaves the others their share of the shards. An entry lapses like a lease.
CREATE TABLE outbox_member (
    owner    TEXT NOT NULL PRIMARY KEY,
    until_ms INTEGER NOT NULL
);

-- The consumer's inbox: an event has its effect with the first insert, and none after it.
CREATE TABLE processed_events (
    event_id        INTEGER PRIMARY KEY,
    processed_at_ms INTEGER NOT NULL
);

-- The effect of an event.
CREATE TABLE tickets (
    reservation_id INTEGER PRIMARY KEY,
    event_id       INTEGER NOT NULL,
    created_at_ms  INTEGER NOT NULL
);

-- The waiting room of the embedded stack. A row is removed when its token is finished.
CREATE TABLE queue_tokens (
    place         INTEGER PRIMARY KEY AUTOINCREMENT, -- order of arrival
    token         INTEGER NOT NULL UNIQUE,
    user_id       INTEGER NOT NULL UNIQUE,
    state         INTEGER NOT NULL, -- 0 waiting, 1 active
    expires_at_ms INTEGER NOT NULL
);
CREATE INDEX queue_tokens_state ON queue_tokens (state, place);
CREATE INDEX queue_tokens_expiry ON queue_tokens (expires_at_ms);

-- What has happened in the waiting room since it began: one row.
CREATE TABLE queue_totals (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    entered  INTEGER NOT NULL,
    admitted INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    expired  INTEGER NOT NULL
);
INSERT INTO queue_totals (id, entered, admitted, finished, expired) VALUES (1, 0, 0, 0, 0);
