//! Which request a task works for, so that what is logged of the task can be found by it.

use std::sync::Arc;

/// A request's names in the log.
#[derive(Debug)]
pub struct Served {
    /// Also in its answer.
    pub request_id: String,
    /// Also in its answer, and in what it causes.
    pub trace_id: String,
}

tokio::task_local! {
    static SERVED: Option<Arc<Served>>;
}

/// The request that this task works for; what the service does by itself has none.
pub fn current() -> Option<Arc<Served>> {
    SERVED.try_with(Clone::clone).ok().flatten()
}

/// Runs `work`, which is done for `request`.
pub fn serving<F: Future>(request: Arc<Served>, work: F) -> impl Future<Output = F::Output> + use<F> {
    SERVED.scope(Some(request), work)
}

/// Runs `work`, which another task will do, for the request that this task works for.
pub(super) fn inherited<F: Future>(work: F) -> impl Future<Output = F::Output> + use<F> {
    SERVED.scope(current(), work)
}
