//! How a command that measures is asked to end: the first wish closes the recording and still lets it have its report,
//! the second one ends at once.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Context as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure};
use super::{interrupt, stderr};
use crate::causes;

/// What a command and those who want it to end know of each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending {
    /// Cancelled by the first wish.
    pub(super) stop: CancellationToken,
    is_reporting: Arc<AtomicBool>,
}

impl Ending {
    /// Makes a report, on a thread of its own: it computes and never waits, so that nobody could hear a wish to end beside
    /// it. Neither who drops this nor the runtime waits for the thread, as the runtime would for one of its own.
    ///
    /// # Errors
    /// Those of `work`; or there is no thread to be had.
    pub(super) async fn reporting<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (done, result) = oneshot::channel();
        self.is_reporting.store(true, Ordering::Relaxed);
        let thread = thread::Builder::new()
            .name("report".to_owned())
            .spawn(move || drop(done.send(work())))
            .context("cannot start a thread for the report");
        let result = match thread {
            Ok(thread) => result.await.unwrap_or_else(|_| match thread.join() {
                // A bug in the report is one in the command, as if it had no thread.
                Err(panic) => resume_unwind(panic),
                Ok(()) => Err(anyhow::anyhow!("the thread of the report ended without one").into()),
            }),
            Err(error) => Err(error.into()),
        };
        self.is_reporting.store(false, Ordering::Relaxed);
        result
    }

    /// What the first wish is answered with.
    fn answer(&self) -> &'static str {
        if self.is_reporting.load(Ordering::Relaxed) {
            "ending: the report is being written; once more ends at once"
        } else {
            "ending: the recording is being closed; once more ends at once"
        }
    }
}

/// Carries out `work`, and lets people end it: the first wish cancels `stop`, so that the recording is closed and still
/// has its report; the second one drops the work, whose guards heal, and the watchdog cleans up behind them.
pub(super) async fn interruptible(
    ending: Ending,
    work: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    // Before any load begins.
    interrupt::listen()?;
    heeding(ending, async || Ok(interrupt::requested().await?), work).await
}

/// The same for wishes that come by `wish`.
async fn heeding(
    ending: Ending,
    mut wish: impl AsyncFnMut() -> Result<(), Failure>,
    work: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    let stop = ending.stop.clone();
    let twice = async move {
        wish().await?;
        stderr::line(ending.answer());
        ending.stop.cancel();
        wish().await
    };
    let result = tokio::select! {
        ended = twice => {
            ended?;
            return Ok(Exit::Interrupted);
        }
        result = work => result,
    };
    match result {
        Err(failure) if stop.is_cancelled() && failure.exit == Exit::Interrupted => {
            stderr::line(&causes::chain(failure.error.as_ref()));
            Ok(Exit::Interrupted)
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Far more than this needs, on a machine that is busy with other tests.
    const ENDS_WITHIN: Duration = Duration::from_secs(60);

    /// A report that is under way until somebody lets it end.
    struct Report {
        ending: Ending,
        has_begun: oneshot::Sender<()>,
        may_end: mpsc::Receiver<()>,
    }

    impl Report {
        async fn write(self) -> Result<Exit, Failure> {
            let (has_begun, may_end) = (self.has_begun, self.may_end);
            let write = move || {
                has_begun.send(()).unwrap();
                // Also when nobody is there any more to let it.
                let _ended = may_end.recv();
                Ok(Exit::Missed)
            };
            self.ending.reporting(write).await
        }
    }

    /// Asks so many times for an end while a report is under way, which is let end after the first time if it is only
    /// one; the runtime is gone when it returns.
    fn asked_while_reporting(times: usize) -> Result<Exit, Failure> {
        let (tell, told) = mpsc::channel();
        let (let_end, may_end) = mpsc::channel();
        let kept = let_end.clone();
        thread::spawn(move || {
            let ending = Ending::default();
            let (has_begun, begun) = oneshot::channel();
            let work = Report {
                ending: ending.clone(),
                has_begun,
                may_end,
            };
            let (mut begun, mut left) = (Some(begun), times);
            let stop = ending.stop.clone();
            let answered = ending.clone();
            let wish = async move || {
                if let Some(begun) = begun.take() {
                    begun.await.unwrap();
                    assert_eq!(
                        answered.answer(),
                        "ending: the report is being written; once more ends at once"
                    );
                } else {
                    assert!(stop.is_cancelled(), "the first wish has been heard");
                }
                if left == 0 {
                    let_end.send(()).unwrap();
                    std::future::pending::<()>().await;
                }
                left -= 1;
                Ok(())
            };
            let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
            let result = runtime.block_on(heeding(ending, wish, work.write()));
            drop(runtime);
            tell.send(result).unwrap();
        });
        let result = told.recv_timeout(ENDS_WITHIN);
        drop(kept);
        result.expect("it waits for the report")
    }

    #[test]
    fn asked_once_it_finishes_the_report() {
        assert_eq!(asked_while_reporting(1).unwrap(), Exit::Missed);
    }

    #[test]
    fn asked_twice_it_does_not_wait_for_the_report() {
        assert_eq!(asked_while_reporting(2).unwrap(), Exit::Interrupted);
    }

    #[tokio::test]
    async fn a_report_fails_and_panics_as_if_it_had_no_thread() {
        let ending = Ending::default();
        let failed = ending
            .reporting(|| Err::<(), _>(Failure::new(Exit::Usage, anyhow::anyhow!("no space"))))
            .await;
        assert_eq!(failed.unwrap_err().exit, Exit::Usage);
        assert!(ending.answer().contains("the recording is being closed"));
        let panicked = tokio::spawn(async move { ending.reporting::<()>(|| panic!("as a test asks for")).await });
        assert!(panicked.await.unwrap_err().is_panic());
    }
}
