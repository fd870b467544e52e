//! Reports of runs that were never made, second by second as they should be told.

use std::time::Duration;

use super::document;
use crate::chart::Labels;
use crate::config::{JourneyKind, ScenarioConfig, Stage};
use crate::recording::event::{Accounting, Edge};
use crate::recording::{Clock, Endpoint, Outcome, SeriesKind, What};
use crate::report::kinds::fixture::{Fixture, ms, valid_ledger};
use crate::report::kinds::judgement::Judgement;
use crate::report::{Block, Document, markdown};
use crate::units::{Percent, RatePerSec};

/// When the schedule of each of these runs begins.
const ZERO_MS: u64 = 2_000;
const BOOK: Endpoint = Endpoint::JourneyBook;

/// Ten arrivals a second, in stages of these names and lengths.
fn scenario(stages: &[(&str, u64)]) -> ScenarioConfig {
    let mix = [(JourneyKind::Book, Percent(100.0))];
    let constant = ScenarioConfig::constant("day", RatePerSec(10.0), Duration::from_secs(1), &mix);
    let stages = stages.iter().map(|(name, seconds)| Stage {
        name: (*name).to_owned(),
        length: Duration::from_secs(*seconds),
        is_warm_up: *name == "warm-up",
        is_cool_down: *name == "cool-down",
        ..constant.stages[0].clone()
    });
    ScenarioConfig {
        stages: stages.collect(),
        ..constant.clone()
    }
}

/// The edges of a scenario's stages, and a second of ten journeys each that took as long as `took_ms` says.
fn recorded(scenario: &ScenarioConfig, objectives: Option<&str>, took_ms: impl Fn(u64) -> u64) -> Fixture {
    let fixture = Fixture::of(scenario, objectives);
    let mut at = ZERO_MS;
    for stage in &scenario.stages {
        fixture.phase(&stage.name, ms(at), Edge::Begin);
        at += u64::try_from(stage.length.as_millis()).unwrap();
        fixture.phase(&stage.name, ms(at), Edge::End);
    }
    for second in 0..scenario.length().as_secs() {
        let start = ms(ZERO_MS + second * 1_000);
        let took = took_ms(second);
        for (endpoint, clock, took) in [
            (BOOK, Clock::Response, took),
            (BOOK, Clock::Service, took),
            (BOOK, Clock::Lag, 0),
            (Endpoint::Pay, Clock::Service, took / 2),
        ] {
            fixture.second(start, endpoint, Outcome::Won, clock, 10, took);
        }
    }
    fixture
}

fn balanced(n: u64) -> Accounting {
    Accounting {
        scheduled: n,
        started: n,
        ok: n,
        ..Accounting::default()
    }
}

/// The report, had the service kept its promises.
fn report(fixture: &Fixture) -> Document {
    let recording = fixture.read();
    let mut judgement = Judgement::of(&recording).unwrap();
    judgement.ledger = valid_ledger();
    document(&recording, &judgement).unwrap()
}

fn chart(document: &Document) -> String {
    let blocks = document.sections.iter().flat_map(|section| &section.blocks);
    let mut charts = blocks.filter_map(|block| match block {
        Block::Chart(block) => Some(&block.chart),
        _ => None,
    });
    let labels = Labels { alt: "", mark: None };
    charts.next().unwrap().svg(labels).unwrap()
}

fn text(document: &Document) -> String {
    markdown::render(document).replace('\u{a0}', " ")
}

fn notes(document: &Document) -> String {
    let notes: Vec<String> = document.notes.iter().map(|note| note.to_plain()).collect();
    notes.join("\n")
}

/// The first line behind the words `after` that begins with these cells.
#[track_caller]
fn row(report: &str, after: &str, begin: &str) -> String {
    let lines = report.split_once(after).map(|(_, rest)| rest.lines());
    let mut rows = lines.into_iter().flatten().filter(|line| line.starts_with(begin));
    rows.next()
        .unwrap_or_else(|| panic!("no `{begin}` behind `{after}` in {report}"))
        .to_owned()
}

const SETTLING: &str = "*Measured stages at a constant load";
const FIGURES: &str = "*Requests and journeys";

#[test]
fn a_run_that_settles_has_its_cut_on_the_chart() {
    let steady = scenario(&[("steady", 60)]);
    // From 220 ms down to 20 ms, with a little unrest; after fifteen seconds 1 ms is left of it.
    let took = |second: u64| 20 + (200.0 * (-(second as f64) / 3.0).exp()) as u64 + second % 2;
    let fixture = recorded(&steady, None, took);
    fixture.account(ms(ZERO_MS + 60_000), balanced(600));
    let document = report(&fixture);
    let svg = chart(&document);
    assert!(svg.contains(">settling<") && !svg.contains("never settled"), "{svg}");
    assert!(!notes(&document).contains("settled"), "{}", notes(&document));
    let text = text(&document);
    let verdict = row(&text, SETTLING, "| steady |");
    assert!(verdict.ends_with("| steady |"), "{verdict}");
    let cut: f64 = verdict.split('|').nth(2).unwrap().trim().parse().unwrap();
    assert!((10.0..=20.0).contains(&cut), "{verdict}");
}

#[test]
fn a_run_that_drifts_for_ever_says_so_in_its_notes_and_on_its_chart() {
    let steady = scenario(&[("steady", 60)]);
    let fixture = recorded(&steady, None, |second| 20 + second + second % 3);
    fixture.account(ms(ZERO_MS + 60_000), balanced(600));
    let document = report(&fixture);
    let svg = chart(&document);
    assert!(svg.contains(">never settled<") && !svg.contains(">settling<"), "{svg}");
    let notes = notes(&document);
    assert!(notes.contains("the stage “steady” never settled"), "{notes}");
    let text = text(&document);
    let verdict = row(&text, SETTLING, "| steady |");
    assert!(verdict.ends_with("| never settled |"), "{verdict}");
    assert!(text.contains("the stage “steady” never settled"), "{text}");
}

#[test]
fn the_figures_leave_warm_up_and_cool_down_out_and_the_books_do_not() {
    let three = scenario(&[("warm-up", 5), ("sale", 10), ("cool-down", 5)]);
    let fixture = recorded(&three, None, |second| if (5..15).contains(&second) { 20 } else { 900 });
    fixture.account(ms(ZERO_MS + 20_000), balanced(200));
    let text = text(&report(&fixture));
    let caption = "Requests and journeys in the measured stages, without the warm-up and the cool-down";
    assert!(text.contains(caption), "{text}");
    let figures = row(&text, FIGURES, "| journey: book |");
    let cells: Vec<&str> = figures.split('|').map(str::trim).collect();
    assert_eq!(cells[2..4], ["100", "0"], "{figures}");
    assert!(cells[8] == "20.0" && cells[9] == "20.0", "{figures}");
    assert!(text.contains("| journey: book | won | 200 | 100"), "{text}");
    assert!(text.contains("200 = 200 + 0"), "{text}");
}

#[test]
fn where_nothing_is_measured_there_are_no_figures() {
    let fixture = recorded(&scenario(&[("warm-up", 5)]), None, |_| 20);
    fixture.account(ms(ZERO_MS + 5_000), balanced(50));
    let text = text(&report(&fixture));
    assert!(text.contains("Requests and journeys: no stage is measured"), "{text}");
    let figures = row(&text, FIGURES, "| journey: book | n/a |");
    assert_eq!(figures, format!("| journey: book |{}", " n/a |".repeat(8)), "{text}");
}

#[test]
fn what_ends_after_the_last_stage_is_measured_with_it() {
    let fixture = recorded(&scenario(&[("warm-up", 5), ("sale", 5)]), None, |_| 20);
    let after = ms(ZERO_MS + 10_000);
    fixture.second(after, BOOK, Outcome::TimeOut, Clock::Response, 5, 5_000);
    fixture.account(
        ms(ZERO_MS + 11_000),
        Accounting {
            failed: 5,
            ok: 100,
            ..balanced(105)
        },
    );
    let text = text(&report(&fixture));
    let figures = row(&text, FIGURES, "| journey: book |");
    assert!(figures.contains("| 55 | 5 |"), "{figures}");
    // One in eleven got no answer, of whom the ordinary columns know nothing.
    assert!(figures.ends_with("| 20.0 | 20.0 | no answer |"), "{figures}");
}

#[test]
fn where_nobody_is_answered_no_column_says_that_nobody_knows() {
    let fixture = Fixture::of(&scenario(&[("sale", 5)]), None);
    fixture.phase("sale", ms(ZERO_MS), Edge::Begin);
    fixture.second(ms(ZERO_MS), BOOK, Outcome::TimeOut, Clock::Response, 5, 5_000);
    fixture.second(ms(ZERO_MS), BOOK, Outcome::TimeOut, Clock::Service, 5, 5_000);
    fixture.account(
        ms(ZERO_MS + 5_000),
        Accounting {
            failed: 5,
            ok: 0,
            ..balanced(5)
        },
    );
    let text = text(&report(&fixture));
    let figures = row(&text, FIGURES, "| journey: book | 5 | 5 |");
    assert_eq!(figures.matches("no answer").count(), 6, "{figures}");
}

#[test]
fn the_slowest_requests_are_named_by_their_traces() {
    use crate::recording::event::Slow;
    let three = scenario(&[("warm-up", 5), ("sale", 10)]);
    let fixture = recorded(&three, None, |_| 20);
    let slow = |sent_ms: u64, endpoint, took_ms: u64, trace: u128| {
        let what = What::Slow(Slow {
            variant: 0,
            endpoint,
            outcome: Outcome::TimeOut,
            sent: ms(ZERO_MS + sent_ms),
            took: ms(took_ms),
            trace: format!("{trace:032x}"),
            span: format!("{:016x}", 9),
        });
        fixture.writer.event(ms(ZERO_MS + sent_ms + took_ms), what).unwrap();
    };
    // The warm-up is left out, however slow; of each kind only a few are shown.
    slow(100, Endpoint::Pay, 4_000, 0xaaaa);
    for trace in 1..=5 {
        slow(6_000 + trace * 100, Endpoint::Seats, 1_000 * trace, trace.into());
    }
    slow(7_000, Endpoint::Pay, 20, 0xbbbb);
    fixture.account(ms(ZERO_MS + 15_000), balanced(150));
    let text = text(&report(&fixture));
    assert!(!text.contains("aaaa"), "{text}");
    let first = row(&text, "*The slowest requests", "| seat map |");
    assert_eq!(
        first,
        "| seat map | time-out | 6.50 | 5,000 | 00000000000000000000000000000005 | 0000000000000009 |"
    );
    let seats = text.lines().filter(|line| line.starts_with("| seat map | time-out |"));
    assert_eq!(seats.count(), 3, "{text}");
    assert!(text.contains("| 0000000000000000000000000000bbbb |"), "{text}");

    let none = report(&recorded(&three, None, |_| 20));
    assert!(!markdown::render(&none).contains("The slowest requests"));
}

/// Whatever a damaged recording says of its books, a table shows it.
#[test]
fn books_name_the_visits_and_bear_any_numbers() {
    let cells = |books: &Accounting| -> Vec<String> {
        let table = super::tables::accounts(books);
        table.rows.iter().map(|row| format!("{row:?}")).collect()
    };
    let none = cells(&balanced(10));
    assert_eq!(none.len(), 4, "{none:?}");
    let visits = Accounting {
        visits: 7,
        late_visits: 2,
        ..balanced(10)
    };
    let rows = cells(&visits);
    assert_eq!(rows.len(), 5, "{rows:?}");
    assert!(rows[4].contains("2 ≤ 7 ≤ 10") && rows[4].contains("yes"), "{rows:?}");

    let most = u64::MAX;
    let mut damaged = Accounting {
        scheduled: most,
        started: most,
        dropped: most,
        dropped_by_generator: most,
        ok: most,
        failed: most,
        unfinished: most,
        late: most,
        late_by_generator: most,
        late_by_busy_users: most,
        visits: most,
        late_visits: most,
    };
    damaged.add(&damaged.clone());
    assert_eq!(damaged.scheduled, most);
    let rows = cells(&damaged);
    assert!(rows[..3].iter().all(|row| row.contains("\"no\"")), "{rows:?}");
}

/// All of it at once: a warm-up, failures with their reasons, what was begun, and two objectives.
#[test]
fn a_whole_report() {
    const OBJECTIVES: &str = "objectives:\n  - {name: quick, p99: 250ms, over: 10s}\n  \
        - {name: little fails, failed: 1%}\n";
    let fixture = recorded(
        &scenario(&[("warm-up", 5), ("steady", 60)]),
        Some(OBJECTIVES),
        |second| 20 + second % 2,
    );
    let at = ms(ZERO_MS + 64_000);
    fixture.second(at, BOOK, Outcome::Error, Clock::Response, 4, 30);
    fixture.second(at, BOOK, Outcome::TimeOut, Clock::Response, 1, 5_000);
    for (endpoint, outcome, cause, count) in [
        (Endpoint::Pay, Outcome::TimeOut, "no answer in time", 1),
        (Endpoint::Hold, Outcome::Error, "503 overloaded", 4),
    ] {
        let what = What::Failed {
            variant: 0,
            endpoint,
            outcome,
            cause: cause.to_owned(),
            count,
        };
        fixture.writer.event(ms(ZERO_MS + 65_000), what).unwrap();
    }
    {
        let mut series = fixture.writer.series();
        let (source, name) = (crate::analysis::started::SOURCE, crate::analysis::started::STARTED);
        let labels = std::collections::BTreeMap::new();
        let started = series.define(source, name, &labels, SeriesKind::Counter).unwrap();
        for second in 0..=65 {
            let sample = [(started, second as f64 * 10.0)];
            series.sample(ms(ZERO_MS + second * 1_000), source, &sample).unwrap();
        }
    }
    fixture.account(
        ms(ZERO_MS + 65_000),
        Accounting {
            failed: 5,
            ok: 650,
            ..balanced(655)
        },
    );
    let document = report(&fixture);
    let svg = chart(&document);
    for curve in [">planned<", ">started<", ">ended well<", ">not served<", ">warm-up<"] {
        assert!(svg.contains(curve), "no {curve} in {svg}");
    }
    insta::assert_snapshot!(markdown::render(&document));
}
