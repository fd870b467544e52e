//! What a person asked for, and cannot have: no defect, and no server's fault.

/// A command that was asked for something senseless; the text says what to ask for instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub String);
