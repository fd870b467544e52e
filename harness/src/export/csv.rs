//! CSV in one long shape: a row for each figure at each moment, whether it was measured at the load, written into the
//! books or scraped from a server.
//!
//! Long rather than wide, because one header then serves everything: a series more is rows more and never another
//! column, scraped series with labels of their own stand beside the load, and a wide table is one pivot away, by whatever
//! somebody wants to see (`second` by `series` for one endpoint, for instance).
//!
//! | column | what it holds |
//! |---|---|
//! | `second` | seconds since the first stage began, to the millisecond; of the load, when the interval began |
//! | `at` | the same moment, RFC 3339 in UTC |
//! | `stage` | the stage in which it lies; empty between and around them |
//! | `source` | `load`, `plan` (the rate of the scenario), `books` (what became of every arrival), or what was scraped |
//! | `variant`, `endpoint` | whose load, and which requests or journeys; empty where it is nobody's |
//! | `series` | `ok`, `failed`, `dropped`, `response_p99`, …, or the name on the page that was scraped |
//! | `labels` | a JSON object, be it of the slice of an experiment; empty without labels |
//! | `value` | a number; `inf` where the rank falls on users who never got an answer; empty where nothing is known |
//! | `unit` | `count`, `seconds`, `bytes`, `per_second`; empty where the name does not tell |
//!
//! A failed scrape is a row without a value, and so is a quantile of nothing: neither is ever 0.

use std::io;

use super::ExportError;
use super::frames::{Frame, Surroundings, TIMES};
use super::names::{entries, labels, of_slice, rfc_3339, seconds, time, unit_of};
use crate::analysis::series::{self, Reading};
use crate::recording::event::What;
use crate::recording::{Endpoint, Manifest, Outcome, Recording};
use crate::units::Nanos;

/// The first row, by which an earlier export is known.
pub const HEADER: [&str; 10] = [
    "second", "at", "stage", "source", "variant", "endpoint", "series", "labels", "value", "unit",
];

/// Writes a recording's load, its books and everything that was scraped.
///
/// # Errors
/// When the recording cannot be read or holds nothing, or `out` does not take it.
pub fn write(recording: &Recording, out: impl io::Write) -> Result<(), ExportError> {
    let surroundings = Surroundings::of(recording)?;
    let mut table = Table {
        surroundings: &surroundings,
        out: csv::Writer::from_writer(out),
        n_rows: 0,
    };
    table.out.write_record(HEADER).map_err(failed)?;
    surroundings.frames(recording, |frame| table.frame(frame))?;
    table.books(recording.manifest())?;
    table.scraped(recording)?;
    table.out.flush().map_err(ExportError::Write)?;
    if table.n_rows == 0 {
        return Err(ExportError::Nothing(recording.dir().to_owned()));
    }
    Ok(())
}

fn failed(error: csv::Error) -> ExportError {
    match error.into_kind() {
        // As it is, since a reader who has gone is told by its kind.
        csv::ErrorKind::Io(error) => ExportError::Write(error),
        other => ExportError::Format(format!("{other:?}").into()),
    }
}

/// Of whom a figure is.
#[derive(Clone, Copy)]
struct Of<'a> {
    source: &'a str,
    variant: &'a str,
    endpoint: Option<Endpoint>,
}

struct Table<'a, W: io::Write> {
    surroundings: &'a Surroundings,
    out: csv::Writer<W>,
    n_rows: u64,
}

impl<W: io::Write> Table<'_, W> {
    fn row(
        &mut self,
        at: Nanos,
        stage: Option<&str>,
        of: Of<'_>,
        (series, labels): (&str, &str),
        value: Option<f64>,
        unit: &str,
    ) -> Result<(), ExportError> {
        self.n_rows += 1;
        let second = (at.0 as f64 - self.surroundings.zero().0 as f64) / 1e9;
        let value = value.map(|value| value.to_string());
        let (second, at) = (format!("{second:.3}"), rfc_3339(self.surroundings.clock.unix_ms(at)));
        let row = [
            second.as_str(),
            at.as_str(),
            stage.unwrap_or_default(),
            of.source,
            of.variant,
            of.endpoint.map_or("", Endpoint::name),
            series,
            labels,
            value.as_deref().unwrap_or_default(),
            unit,
        ];
        self.out.write_record(row).map_err(failed)
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), ExportError> {
        let labels = of_slice(frame.slice);
        if let Some(planned) = frame.planned {
            let of = Of {
                source: "plan",
                variant: "",
                endpoint: None,
            };
            self.row(
                frame.start,
                frame.stage,
                of,
                ("planned", ""),
                Some(planned.0),
                "per_second",
            )?;
        }
        for ((variant, endpoint), ended) in &frame.ended {
            let of = Of {
                source: "load",
                variant,
                endpoint: Some(*endpoint),
            };
            let counts = [
                ("ok", ended.ok()),
                ("failed", ended.failed()),
                ("dropped", ended.dropped()),
                ("unfinished", ended.count(|outcome| outcome == Outcome::Unfinished)),
            ];
            for (series, count) in counts {
                self.row(
                    frame.start,
                    frame.stage,
                    of,
                    (series, &labels),
                    Some(count as f64),
                    "count",
                )?;
            }
            for (clock, q) in TIMES {
                let value = ended.quantile(clock, q).map(seconds);
                self.row(
                    frame.start,
                    frame.stage,
                    of,
                    (&time(clock, q), &labels),
                    value,
                    "seconds",
                )?;
            }
        }
        Ok(())
    }

    fn books(&mut self, manifest: &Manifest) -> Result<(), ExportError> {
        let surroundings = self.surroundings;
        for event in &surroundings.events {
            let What::Accounting { variant, slice, counts } = &event.what else {
                continue;
            };
            let of = Of {
                source: "books",
                variant: &manifest.variant_name(*variant),
                endpoint: None,
            };
            let labels = of_slice(*slice);
            let stage = surroundings.stage(event.t);
            for (series, count) in entries(counts) {
                self.row(event.t, stage, of, (series, &labels), Some(count as f64), "count")?;
            }
        }
        Ok(())
    }

    fn scraped(&mut self, recording: &Recording) -> Result<(), ExportError> {
        let surroundings = self.surroundings;
        let set = recording.series()?;
        for series in set.iter() {
            let of = Of {
                source: &series.def.source,
                variant: "",
                endpoint: None,
            };
            let labels = labels(&series.def.labels)?;
            let points = series::read(&set, series);
            // Before a source shows a series for the first time, nobody misses it.
            let shown = points.iter().skip_while(|point| point.reading.value().is_none());
            for point in shown {
                let value = match point.reading {
                    Reading::Value(value) => Some(value),
                    Reading::Absent | Reading::Gap => None,
                };
                let stage = surroundings.stage(point.at);
                let name = series.def.name.as_str();
                self.row(point.at, stage, of, (name, &labels), value, unit_of(name))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::recording::event::{self, Accounting, Edge};
    use crate::recording::{Clock, SeriesKind};
    use crate::report::kinds::fixture::{Fixture, ms};

    fn exported(recording: &Recording) -> String {
        let mut out = Vec::new();
        write(recording, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Rows as maps by the header.
    fn rows(text: &str) -> Vec<BTreeMap<String, String>> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        reader.deserialize().map(Result::unwrap).collect()
    }

    #[test]
    fn the_load_the_plan_and_the_books_in_one_shape() {
        let fixture = Fixture::run(None);
        fixture.stage(ms(2_000), Edge::Begin);
        let book = Endpoint::JourneyBook;
        fixture.second(ms(2_000), book, Outcome::Won, Clock::Response, 3, 20);
        fixture.second(ms(2_000), book, Outcome::TimeOut, Clock::Response, 1, 900);
        fixture.second(ms(2_000), book, Outcome::Won, Clock::Lag, 3, 1);
        // Nothing ends in the second after it.
        fixture.second(ms(4_000), book, Outcome::Dropped, Clock::Response, 2, 500);
        fixture.stage(ms(6_000), Edge::End);
        let counts = Accounting {
            scheduled: 6,
            started: 4,
            dropped: 2,
            ok: 3,
            failed: 1,
            ..Accounting::default()
        };
        fixture.account(ms(6_500), counts);
        insta::assert_snapshot!(exported(&fixture.read()), @r"
        second,at,stage,source,variant,endpoint,series,labels,value,unit
        0.000,2026-11-27T10:00:02.000Z,steady,plan,,,planned,,10,per_second
        0.000,2026-11-27T10:00:02.000Z,steady,load,run,journey-book,ok,,3,count
        0.000,2026-11-27T10:00:02.000Z,steady,load,run,journey-book,failed,,1,count
        0.000,2026-11-27T10:00:02.000Z,steady,load,run,journey-book,dropped,,0,count
        0.000,2026-11-27T10:00:02.000Z,steady,load,run,journey-book,unfinished,,0,count
        0.000,2026-11-27T10:00:02.000Z,steady,load,run,journey-book,response_p50,,0.020004863,seconds
        0.000,2026-11-27T10:00:02.000Z,steady,load,run,journey-book,response_p95,,inf,seconds
        0.000,2026-11-27T10:00:02.000Z,steady,load,run,journey-book,response_p99,,inf,seconds
        0.000,2026-11-27T10:00:02.000Z,steady,load,run,journey-book,service_p50,,,seconds
        0.000,2026-11-27T10:00:02.000Z,steady,load,run,journey-book,service_p99,,,seconds
        0.000,2026-11-27T10:00:02.000Z,steady,load,run,journey-book,lag_p50,,0.001000447,seconds
        0.000,2026-11-27T10:00:02.000Z,steady,load,run,journey-book,lag_p99,,0.001000447,seconds
        0.000,2026-11-27T10:00:02.000Z,steady,load,run,journey-book,wait_p50,,,seconds
        0.000,2026-11-27T10:00:02.000Z,steady,load,run,journey-book,wait_p99,,,seconds
        1.000,2026-11-27T10:00:03.000Z,steady,plan,,,planned,,10,per_second
        1.000,2026-11-27T10:00:03.000Z,steady,load,run,journey-book,ok,,0,count
        1.000,2026-11-27T10:00:03.000Z,steady,load,run,journey-book,failed,,0,count
        1.000,2026-11-27T10:00:03.000Z,steady,load,run,journey-book,dropped,,0,count
        1.000,2026-11-27T10:00:03.000Z,steady,load,run,journey-book,unfinished,,0,count
        1.000,2026-11-27T10:00:03.000Z,steady,load,run,journey-book,response_p50,,,seconds
        1.000,2026-11-27T10:00:03.000Z,steady,load,run,journey-book,response_p95,,,seconds
        1.000,2026-11-27T10:00:03.000Z,steady,load,run,journey-book,response_p99,,,seconds
        1.000,2026-11-27T10:00:03.000Z,steady,load,run,journey-book,service_p50,,,seconds
        1.000,2026-11-27T10:00:03.000Z,steady,load,run,journey-book,service_p99,,,seconds
        1.000,2026-11-27T10:00:03.000Z,steady,load,run,journey-book,lag_p50,,,seconds
        1.000,2026-11-27T10:00:03.000Z,steady,load,run,journey-book,lag_p99,,,seconds
        1.000,2026-11-27T10:00:03.000Z,steady,load,run,journey-book,wait_p50,,,seconds
        1.000,2026-11-27T10:00:03.000Z,steady,load,run,journey-book,wait_p99,,,seconds
        2.000,2026-11-27T10:00:04.000Z,steady,plan,,,planned,,10,per_second
        2.000,2026-11-27T10:00:04.000Z,steady,load,run,journey-book,ok,,0,count
        2.000,2026-11-27T10:00:04.000Z,steady,load,run,journey-book,failed,,0,count
        2.000,2026-11-27T10:00:04.000Z,steady,load,run,journey-book,dropped,,2,count
        2.000,2026-11-27T10:00:04.000Z,steady,load,run,journey-book,unfinished,,0,count
        2.000,2026-11-27T10:00:04.000Z,steady,load,run,journey-book,response_p50,,inf,seconds
        2.000,2026-11-27T10:00:04.000Z,steady,load,run,journey-book,response_p95,,inf,seconds
        2.000,2026-11-27T10:00:04.000Z,steady,load,run,journey-book,response_p99,,inf,seconds
        2.000,2026-11-27T10:00:04.000Z,steady,load,run,journey-book,service_p50,,,seconds
        2.000,2026-11-27T10:00:04.000Z,steady,load,run,journey-book,service_p99,,,seconds
        2.000,2026-11-27T10:00:04.000Z,steady,load,run,journey-book,lag_p50,,,seconds
        2.000,2026-11-27T10:00:04.000Z,steady,load,run,journey-book,lag_p99,,,seconds
        2.000,2026-11-27T10:00:04.000Z,steady,load,run,journey-book,wait_p50,,,seconds
        2.000,2026-11-27T10:00:04.000Z,steady,load,run,journey-book,wait_p99,,,seconds
        4.500,2026-11-27T10:00:06.500Z,,books,run,,scheduled,,6,count
        4.500,2026-11-27T10:00:06.500Z,,books,run,,started,,4,count
        4.500,2026-11-27T10:00:06.500Z,,books,run,,dropped,,2,count
        4.500,2026-11-27T10:00:06.500Z,,books,run,,dropped_by_generator,,0,count
        4.500,2026-11-27T10:00:06.500Z,,books,run,,ok,,3,count
        4.500,2026-11-27T10:00:06.500Z,,books,run,,failed,,1,count
        4.500,2026-11-27T10:00:06.500Z,,books,run,,unfinished,,0,count
        4.500,2026-11-27T10:00:06.500Z,,books,run,,late,,0,count
        4.500,2026-11-27T10:00:06.500Z,,books,run,,late_by_generator,,0,count
        4.500,2026-11-27T10:00:06.500Z,,books,run,,late_by_busy_users,,0,count
        4.500,2026-11-27T10:00:06.500Z,,books,run,,visits,,0,count
        4.500,2026-11-27T10:00:06.500Z,,books,run,,late_visits,,0,count
        ");
    }

    #[test]
    fn what_was_scraped_has_its_labels_and_an_empty_cell_for_each_gap() {
        let fixture = Fixture::run(None);
        {
            let mut series = fixture.writer.series();
            let labels = BTreeMap::from([("route".to_owned(), "/a,\"b\"".to_owned())]);
            let hits = series
                .define("service:run", "hits_total", &labels, SeriesKind::Counter)
                .unwrap();
            let late = series
                .define(
                    "service:run",
                    "wait_seconds_sum",
                    &BTreeMap::new(),
                    SeriesKind::Histogram,
                )
                .unwrap();
            series.sample(ms(1_000), "service:run", &[(hits, 1.0)]).unwrap();
            series.gap(ms(2_000), "service:run", "connection refused").unwrap();
            series
                .sample(ms(3_000), "service:run", &[(hits, 4.0), (late, f64::INFINITY)])
                .unwrap();
            series.sample(ms(4_000), "service:run", &[(hits, 4.0)]).unwrap();
        }
        insta::assert_snapshot!(exported(&fixture.read()), @r#"
        second,at,stage,source,variant,endpoint,series,labels,value,unit
        1.000,2026-11-27T10:00:01.000Z,,service:run,,,hits_total,"{""route"":""/a,\""b\""""}",1,count
        2.000,2026-11-27T10:00:02.000Z,,service:run,,,hits_total,"{""route"":""/a,\""b\""""}",,count
        3.000,2026-11-27T10:00:03.000Z,,service:run,,,hits_total,"{""route"":""/a,\""b\""""}",4,count
        4.000,2026-11-27T10:00:04.000Z,,service:run,,,hits_total,"{""route"":""/a,\""b\""""}",4,count
        3.000,2026-11-27T10:00:03.000Z,,service:run,,,wait_seconds_sum,,inf,seconds
        4.000,2026-11-27T10:00:04.000Z,,service:run,,,wait_seconds_sum,,,seconds
        "#);
    }

    /// Where nobody offers load between two turns, nothing is said about the time between them.
    #[test]
    fn each_turn_of_an_experiment_is_told_apart_and_silence_between_them_is_none() {
        let fixture = Fixture::of_kind("cache");
        for (slice, start) in [(1, 1_000), (2, 9_000)] {
            let turn = event::Slice {
                slice,
                block: 1,
                launch: 1,
                variant: 0,
                order: 0,
                start: ms(start),
                end: ms(start + 1_000),
            };
            fixture.writer.event(ms(start), What::Slice(turn)).unwrap();
            fixture.second(ms(start), Endpoint::Seats, Outcome::Ok, Clock::Service, 5, 20);
        }
        let rows = rows(&exported(&fixture.read()));
        let ok: Vec<[&str; 3]> = rows
            .iter()
            .filter(|row| row["series"] == "ok")
            .map(|row| ["second", "labels", "value"].map(|column| row[column].as_str()))
            .collect();
        assert_eq!(
            ok,
            [["1.000", "{\"slice\":\"1\"}", "5"], ["9.000", "{\"slice\":\"2\"}", "5"]]
        );
    }

    #[test]
    fn nothing_and_an_overview_are_no_export() {
        let empty = write(&Fixture::run(None).read(), Vec::new()).unwrap_err().to_string();
        assert!(empty.contains("holds no samples and no scrapes"), "{empty}");
        let overview = write(&Fixture::of_kind("overview").read(), Vec::new())
            .unwrap_err()
            .to_string();
        assert!(overview.contains("is an overview"), "{overview}");
    }

    /// How many of each journey's outcomes end in a second.
    fn seconds() -> impl Strategy<Value = Vec<Vec<(Endpoint, Outcome, u64)>>> {
        let journey = prop::sample::select(vec![Endpoint::JourneyBrowse, Endpoint::JourneyBook]);
        let outcome = prop::sample::select(Outcome::ALL);
        prop::collection::vec(prop::collection::vec((journey, outcome, 1_u64..50), 1..6), 1..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_row_parses_back_and_the_rows_add_up_to_the_books(seconds in seconds()) {
            let fixture = Fixture::run(None);
            let mut books = Accounting::default();
            for (start, second) in (1_u64..).zip(&seconds) {
                // One line a tag and cut, as the recorder writes them.
                let mut merged: BTreeMap<(Endpoint, Outcome), u64> = BTreeMap::new();
                for (endpoint, outcome, n) in second {
                    *merged.entry((*endpoint, *outcome)).or_default() += n;
                }
                for ((endpoint, outcome), n) in merged {
                    fixture.second(ms(start * 1_000), endpoint, outcome, Clock::Response, n, 30);
                    match outcome {
                        Outcome::Dropped => books.dropped += n,
                        Outcome::Error | Outcome::Lost | Outcome::TimeOut => books.failed += n,
                        Outcome::Unfinished => books.unfinished += n,
                        _ => books.ok += n,
                    }
                }
            }
            books.started = books.ok + books.failed + books.unfinished;
            books.scheduled = books.started + books.dropped;
            fixture.account(ms(99_000), books);
            let rows = rows(&exported(&fixture.read()));
            let sum = |source: &str, series: &str| -> f64 {
                let of = rows.iter().filter(|row| row["source"] == source && row["series"] == series);
                of.map(|row| row["value"].parse::<f64>().unwrap()).sum()
            };
            for (series, count) in entries(&books) {
                prop_assert_eq!(sum("books", series), count as f64, "{}", series);
            }
            for series in ["ok", "failed", "dropped", "unfinished"] {
                prop_assert_eq!(sum("load", series), sum("books", series), "{}", series);
            }
            for row in &rows {
                prop_assert!(row["second"].parse::<f64>().is_ok(), "{:?}", row);
                prop_assert!(row["at"].parse::<jiff::Timestamp>().is_ok(), "{:?}", row);
                prop_assert!(row["value"].is_empty() || row["value"].parse::<f64>().is_ok(), "{:?}", row);
            }
        }
    }
}
