//! Ctrl-C, SIGTERM and a closed terminal: one wish to end, which lets every guard heal first.
//!
//! The process has one handler for all of them, set when it first listens. Goose sets one as well, which ends the
//! process without a word to anybody; it leaves one alone that is there already. So listen before any load begins.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// How many wishes nobody has answered yet; `None` before anybody listens.
static WISHES: Mutex<Option<watch::Sender<u64>>> = Mutex::new(None);

/// From now on, wishes are counted until somebody answers them with [`requested`].
///
/// # Errors
/// The signals cannot be listened to.
pub fn listen() -> Result<watch::Sender<u64>, ctrlc::Error> {
    let mut wishes = WISHES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(wishes) = &*wishes {
        return Ok(wishes.clone());
    }
    let counter = watch::Sender::new(0);
    let counted = counter.clone();
    ctrlc::set_handler(move || counter.send_modify(|count| *count += 1))?;
    Ok(wishes.insert(counted).clone())
}

/// Returns when the process has been asked to end, once for each time.
///
/// # Errors
/// The signals cannot be listened to.
pub async fn requested() -> Result<(), ctrlc::Error> {
    let wishes = listen()?;
    let mut changes = wishes.subscribe();
    let answer = |count: &mut u64| {
        let is_wished = *count > 0;
        *count = count.saturating_sub(1);
        is_wished
    };
    while !wishes.send_if_modified(answer) {
        // It cannot end: this function holds a sender.
        let _changed = changes.changed().await;
    }
    Ok(())
}
