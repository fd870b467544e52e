//! How many journeys the generator began, by its own count: what was planned may not have been sent, and what was sent has
//! not ended yet.

use super::counter;
use super::series::{Point, read_sum};
use crate::recording::SeriesSet;

/// The source of these series in a recording.
pub const SOURCE: &str = "arrivals";
/// Arrivals and visits of virtual users that became due so far.
pub const SCHEDULED: &str = "soundcheck_journeys_scheduled_total";
/// Of them, those that a user began.
pub const STARTED: &str = "soundcheck_journeys_started_total";

/// Journeys that were started, a second, at each moment at which the generator was asked; empty where nobody asked.
pub fn rate(set: &SeriesSet) -> Vec<Point> {
    read_sum(set, SOURCE, STARTED, &[]).map_or_else(Vec::new, |points| counter::rate(&points))
}
