//! The stall oracle: the server freezes for a scripted second. What users felt is known arrival by arrival from the
//! server's own log, so the engine's percentiles can be held to the truth, and closed-loop timing shown to miss it.

use std::time::Duration;

use soundcheck::config::{ArrivalKind, ScenarioConfig};
use soundcheck::load::{LoadHandle, Schedule};
use soundcheck::recording::{Clock, Endpoint, RunClock};
use soundcheck::units::Nanos;

use crate::run::{Run, TURN, run_alone, seat_maps};
use crate::stub::Stub;

/// The response time of each arrival in nanoseconds, sorted: from when it was due to when the server answered it.
fn truth(stub: &Stub, run: &Run, scenario: &ScenarioConfig) -> Vec<u64> {
    let answered = stub.script.answered.lock().unwrap();
    let mut truth: Vec<u64> = Schedule::new(&scenario.stages, ArrivalKind::Even, 7)
        .map(|slot| {
            let due = Nanos(run.outcome.began.0 + slot.due.0);
            u64::try_from(answered[&slot.number].since(due).as_nanos()).unwrap()
        })
        .collect();
    truth.sort_unstable();
    truth
}

/// The smallest value that at least `q` of all do not exceed.
fn quantile(sorted: &[u64], q: f64) -> u64 {
    sorted[((sorted.len() as f64 * q).ceil() as usize).clamp(1, sorted.len()) - 1]
}

fn ms(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// Offers 500/s for 5 s to a server that answers after 2 ms and freezes for the third second.
async fn frozen_second(scenario: &ScenarioConfig) -> (Run, Vec<u64>) {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::from_millis(2), clock);
    let handle = LoadHandle::new();
    let freeze = tokio::spawn({
        let (handle, script) = (handle.clone(), std::sync::Arc::clone(&stub.script));
        async move {
            let zero = handle.begun().await.unwrap();
            let from = zero.plus(Duration::from_secs(2));
            *script.freeze.lock().unwrap() = Some((from, from.plus(Duration::from_secs(1))));
        }
    });
    let run = run_alone(&stub, scenario.clone(), clock, handle).await;
    freeze.await.unwrap();
    let truth = truth(&stub, &run, scenario);
    (run, truth)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_second_is_seen_as_the_users_felt_it() {
    let _turn = TURN.write().await;
    let scenario = seat_maps(500.0, 5.0, 20);
    // The script says 2 ms. A machine on which the stub needs far longer at the median is busy with other work, and
    // the way from the stub to the client then takes as long as what is to be compared: such a run proves nothing.
    let mut tries = 0;
    let (run, truth) = loop {
        let (run, truth) = frozen_second(&scenario).await;
        tries += 1;
        if quantile(&truth, 0.5) < 6_000_000 {
            break (run, truth);
        }
        assert!(
            tries < 5,
            "this machine is too busy to time anything: p50 {:.1} ms",
            ms(quantile(&truth, 0.5))
        );
    };

    assert_eq!(run.outcome.total.scheduled, 2_500);
    assert_eq!(run.outcome.total.ok, 2_500, "{:?}", run.recorder.causes());
    let ours = run.merged(Endpoint::JourneySeatMap, Clock::Response);
    assert_eq!(ours.len(), 2_500);
    for q in [0.5, 0.9, 0.99, 0.999] {
        let (felt, said) = (quantile(&truth, q), ours.value_at_quantile(q));
        let tolerance = (felt as f64 * 0.02).max(1e6);
        assert!(
            (said as f64 - felt as f64).abs() <= tolerance,
            "p{}: users felt {:.3} ms and the engine says {:.3} ms",
            q * 100.0,
            ms(felt),
            ms(said)
        );
    }
    // The first request of a journey tells the same, since it is timed from the due moment too.
    let first = run.merged(Endpoint::Seats, Clock::Response);
    assert!(first.value_at_quantile(0.99).abs_diff(ours.value_at_quantile(0.99)) < 5_000_000);

    // A second's freeze hits every fifth arrival, and those that queue up behind them.
    assert!(
        quantile(&truth, 0.9) > 300_000_000,
        "p90 {:.1} ms",
        ms(quantile(&truth, 0.9))
    );
    // Timed from the send, only the twenty users caught in the act saw it: one in a hundred is more than those.
    let service = run.merged(Endpoint::Seats, Clock::Service);
    let (closed, felt) = (service.value_at_quantile(0.99), quantile(&truth, 0.99));
    assert!(
        closed * 5 < felt,
        "closed-loop p99 {:.1} ms against {:.1} ms felt",
        ms(closed),
        ms(felt)
    );
    // The freeze kept all users busy: the lag is theirs, not the generator's.
    assert!(run.outcome.total.late_by_busy_users > 300, "{:?}", run.outcome.total);
}
