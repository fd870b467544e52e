//! Why a use case did not do what was asked. No status code lives here; [`crate::http`] has one place that maps them.

use crate::ports::Unavailable;
use crate::store::StoreError;

/// A refusal by a rule, an overload, or a defect.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No queue token came with the request.
    #[error("this needs a queue token in the header Queue-Token")]
    TokenMissing,
    /// The token was not made by this service.
    #[error("the queue token was not issued here")]
    TokenInvalid,
    /// The token was good once.
    #[error("the queue token is finished: it has left, paid or expired")]
    TokenGone,
    /// The token still waits.
    #[error("the queue token is not admitted yet")]
    NotAdmitted,
    /// There is no such thing, or it is somebody else's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Another user has the seat.
    #[error("the seat is held or sold")]
    SeatTaken,
    /// Other requests were in the way; asking again may succeed.
    #[error("other requests were in the way, try again")]
    Conflict,
    /// The price exceeds the balance.
    #[error("the balance does not cover the price")]
    InsufficientBalance,
    /// The hold has ended.
    #[error("the reservation has expired")]
    Expired,
    /// The reservation was given back.
    #[error("the reservation is cancelled")]
    Cancelled,
    /// The reservation is paid.
    #[error("the reservation is paid")]
    AlreadyPaid,
    /// The key stands for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyMismatch,
    /// The amount cannot be added.
    #[error("the balance would exceed what an account may hold")]
    BalanceLimit,
    /// Too much to do. Nothing was begun.
    #[error("the service is overloaded, try again later")]
    Overloaded,
    /// A dependency is away. Whether a change took effect is not known.
    #[error("{dependency} is away")]
    Unavailable {
        /// Which one.
        dependency: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A defect of ours.
    #[error("an internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    /// Whether a look at the database, for what an idempotency key stands for, would only fail again or add to an overload.
    /// That another part is away hides no answer.
    pub(super) fn is_of_the_database(&self) -> bool {
        match self {
            Self::Overloaded => true,
            Self::Unavailable { dependency, .. } => *dependency == "database",
            _ => false,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::PoolTimeout(_) => Self::Overloaded,
            // Retries are used up by the time that this conversion runs.
            StoreError::Contended { .. } => Self::Conflict,
            StoreError::Unreachable(_) | StoreError::NoSpace(_) | StoreError::Away { .. } => Self::Unavailable {
                dependency: "database",
                source: Box::new(error),
            },
            StoreError::Duplicate(_) | StoreError::Schema(_) | StoreError::Corrupt(_) | StoreError::Statement(_) => {
                Self::Internal(Box::new(error))
            }
        }
    }
}

impl From<Unavailable> for Failure {
    fn from(error: Unavailable) -> Self {
        // The queue of SQLite waits for the same connection as everything else: that none came free is an overload.
        if matches!(error.source.downcast_ref(), Some(StoreError::PoolTimeout(_))) {
            return Self::Overloaded;
        }
        Self::Unavailable {
            dependency: error.dependency,
            source: error.source,
        }
    }
}
