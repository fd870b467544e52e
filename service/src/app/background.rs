//! What goes on without requests: the sweeper, and the queue's rounds of expiry and admission.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::usecase::expire::Sweeper;
use crate::usecase::{Booking, Failure};

/// How often tokens expire and are admitted although nobody asks, and how old the queue's gauges may be.
const QUEUE_TICK: Duration = Duration::from_millis(250);

/// Starts both tasks. A round that `stop` cuts short is rolled back, so that a database that hangs cannot keep the
/// service from stopping.
pub(super) fn start(booking: &Arc<Booking>, tasks: &TaskTracker, stop: &CancellationToken) {
    let (swept, until) = (booking.clone(), stop.clone());
    tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
        let mut sweeper = Sweeper::default();
        let mut watch = Watch::new("sweeper");
        let mut beat = beat(swept.config.sweep_interval);
        while !until.is_cancelled() {
            beat.tick().await;
            watch.note(sweeper.round(&swept).await.map(|_| ()));
        }
    }));
    let (ticked, until) = (booking.clone(), stop.clone());
    tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
        let mut watch = Watch::new("queue");
        let mut beat = beat(QUEUE_TICK);
        while !until.is_cancelled() {
            beat.tick().await;
            watch.note(ticked.tick_queue().await);
        }
    }));
}

fn beat(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

/// Logs a background task's trouble once when it begins and once when it ends.
struct Watch {
    task: &'static str,
    is_failing: bool,
}

impl Watch {
    const fn new(task: &'static str) -> Self {
        Self {
            task,
            is_failing: false,
        }
    }

    fn note(&mut self, result: Result<(), Failure>) {
        match result {
            Ok(()) => {
                if std::mem::replace(&mut self.is_failing, false) {
                    tracing::info!(task = self.task, "background task works again");
                }
            }
            Err(failure) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    let cause = crate::http::error::chain(&failure);
                    tracing::warn!(task = self.task, cause, "background task failed, it goes on trying");
                }
            }
        }
    }
}
