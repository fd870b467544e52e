-- The schema of the reservation service on MySQL. The SQLite file beside it has the same tables and columns, and
-- the waiting room besides, which lives in Redis here.
-- Times are milliseconds since 1970 UTC, given by the service's clock; money is in minor units.

CREATE TABLE users (
    id              BIGINT NOT NULL PRIMARY KEY,
    balance         BIGINT NOT NULL CHECK (balance >= 0),
    -- What the user began with, so that an audit can fold the ledger from it.
    initial_balance BIGINT NOT NULL
);

-- Every change of a balance. A charge carries its idempotency key; a payment's key is on its payment.
CREATE TABLE balance_ledger (
    id             BIGINT NOT NULL PRIMARY KEY,
    user_id        BIGINT NOT NULL,
    entry          TINYINT NOT NULL, -- 1 charge, 2 payment
    amount         BIGINT NOT NULL, -- positive; the entry says in which direction
    balance_after  BIGINT NOT NULL,
    reservation_id BIGINT,
    idem_key       VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin,
    idem_hash      BINARY(32),
    created_at_ms  BIGINT NOT NULL
);
CREATE UNIQUE INDEX balance_ledger_idem ON balance_ledger (user_id, idem_key);

CREATE TABLE concerts (
    id    BIGINT NOT NULL PRIMARY KEY,
    title VARCHAR(200) NOT NULL
);

CREATE TABLE schedules (
    id           BIGINT NOT NULL PRIMARY KEY,
    concert_id   BIGINT NOT NULL,
    starts_at_ms BIGINT NOT NULL
);
CREATE INDEX schedules_concert ON schedules (concert_id, starts_at_ms, id);

-- No foreign key and no fixed index on schedule_id: the index on the seat map's predicate is a switch
-- (`service index`), and `none` must truly be none.
CREATE TABLE seats (
    id             BIGINT NOT NULL PRIMARY KEY,
    schedule_id    BIGINT NOT NULL,
    number         INT NOT NULL,
    price          BIGINT NOT NULL,
    status         TINYINT NOT NULL DEFAULT 0, -- 0 available, 1 held, 2 sold
    -- While held: until when. An expired hold is claimable at once; the sweeper flips it back to available.
    held_until_ms  BIGINT,
    -- While held or sold: the reservation that owns the seat.
    reservation_id BIGINT,
    -- Counts changes, for optimistic locking.
    version        BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX seats_by_schedule_status ON seats (schedule_id, status);

CREATE TABLE reservations (
    id            BIGINT NOT NULL PRIMARY KEY,
    seat_id       BIGINT NOT NULL,
    schedule_id   BIGINT NOT NULL,
    user_id       BIGINT NOT NULL,
    amount        BIGINT NOT NULL,
    status        TINYINT NOT NULL, -- 0 pending, 1 paid, 2 cancelled, 3 expired
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    idem_key      VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    idem_hash     BINARY(32) NOT NULL
);
CREATE UNIQUE INDEX reservations_idem ON reservations (user_id, idem_key);
-- The sweeper looks for pending reservations past their expiry.
CREATE INDEX reservations_expiry ON reservations (status, expires_at_ms);

-- Written as pending with its reservation; the key is set when it is paid.
CREATE TABLE payments (
    id              BIGINT NOT NULL PRIMARY KEY,
    reservation_id  BIGINT NOT NULL UNIQUE,
    user_id         BIGINT NOT NULL,
    amount          BIGINT NOT NULL,
    status          TINYINT NOT NULL, -- 0 pending, 1 completed, 2 cancelled
    -- What the answer said, for a replay.
    balance_after   BIGINT,
    completed_at_ms BIGINT,
    idem_key        VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin,
    idem_hash       BINARY(32)
);
CREATE UNIQUE INDEX payments_idem ON payments (user_id, idem_key);

-- The last sequence number of each shard. Raised as one of the last statements of a payment, so that the order of the
-- numbers is the order of the commits, and a gap proves a loss.
CREATE TABLE outbox_sequence (
    shard INT NOT NULL PRIMARY KEY,
    last  BIGINT NOT NULL
);

CREATE TABLE outbox (
    event_id       BIGINT NOT NULL PRIMARY KEY,
    shard          INT NOT NULL,
    seq            BIGINT NOT NULL,
    schedule_id    BIGINT NOT NULL, -- the key of the message
    reservation_id BIGINT NOT NULL,
    payload        TEXT NOT NULL,    -- JSON
    trace_parent   VARCHAR(64) CHARACTER SET ascii, -- of the request that paid
    created_at_ms  BIGINT NOT NULL
);
CREATE UNIQUE INDEX outbox_shard_seq ON outbox (shard, seq);

-- Which relay publishes a shard. Every change of hands raises the fence; a relay marks progress under its own fence
-- only, so that one that was paused past its lease cannot move the mark. Everything up to published_seq is published.
CREATE TABLE outbox_lease (
    shard         INT NOT NULL PRIMARY KEY,
    owner         VARCHAR(64),
    fence         BIGINT NOT NULL DEFAULT 0,
    until_ms      BIGINT NOT NULL DEFAULT 0,
    published_seq BIGINT NOT NULL DEFAULT 0
);

-- Which relays live, so that each leaves the others their share of the shards. An entry lapses like a lease.
CREATE TABLE outbox_member (
    owner    VARCHAR(64) NOT NULL PRIMARY KEY,
    until_ms BIGINT NOT NULL
);

-- The consumer's inbox: an event has its effect with the first insert, and none after it.
CREATE TABLE processed_events (
    event_id        BIGINT NOT NULL PRIMARY KEY,
    processed_at_ms BIGINT NOT NULL
);

-- The effect of an event.
CREATE TABLE tickets (
    reservation_id BIGINT NOT NULL PRIMARY KEY,
    event_id       BIGINT NOT NULL,
    created_at_ms  BIGINT NOT NULL
);
