//! What the recorder keeps, and what it leaves out.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::outcome::NO_SOCKET;
use super::recorder::{Keep, LeftOut, MAX_CAUSE_CHARS, MAX_CAUSES, Recorder};
use super::selector::{Selector, Slice};
use crate::recording::{Endpoint, Lateness, Outcome, RunClock, Sample};
use crate::units::Nanos;

fn recorder(keep: Keep) -> (Recorder, Arc<Selector>) {
    let selector = Arc::new(Selector::new(0));
    let variants = vec!["off".to_owned(), "redis".to_owned()];
    (
        Recorder::new(variants, Arc::clone(&selector), keep, RunClock::start()),
        selector,
    )
}

fn sample(slice: u32, intended_ms: Option<u64>, sent_ms: u64, done_ms: u64) -> Sample {
    let at = |ms: u64| Nanos(ms * 1_000_000);
    Sample {
        variant: 1,
        slice,
        endpoint: Endpoint::Seats,
        outcome: Outcome::Ok,
        intended: intended_ms.map(at),
        lateness: Lateness::Generator,
        sent: at(sent_ms),
        done: at(done_ms),
    }
}

fn close(histogram: &Histogram<u64>, ms: u64) -> bool {
    histogram.len() == 1 && histogram.max().abs_diff(ms * 1_000_000) <= ms * 1_000
}

#[test]
fn the_clocks_are_kept_apart() {
    let (recorder, _) = recorder(Keep::Everything);
    recorder.record(0, &sample(0, Some(100), 130, 150));
    recorder.record(1, &sample(0, None, 130, 140));
    let waited = Sample {
        lateness: Lateness::BusyUsers,
        ..sample(0, Some(100), 160, 170)
    };
    recorder.record(0, &waited);
    let cut = recorder.cut();
    let names: Vec<String> = cut.iter().map(|cut| cut.tag.to_string()).collect();
    assert_eq!(
        names,
        [
            "redis/seats/ok/response",
            "redis/seats/ok/service",
            "redis/seats/ok/lag",
            "redis/seats/ok/wait",
        ]
    );
    assert_eq!((cut[0].histogram.len(), cut[1].histogram.len()), (2, 3));
    assert!(close(&cut[2].histogram, 30) && close(&cut[3].histogram, 60));
    assert!(recorder.cut().is_empty(), "a cut takes everything out");
}

#[test]
fn the_slowest_requests_are_kept_by_name_until_they_are_taken() {
    let (recorder, _) = recorder(Keep::Everything);
    for (user, took_ms) in [20, 300, 10, 90, 80].into_iter().enumerate() {
        let sample = sample(0, None, 100, 100 + took_ms);
        recorder.record_request(user, &sample, 1 << 100, took_ms);
    }
    // Journeys have no request of their own.
    recorder.record(0, &sample(0, Some(1), 1, 5_000));
    recorder.cut();
    let slowest = recorder.take_slowest();
    let spans: Vec<u64> = slowest.iter().map(|slow| slow.span).collect();
    assert_eq!(spans, [300, 90, 80]);
    assert_eq!(
        (slowest[0].trace, slowest[0].took),
        (1 << 100, Duration::from_millis(300))
    );
    assert_eq!(recorder.take_slowest(), []);
}

#[test]
fn a_dropped_arrival_has_a_response_time_and_no_service_time() {
    let (recorder, _) = recorder(Keep::Everything);
    recorder.record(
        0,
        &Sample {
            outcome: Outcome::Dropped,
            ..sample(0, Some(0), 40, 40)
        },
    );
    let names: Vec<String> = recorder.cut().iter().map(|cut| cut.tag.to_string()).collect();
    assert_eq!(names, ["redis/seats/dropped/response", "redis/seats/dropped/lag"]);
}

#[test]
fn samples_that_straddle_or_settle_are_left_out_and_counted() {
    let (recorder, selector) = recorder(Keep::WithinSlices {
        settle: Duration::from_millis(250),
    });
    recorder.record(0, &sample(0, Some(1), 1, 2));
    selector.switch(Slice {
        number: 4,
        variant: 1,
        start: Nanos(1_000_000_000),
    });
    recorder.record(0, &sample(4, Some(1_300), 1_300, 1_310));
    recorder.record(0, &sample(4, Some(1_249), 1_300, 1_310));
    recorder.record(0, &sample(4, Some(990), 1_300, 1_310));
    recorder.record(0, &sample(3, Some(900), 900, 1_010));
    assert_eq!(
        recorder.left_out(),
        LeftOut {
            straddling: 2,
            settling: 1,
            outside: 1
        }
    );
    let cut = recorder.cut();
    assert_eq!(cut.len(), 3);
    assert!(cut.iter().all(|cut| cut.slice == 4 && cut.histogram.len() == 1));
}

#[test]
fn causes_are_counted_and_bounded() {
    let (recorder, _) = recorder(Keep::Everything);
    for n in 0..(MAX_CAUSES + 10) {
        recorder.count_cause(0, Endpoint::Pay, Outcome::Error, &format!("cause {n}"));
    }
    // One that is known keeps its name, however many others there are.
    recorder.count_cause(0, Endpoint::Pay, Outcome::Error, "cause 7");
    let causes = recorder.causes();
    assert_eq!(causes.len(), MAX_CAUSES + 1);
    assert_eq!(causes.values().sum::<u64>(), MAX_CAUSES as u64 + 11);
    let known = causes.iter().find(|(cause, _)| cause.text == "cause 7");
    assert_eq!(known.map(|(_, count)| *count), Some(2));
    let unsent = format!("{NO_SOCKET}: too many open files");
    recorder.count_cause(0, Endpoint::Pay, Outcome::Lost, &unsent);
    assert!(recorder.causes().keys().any(|cause| cause.text == unsent));
}

#[test]
fn no_server_says_more_of_a_cause_than_a_line() {
    let (recorder, _) = recorder(Keep::Everything);
    recorder.count_cause(0, Endpoint::Pay, Outcome::Error, &"é".repeat(1 << 20));
    let causes = recorder.causes();
    assert!(causes.keys().all(|cause| cause.text == "é".repeat(MAX_CAUSE_CHARS)));
}
