//! Logs: who writes them where, the line of each request, and what must not be in it.
//!
//! - [`log`] has the subscriber and the request line.
//! - [`mask`] takes secrets out of headers, bodies and free text, here and nowhere else.
//!
//! Lines are JSON, one each, on standard error: standard output belongs to the ready line and to `audit`. With
//! `logging.to: stdout` lines stand there too, after the ready line or before it.

pub mod log;
pub mod mask;

#[cfg(test)]
mod tests;

pub use log::{RequestLine, subscriber};
pub use mask::{mask_body, mask_headers, mask_text};
