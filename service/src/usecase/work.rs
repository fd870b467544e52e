//! How a change is carried through: to its end although its client has gone, and again after a deadlock.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use rand::Rng as _;

use super::{Booking, Failure};
use crate::metrics::Metrics;
use crate::store::StoreError;
use crate::trace;

/// Attempts at a transaction that others keep undoing, and at a seat whose version keeps changing.
pub(crate) const MAX_ATTEMPTS: u32 = 4;

impl Booking {
    /// Runs `change` to its end even if the request's future is dropped, and counts what became of it there. Otherwise a
    /// client that hangs up between the commit and the invalidation of the cache would leave a stale seat map behind, and
    /// a change that outlives its deadline would be committed and missing from the metrics.
    pub(crate) async fn carry_through<T, F>(
        self: &Arc<Self>,
        change: F,
        count: impl FnOnce(&Metrics, &Result<T, Failure>) + Send + 'static,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let metrics = self.metrics.clone();
        let counted = async move {
            let ended = AssertUnwindSafe(change).catch_unwind().await;
            let result = ended.unwrap_or_else(|_panic| Err(Failure::Internal("a change panicked".into())));
            count(&metrics, &result);
            result
        };
        match self.work.spawn(trace::inherited(counted)).await {
            Ok(result) => result,
            Err(panic) => Err(Failure::Internal(Box::new(panic))),
        }
    }

    /// Runs a transaction, again if another one undid it, a bounded number of times and within a quarter of the
    /// request's deadline. After that it is the client's turn to decide.
    pub(crate) async fn transaction<T, F>(&self, call: &'static str, attempt: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let begun = Instant::now();
        let patience = self.config.resilience.request_timeout / 4;
        for n in 1.. {
            match attempt().await {
                Err(StoreError::Contended { reason, .. }) if n < MAX_ATTEMPTS && begun.elapsed() < patience => {
                    self.metrics.database_retries.with_label_values(&[reason]).inc();
                    self.pause(n).await;
                }
                Err(error) => {
                    self.count_error(call, &error);
                    return Err(error);
                }
                done => return done,
            }
        }
        unreachable!("the loop has no end but a return")
    }

    /// Counts a failed read.
    pub(crate) fn seen<T>(&self, call: &'static str, result: Result<T, StoreError>) -> Result<T, Failure> {
        result.map_err(|error| {
            self.count_error(call, &error);
            error.into()
        })
    }

    /// A short wait that drives contenders apart.
    pub(crate) async fn pause(&self, attempt: u32) {
        let most_ms = 2_u64 << attempt.min(6);
        let wait_ms = rand::rng().random_range(1..=most_ms);
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }

    fn count_error(&self, call: &'static str, error: &StoreError) {
        // A taken key is part of normal work.
        if matches!(error, StoreError::Duplicate(_)) {
            return;
        }
        self.metrics
            .database_errors
            .with_label_values(&[call, error.kind()])
            .inc();
        let is_database = matches!(
            error,
            StoreError::PoolTimeout(_) | StoreError::Unreachable(_) | StoreError::NoSpace(_)
        );
        if is_database {
            self.metrics.dependency_errors.with_label_values(&["database"]).inc();
        }
    }
}

/// The fail points between a commit and its answer: `hold-after-commit`, `pay-after-commit`, `charge-after-commit`,
/// `cancel-after-commit`. The action `return` ends the process on the spot, as a crash would.
#[cfg(feature = "failpoints")]
pub(crate) fn after_commit(call: &'static str) {
    let name = format!("{call}-after-commit");
    fail::fail_point!(&name, |_| std::process::abort());
}

/// Nothing, in this build.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn after_commit(_call: &'static str) {}

/// The fail point `NAMESPACE/seat-map-missed`, between a look into the cache that found nothing and the load.
#[cfg(feature = "failpoints")]
pub(crate) fn after_miss(namespace: &str) {
    fail::fail_point!(&format!("{namespace}/seat-map-missed"));
}

/// Nothing, in this build.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn after_miss(_namespace: &str) {}
