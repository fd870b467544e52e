//! Writes what the recorder has gathered, once a second.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::error::RunError;
use crate::load::Recorder;
use crate::recording::{RecordingWriter, RunClock};

const SECOND: Duration = Duration::from_secs(1);

/// Writes what has gathered since the last cut.
pub(super) fn write_cut(recording: &RecordingWriter, recorder: &Recorder) -> Result<(), RunError> {
    for cut in recorder.cut() {
        recording.interval(cut.start, cut.length, &cut.tag, &cut.histogram)?;
    }
    Ok(recording.flush()?)
}

/// Writes what ended in each second, until it is stopped. What cannot be written ends the run as well: the rest of it
/// would be lost.
pub(super) async fn cut_every_second(
    recording: RecordingWriter,
    recorder: Arc<Recorder>,
    clock: RunClock,
    run: CancellationToken,
) -> Result<(), RunError> {
    let mut due = clock.instant(clock.now());
    loop {
        due += SECOND;
        tokio::time::sleep_until(due.into()).await;
        if let Err(error) = write_cut(&recording, &recorder) {
            run.cancel();
            return Err(error);
        }
    }
}
