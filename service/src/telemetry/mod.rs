//! Logs: who writes them where, the line of each request, and what must not be in it.
//!
//! - [`log`] has the subscriber and the request line.
//! - `line` writes every event, and masks every text in it on the way.
//! - [`mod@panic`] makes a line of a panic.
//! - [`mask`] knows what is secret in headers, bodies and free text.
//!
//! Lines are JSON, one each, on standard output, where the ready line is one of them. With `logging.to: stderr` standard
//! output has the ready line alone.

mod line;
pub mod log;
pub mod mask;
pub mod panic;

#[cfg(test)]
mod tests;

pub use log::{RequestLine, subscriber};
pub use mask::{mask_body, mask_headers, mask_text};
pub use panic::log_panics;
