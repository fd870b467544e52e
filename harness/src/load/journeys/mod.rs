//! What users do, one file a journey. Each step uses what the step before returned.
//!
//! To add one: a kind in `config`, an endpoint `Journey…` in `recording`, a file here, an arm in [`run`].

mod abandon;
mod admitted;
mod book;
mod browse;
mod position;
mod queue;
mod steps;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::outcome::Ending;
use super::session::Session;
use crate::config::{JourneyKind, ScenarioConfig};
use crate::recording::{Endpoint, Outcome};

/// How a journey ends: with the outcome that it was after, or with the ending of the request at which it stopped.
type End = Result<Outcome, Ending>;

/// The journey of an arrival, drawn by the scenario's shares.
pub(crate) fn choose(scenario: &ScenarioConfig, choices: &mut ChaCha8Rng) -> JourneyKind {
    let mut left = choices.random_range(0.0..100.0);
    for (kind, share) in &scenario.journeys {
        left -= share.0;
        if left < 0.0 {
            return *kind;
        }
    }
    // Shares add up to 100 but for rounding; what is left belongs to the last.
    scenario
        .journeys
        .keys()
        .next_back()
        .copied()
        .unwrap_or(JourneyKind::Browse)
}

/// Under which name a journey is counted.
pub(crate) const fn endpoint(kind: JourneyKind) -> Endpoint {
    match kind {
        JourneyKind::Browse => Endpoint::JourneyBrowse,
        JourneyKind::Book => Endpoint::JourneyBook,
        JourneyKind::Abandon => Endpoint::JourneyAbandon,
        JourneyKind::Position => Endpoint::JourneyPosition,
        JourneyKind::SeatMap => Endpoint::JourneySeatMap,
        JourneyKind::HoldCycle => Endpoint::JourneyHoldCycle,
    }
}

/// Goes on a journey to its end.
pub(crate) async fn run(kind: JourneyKind, session: &mut Session<'_>) -> Outcome {
    session.skew = session.context.scenario.skew_of(kind);
    let end = match kind {
        JourneyKind::Browse => browse::run(session).await,
        JourneyKind::Book => book::run(session).await,
        JourneyKind::Abandon => abandon::run(session).await,
        JourneyKind::Position => position::run(session).await,
        JourneyKind::SeatMap => admitted::seat_map(session).await,
        JourneyKind::HoldCycle => admitted::hold_cycle(session).await,
    };
    end.unwrap_or_else(|ending| ending.outcome)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::load::session::Dice;
    use crate::units::{Percent, RatePerSec};

    #[test]
    fn journeys_are_drawn_by_their_shares() {
        let shares = [(JourneyKind::Browse, Percent(70.0)), (JourneyKind::Book, Percent(30.0))];
        let scenario = ScenarioConfig::constant("x", RatePerSec(1.0), Duration::from_secs(1), &shares);
        let dice = Dice::new(3, 3);
        let mut drawn: BTreeMap<JourneyKind, u32> = BTreeMap::new();
        for number in 0..10_000 {
            *drawn.entry(choose(&scenario, &mut dice.choices(number))).or_default() += 1;
        }
        // Binomial(10,000, 0.7): six standard deviations are 275.
        assert!((6_725..=7_275).contains(&drawn[&JourneyKind::Browse]), "{drawn:?}");
        assert_eq!(drawn.len(), 2);
    }
}
