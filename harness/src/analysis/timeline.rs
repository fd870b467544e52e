//! A run read back second by second, as [`super::incident`] and [`super::blast_radius`] take it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::blast_radius::{Phase, phase_of};
use super::compare::{Cells, Tally, counts_once};
use super::cuts::silent;
use super::incident::{FaultWindow, Second};
use crate::recording::event::FaultStep;
use crate::recording::{Endpoint, Event, RecordError, Recording, What};
use crate::units::{Nanos, Ratio};

/// What one variant's users got, interval by interval.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// In order of time; the recorder cuts one about every second.
    pub intervals: Vec<Interval>,
}

/// What ended between two cuts.
#[derive(Clone, Debug)]
pub struct Interval {
    pub start: Nanos,
    pub length: Duration,
    pub cells: Cells,
}

impl Timeline {
    /// Reads the intervals of one variant.
    ///
    /// # Errors
    /// When the recording cannot be read.
    pub fn of(recording: &Recording, variant: &str) -> Result<Self, RecordError> {
        let mut intervals: BTreeMap<Nanos, (Duration, Cells)> = BTreeMap::new();
        for line in recording.latency()?.intervals() {
            let line = line?;
            let (length, cells) = intervals.entry(line.start).or_insert((line.length, Cells::new()));
            *length = line.length.max(*length);
            if line.tag.variant != variant || !counts_once(&line.tag) {
                continue;
            }
            // A cut has one line for each tag; a second one of the same tag would be of a damaged file.
            cells.insert((line.tag.endpoint, line.tag.outcome), line.histogram()?);
        }
        let intervals = intervals
            .into_iter()
            .map(|(start, (length, cells))| Interval { start, length, cells })
            .collect();
        Ok(Self { intervals })
    }

    /// One entry an interval over the chosen requests, and an empty one for each second in between in which nothing
    /// ended. Dropped arrivals are failures of journeys, which `chosen` must then include; whole journeys that were
    /// answered are left out, since their requests are counted already.
    pub fn seconds(&self, chosen: impl Fn(Endpoint) -> bool) -> Vec<Second> {
        let mut seconds: Vec<Second> = Vec::new();
        let mut end: Option<Nanos> = None;
        for interval in &self.intervals {
            let silent = end.into_iter().flat_map(|end| silent(end, interval.start));
            seconds.extend(silent.map(|(at, _)| Second {
                at,
                served: 0,
                failed: 0,
                p99: None,
            }));
            let requests = Tally::of([&interval.cells], |endpoint| !endpoint.is_journey() && chosen(endpoint));
            let journeys = Tally::of([&interval.cells], |endpoint| endpoint.is_journey() && chosen(endpoint));
            if let (Some(requests), Some(journeys)) = (requests, journeys) {
                let dropped = journeys
                    .by_outcome
                    .get(&crate::recording::Outcome::Dropped)
                    .copied()
                    .unwrap_or(0);
                seconds.push(Second {
                    at: interval.start,
                    served: requests.successes.len() + requests.refusals,
                    failed: requests.failures + dropped,
                    p99: requests.quantile(Ratio(0.99)),
                });
            }
            end = Some(interval.start.plus(interval.length));
        }
        seconds
    }

    /// Every interval with the phase of the fault that it lies in, for the blast radius. `over` is when the incident was
    /// over; see [`phase_of`].
    pub fn phases(&self, fault: FaultWindow, over: Option<Nanos>) -> Vec<(Phase, Cells)> {
        let phase = |interval: &Interval| phase_of(interval.start, interval.length, fault, over);
        self.intervals
            .iter()
            .map(|interval| (phase(interval), interval.cells.clone()))
            .collect()
    }
}

/// From when the first fault was injected until the last was healed; `None` without a fault that was both.
pub fn fault_window(events: &[Event]) -> Option<FaultWindow> {
    let at = |wanted: FaultStep| {
        events
            .iter()
            .filter(move |event| matches!(&event.what, What::Fault { step, .. } if *step == wanted))
            .map(|e| e.t)
    };
    let injected = at(FaultStep::Injected).min()?;
    let healed = at(FaultStep::Healed).max()?;
    (injected <= healed).then_some(FaultWindow { injected, healed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::model::{Environment, Tool};
    use crate::recording::{Clock, Manifest, Outcome, RecordingWriter, RunClock, Tag, empty_histogram};

    fn at(second: u64) -> Nanos {
        Nanos(second * 1_000_000_000)
    }

    fn fault(second: u64, step: FaultStep) -> Event {
        let what = What::Fault {
            name: "mysql.pause".to_owned(),
            target: "mysql".to_owned(),
            step,
            detail: None,
        };
        Event { t: at(second), what }
    }

    #[test]
    fn a_window_needs_both_ends() {
        let whole = [
            fault(4, FaultStep::Injecting),
            fault(5, FaultStep::Injected),
            fault(15, FaultStep::Healing),
            fault(16, FaultStep::Healed),
        ];
        assert_eq!(
            fault_window(&whole),
            Some(FaultWindow {
                injected: at(5),
                healed: at(16)
            })
        );
        assert_eq!(fault_window(&whole[..3]), None);
        assert_eq!(fault_window(&[]), None);
    }

    #[test]
    fn requests_are_counted_once_and_silence_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("run");
        let tool = Tool {
            version: "0".to_owned(),
            commit: None,
        };
        let manifest = Manifest::new("run", tool, 1, Environment::default(), RunClock::start().anchor());
        let writer = RecordingWriter::create(&dir, &manifest).unwrap();
        let write = |second: u64, endpoint, outcome, clock, count: u64| {
            let mut histogram = empty_histogram();
            histogram.record_n(5_000_000, count).unwrap();
            let tag = Tag {
                variant: "a".to_owned(),
                endpoint,
                outcome,
                clock,
            };
            writer
                .interval(at(second), Duration::from_secs(1), &tag, &histogram)
                .unwrap();
        };
        use Endpoint::{Hold, JourneyBook, Seats};
        // The first request of a journey has both clocks, and the journey counts its requests again.
        write(10, Seats, Outcome::Ok, Clock::Service, 30);
        write(10, Seats, Outcome::Ok, Clock::Response, 10);
        write(10, Hold, Outcome::Conflict, Clock::Service, 5);
        write(10, JourneyBook, Outcome::Won, Clock::Response, 10);
        write(10, JourneyBook, Outcome::Dropped, Clock::Response, 2);
        write(10, JourneyBook, Outcome::Dropped, Clock::Lag, 2);
        // Nothing at all ends in seconds 11 and 12.
        write(13, Hold, Outcome::TimeOut, Clock::Service, 7);
        writer.flush().unwrap();

        let timeline = Timeline::of(&Recording::open(&dir).unwrap(), "a").unwrap();
        let counts: Vec<(Nanos, u64, u64)> = timeline
            .seconds(|_| true)
            .iter()
            .map(|s| (s.at, s.served, s.failed))
            .collect();
        assert_eq!(
            counts,
            [(at(10), 35, 2), (at(11), 0, 0), (at(12), 0, 0), (at(13), 0, 7)]
        );
        let seats: Vec<u64> = timeline
            .seconds(|e| e == Seats)
            .iter()
            .map(|s| s.served + s.failed)
            .collect();
        assert_eq!(seats, [30, 0, 0, 0]);
        let fault = FaultWindow {
            injected: at(12),
            healed: at(13),
        };
        let phases: Vec<Phase> = timeline.phases(fault, None).iter().map(|(phase, _)| *phase).collect();
        assert_eq!(phases, [Phase::Before, Phase::After]);
    }
}
