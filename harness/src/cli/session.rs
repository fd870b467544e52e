//! What every command that measures has around it: a stack, and somebody who cleans up.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure};
use super::live_page::LivePage;
use super::progress::Progress;
use super::scratch::Scratch;
use super::stack_args::StackArgs;
use super::{command_line, live_text};
use crate::run::{self, Bench, Moment};
use crate::stack::options::{ImageOverrides, StackEvent};
use crate::stack::{self, Stack};
use crate::target::Program;
use crate::watchdog::Watchdog;

/// An open stack and what runs on it need.
pub(super) struct Session {
    pub(super) stack: Box<dyn Stack>,
    pub(super) images: ImageOverrides,
    reason: Option<String>,
    watchdog: Watchdog,
    scratch: Scratch,
    program: Program,
}

impl Session {
    /// Opens the stack; its broker advertises `kafka_advertised` where that is given.
    ///
    /// # Errors
    /// There is no stack, or the end was asked for meanwhile.
    pub(super) async fn open(
        args: &StackArgs,
        kafka_advertised: Option<std::net::SocketAddr>,
        progress: &Progress,
        stop: &CancellationToken,
    ) -> Result<Self, Failure> {
        let reason = Arc::new(Mutex::new(None));
        let observer = {
            let (progress, reason) = (progress.clone(), Arc::clone(&reason));
            stack::Observer::new(move |event| {
                if let StackEvent::Chosen { why, .. } = event {
                    *reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.clone());
                }
                progress.note(&event.to_string());
            })
        };
        let mut options = args.options(observer)?;
        options.kafka_advertised = kafka_advertised;
        let stack = tokio::select! {
            opened = stack::open(&options) => opened.map_err(Failure::of_stack)?,
            () = stop.cancelled() => {
                let nothing = anyhow::anyhow!("interrupted before anything was measured");
                return Err(Failure::new(Exit::Interrupted, nothing));
            }
        };
        let watchdog = Watchdog::start(&options.program)?;
        let scratch = Scratch::new(&watchdog)?;
        let reason = reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Self {
            stack,
            reason,
            watchdog,
            scratch,
            program: Program::tool(&options.program),
            images: options.images,
        })
    }

    /// What a run stands on; `command` is the line that repeats it.
    pub(super) fn bench(&self, progress: &Progress, stop: CancellationToken, command: Vec<String>) -> Bench<'_> {
        Bench {
            stack: self.stack.as_ref(),
            stack_reason: self.reason.clone(),
            program: &self.program,
            watchdog: &self.watchdog,
            scratch: self.scratch.path(),
            observer: tell(progress),
            stop,
            command,
            typed: command_line::typed(std::env::args_os()),
            profile: None,
            traces: None,
        }
    }

    /// Removes everything.
    ///
    /// # Errors
    /// Something stays.
    pub(super) async fn close(self) -> Result<(), Failure> {
        let removed = self.stack.close().await.map_err(Failure::of_stack);
        removed.and(self.scratch.close())
    }
}

/// The page that `--live` asks for, which is told what `bench` tells; its address is said at once.
pub(super) async fn live_page(
    is_wanted: bool,
    of: &str,
    seed: u64,
    bench: &mut Bench<'_>,
    progress: &Progress,
) -> anyhow::Result<Option<LivePage>> {
    if !is_wanted {
        return Ok(None);
    }
    let page = LivePage::serve(&format!("{of}, seed {seed}")).await?;
    // Nobody could guess it.
    progress.insist(&format!("live: {}", page.url()));
    bench.observer = page.beside(bench.observer.clone());
    Ok(Some(page))
}

fn tell(progress: &Progress) -> run::Observer {
    let progress = progress.clone();
    run::Observer::new(move |moment| match moment {
        Moment::Step { label, estimate } => progress.step(label, estimate),
        Moment::Detail(text) => progress.detail(&text),
        Moment::Second(second) => progress.second(&live_text::lines(&second), || live_text::line(&second)),
    })
}
