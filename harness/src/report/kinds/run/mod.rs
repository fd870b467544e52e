//! The report of one run: what was offered, what was achieved, and how long users waited.

mod document;
mod measured;
mod settling;
mod tables;
mod timeline;

#[cfg(test)]
mod tests;

pub(super) use document::document;
