//! Feeders: what gives journeys their users, concerts, dates and seats.
//!
//! There are two kinds. The generated one draws from the data of the run: users in turn, the rest by Zipf's law. The
//! other reads rows, from a CSV file or from the scenario itself; what a row does not say is generated.
//!
//! What does *not* belong here: which row an arrival gets, which the load decides.

use std::io;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::scenario::{JourneyKind, Skew};

/// A file with rows, or a scenario, is no longer than this.
pub const MAX_FILE_BYTES: usize = 8 << 20;

/// Reads a file that a scenario names, up to one byte beyond [`MAX_FILE_BYTES`].
pub type ReadFile<'r> = &'r dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// For scenarios that do not lie in a folder.
pub(super) fn no_file(_: &Path) -> io::Result<Vec<u8>> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "only a scenario that lies in a folder can name a file beside itself",
    ))
}

/// What gives some journeys their data.
#[derive(Clone, PartialEq, Debug)]
pub struct Feeder {
    pub name: String,
    /// The journeys that it feeds; each has a share of the arrivals.
    pub journeys: Vec<JourneyKind>,
    pub source: FeederSource,
}

/// Where its data come from.
#[derive(Clone, PartialEq, Debug)]
pub enum FeederSource {
    /// One row an arrival. All rows say the same columns.
    Rows {
        rows: Arc<[Row]>,
        order: Order,
        /// Whether the first row follows the last one; otherwise the feeder runs dry, and the load ends.
        again: bool,
    },
    /// Drawn from the data of the run.
    Generated(Skew),
}

/// Which row comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As they stand.
    #[default]
    InTurn,
    /// In an order that the seed decides; each once.
    Shuffled,
    /// Any, for each arrival anew; so it never runs dry.
    Random,
}

/// What an arrival is told. Each number counts from 1, in the order in which the data are created.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Row {
    pub user: Option<NonZeroU32>,
    pub concert: Option<NonZeroU32>,
    /// Of its concert.
    pub schedule: Option<NonZeroU32>,
    /// Of its date.
    pub seat: Option<NonZeroU32>,
}

/// What a row can say, as headers name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    User,
    Concert,
    Schedule,
    Seat,
}

impl Field {
    pub(super) const ALL: [Self; 4] = [Self::User, Self::Concert, Self::Schedule, Self::Seat];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Concert => "concert",
            Self::Schedule => "schedule",
            Self::Seat => "seat",
        }
    }
}

impl Row {
    pub(super) const fn get(&self, field: Field) -> Option<NonZeroU32> {
        match field {
            Field::User => self.user,
            Field::Concert => self.concert,
            Field::Schedule => self.schedule,
            Field::Seat => self.seat,
        }
    }

    pub(super) fn set(&mut self, field: Field, number: NonZeroU32) {
        let place = match field {
            Field::User => &mut self.user,
            Field::Concert => &mut self.concert,
            Field::Schedule => &mut self.schedule,
            Field::Seat => &mut self.seat,
        };
        *place = Some(number);
    }

    /// What either says; no two feeders of one journey say the same.
    pub fn with(self, other: Self) -> Self {
        Self {
            user: self.user.or(other.user),
            concert: self.concert.or(other.concert),
            schedule: self.schedule.or(other.schedule),
            seat: self.seat.or(other.seat),
        }
    }
}

impl Feeder {
    /// How many arrivals it can feed; `None` is any number.
    pub fn lasts(&self) -> Option<u64> {
        match &self.source {
            FeederSource::Rows {
                order: Order::InTurn | Order::Shuffled,
                again: false,
                rows,
            } => Some(rows.len() as u64),
            _ => None,
        }
    }
}
