//! Statistics over recordings: value in, value out. No network, no clock, no environment, no files.
//!
//! A missing value is `None` and a gap stays a gap; neither becomes a zero. What is decided is decided by an exact test
//! ([`signed_rank`]); what is shown beside it comes from [`bootstrap`] and [`hodges_lehmann`]. Judging a claim against
//! these numbers is the work of `verdict`.

pub mod backlog;
pub mod blast_radius;
pub mod bootstrap;
pub mod changepoint;
pub mod compare;
pub mod counter;
pub mod cuts;
pub mod digest;
pub mod effect;
pub mod ended;
pub mod experiment;
pub mod hodges_lehmann;
pub mod incident;
pub mod littles_law;
pub mod plan;
pub mod plan_diff;
pub mod plan_sqlite;
pub mod quantile;
pub mod series;
pub mod signed_rank;
pub mod started;
pub mod steady;
pub mod timeline;
pub mod trend;
pub mod ways;
