//! A panic as a line of the log.
//!
//! Left alone, a panic is several lines of plain text on standard error: nobody finds the request that it ended, and
//! whatever its words repeat is shown.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use tracing::Level;
use tracing_subscriber::filter::Targets;

use crate::config::Logging;
use crate::trace::{TraceContext, served, spans};

/// The target of these lines.
const PANIC: &str = "booking_service::panic";

/// From now on, panics are logged, if the level lets them through. Otherwise they are told as they were: one that shows
/// nowhere would look like a service that hangs.
pub fn log_panics(logging: &Logging) {
    let is_shown = |filter: Targets| filter.would_enable(PANIC, &Level::ERROR);
    if logging.level.parse().is_ok_and(is_shown) {
        std::panic::set_hook(Box::new(log));
    }
}

/// Must not panic, which would end the process: it takes what is there and writes it, and the subscriber passes by what
/// it cannot write.
fn log(info: &PanicHookInfo<'_>) {
    let request = served::current();
    // A record that is handled has a trace alone, where that is kept.
    let begun = spans::current().map(TraceContext::trace_id);
    let request_id = request.as_ref().map(|request| request.request_id.as_str());
    let trace_id = request.as_ref().map(|request| request.trace_id.as_str());
    // Of another type where somebody panics with a value of their own, which has no words.
    let payload = info.payload_as_str();
    let thread = std::thread::current();
    // Only where `RUST_BACKTRACE` asks for it.
    let backtrace = Backtrace::capture();
    let is_captured = backtrace.status() == BacktraceStatus::Captured;
    tracing::error!(
        target: PANIC,
        payload,
        // Apart, since `token.rs:12` would be taken for a secret and its value.
        file = info.location().map(|location| location.file()),
        line = info.location().map(|location| location.line()),
        thread = thread.name(),
        request_id,
        trace_id = trace_id.or(begun.as_deref()),
        backtrace = is_captured.then(|| tracing::field::display(&backtrace)),
        "a panic"
    );
}
