//! What processes cost on the processor between two moments, from polls.

use std::time::Duration;

use super::stub::monotonic;

/// What a process had cost at a moment.
#[derive(Clone, Copy)]
pub(crate) struct Poll {
    at: Duration,
    /// Processor seconds.
    cpu: f64,
}

impl Poll {
    pub(crate) fn now(cpu: f64) -> Self {
        Self { at: monotonic(), cpu }
    }
}

/// Processor seconds from one moment to another; between two polls as if they had been spent evenly.
pub(crate) fn between(polls: &[Poll], from: Duration, until: Duration) -> f64 {
    spent_at(polls, until) - spent_at(polls, from)
}

fn spent_at(polls: &[Poll], at: Duration) -> f64 {
    let after = polls.partition_point(|poll| poll.at <= at).clamp(1, polls.len() - 1);
    let (from, to) = (&polls[after - 1], &polls[after]);
    let part = (at.as_secs_f64() - from.at.as_secs_f64()) / (to.at - from.at).as_secs_f64();
    from.cpu + (to.cpu - from.cpu) * part.clamp(0.0, 1.0)
}
