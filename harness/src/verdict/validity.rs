//! May the numbers of a run be used at all? Whether they are good or bad is not asked here.
//!
//! The limits are those of the load engine's contract: more than 1 % dropped or late, or a generator's lag that is not
//! small against what it measured, and the run says nothing about the service. What happened while a fault was in place
//! is the very subject of a drill, so that time is left out; drops in it are noted, not doubted.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::cut_short;
use super::ledger::end::{FaultWindow, HarnessFacts};
use super::suspects::Suspects;
use crate::analysis::quantile::{Value, quantile};
use crate::recording::event::{Accounting, What};
use crate::recording::{Clock, Outcome, RecordError, Recording, SeriesSet};
use crate::units::{Nanos, Ratio};

/// More dropped, or late, than this share of all arrivals.
const MOST_DROPPED: Ratio = Ratio(0.01);
/// A lag p99 above this share of the response p99.
const MOST_LAG: Ratio = Ratio(0.05);
const OWN_FAULT: &str = "started late, through the generator's own fault";
/// More failed scrapes of a source than this share.
const MOST_GAPS: Ratio = Ratio(0.05);
/// How long after the heal the backlog may still hold the generator up.
const AFTERMATH: Duration = Duration::from_secs(15);

/// The judgement over a run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Validity {
    /// Each one makes the run unknown.
    pub doubts: Vec<String>,
    /// Whether any of the doubts is the generator's own fault, rather than that of a service that kept all users busy.
    pub is_generators_fault: bool,
    /// Of the doubts and of `lag`, those that say no more than that the service kept all users busy: a load that rises until
    /// something breaks ends with them.
    #[serde(default)]
    pub overload: Vec<String>,
    /// Each one makes response times unknown: the generator was not small against what it measured. A comparison of
    /// service times, which begin with the send, does not rest on it.
    pub lag: Vec<String>,
    /// What a report must say beside its numbers.
    pub notes: Vec<String>,
    /// The 99th percentile of how late journeys began outside of faults, be it the generator's own lag or that every user
    /// was busy; of the variant with the longest. `None` when none was measured.
    pub late_p99: Option<Nanos>,
}

impl Validity {
    /// Whether the numbers may be used.
    pub fn is_valid(&self) -> bool {
        self.doubts.is_empty() && self.lag.is_empty()
    }

    /// The first doubt that is no mere overload.
    pub fn beside_overload(&self) -> Option<&str> {
        let mut doubts = self.doubts.iter().chain(&self.lag);
        doubts.find(|doubt| !self.overload.contains(doubt)).map(String::as_str)
    }
}

/// What the load engine measured of itself, for one variant.
#[derive(Clone, Debug)]
pub struct Generator {
    pub variant: String,
    /// `None` when nobody counted.
    pub accounting: Option<Accounting>,
    /// From the intended start to the send, where the generator was late, outside of faults, in nanoseconds.
    pub lag: Histogram<u64>,
    /// The same where every user was busy.
    pub wait: Histogram<u64>,
    /// From the intended start to the answer, outside of faults, in nanoseconds.
    pub response: Histogram<u64>,
    /// Requests that did what the user wanted.
    pub successes: u64,
    /// What it and its machine did meanwhile.
    pub suspects: Suspects,
}

/// Judges a recording.
///
/// # Errors
/// When a file cannot be read or is damaged.
pub fn validity(recording: &Recording) -> Result<Validity, RecordError> {
    let events = recording.events()?;
    let faults = HarnessFacts::of(&events, 0).faults;
    let mut found = Validity::default();
    if !recording.is_complete() {
        found.doubts.extend_from_slice(recording.notes());
    }
    found.doubts.extend(cut_short::ran_dry(&events));
    let unsent = cut_short::out_of_sockets(&events);
    found.is_generators_fault |= unsent.is_some();
    found.doubts.extend(unsent);
    let series = recording.series()?;
    let suspects = Suspects::of(&series);
    let mut accounting: BTreeMap<u16, Accounting> = BTreeMap::new();
    for event in &events {
        if let What::Accounting { variant, counts, .. } = &event.what {
            accounting.entry(*variant).or_default().add(counts);
        }
    }
    let mut measured = measured(recording, &faults)?;
    for (number, variant) in recording.manifest().variants.iter().enumerate() {
        let counts = u16::try_from(number)
            .ok()
            .and_then(|number| accounting.get(&number).copied());
        let mut generator = measured
            .remove(&variant.name)
            .unwrap_or_else(|| Generator::silent(&variant.name));
        generator.accounting = counts;
        generator.suspects = suspects;
        judge_generator(&generator, !faults.is_empty(), &mut found);
    }
    if recording.manifest().variants.is_empty() {
        found
            .doubts
            .push("the recording names no variant, so nothing was measured".to_owned());
    }
    judge_scrapes(&series, &faults, &mut found);
    Ok(found)
}

impl Generator {
    /// One that measured nothing.
    fn silent(variant: &str) -> Self {
        Self {
            variant: variant.to_owned(),
            accounting: None,
            lag: empty(),
            wait: empty(),
            response: empty(),
            successes: 0,
            suspects: Suspects::default(),
        }
    }
}

impl Generator {
    /// How late anything was sent, whoever is to blame.
    fn lateness(&self) -> Histogram<u64> {
        let mut all = self.lag.clone();
        // Both grow with their values, so that there is nothing that one could not take from the other.
        all += &self.wait;
        all
    }
}

/// A histogram that grows with its values, at the resolution of the recorder.
fn empty() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "three digits are in the range that the type accepts")]
    let mut histogram = Histogram::new(3).expect("a constant number of digits is valid");
    histogram.auto(true);
    histogram
}

fn measured(recording: &Recording, faults: &[FaultWindow]) -> Result<BTreeMap<String, Generator>, RecordError> {
    let mut generators: BTreeMap<String, Generator> = BTreeMap::new();
    let latency = recording.latency()?;
    for interval in latency.intervals() {
        let interval = interval?;
        let generator = generators
            .entry(interval.tag.variant.clone())
            .or_insert_with(|| Generator::silent(&interval.tag.variant));
        let histogram = interval.histogram()?;
        if interval.tag.clock == Clock::Service && matches!(interval.tag.outcome, Outcome::Ok | Outcome::Won) {
            generator.successes += histogram.len();
        }
        if during_fault(interval.start, interval.start.plus(interval.length), faults) {
            continue;
        }
        // What was dropped was never sent: the books say how much that was, and its lateness is no send's.
        if interval.tag.outcome == Outcome::Dropped && interval.tag.clock.is_lateness() {
            continue;
        }
        let into = match interval.tag.clock {
            Clock::Lag => &mut generator.lag,
            Clock::Wait => &mut generator.wait,
            Clock::Response => &mut generator.response,
            Clock::Service => continue,
        };
        into.add(&histogram).map_err(|error| RecordError::Histogram {
            path: recording.dir().to_owned(),
            reason: error.to_string(),
        })?;
    }
    Ok(generators)
}

fn during_fault(from: Nanos, until: Nanos, faults: &[FaultWindow]) -> bool {
    faults
        .iter()
        .any(|fault| until > fault.from && fault.until.is_none_or(|healed| from < healed.plus(AFTERMATH)))
}

/// Judges one variant's load.
pub fn judge_generator(generator: &Generator, has_faults: bool, found: &mut Validity) {
    let name = &generator.variant;
    match &generator.accounting {
        None => found.doubts.push(format!("{name}: nobody accounted for the arrivals")),
        Some(counts) => {
            found
                .doubts
                .extend(counts.imbalances().into_iter().map(|what| format!("{name}: {what}")));
            let lost = Lost::of(counts);
            lost.judge(name, has_faults, &generator.suspects, found);
            if counts.scheduled == 0 {
                found.doubts.push(format!("{name}: no arrival was scheduled"));
            }
            if exceeds(counts.late_visits, counts.visits, MOST_DROPPED) {
                found.is_generators_fault = true;
                found.doubts.push(format!(
                    "{name}: {} of {} visits of virtual users {OWN_FAULT}{}",
                    counts.late_visits, counts.visits, generator.suspects
                ));
            }
        }
    }
    if generator.successes == 0 {
        found.doubts.push(format!("{name}: not one request succeeded"));
    }
    let p99 = |histogram| quantile(histogram, 0, Ratio(0.99)).and_then(Value::finite);
    let lateness = generator.lateness();
    let late = p99(&lateness);
    found.late_p99 = found.late_p99.max(late.map(Nanos));
    if let (Some(lag), Some(response)) = (late, p99(&generator.response))
        && exceeds(lag, response, MOST_LAG)
    {
        let as_late = |histogram: &Histogram<u64>| histogram.count_between(lag, u64::MAX);
        let is_own_fault = as_late(&generator.lag) >= as_late(&generator.wait);
        found.is_generators_fault |= is_own_fault;
        let (cause, suspects) = if is_own_fault {
            ("through the generator's own fault", generator.suspects.to_string())
        } else {
            ("since every user was busy", String::new())
        };
        let said = format!(
            "{name}: the lag of what was sent has a p99 of {:.3} ms, {cause}; that is more than 5 % of the response time's \
             {:.3} ms{suspects}",
            lag as f64 / 1e6,
            response as f64 / 1e6
        );
        if !is_own_fault {
            found.overload.push(said.clone());
        }
        found.lag.push(said);
    }
}

/// Arrivals that were not started in time, by whose doing that was. Visits of virtual users are none, and would water them
/// down.
struct Lost {
    arrivals: u64,
    dropped: u64,
    late: u64,
    dropped_by_generator: u64,
    late_by_generator: u64,
}

impl Lost {
    fn of(counts: &Accounting) -> Self {
        Self {
            arrivals: counts.arrivals(),
            dropped: counts.dropped.saturating_sub(counts.dropped_by_generator),
            late: counts.late_by_busy_users,
            dropped_by_generator: counts.dropped_by_generator,
            late_by_generator: counts.late_by_generator,
        }
    }

    fn judge(&self, name: &str, has_faults: bool, suspects: &Suspects, found: &mut Validity) {
        let parts = [
            (self.dropped, "were dropped, since every user was busy", false),
            (self.late, "started late, since every user was busy", false),
            (
                self.dropped_by_generator,
                "were dropped, through the generator's own fault",
                true,
            ),
            (self.late_by_generator, OWN_FAULT, true),
        ];
        let is_too_much = |count: u64| exceeds(count, self.arrivals, MOST_DROPPED);
        for (count, what, is_own_fault) in parts.into_iter().filter(|(count, ..)| is_too_much(*count)) {
            let mut said = format!("{name}: {count} of {} arrivals {what}", self.arrivals);
            if is_own_fault {
                said.push_str(&suspects.to_string());
            }
            found.is_generators_fault |= is_own_fault;
            if !is_own_fault {
                found.overload.push(said.clone());
            }
            // In a drill, users are busy because the service stands still; that the generator sleeps is no drill.
            let is_subject = has_faults && !is_own_fault;
            if is_subject {
                &mut found.notes
            } else {
                &mut found.doubts
            }
            .push(said);
        }
        // Each cause may be small, and all of them together not. In a drill only the generator's own is no part of it.
        let own = self.dropped_by_generator + self.late_by_generator;
        let all = own + self.dropped + self.late;
        if !has_faults && is_too_much(all) && !parts.iter().any(|(count, ..)| is_too_much(*count)) {
            let is_own_fault = own >= all - own;
            found.is_generators_fault |= is_own_fault;
            let mut said = format!(
                "{name}: {all} of {} arrivals were dropped or started late: {} dropped and {} late since every user was busy, \
                 {own} through the generator's own fault",
                self.arrivals, self.dropped, self.late
            );
            if is_own_fault {
                said.push_str(&suspects.to_string());
            } else {
                found.overload.push(said.clone());
            }
            found.doubts.push(said);
        }
    }
}

fn exceeds(part: u64, whole: u64, share: Ratio) -> bool {
    part as f64 > share.0 * whole as f64
}

fn judge_scrapes(series: &SeriesSet, faults: &[FaultWindow], found: &mut Validity) {
    for (name, source) in series.sources() {
        // A source that a fault has taken down cannot answer.
        let gaps = source.gaps.iter().filter(|(t, _)| !during_fault(*t, *t, faults));
        let missed = gaps.clone().count() as u64;
        let asked = missed + source.scrapes.len() as u64;
        if missed > 1 && exceeds(missed, asked, MOST_GAPS) {
            let reason = gaps.clone().next_back().map_or("", |(_, reason)| reason);
            found
                .doubts
                .push(format!("{missed} of {asked} scrapes of {name} failed: {reason}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::model::{Environment, Tool};
    use crate::recording::{Endpoint, Manifest, RecordingWriter, RunClock, Tag, empty_histogram};

    fn generator() -> Generator {
        let mut generator = Generator::silent("base");
        generator.accounting = Some(Accounting {
            scheduled: 1000,
            started: 1000,
            ok: 990,
            failed: 10,
            ..Accounting::default()
        });
        generator.successes = 990;
        generator.response.record_n(20_000_000, 1000).unwrap();
        generator.lag.record_n(100_000, 1000).unwrap();
        generator
    }

    #[track_caller]
    fn check(has_faults: bool, change: impl FnOnce(&mut Generator), doubts: &[&str], notes: &[&str]) {
        let mut generator = generator();
        change(&mut generator);
        let mut found = Validity::default();
        judge_generator(&generator, has_faults, &mut found);
        let in_doubt: Vec<String> = found.doubts.iter().chain(&found.lag).cloned().collect();
        for (found, expected) in [(&in_doubt, doubts), (&found.notes, notes)] {
            assert_eq!(found.len(), expected.len(), "{found:?}");
            assert!(
                found.iter().zip(expected).all(|(said, part)| said.contains(part)),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_run_is_doubted_for_each_reason_alone() {
        let counts = |change: fn(&mut Accounting)| {
            move |generator: &mut Generator| change(generator.accounting.as_mut().unwrap())
        };
        check(false, |_| (), &[], &[]);
        check(
            false,
            |generator| generator.accounting = None,
            &["nobody accounted"],
            &[],
        );
        check(false, counts(|counts| counts.ok -= 1), &["ended well"], &[]);
        check(
            false,
            counts(|counts| counts.late_by_generator = 11),
            &["generator's own fault"],
            &[],
        );
        check(false, counts(|counts| counts.late_by_generator = 10), &[], &[]);
        let dropped_itself = |counts: &mut Accounting| {
            (counts.started, counts.ok) = (989, 979);
            (counts.dropped, counts.dropped_by_generator) = (11, 11);
        };
        check(
            false,
            counts(dropped_itself),
            &["11 of 1000 arrivals were dropped, through the generator's own fault"],
            &[],
        );
        let among_visits = |counts: &mut Accounting| {
            (counts.scheduled, counts.started, counts.ok) = (11_000, 11_000, 10_990);
            (counts.visits, counts.late_by_busy_users) = (10_000, 11);
        };
        check(false, counts(among_visits), &["11 of 1000 arrivals started late"], &[]);
        let late_visits = |counts: &mut Accounting| {
            (counts.visits, counts.late_visits) = (500, 6);
        };
        check(false, counts(late_visits), &["6 of 500 visits of virtual users"], &[]);
        let each_is_small = |counts: &mut Accounting| {
            (counts.late_by_generator, counts.late_by_busy_users, counts.late) = (6, 5, 11);
        };
        let all = "11 of 1000 arrivals were dropped or started late: 0 dropped and 5 late";
        check(false, counts(each_is_small), &[all], &[]);
        check(true, counts(each_is_small), &[], &[]);
        let suspects = |generator: &mut Generator| {
            generator.accounting.as_mut().unwrap().late_by_generator = 11;
            generator.suspects.stolen = Some(12.34);
        };
        check(
            false,
            suspects,
            &["fault; in the busiest second, the host took 12 % of"],
            &[],
        );
        check(
            false,
            counts(|counts| counts.late_by_busy_users = 11),
            &["every user was busy"],
            &[],
        );
        check(
            false,
            |generator| generator.successes = 0,
            &["not one request succeeded"],
            &[],
        );
        let lag = |generator: &mut Generator| generator.lag.record_n(2_000_000, 20).unwrap();
        check(false, lag, &["p99 of 2.0"], &[]);
        check(false, lag, &["the generator's own fault"], &[]);
        let wait = |generator: &mut Generator| generator.wait.record_n(2_000_000, 20).unwrap();
        check(false, wait, &["since every user was busy"], &[]);
    }

    #[test]
    fn the_longest_lateness_of_all_variants_is_told_whoever_is_to_blame_and_none_where_none_was_measured() {
        let mut found = Validity::default();
        judge_generator(&Generator::silent("idle"), false, &mut found);
        assert_eq!(found.late_p99, None);
        let mut late = generator();
        late.wait.record_n(900_000, 100).unwrap();
        for variant in [generator(), late, generator()] {
            judge_generator(&variant, false, &mut found);
        }
        let lag = found.late_p99.unwrap();
        // Three digits of resolution.
        assert!((899_000..=901_000).contains(&lag.0), "{lag:?}");
    }

    /// A dropped arrival waited until it was dropped, and no request of it was sent after that.
    #[test]
    fn the_lag_is_of_what_was_sent() {
        let dir = tempfile::tempdir().unwrap();
        let tool = Tool {
            version: "0".to_owned(),
            commit: None,
        };
        let manifest = Manifest::new("run", tool, 7, Environment::default(), RunClock::start().anchor());
        let writer = RecordingWriter::create(dir.path(), &manifest).unwrap();
        let second = |outcome, clock, took_ms: u64| {
            let tag = Tag {
                variant: "base".to_owned(),
                endpoint: Endpoint::JourneyBook,
                outcome,
                clock,
            };
            let mut histogram = empty_histogram();
            histogram.record_n(took_ms * 1_000_000, 10).unwrap();
            writer
                .interval(Nanos(0), Duration::from_secs(1), &tag, &histogram)
                .unwrap();
        };
        second(Outcome::Won, Clock::Lag, 1);
        second(Outcome::Won, Clock::Response, 20);
        for clock in [Clock::Lag, Clock::Wait, Clock::Response] {
            second(Outcome::Dropped, clock, 5_000);
        }
        writer.close().unwrap();
        let recording = Recording::open(dir.path()).unwrap();
        let measured = measured(&recording, &[]).unwrap().remove("base").unwrap();
        assert_eq!((measured.lag.len(), measured.wait.len()), (10, 0));
        assert!(measured.lag.max() < 2_000_000, "{:?}", measured.lag);
        assert_eq!(measured.response.len(), 20);
    }

    #[test]
    fn drops_are_the_subject_of_a_drill_and_the_end_of_a_measurement() {
        let drop = |generator: &mut Generator| {
            let counts = generator.accounting.as_mut().unwrap();
            (counts.scheduled, counts.dropped) = (1100, 100);
        };
        check(false, drop, &["100 of 1100 arrivals were dropped"], &[]);
        check(true, drop, &[], &["100 of 1100 arrivals were dropped"]);
    }
}
