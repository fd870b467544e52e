//! The end of a load: what it has left under way comes to its end before the books are read.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::arm::LiveArm;
use super::error::RunError;
use crate::recording::event::What;
use crate::recording::{RecordingWriter, RunClock};
use crate::scrape::service::ServiceSource;
use crate::scrape::{Sample, Source as _, sum};
use crate::units::Nanos;

/// How long the outbox and the consumer may take after the last payment.
pub(super) const WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Waits until every payment's event has had its effect, and every hold that was left has expired and been swept:
/// `swept` after now.
pub(super) async fn drain(
    arm: &LiveArm,
    recording: &RecordingWriter,
    clock: RunClock,
    swept: Duration,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let began = clock.now();
    let swept = began.plus(swept);
    let mut metrics = ServiceSource::new(&format!("{}/metrics", arm.base_url().unwrap_or_default()))?;
    let interrupted = || RunError::Interrupted(recording.dir().to_owned());
    let pending = loop {
        let pending = tokio::select! {
            pending = look(&mut metrics) => pending,
            () = stop.cancelled() => return Err(interrupted()),
        };
        let waited = clock.now().since(began);
        if (pending == Some(0.0) && clock.now() >= swept) || waited > WITHIN {
            break pending;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = stop.cancelled() => return Err(interrupted()),
        }
    };
    let what = What::Drained {
        variant: arm.place,
        pending: pending.map(|pending| pending as u64),
        waited: Nanos::from_duration(clock.now().since(began)),
    };
    Ok(recording.event(clock.now(), what)?)
}

/// What the service says is under way; `None` when it does not, be it stuck: then it takes the question and never answers.
async fn look(metrics: &mut ServiceSource) -> Option<f64> {
    let scraped = tokio::time::timeout(ANSWER_WITHIN, metrics.scrape()).await;
    still_under_way(&scraped.ok()?.ok()?)
}

/// Events committed and not yet handled. The consumer's own lag would not do: until it has joined its group it knows of
/// none. `None` while a counter is missing, which is not "nothing".
fn still_under_way(samples: &[Sample]) -> Option<f64> {
    let pending = sum(samples, "booking_outbox_pending", &[])?;
    let published = sum(samples, "booking_outbox_published_total", &[])?;
    // A counter with labels appears with its first event.
    let handled = sum(samples, "booking_consumer_messages_total", &[("topic", "main")]).unwrap_or(0.0);
    Some(pending + (published - handled).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_that_is_stuck_is_not_waited_for() {
        // Connections are taken by the kernel, and nobody reads from them.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let mut metrics = ServiceSource::new(&url).unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(look(&mut metrics).await, None);
        assert!(began.elapsed() >= ANSWER_WITHIN);
    }
}
