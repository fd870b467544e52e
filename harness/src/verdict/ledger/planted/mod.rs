//! One violation at a time, written by hand, with the witness that must show it; and beside it a near miss, which
//! looks almost the same and is innocent.

mod case;
mod pages;

mod whole;

mod cache;
mod contention;
mod events;
mod expiry;
mod idempotency;
mod index_use;
mod money;
mod no_orphans;
mod outbox;
mod queue;
mod queue_cost;
mod seat_sold_once;
mod staleness;
