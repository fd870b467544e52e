//! The poller's schedule: gaps, deadlines, edges of slices.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use soundcheck::recording::SeriesKind;
use soundcheck::scrape::poll::Schedule;
use soundcheck::scrape::process::{MachineSource, ProcessSource};
use soundcheck::scrape::{Poller, Sample, ScrapeError, Source};

use crate::recorded::{Recorded, until};

const QUICK: Schedule = Schedule {
    period: Duration::from_millis(40),
    deadline: Duration::from_millis(30),
};
/// No scrape but the first comes by itself.
const SELDOM: Schedule = Schedule {
    period: Duration::from_secs(3_600),
    deadline: Duration::from_secs(5),
};

/// Counts how often it was asked; every third time it fails, or does not answer at all.
struct Third {
    asked: u64,
    hangs: bool,
}

impl Source for Third {
    async fn scrape(&mut self) -> Result<Vec<Sample>, ScrapeError> {
        self.asked += 1;
        if self.asked.is_multiple_of(3) {
            if self.hangs {
                std::future::pending::<()>().await;
            }
            return Err(ScrapeError::Ended { pid: 7 });
        }
        Ok(vec![Sample::new(
            "asked_total",
            &[],
            SeriesKind::Counter,
            self.asked as f64,
        )])
    }
}

#[tokio::test]
async fn a_failed_scrape_is_a_gap_and_the_next_goes_on() {
    let recorded = Recorded::new();
    let mut poller = Poller::new(recorded.writer.clone(), recorded.clock, QUICK);
    poller.watch("third", Third { asked: 0, hangs: false });
    until("a gap and values after it", || {
        recorded.series().named("asked_total").count() == 1 && recorded.values("asked_total").len() >= 5
    })
    .await;
    poller.stop().await.unwrap();
    assert_eq!(recorded.values("asked_total")[..4], [1.0, 2.0, 4.0, 5.0]);
    // A machine that stalls makes gaps of its own, which say so.
    let gaps = recorded.gaps("third");
    let is_stall = |why: &String| why.starts_with("the poller was");
    let first = gaps.iter().find(|why| !is_stall(why));
    assert_eq!(first.map(String::as_str), Some("process 7 has ended"), "{gaps:?}");
}

#[tokio::test]
async fn a_source_that_hangs_makes_gaps_and_holds_nobody_up() {
    let recorded = Recorded::new();
    let mut poller = Poller::new(recorded.writer.clone(), recorded.clock, QUICK);
    poller.watch("hangs", Third { asked: 0, hangs: true });
    poller.watch("own", ProcessSource::own());
    until("two gaps", || {
        recorded
            .gaps("hangs")
            .iter()
            .filter(|why| why.starts_with("no answer within 30 ms"))
            .count()
            >= 2
    })
    .await;
    poller.stop().await.unwrap();
    assert!(recorded.values("process_cpu_seconds_total").len() >= 4);
}

#[tokio::test]
async fn the_edge_of_a_slice_is_scraped_at_once_and_before_going_on() {
    let recorded = Recorded::new();
    let asked = Arc::new(AtomicU64::new(0));
    struct Counts(Arc<AtomicU64>);
    impl Source for Counts {
        async fn scrape(&mut self) -> Result<Vec<Sample>, ScrapeError> {
            let asked = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            Ok(vec![Sample::new("asked_total", &[], SeriesKind::Counter, asked as f64)])
        }
    }
    let mut poller = Poller::new(recorded.writer.clone(), recorded.clock, SELDOM);
    poller.watch("counts", Counts(Arc::clone(&asked)));
    until("the first scrape", || asked.load(Ordering::SeqCst) == 1).await;
    for edge in 2..=4 {
        poller.scrape_now().await.unwrap();
        assert_eq!(recorded.values("asked_total").last(), Some(&f64::from(edge)));
    }
    poller.unwatch("counts").await.unwrap();
    poller.unwatch("never watched").await.unwrap();
    poller.scrape_now().await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    poller.stop().await.unwrap();
}

#[tokio::test]
async fn a_recording_that_cannot_be_written_is_reported() {
    struct Panics;
    impl Source for Panics {
        async fn scrape(&mut self) -> Result<Vec<Sample>, ScrapeError> {
            panic!("a defect in a source");
        }
    }
    let recorded = Recorded::new();
    let mut poller = Poller::new(recorded.writer.clone(), recorded.clock, SELDOM);
    poller.watch("panics", Panics);
    let error = poller.scrape_now().await.unwrap_err();
    assert_eq!(error.to_string(), "the task that scrapes `panics` ended by itself");
    poller.stop().await.unwrap();
}

#[tokio::test]
async fn processes_are_seen_until_they_end() {
    // Waits for the end of its input, so that it ends with this test whatever happens.
    let mut child = std::process::Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut source = ProcessSource::new(child.id());
    let samples = source.scrape().await.unwrap();
    let value = |name: &str| samples.iter().find(|s| s.name == name).unwrap().value;
    assert!(value("process_open_fds") >= 3.0);
    assert_eq!(value("process_threads"), 1.0);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(source.scrape().await, Err(ScrapeError::Ended { .. })));

    // The kernel counts the pages of a small young process only roughly; this one is neither.
    let own = ProcessSource::own().scrape().await.unwrap();
    let memory = own.iter().find(|s| s.name == "process_resident_memory_bytes").unwrap();
    assert!(memory.value > 1_000_000.0, "{memory:?}");
}

#[tokio::test]
async fn the_machine_shows_its_processors_and_memory() {
    let samples = MachineSource.scrape().await.unwrap();
    let names: Vec<&str> = samples.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names.iter().filter(|n| **n == "node_cpu_seconds_total").count(), 8);
    assert!(names.contains(&"node_memory_MemAvailable_bytes"));
}
