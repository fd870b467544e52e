//! Ends a run whose objectives leave no hope: it is judged second by second while it goes on, as its recording is later.

use std::sync::Arc;

use crate::load::Gathered;
use crate::objectives::{Judge, Objective, Second};

/// Whether there is any point in going on.
#[derive(Clone, Default)]
pub(super) struct Hopeless(Arc<tokio::sync::watch::Sender<Option<String>>>);

impl Hopeless {
    /// Shows `judges` what ended in each second, also where that is nothing: silence moves windows on as well.
    pub(super) fn look(&self, mut judges: Vec<Judge>) -> impl FnMut(&Gathered) + Send + use<> {
        let sender = Arc::clone(&self.0);
        move |gathered| {
            let ended: Vec<_> = gathered.cuts.iter().map(|cut| (&cut.tag, &cut.histogram)).collect();
            let second = Second {
                begin: gathered.start,
                length: gathered.length,
                ended: &ended,
            };
            for judge in &mut judges {
                judge.take(&second);
                if judge.is_hopeless() && sender.borrow().is_none() {
                    sender.send_replace(Some(reason(judge.objective())));
                }
            }
        }
    }

    /// Ends when there is none.
    pub(super) async fn reason(&self) -> String {
        let mut watched = self.0.subscribe();
        match watched.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            // The sender lives as long as this.
            _ => std::future::pending().await,
        }
    }
}

fn reason(objective: &Objective) -> String {
    let after = objective.abort_after.unwrap_or_default();
    format!(
        "the objective `{}` ({} {}) was missed for {} without a break",
        objective.name,
        objective.of,
        objective.limit,
        humantime::format_duration(after)
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{JourneyKind, ScenarioConfig};
    use crate::load::Cut;
    use crate::objectives;
    use crate::recording::{Clock, Endpoint, Outcome, Tag, empty_histogram};
    use crate::units::{Nanos, Percent, RatePerSec};

    /// What ended in one second of a run: so many journeys, and all of them failed.
    fn second(at: u64, n_failed: u64) -> Gathered {
        let (start, length) = (Nanos(at * 1_000_000_000), Duration::from_secs(1));
        let mut histogram = empty_histogram();
        histogram.record_n(20_000_000, n_failed).unwrap();
        let cut = Cut {
            tag: Tag {
                variant: "service".to_owned(),
                endpoint: Endpoint::JourneyBook,
                outcome: Outcome::Error,
                clock: Clock::Response,
            },
            slice: 0,
            start,
            length,
            histogram,
        };
        let cuts = if n_failed > 0 { vec![cut] } else { Vec::new() };
        Gathered { start, length, cuts }
    }

    /// Whether a run is given up after seconds in which so many failed. A window is of two seconds and 100 journeys.
    fn is_given_up(seconds: &[u64]) -> bool {
        let mix = [(JourneyKind::Book, Percent(100.0))];
        let scenario = ScenarioConfig::constant("s", RatePerSec(60.0), Duration::from_secs(60), &mix);
        let text = "objectives: [{failed: 1%, over: 2s, abort-after: 2s}]";
        let objectives = objectives::parse("o.yaml", text, &scenario).unwrap();
        let hopeless = Hopeless::default();
        let mut look = hopeless.look(vec![Judge::new(&objectives[0], &scenario, Nanos(0))]);
        for (at, n_failed) in (0..).zip(seconds) {
            look(&second(at, *n_failed));
        }
        hopeless.0.borrow().is_some()
    }

    #[test]
    fn a_second_in_which_nothing_ends_is_a_second_of_its_window() {
        // Two of a hundred are too many, however many more there might have been.
        assert!(is_given_up(&[1; 5]));
        // Never did two fail within two seconds, which seconds that are left out would make believe.
        assert!(!is_given_up(&[1, 0, 1, 0, 1, 0, 1, 0, 1]));
    }
}
