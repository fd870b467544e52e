//! Writes what the recorder has gathered, once a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::RunError;
use crate::load::{Gathered, Recorder};
use crate::recording::{RecordingWriter, RunClock};

const SECOND: Duration = Duration::from_secs(1);

/// Writes what has gathered since the last cut, and returns it.
pub(super) fn write_cut(recording: &RecordingWriter, recorder: &Recorder) -> Result<Gathered, RunError> {
    let gathered = recorder.gathered();
    for cut in &gathered.cuts {
        recording.interval(cut.start, cut.length, &cut.tag, &cut.histogram)?;
    }
    recording.flush()?;
    Ok(gathered)
}

/// Writes what ended in each second, be it nothing, and shows it to `look`, until it is stopped. What cannot be written
/// ends the run as well: the rest of it would be lost.
pub(super) async fn cut_every_second(
    recording: RecordingWriter,
    recorder: Arc<Recorder>,
    clock: RunClock,
    run: CancellationToken,
    mut look: impl FnMut(&Gathered),
) -> Result<(), RunError> {
    let mut due = clock.instant(clock.now());
    loop {
        // After a stall neither once for each second of it nor at once: what ended would seem to have ended in no time.
        due = (due + SECOND).max(clock.instant(clock.now()) + SECOND / 2);
        tokio::time::sleep_until(due.into()).await;
        match write_cut(&recording, &recorder) {
            Ok(gathered) => look(&gathered),
            Err(error) => {
                run.cancel();
                return Err(error);
            }
        }
    }
}

/// Ends the cutting, but never in the midst of a cut.
pub(super) async fn finish_cutting(cutter: JoinHandle<Result<(), RunError>>) -> Result<(), RunError> {
    cutter.abort();
    match cutter.await {
        Ok(cut) => cut,
        Err(aborted) if aborted.is_cancelled() => Ok(()),
        Err(panicked) => Err(panicked.into()),
    }
}
