//! The ledger: the invariants of the service, judged from the clients' history and the service's final state; and a few
//! that no client can see broken, judged from what the service and its servers counted.
//!
//! One pass over the history projects it onto [`facts::Facts`]; each invariant is then a function of those facts and
//! the [`end::End`], in a file of its own, in O(n log n). A checker convicts only when no order of events inside the
//! recorded intervals could be innocent: an operation without an answer widens bounds, and convicts nobody alone.
//!
//! Numbers that may be slow or fast are not judged here: see [`super::validity`] and `analysis`.

pub mod finding;

pub mod counted;
pub mod end;
pub mod facts;

mod tenure;
mod token;
mod uid_map;

mod cache;
mod contention;
mod events;
mod expiry;
mod idempotency;
mod index_use;
mod money;
mod orphans;
mod outbox;
mod queue;
mod queue_cost;
mod seats;
mod staleness;

pub mod judge;

#[cfg(test)]
mod planted;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use counted::Counted;
pub use end::End;
pub use facts::{Facts, Projection};
pub use finding::{Finding, Invariant, LedgerReport, Overall, Step, VariantLedger, Verdict};
pub use judge::{judge, staleness as staleness_of_reads, verify};
