//! A recording that is pushed into a real Prometheus, and asked for there.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use soundcheck::recording::empty_histogram;
use soundcheck::recording::model::{ClockAnchor, Environment, Tool};
use soundcheck::recording::{Clock, Endpoint, Manifest, Outcome, RecordingWriter, SeriesKind, Tag, Variant};
use soundcheck::units::Nanos;

use crate::support::prometheus_server::PrometheusServer;

/// Prometheus scrapes itself once in this time at the latest.
const SCRAPES_WITHIN: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The recording's moments, in whole milliseconds of its clock.
const fn ms(ms: u64) -> Nanos {
    Nanos(ms * 1_000_000)
}

/// What these tests ask of it.
impl PrometheusServer {
    /// What it answers at this Unix time: the labels of each series and its value.
    async fn ask(&self, query: &str, at_ms: i64) -> Vec<(BTreeMap<String, String>, String)> {
        let url = format!("{}/api/v1/query", self.url);
        let time = format!("{}.{:03}", at_ms / 1_000, at_ms % 1_000);
        let url = reqwest::Url::parse_with_params(&url, [("query", query), ("time", &time)]).unwrap();
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["status"], "success", "{text}");
        let found = answer["data"]["result"].as_array().unwrap().iter();
        found
            .map(|series| {
                let labels = serde_json::from_value(series["metric"].clone()).unwrap();
                (labels, series["value"][1].as_str().unwrap().to_owned())
            })
            .collect()
    }

    /// The only value.
    async fn value(&self, query: &str, at_ms: i64) -> Option<String> {
        let mut found = self.ask(query, at_ms).await;
        assert!(found.len() <= 1, "{found:#?}");
        found.pop().map(|(_, value)| value)
    }

    fn push(&self, recording: &Path) -> Output {
        let url = format!("{}/api/v1/write", self.url);
        Command::new(env!("CARGO_BIN_EXE_soundcheck"))
            .arg("export")
            .arg(recording)
            .args(["--remote-write", &url])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

/// Three seconds of bookings, with a server whose scrape failed once. It began at `unix_ms`.
fn record(dir: &Path, unix_ms: i64) {
    let tool = Tool {
        version: "0".to_owned(),
        commit: None,
    };
    let clock = ClockAnchor {
        unix_ns: unix_ms * 1_000_000,
        offsets: Vec::new(),
    };
    let mut manifest = Manifest::new("incident", tool, 1, Environment::default(), clock);
    manifest.variants = vec![Variant::named("calm")];
    let writer = RecordingWriter::create(dir, &manifest).unwrap();
    let ended = |start, outcome, took_ms: u64, n| {
        let tag = Tag {
            variant: "calm".to_owned(),
            endpoint: Endpoint::JourneyBook,
            outcome,
            clock: Clock::Response,
        };
        let mut histogram = empty_histogram();
        histogram.record_n(took_ms * 1_000_000, n).unwrap();
        writer
            .interval(start, Duration::from_secs(1), &tag, &histogram)
            .unwrap();
    };
    ended(ms(0), Outcome::Won, 20, 30);
    ended(ms(1_000), Outcome::Won, 20, 10);
    ended(ms(1_000), Outcome::TimeOut, 900, 1);
    ended(ms(2_000), Outcome::Won, 40, 20);
    {
        let mut series = writer.series();
        let labels = BTreeMap::from([("layer".to_owned(), "redis".to_owned())]);
        let hits = series
            .define("service:calm", "cache_hits_total", &labels, SeriesKind::Counter)
            .unwrap();
        series.sample(ms(500), "service:calm", &[(hits, 7.0)]).unwrap();
        series.gap(ms(1_500), "service:calm", "connection refused").unwrap();
        series.sample(ms(2_500), "service:calm", &[(hits, 9.0)]).unwrap();
    }
    writer.close().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_is_found_in_prometheus_as_it_was_and_nowhere_else() {
    let Some(prometheus) = PrometheusServer::start().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let recent = folder.path().join("recent");
    let began_ms = jiff::Timestamp::now().as_millisecond() - 60_000;
    record(&recent, began_ms);
    let pushed = prometheus.push(&recent);
    assert_eq!(pushed.status.code(), Some(0), "{pushed:?}");
    let said = String::from_utf8(pushed.stdout).unwrap();
    assert!(
        said.contains("series were sent") && said.contains("run=\"recent\""),
        "{said}"
    );
    is_as_recorded(&prometheus, began_ms).await;
    check_refused(&prometheus.push(&recent), "out of order", "keeps what it has");
    is_as_recorded(&prometheus, began_ms).await;
    a_run_of_long_ago_is_refused_in_words(&prometheus, folder.path()).await;
}

async fn is_as_recorded(prometheus: &PrometheusServer, began_ms: i64) {
    let at = |ms: i64| began_ms + ms;
    let won = "sum(soundcheck_ended_total{run=\"recent\",endpoint=\"journey-book\",result=\"ok\"})";
    for (moment, expected) in [(1_000, "30"), (2_000, "40"), (3_000, "60")] {
        assert_eq!(
            prometheus.value(won, at(moment)).await.as_deref(),
            Some(expected),
            "{moment}"
        );
    }
    assert_eq!(prometheus.value(won, at(-1)).await, None);
    assert_eq!(prometheus.value(won, at(4_000)).await, None, "the run is over");

    let p99 = "soundcheck_response_seconds{run=\"recent\",quantile=\"0.99\"}";
    assert_eq!(prometheus.value(p99, at(2_000)).await.as_deref(), Some("+Inf"));
    let last: f64 = prometheus.value(p99, at(3_000)).await.unwrap().parse().unwrap();
    assert!((0.0399..0.0401).contains(&last), "{last}");

    let found = prometheus.ask("soundcheck_scraped_cache_hits_total", at(1_000)).await;
    let labels = [
        ("__name__", "soundcheck_scraped_cache_hits_total"),
        ("layer", "redis"),
        ("run", "recent"),
        ("source", "service:calm"),
    ];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(found, [(BTreeMap::from(labels), "7".to_owned())]);
    let hits = "soundcheck_scraped_cache_hits_total{run=\"recent\"}";
    assert_eq!(prometheus.value(hits, at(2_000)).await, None, "nobody knows it there");
    assert_eq!(prometheus.value(hits, at(3_000)).await.as_deref(), Some("9"));
}

#[track_caller]
fn check_refused(pushed: &Output, server_words: &str, remedy: &str) {
    let said = String::from_utf8_lossy(&pushed.stderr);
    assert_eq!(pushed.status.code(), Some(2), "{said}");
    for part in ["with 400 Bad Request", server_words, remedy] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
}

/// By a server that holds something newer, as one that scrapes itself does.
async fn a_run_of_long_ago_is_refused_in_words(prometheus: &PrometheusServer, folder: &Path) {
    let deadline = Instant::now() + SCRAPES_WITHIN;
    while prometheus
        .value("count(up)", jiff::Timestamp::now().as_millisecond())
        .await
        .is_none()
    {
        assert!(Instant::now() < deadline, "it does not scrape itself");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let old = folder.join("old");
    record(&old, jiff::Timestamp::now().as_millisecond() - 3 * 24 * 3_600_000);
    check_refused(&prometheus.push(&old), "out of bounds", "out_of_order_time_window");
}
