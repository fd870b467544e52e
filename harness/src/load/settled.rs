//! The seat maps as they stand when the load is over: read once more, with every seat that they show written into the
//! history, so that the ledger can hold them against the final state.

use std::time::Duration;

use super::ground::{Ground, PrepareError, Target};
use super::session::note_map;
use crate::config::{JourneyKind, ScenarioConfig};
use crate::recording::history::{OpKind, Settled};
use crate::recording::{HistorySink, Operation, RunClock};
use crate::units::Percent;

/// After this, caches that lag each other by design agree. Longer than what the ledger waits for.
const SETTLE: Duration = Duration::from_millis(700);

/// Why the maps could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SettledError {
    /// Nobody was let in.
    #[error("cannot read the seat maps after the load")]
    Prepare(#[from] PrepareError),
    /// A request failed.
    #[error("cannot read the seat maps after the load: {0}")]
    Read(String),
}

/// Waits until everything has settled, reads the maps of the first dates as an admitted user, and leaves again. Returns
/// how many maps were read.
///
/// # Errors
/// When nobody is admitted or a request fails.
pub async fn read_settled(
    target: &Target,
    variant: u16,
    history: &HistorySink,
    clock: RunClock,
) -> Result<usize, SettledError> {
    tokio::time::sleep(SETTLE).await;
    let reads = [(JourneyKind::SeatMap, Percent(100.0))];
    // One user is admitted; the rate and the length of the scenario are of no interest here.
    let scenario = ScenarioConfig::saturating("settled", 1, Duration::ZERO, &reads);
    let ground = Ground::prepare(usize::from(variant), target, &scenario, clock).await?;
    let mut n_maps = 0;
    let read = ground
        .read_maps(|read| {
            n_maps += 1;
            let mut seen = Operation::new(OpKind::SeatSeen, 0, read.sent, read.done, Settled::Ok);
            seen.variant = variant;
            let seats = read.map.seats.iter().map(|seat| seat.seat_id);
            note_map(history, seen, None, read.schedule, &read.map, seats);
        })
        .await;
    let left = ground.dismiss().await;
    read.and(left).map_err(SettledError::Read)?;
    Ok(n_maps)
}
