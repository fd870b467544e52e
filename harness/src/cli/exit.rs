//! What the process tells its caller: one number an outcome, decided here and returned by `main` alone.

use std::process::ExitCode;

use anyhow::Error;

/// Exit codes, as `soundcheck --help` lists them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done, and held.
    Pass = 0,
    /// A bug in the tool; a panic ends here too.
    Bug = 1,
    /// Wrong usage, configuration or surroundings, such as a folder that cannot be written.
    Usage = 2,
    /// An objective was missed, or a regression found.
    Missed = 3,
    /// Nothing can be said: inconclusive or void.
    Unknown = 4,
    /// An invariant of the service is broken.
    Broken = 5,
    /// The stack is not available, or not whole any more.
    NoStack = 6,
    /// Interrupted; what was measured is kept.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error together with the exit code it leads to.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub error: Error,
}

impl Failure {
    /// `error` as a reason to end with `exit`.
    pub fn new(exit: Exit, error: impl Into<Error>) -> Self {
        Self {
            exit,
            error: error.into(),
        }
    }
}

/// What nobody classified is a bug until somebody does.
impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(Exit::Bug, error)
    }
}

/// Classifies the error of a result.
pub trait OrExit<T> {
    /// The value, or a failure that ends with `exit`.
    ///
    /// # Errors
    /// The error of `self`, classified.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, error))
    }
}
