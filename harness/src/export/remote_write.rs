//! A recording as Prometheus' remote write takes it, version 1.0 of the protocol: requests that only need to be sent.
//!
//! | series | labels beside `run` | what it is |
//! |---|---|---|
//! | `soundcheck_ended_total` | `variant`, `endpoint`, `stage`, `outcome`, `result` (ok, failed, dropped, unfinished) | counter |
//! | `soundcheck_response_seconds`, `…_service_seconds`, `…_lag_seconds`, `…_wait_seconds` | `variant`, `endpoint`, `stage`, `quantile` | of what ended since the cut before; `+Inf` where the rank falls on users without an answer |
//! | `soundcheck_planned_per_second` | `stage` | the rate that the scenario plans |
//! | `soundcheck_arrivals` | `variant`, `state`, `slice` | the books at the end |
//! | `soundcheck_scraped_…`: everything that was scraped, with its name behind | its own, and `source` | as it was scraped |
//!
//! What was scraped has a name of its own here, since under the one that it came with, dashboards and alerts would count a run
//! of yesterday among what production does now.
//!
//! Where a value is not known any more, Prometheus' own mark of staleness stands, so that no graph draws on what was
//! there before. Samples are in order of time over all series, since a server refuses what lies far behind the newest
//! that it has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ExportError;
use super::frames::{Frame, Surroundings, TIMES};
use super::names::{entries, seconds};
pub use super::samples::{Outgoing, body};
use super::samples::{Samples, legal};
use crate::analysis::series::{self, Reading};
use crate::recording::event::What;
use crate::recording::{Clock, Outcome, Recording};
use crate::units::Nanos;

/// What the names of series that were scraped begin with.
const SCRAPED: &str = "soundcheck_scraped_";

/// How long after its last value a series is said to be over: a second, as between two values.
const OVER_AFTER: Duration = Duration::from_secs(1);

/// Everything that a recording holds, under the name `run`.
///
/// # Errors
/// When the recording cannot be read, or holds nothing.
pub fn outgoing(recording: &Recording, run: &str) -> Result<Outgoing, ExportError> {
    let surroundings = Surroundings::of(recording)?;
    let mut samples = Samples::new(run, surroundings.clock.clone());
    let mut load = Load::default();
    surroundings.frames(recording, |frame| {
        load.frame(frame, &mut samples);
        Ok(())
    })?;
    load.end(&mut samples);
    for event in &surroundings.events {
        let What::Accounting { variant, slice, counts } = &event.what else {
            continue;
        };
        let variant = recording.manifest().variant_name(*variant);
        let slice = slice.map(|slice| slice.to_string()).unwrap_or_default();
        for (state, count) in entries(counts) {
            let labels = [("variant", variant.as_str()), ("state", state), ("slice", &slice)];
            let series = samples.series("soundcheck_arrivals", labels);
            samples.push(event.t, series, count as f64);
        }
    }
    scraped(recording, &mut samples)?;
    let outgoing = samples.finish();
    if outgoing.n_samples() == 0 {
        return Err(ExportError::Nothing(recording.dir().to_owned()));
    }
    Ok(outgoing)
}

fn scraped(recording: &Recording, samples: &mut Samples) -> Result<(), ExportError> {
    let set = recording.series()?;
    for one in set.iter() {
        let source = [("source", one.def.source.as_str())];
        let own = one.def.labels.iter().map(|(name, value)| {
            // As Prometheus renames what a target says of itself under a label of the server's.
            let is_taken = name == "run" || name == "source";
            let name = if is_taken {
                format!("exported_{name}")
            } else {
                legal(name, false)
            };
            (name, value.as_str())
        });
        let own: Vec<(String, &str)> = own.collect();
        let labels = source
            .into_iter()
            .chain(own.iter().map(|(name, value)| (name.as_str(), *value)));
        let series = samples.series(&legal(&format!("{SCRAPED}{}", one.def.name), true), labels);
        let mut shown_until = None;
        for point in series::read(&set, one) {
            match point.reading {
                Reading::Value(value) => {
                    samples.push(point.at, series, value);
                    shown_until = Some(point.at);
                }
                Reading::Gap | Reading::Absent if shown_until.is_some() => {
                    samples.stale(point.at, series);
                    shown_until = None;
                }
                Reading::Gap | Reading::Absent => {}
            }
        }
        if let Some(last) = shown_until {
            samples.stale(last.plus(OVER_AFTER), series);
        }
    }
    Ok(())
}

/// What is counted of the load, over all of its cuts.
#[derive(Default)]
struct Load {
    /// A counter goes on when its stage is over, so that their sum never falls.
    counters: BTreeMap<usize, u64>,
    /// What the cut before showed that is no counter.
    shown: BTreeSet<usize>,
    end: Nanos,
}

impl Load {
    fn frame(&mut self, frame: &Frame<'_>, samples: &mut Samples) {
        let stage = frame.stage.unwrap_or_default();
        let mut shown = BTreeSet::new();
        if let Some(planned) = frame.planned {
            let series = samples.series("soundcheck_planned_per_second", [("stage", stage)]);
            samples.push(frame.end, series, planned.0);
            shown.insert(series);
        }
        for ((variant, endpoint), ended) in &frame.ended {
            let of = [
                ("variant", variant.as_str()),
                ("endpoint", endpoint.name()),
                ("stage", stage),
            ];
            for (outcome, count) in &ended.by_outcome {
                let how = [("outcome", outcome.name()), ("result", result(*outcome))];
                let series = samples.series("soundcheck_ended_total", of.into_iter().chain(how));
                let counter = self.counters.entry(series).or_insert_with(|| {
                    // Without a first zero, whoever asks for an increase never sees what ended in the first cut.
                    samples.push(frame.start, series, 0.0);
                    0
                });
                *counter += count;
            }
            for (clock, q) in TIMES {
                if let Some(value) = ended.quantile(clock, q) {
                    let q = q.0.to_string();
                    let labels = of.into_iter().chain([("quantile", q.as_str())]);
                    let series = samples.series(name_of(clock), labels);
                    samples.push(frame.end, series, seconds(value));
                    shown.insert(series);
                }
            }
        }
        for (series, count) in &self.counters {
            samples.push(frame.end, *series, *count as f64);
        }
        for gone in self.shown.difference(&shown) {
            samples.stale(frame.end, *gone);
        }
        self.shown = shown;
        self.end = frame.end;
    }

    fn end(&self, samples: &mut Samples) {
        for series in self.counters.keys().chain(&self.shown) {
            samples.stale(self.end.plus(OVER_AFTER), *series);
        }
    }
}

const fn name_of(clock: Clock) -> &'static str {
    match clock {
        Clock::Response => "soundcheck_response_seconds",
        Clock::Service => "soundcheck_service_seconds",
        Clock::Lag => "soundcheck_lag_seconds",
        Clock::Wait => "soundcheck_wait_seconds",
    }
}

const fn result(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Dropped => "dropped",
        Outcome::Unfinished => "unfinished",
        _ if outcome.is_served() => "ok",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples::STALE;
    use crate::recording::event::{Accounting, Edge};
    use crate::recording::{Endpoint, SeriesKind};
    use crate::report::kinds::fixture::{Fixture, UNIX_S, ms};

    /// Every series as its labels, with `(second of the recording, value)`; a mark of staleness is `None`.
    fn sent(outgoing: &Outgoing, most: usize) -> BTreeMap<String, Vec<(f64, Option<f64>)>> {
        let mut all: BTreeMap<String, Vec<(f64, Option<f64>)>> = BTreeMap::new();
        for request in outgoing.requests(most) {
            for series in request.timeseries {
                let labels = series.labels.iter().filter(|label| label.name != "run");
                let labels: Vec<String> = labels.map(|label| format!("{}={}", label.name, label.value)).collect();
                assert!(labels.is_sorted(), "{labels:?}");
                let into = all.entry(labels.join(" ")).or_default();
                into.extend(series.samples.iter().map(|sample| {
                    let second = (sample.timestamp - UNIX_S * 1_000) as f64 / 1e3;
                    let is_stale = sample.value.to_bits() == STALE;
                    (second, (!is_stale).then_some(sample.value))
                }));
            }
        }
        all
    }

    /// Two seconds in which journeys ended, a silent one between them, and one in which all were dropped.
    fn load() -> Outgoing {
        let fixture = Fixture::run(None);
        let book = Endpoint::JourneyBook;
        fixture.stage(ms(2_000), Edge::Begin);
        fixture.second(ms(2_000), book, Outcome::Won, Clock::Response, 3, 20);
        fixture.second(ms(4_000), book, Outcome::Won, Clock::Response, 2, 40);
        fixture.second(ms(4_000), book, Outcome::Error, Clock::Response, 1, 40);
        fixture.second(ms(5_000), book, Outcome::Dropped, Clock::Response, 2, 500);
        fixture.stage(ms(6_000), Edge::End);
        let counts = Accounting {
            scheduled: 8,
            started: 6,
            dropped: 2,
            ok: 5,
            failed: 1,
            ..Accounting::default()
        };
        fixture.account(ms(6_000), counts);
        outgoing(&fixture.read(), "smoke-7").unwrap()
    }

    #[test]
    fn counters_begin_at_zero_never_fall_and_end_with_their_run() {
        let sent = sent(&load(), usize::MAX);
        let of = |outcome: &str, result: &str| {
            let key = format!(
                "__name__=soundcheck_ended_total endpoint=journey-book outcome={outcome} result={result} stage=steady variant=run"
            );
            sent[&key].clone()
        };
        let some = |points: &[(f64, f64)]| points.iter().map(|(at, value)| (*at, Some(*value))).collect::<Vec<_>>();
        let won = some(&[(2.0, 0.0), (3.0, 3.0), (4.0, 3.0), (5.0, 5.0), (6.0, 5.0)]);
        assert_eq!(of("won", "ok"), [won, vec![(7.0, None)]].concat());
        let errors = some(&[(4.0, 0.0), (5.0, 1.0), (6.0, 1.0)]);
        assert_eq!(of("error", "failed"), [errors, vec![(7.0, None)]].concat());
        assert_eq!(of("dropped", "dropped")[..2], some(&[(5.0, 0.0), (6.0, 2.0)]));
        let scheduled = "__name__=soundcheck_arrivals state=scheduled variant=run";
        assert_eq!(sent[scheduled], some(&[(6.0, 8.0)]));
        let planned = &sent["__name__=soundcheck_planned_per_second stage=steady"];
        assert_eq!(
            planned[..4],
            some(&[(3.0, 10.0), (4.0, 10.0), (5.0, 10.0), (6.0, 10.0)])
        );
    }

    #[test]
    fn a_quantile_of_nothing_is_stale_and_one_without_an_answer_infinite() {
        let sent = sent(&load(), usize::MAX);
        let p99 = "__name__=soundcheck_response_seconds endpoint=journey-book quantile=0.99 stage=steady variant=run";
        let rounded: Vec<_> = sent[p99]
            .iter()
            .map(|(at, value)| (*at, value.map(|value| (value * 1e3).round())))
            .collect();
        let expected = [
            (3.0, Some(20.0)),
            (4.0, None),
            (5.0, Some(40.0)),
            (6.0, Some(f64::INFINITY)),
            (7.0, None),
        ];
        assert_eq!(rounded, expected);
    }

    #[test]
    fn what_was_scraped_is_known_as_such_and_is_stale_while_nobody_knows_it() {
        let fixture = Fixture::run(None);
        {
            let mut series = fixture.writer.series();
            let labels = BTreeMap::from([
                ("source".to_owned(), "a".to_owned()),
                ("of-what".to_owned(), "b".to_owned()),
            ]);
            let hits = series
                .define("mysql", "9hits:total", &labels, SeriesKind::Counter)
                .unwrap();
            series.sample(ms(1_000), "mysql", &[(hits, 1.0)]).unwrap();
            series.gap(ms(2_000), "mysql", "refused").unwrap();
            series.gap(ms(3_000), "mysql", "refused").unwrap();
            series.sample(ms(4_000), "mysql", &[(hits, 4.0)]).unwrap();
        }
        let outgoing = outgoing(&fixture.read(), "smoke-7").unwrap();
        let sent = sent(&outgoing, usize::MAX);
        assert_eq!(
            sent,
            BTreeMap::from([(
                "__name__=soundcheck_scraped_9hits:total exported_source=a of_what=b source=mysql".to_owned(),
                vec![(1.0, Some(1.0)), (2.0, None), (4.0, Some(4.0)), (5.0, None)]
            )])
        );
    }

    /// However it is cut into requests, the same is sent, and no request goes back in time behind one before it.
    #[test]
    fn requests_are_bounded_and_in_order_of_time() {
        let outgoing = load();
        let whole = sent(&outgoing, usize::MAX);
        for most in [1, 2, 7] {
            assert_eq!(sent(&outgoing, most), whole);
            let mut latest = i64::MIN;
            let mut n_samples = 0;
            for request in outgoing.requests(most) {
                let times = || {
                    request
                        .timeseries
                        .iter()
                        .flat_map(|series| series.samples.iter().map(|one| one.timestamp))
                };
                assert!(times().count() <= most && times().all(|at| at >= latest));
                n_samples += times().count();
                latest = times().max().unwrap();
                assert!(!body(request).unwrap().is_empty());
            }
            assert_eq!(n_samples, outgoing.n_samples());
        }
    }
}
