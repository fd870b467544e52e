//! One run from its first word to what other tools read of it.

use std::collections::BTreeMap;
use std::path::Path;

use soundcheck::config::shipped;
use soundcheck::recording::event::{Accounting, Edge, Slow};
use soundcheck::recording::{Endpoint, What};

use crate::collector::Collector;
use crate::ran::{Ran, turn};
use crate::tool::Tool;
use crate::{EMBEDDED, soundcheck};

#[test]
fn a_run_is_recorded_judged_and_reported() {
    let turn = turn();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::start());
    let arguments = ["run", "smoke", "--seed", "7", "--live", "--traces", &collector.url()];
    let mut tool = Tool::start(&[&arguments[..], &EMBEDDED].concat());
    let page = tool.until("the address of the live page", |tool| {
        tool.said()
            .iter()
            .find_map(|line| line.strip_prefix("live: ").map(str::to_owned))
    });
    let watched = std::thread::spawn(move || watch(&page));
    let ran = Ran::wait(tool, turn);
    ran.check_books_and_ledger();
    ran.check_pass_or_out_of_pace();

    let scenario = shipped::scenario("smoke").unwrap();
    let events = ran.recording.events().unwrap();
    let stages: Vec<(String, Edge)> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Phase { name, edge } => Some((name.clone(), *edge)),
            _ => None,
        })
        .collect();
    let planned = scenario.stages.iter();
    let planned = planned.flat_map(|stage| [Edge::Begin, Edge::End].map(|edge| (stage.name.clone(), edge)));
    assert_eq!(stages, planned.collect::<Vec<_>>());
    let books = ran.books();
    // Even arrivals: 3 s at 20/s and 12 s at 40/s.
    assert_eq!(books.scheduled, 540);

    // Two stages, and a few requests of each kind in each.
    let slow: Vec<&Slow> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Slow(slow) => Some(slow),
            _ => None,
        })
        .collect();
    let steady = events
        .iter()
        .find(|event| matches!(&event.what, What::Phase { name, .. } if name == "steady"));
    let steady = steady.unwrap().t;
    let measured = slow.iter().filter(|slow| slow.sent >= steady);
    let slowest = measured.max_by_key(|slow| slow.took).unwrap();
    let is_hex = |text: &str, n| text.len() == n && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(
        slow.iter()
            .all(|slow| is_hex(&slow.trace, 32) && is_hex(&slow.span, 16)),
        "{slow:#?}"
    );
    let spans = collector.spans();
    for slow in slow.iter().filter(|slow| slow.outcome.is_answered()) {
        let found = spans
            .iter()
            .find(|span| span.trace == slow.trace && span.parent == slow.span);
        assert!(found.is_some(), "no trace of {slow:?}");
    }
    let of_seats = slow.iter().filter(|slow| slow.endpoint == Endpoint::Seats).count();
    assert!((6..=9).contains(&of_seats), "{slow:#?}");

    let log = std::fs::read_to_string(ran.recording.dir().join("slowest.ndjson")).unwrap();
    let mut lines = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert!(
        lines.all(|line| slow.iter().any(|slow| line["trace_id"] == slow.trace)),
        "{log}"
    );
    assert!(log.contains(&slowest.trace), "{log}");

    let watched = watched.join().unwrap();
    let seconds = watched.matches("event: second\n").count();
    assert!((10..=25).contains(&seconds), "{seconds} of 15 seconds: {watched}");
    assert!(
        watched.contains("\"planned\":40.0") && watched.contains("\"outcomes\":{"),
        "{watched}"
    );
    assert!(watched.contains("event: end\n"), "{watched}");
    // Where nothing is redrawn, some of them are told on lines of their own.
    assert!(
        ran.ended.said.iter().any(|line| line.contains("planned 40.0/s")),
        "{:#?}",
        ran.ended
    );

    let folder = ran.recording.dir().to_owned();
    the_exports_agree_with_the_books(&folder, &books);
    let exported = soundcheck(&["export", folder.to_str().unwrap(), "--as", "junit"]);
    let xml = String::from_utf8(exported.stdout).unwrap();
    let junit = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    // CI is as content as the exit code.
    assert_eq!(junit.failures + junit.errors == 0, ran.ended.code == Some(0), "{xml}");
    ran.check_report(&[
        "Run: smoke",
        &format!("{} = {} + {}", books.scheduled, books.started, books.dropped),
        &format!(
            "soundcheck run smoke --traces {} --stack embedded --seed 7",
            collector.url()
        ),
        "Asked for p99",
        "How journeys ended",
        "held to no objective",
        "The slowest requests",
        &slowest.trace,
        "slowest.ndjson",
    ]);
    let before = std::fs::read(folder.join("report.html")).unwrap();
    let rendered = soundcheck(&["render", folder.to_str().unwrap()]);
    assert!(rendered.status.success(), "{rendered:?}");
    assert!(std::fs::read(folder.join("report.html")).unwrap() == before);
}

/// What ended in each second adds up to what became of every arrival; and each second has a row.
fn the_exports_agree_with_the_books(folder: &Path, books: &Accounting) {
    let exported = soundcheck(&["export", folder.to_str().unwrap(), "--as", "csv"]);
    assert!(exported.status.success(), "{exported:?}");
    let mut reader = csv::Reader::from_reader(exported.stdout.as_slice());
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    let sum = |series: &str| -> f64 {
        let of_journeys = rows.iter().filter(|row| {
            row["source"] == "load" && row["endpoint"].starts_with("journey-") && row["series"] == series
        });
        of_journeys.map(|row| row["value"].parse::<f64>().unwrap()).sum()
    };
    for (series, count) in [("ok", books.ok), ("failed", books.failed), ("dropped", books.dropped)] {
        assert!(
            (sum(series) - count as f64).abs() < 0.5,
            "{series}: {} of {count}",
            sum(series)
        );
    }
    let planned: Vec<f64> = rows
        .iter()
        .filter(|row| row["series"] == "planned")
        .map(|row| row["value"].parse().unwrap())
        .collect();
    assert!((10..=20).contains(&planned.len()), "{planned:?}");
    assert!(planned.contains(&40.0), "{planned:?}");
    // What the service says about itself stands beside what its users saw.
    let scraped = rows
        .iter()
        .filter(|row| row["source"] == "service:service" && !row["value"].is_empty());
    assert!(scraped.count() > 100);
}

/// Everything that the live page is told until the run is over.
fn watch(page: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut answer = reqwest::get(format!("{page}events")).await.unwrap();
        let mut seen = String::new();
        while !seen.contains("event: end\n")
            && let Some(chunk) = answer.chunk().await.unwrap()
        {
            seen.push_str(&String::from_utf8_lossy(&chunk));
        }
        seen
    })
}
