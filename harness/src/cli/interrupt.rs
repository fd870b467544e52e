//! Ctrl-C, SIGTERM and a closed terminal: one wish to end, which lets every guard heal first.

use tokio::signal::unix::{SignalKind, signal};

/// Returns when the process is asked to end.
///
/// # Errors
/// The signals cannot be listened to.
pub async fn requested() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}
