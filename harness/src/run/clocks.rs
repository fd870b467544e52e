//! Compares the clocks of the servers and of the service with the run's own, and writes the offsets into the manifest.

use std::time::Duration;

use super::arm::LiveArm;
use super::bench::Bench;
use super::error::RunError;
use crate::recording::event::NoteLevel;
use crate::recording::model::ClockOffset;
use crate::recording::{RecordingWriter, RunClock};
use crate::scrape::{ScrapeError, wall_clock};

/// A score of questions, on a machine that is busy starting things.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Compares every clock that can be read, with `arm` running. One that cannot is a note: what was measured stands
/// without it.
///
/// # Errors
/// When the recording cannot be written.
pub(super) async fn compare(
    bench: &Bench<'_>,
    arm: &LiveArm,
    recording: &RecordingWriter,
    clock: RunClock,
) -> Result<(), RunError> {
    let direct = bench.stack.direct_endpoints(arm.namespace());
    let metrics_url = format!("{}/metrics", arm.base_url().unwrap_or_default());
    let service = within(wall_clock::of_service(&metrics_url, clock)).await;
    let mut found = vec![("the service", service)];
    if !direct.is_sqlite() {
        let asked = async { wall_clock::of_mysql(&direct.database_url, clock).await.map(Some) };
        found.push(("MySQL", within(asked).await));
    }
    if let Some(url) = &direct.redis_url {
        let asked = async { wall_clock::of_redis(url, clock).await.map(Some) };
        found.push(("Redis", within(asked).await));
    }
    for (whose, offset) in found {
        match offset {
            Ok(Some(offset)) => recording.update_manifest(|manifest| manifest.clock.offsets.push(offset))?,
            Ok(None) => note(recording, clock, whose, "it does not show its time")?,
            Err(error) => note(recording, clock, whose, &error.chain())?,
        }
    }
    Ok(())
}

async fn within(
    asked: impl Future<Output = Result<Option<ClockOffset>, ScrapeError>>,
) -> Result<Option<ClockOffset>, ScrapeError> {
    let answered = tokio::time::timeout(ANSWER_WITHIN, asked).await;
    answered.unwrap_or(Err(ScrapeError::Deadline(ANSWER_WITHIN)))
}

fn note(recording: &RecordingWriter, clock: RunClock, whose: &str, why: &str) -> Result<(), RunError> {
    let text = format!("the clock of {whose} was not compared with the run's: {why}");
    Ok(recording.note(clock.now(), NoteLevel::Info, text)?)
}
