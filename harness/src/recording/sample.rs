//! One measured request or journey, and the names under which it is counted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::units::Nanos;

/// What was asked. `Journey…` is a whole journey, timed from the moment that the user wanted to start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    QueueEnter,
    QueuePosition,
    QueueLeave,
    Schedules,
    Seats,
    Hold,
    ReadReservation,
    Cancel,
    Pay,
    Balance,
    Charge,
    JourneyBrowse,
    JourneyBook,
    JourneyAbandon,
    JourneyPosition,
    JourneySeatMap,
    JourneyHoldCycle,
}

impl Endpoint {
    /// Whether it stands for a whole journey, whose requests are counted by themselves as well.
    pub const fn is_journey(self) -> bool {
        matches!(
            self,
            Self::JourneyBrowse
                | Self::JourneyBook
                | Self::JourneyAbandon
                | Self::JourneyPosition
                | Self::JourneySeatMap
                | Self::JourneyHoldCycle
        )
    }
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A read, or a step on the way, that succeeded.
    Ok,
    /// The operation that everyone competes for succeeded: a seat held, a payment made.
    Won,
    /// Nothing left to try for.
    SoldOut,
    /// Somebody else was faster.
    Conflict,
    /// Not yet, or no longer, admitted by the waiting room.
    NotAdmitted,
    /// The service said no for a reason of the user's own: balance, expiry, a wrong body.
    Refused,
    /// The service answered that it failed, or what nobody can read.
    Error,
    /// No answer, or no whole one, and no hope of any: no connection came about, or it broke.
    Lost,
    /// No answer within the client's deadline.
    TimeOut,
    /// Never sent: no user was free before the arrival was too late.
    Dropped,
    /// A journey that was cut off, since the run was over: what it would have come to is not known.
    Unfinished,
}

impl Outcome {
    /// Whether the service did what it is there for. Contention and refusals are its proper answers.
    pub const fn is_served(self) -> bool {
        !matches!(
            self,
            Self::Error | Self::Lost | Self::TimeOut | Self::Dropped | Self::Unfinished
        )
    }

    /// Whether anybody answered. Who got no answer waited for longer than was measured: a refused connection is no fast
    /// service.
    pub const fn is_answered(self) -> bool {
        !matches!(self, Self::Lost | Self::TimeOut | Self::Dropped | Self::Unfinished)
    }
}

/// Which of the clocks a duration was taken with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// From the intended start to the end of the body.
    Response,
    /// From the send to the end of the body.
    Service,
    /// From the intended start to the send, where a user stood ready and the generator woke it late.
    Lag,
    /// From the intended start to the send, where every user was busy.
    Wait,
}

impl Clock {
    /// Whether it measures how late requests were sent, whoever is to blame.
    pub const fn is_lateness(self) -> bool {
        matches!(self, Self::Lag | Self::Wait)
    }
}

macro_rules! names {
    ($type:ident, $($variant:ident => $name:literal),+ $(,)?) => {
        impl $type {
            /// Every value, in the order in which reports list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in recordings and reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                match name {
                    $($name => Ok(Self::$variant),)+
                    other => Err(UnknownName(other.to_owned())),
                }
            }
        }
    };
}

/// A name that this version does not know.
#[derive(Debug, thiserror::Error)]
#[error("unknown name `{0}` in a recording; it may come from a newer version")]
pub struct UnknownName(String);

names!(Endpoint,
    QueueEnter => "queue-enter", QueuePosition => "queue-position", QueueLeave => "queue-leave",
    Schedules => "schedules", Seats => "seats", Hold => "hold", ReadReservation => "read-reservation",
    Cancel => "cancel", Pay => "pay", Balance => "balance", Charge => "charge",
    JourneyBrowse => "journey-browse", JourneyBook => "journey-book",
    JourneyAbandon => "journey-abandon", JourneyPosition => "journey-position",
    JourneySeatMap => "journey-seat-map", JourneyHoldCycle => "journey-hold-cycle",
);
names!(Outcome,
    Ok => "ok", Won => "won", SoldOut => "sold-out", Conflict => "conflict", NotAdmitted => "not-admitted",
    Refused => "refused", Error => "error", Lost => "lost", TimeOut => "time-out", Dropped => "dropped",
    Unfinished => "unfinished",
);
names!(Clock, Response => "response", Service => "service", Lag => "lag", Wait => "wait");

/// Whose doing the time from the intended start to the send is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lateness {
    /// A user stood ready, and the generator woke it late.
    Generator,
    /// Every user was busy, or every connection.
    BusyUsers,
    /// Nobody's: a virtual user comes when it comes, and its visits would hide how late arrivals were.
    Untimed,
}

/// One measurement, as the load engine hands it to the recorder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Index of the variant that was asked.
    pub variant: u16,
    /// Number of the slice in which the work was intended to start; 0 outside experiments.
    pub slice: u32,
    /// What was asked.
    pub endpoint: Endpoint,
    /// How it ended.
    pub outcome: Outcome,
    /// When the user wanted to start; only a journey and its first request have this.
    pub intended: Option<Nanos>,
    /// Whose doing it is that it was sent later than intended.
    pub lateness: Lateness,
    /// When the request was sent.
    pub sent: Nanos,
    /// When the last byte of the answer was read, or when it was given up.
    pub done: Nanos,
}

/// The label of one histogram in `latency.hlog`: `variant/endpoint/outcome/clock`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tag {
    pub variant: String,
    pub endpoint: Endpoint,
    pub outcome: Outcome,
    pub clock: Clock,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.variant, self.endpoint, self.outcome, self.clock)
    }
}

impl FromStr for Tag {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let mut parts = text.rsplitn(4, '/');
        let (Some(clock), Some(outcome), Some(endpoint), Some(variant)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(UnknownName(text.to_owned()));
        };
        Ok(Self {
            variant: variant.to_owned(),
            endpoint: endpoint.parse()?,
            outcome: outcome.parse()?,
            clock: clock.parse()?,
        })
    }
}
