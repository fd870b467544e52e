//! What a person sees while a command works: the step, and an estimate of the time left.
//!
//! On a terminal one line is redrawn in place; elsewhere every step is a line of its own. Everything goes to standard
//! error, so that standard output holds results alone.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::stderr;

/// Where lines stay, seconds of load are told of no more often than this.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// A handle that may be cloned into tasks.
#[derive(Clone, Debug)]
pub struct Progress {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bar: Option<ProgressBar>,
    quiet: bool,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Estimated time of every step that has not started yet.
    ahead: Duration,
    /// The step under way: its label, estimate and start.
    step: Option<(String, Duration, Instant)>,
    /// When a second was told of on a line of its own.
    last_line: Option<Instant>,
}

impl Progress {
    /// `total` is the estimate of the whole work; a quiet one shows nothing.
    pub fn new(total: Duration, quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
            // A template of literals and known keys; the default serves if indicatif should refuse it.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        let state = Mutex::new(State {
            ahead: total,
            step: None,
            last_line: None,
        });
        Self {
            inner: Arc::new(Inner {
                bar,
                quiet,
                started: Instant::now(),
                state,
            }),
        }
    }

    /// One that shows nothing, for library use and tests.
    pub fn silent() -> Self {
        Self::new(Duration::ZERO, true)
    }

    /// Corrects what lies ahead, between two steps: more is known than at the start.
    pub fn replan(&self, ahead: Duration) {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ahead = ahead;
        state.step = None;
    }

    /// Begins the next step; `estimate` was part of what lay ahead.
    pub fn step(&self, label: impl Into<String>, estimate: Duration) {
        let label = label.into();
        let left = {
            let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.ahead = state.ahead.saturating_sub(estimate);
            state.step = Some((label.clone(), estimate, Instant::now()));
            state.left()
        };
        self.show(&label, left, true);
    }

    /// Says how far the step under way is; shown on a terminal only.
    pub fn detail(&self, detail: &str) {
        let (label, left) = {
            let state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
            let label = state
                .step
                .as_ref()
                .map_or_else(String::new, |(label, ..)| label.clone());
            (label, state.left())
        };
        self.show(&format!("{label}: {detail}"), left, false);
    }

    /// How a second of load went: `lines` below the step on a terminal, and `line` now and then elsewhere.
    pub fn second(&self, lines: &[String], line: impl FnOnce() -> String) {
        if self.inner.quiet {
            return;
        }
        let (label, left, is_due) = {
            let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
            let label = state
                .step
                .as_ref()
                .map_or_else(String::new, |(label, ..)| label.clone());
            let is_due = state.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY);
            if is_due {
                state.last_line = Some(Instant::now());
            }
            (label, state.left(), is_due)
        };
        match &self.inner.bar {
            Some(bar) => {
                let below: String = lines.iter().map(|line| format!("\n  {line}")).collect();
                bar.set_message(format!("{label} · {} left{below}", about(left)));
            }
            None if is_due => stderr::line(&format!("{:>5} s  {}", self.elapsed().as_secs(), line())),
            None => {}
        }
    }

    /// A line that stays, such as a decision taken or where a result is.
    pub fn note(&self, text: &str) {
        if !self.inner.quiet {
            self.insist(text);
        }
    }

    /// Says `text` even where nothing else is said.
    pub fn insist(&self, text: &str) {
        match &self.inner.bar {
            Some(bar) => bar.println(text),
            None => stderr::line(text),
        }
    }

    /// Takes the redrawn line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.inner.bar {
            bar.finish_and_clear();
        }
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.inner.started.elapsed()
    }

    fn show(&self, text: &str, left: Duration, is_step: bool) {
        if self.inner.quiet {
            return;
        }
        let text = format!("{text} · {} left", about(left));
        match &self.inner.bar {
            Some(bar) => bar.set_message(text),
            None if is_step => stderr::line(&format!("{:>5} s  {text}", self.inner.started.elapsed().as_secs())),
            None => {}
        }
    }
}

impl State {
    fn left(&self) -> Duration {
        let now = self.step.as_ref().map_or(Duration::ZERO, |(_, estimate, since)| {
            estimate.saturating_sub(since.elapsed())
        });
        self.ahead + now
    }
}

/// "about 3 min 20 s", in steps of ten seconds above a minute: an estimate must not look like a measurement.
fn about(left: Duration) -> String {
    let seconds = left.as_secs();
    match seconds {
        0..=9 => "a few seconds".to_owned(),
        10..=59 => format!("about {} s", seconds / 5 * 5),
        _ => format!("about {} min {:02} s", seconds / 60, seconds % 60 / 10 * 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_what_lies_ahead_and_the_rest_of_the_step() {
        let progress = Progress::new(Duration::from_secs(100), true);
        progress.step("first", Duration::from_secs(40));
        let left = progress.inner.state.lock().unwrap().left();
        assert!(
            left <= Duration::from_secs(100) && left > Duration::from_secs(90),
            "{left:?}"
        );
        progress.step("second", Duration::from_secs(60));
        let left = progress.inner.state.lock().unwrap().left();
        assert!(left <= Duration::from_secs(60), "{left:?}");
    }

    #[test]
    fn what_lies_ahead_can_be_corrected() {
        let progress = Progress::new(Duration::from_secs(100), true);
        progress.step("first", Duration::from_secs(40));
        progress.replan(Duration::from_secs(30));
        progress.step("second", Duration::from_secs(30));
        let state = progress.inner.state.lock().unwrap();
        assert_eq!(state.ahead, Duration::ZERO, "the rest is the step under way");
    }

    #[test]
    fn estimates_are_rounded() {
        assert_eq!(about(Duration::from_secs(3)), "a few seconds");
        assert_eq!(about(Duration::from_secs(44)), "about 40 s");
        assert_eq!(about(Duration::from_secs(207)), "about 3 min 20 s");
    }
}
