//! What was offered is accounted for exactly: started, dropped, ended, cut off, and whose fault lateness was.

use std::sync::Arc;
use std::time::Duration;

use soundcheck::config::{JourneyKind, ScenarioConfig};
use soundcheck::load::{Keep, LoadError, LoadHandle, LoadPlan, Recorder, Selector, Slice, Target, drive};
use soundcheck::recording::{Clock, Endpoint, Outcome, RunClock};
use soundcheck::units::{Percent, RatePerSec};

use crate::run::{TURN, part, run, scenario, seat_maps, try_run};
use crate::stub::{Manner, Stub};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_attacks_run_one_after_the_other_in_one_process() {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::ZERO, clock);
    for _ in 0..3 {
        let run = run(&stub, seat_maps(200.0, 0.5, 10), clock, LoadHandle::new()).await;
        let total = run.outcome.total;
        assert_eq!(
            (total.scheduled, total.ok, total.dropped),
            (100, 100, 0),
            "{:?}",
            run.recorder.causes()
        );
        assert!(!run.outcome.was_stopped);
        let lateness = |clock| run.merged(Endpoint::JourneySeatMap, clock).len();
        assert_eq!(lateness(Clock::Lag) + lateness(Clock::Wait), 100);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_attacks_side_by_side_do_not_end_each_other() {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::ZERO, clock);
    let short = LoadHandle::new();
    let long = LoadHandle::new();
    let ender = tokio::spawn({
        let short = short.clone();
        async move {
            short.begun().await.unwrap();
            while short.progress().started < 20 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            short.stop();
        }
    });
    let (one, two) = tokio::join!(
        run(&stub, seat_maps(100.0, 30.0, 5), clock, short),
        run(&stub, seat_maps(100.0, 1.0, 5), clock, long),
    );
    ender.await.unwrap();
    assert!(one.outcome.was_stopped && one.outcome.total.started < 3_000);
    assert_eq!(one.outcome.total.started, one.outcome.total.ok);
    assert_eq!(two.outcome.total.ok, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_share_the_connections_and_wait_for_one_as_they_would_for_a_free_user() {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::from_millis(100), clock);
    let scenario = ScenarioConfig {
        connections: Some(6),
        ..seat_maps(240.0, 0.5, 200)
    };
    let run = run(&stub, scenario, clock, LoadHandle::new()).await;
    assert_eq!(run.outcome.total.ok, 120, "{:?}", run.recorder.causes());
    // A connection is given back a moment after its answer was read, so that one more may be opened in the place of each;
    // 24 would be needed if nobody waited.
    let most = stub.script.open.lock().unwrap().1;
    assert!((6..=12).contains(&most), "{most} connections");
    // Six connections carry 60 a second: the last one waits for three times as long as the run lasts.
    let waited = run.merged(Endpoint::Seats, Clock::Wait);
    assert!(waited.max() > 1_050_000_000 && waited.len() > 100, "{waited:?}");
    // The journeys began as late as their first requests, and their service is no longer for that.
    let late = run.merged(Endpoint::JourneySeatMap, Clock::Wait);
    assert_eq!(late.len(), waited.len());
    assert!(late.max().abs_diff(waited.max()) < 100_000_000, "{late:?}");
    assert!(run.merged(Endpoint::JourneySeatMap, Clock::Service).max() < 500_000_000);
    // There were users enough, and still they came late: the books say so.
    let total = run.outcome.total;
    assert!(
        total.late_by_busy_users > 100 && total.late == total.late_by_busy_users + total.late_by_generator,
        "{total:?}"
    );
    assert!(run.merged(Endpoint::Seats, Clock::Service).max() < 500_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrivals_that_find_no_user_in_time_are_dropped_and_busy_users_are_blamed() {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::from_millis(100), clock);
    let scenario = ScenarioConfig {
        max_late: Some(Duration::from_millis(20)),
        ..seat_maps(100.0, 1.0, 2)
    };
    let run = run(&stub, scenario, clock, LoadHandle::new()).await;
    let (total, offered) = (run.outcome.total, &run.outcome.offered);
    // Two users of 100 ms can serve 20 of the 100.
    assert!(total.started <= 25 && total.dropped >= 75, "{total:?}");
    assert!(
        offered.dropped.users_exhausted * 2 > offered.dropped.total(),
        "{offered:?}"
    );
    assert_eq!(run.count(Endpoint::JourneySeatMap, Outcome::Dropped), total.dropped);
    assert_eq!(
        run.merged(Endpoint::JourneySeatMap, Clock::Response).len(),
        total.scheduled
    );
    assert_eq!(run.merged(Endpoint::Seats, Clock::Service).len(), total.started);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saturating_users_are_never_idle() {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::from_millis(10), clock);
    let mix = [(JourneyKind::SeatMap, Percent(100.0))];
    let scenario = ScenarioConfig::saturating("probe", 4, Duration::from_secs(1), &mix);
    let run = run(&stub, scenario, clock, LoadHandle::new()).await;
    let total = run.outcome.total;
    assert_eq!(total.scheduled, 10_000);
    // Four users of 10 ms and a little more each end no more than 400 in a second.
    assert!(total.ok <= 410, "{total:?}");
    // How many they end depends on the machine; that far more was offered than anyone was free for does not.
    assert!(total.ok > 0 && total.dropped > total.ok, "{total:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_limit_late_arrivals_run_and_their_wait_is_counted() {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::from_millis(20), clock);
    let run = run(&stub, seat_maps(100.0, 0.5, 1), clock, LoadHandle::new()).await;
    let total = run.outcome.total;
    assert_eq!((total.started, total.ok, total.dropped), (50, 50, 0));
    assert!(total.late_by_busy_users > 40, "{total:?}");
    // One user needs at least a second for what was offered in half a second.
    assert!(run.merged(Endpoint::JourneySeatMap, Clock::Response).max() > 400_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn journeys_cut_off_when_the_drain_is_over_are_unfinished_and_the_backlog_is_dropped() {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::ZERO, clock);
    stub.set(Manner::Stall);
    let mut scenario = seat_maps(100.0, 0.3, 4);
    scenario.timeouts.drain = Duration::from_millis(200);
    let run = run(&stub, scenario, clock, LoadHandle::new()).await;
    let total = run.outcome.total;
    assert_eq!(
        (total.started, total.unfinished, total.dropped),
        (4, 4, 26),
        "{total:?}"
    );
    assert_eq!(run.outcome.offered.dropped.users_exhausted, 26);
    // They waited longest of all, and so are among those who got no answer; and so are their requests.
    assert_eq!(run.count(Endpoint::JourneySeatMap, Outcome::Unfinished), 4);
    assert_eq!(run.count(Endpoint::Seats, Outcome::Unfinished), 4);
    let requests = run.merged(Endpoint::Seats, Clock::Service);
    assert_eq!((requests.len(), requests.count_between(190_000_000, u64::MAX)), (4, 4));
    let response = run.merged(Endpoint::JourneySeatMap, Clock::Response);
    assert_eq!(response.len(), total.scheduled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn journeys_cut_off_before_they_had_a_connection_began_late_and_visits_that_were_are_no_arrivals() {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::ZERO, clock);
    stub.set(Manner::Stall);
    let mut scenario = ScenarioConfig {
        connections: Some(2),
        ..seat_maps(100.0, 0.3, 40)
    };
    scenario.timeouts.drain = Duration::from_millis(300);
    let arrivals = run(&stub, scenario.clone(), clock, LoadHandle::new()).await;
    let total = arrivals.outcome.total;
    assert_eq!((total.started, total.unfinished), (30, 30), "{total:?}");
    // All but the two that got a connection waited for the whole drain at least.
    assert!(total.late_by_busy_users + total.late_by_generator >= 28, "{total:?}");
    assert_eq!(total.late, total.late_by_generator + total.late_by_busy_users);
    let lateness = |clock| arrivals.merged(Endpoint::JourneySeatMap, clock);
    let late = |clock| lateness(clock).count_between(290_000_000, u64::MAX);
    assert_eq!(late(Clock::Lag) + late(Clock::Wait), 28);
    assert_eq!(lateness(Clock::Lag).len() + lateness(Clock::Wait).len(), 30);
    // On a machine that is busy with more than this test, the generator may have overslept some of them.
    assert!(late(Clock::Wait) > 0);

    for stage in &mut scenario.stages {
        stage.from = RatePerSec(0.0);
        stage.to = RatePerSec(0.0);
        stage.virtual_users = (10, 10);
    }
    let visits = run(&stub, scenario, clock, LoadHandle::new()).await;
    let total = visits.outcome.total;
    assert_eq!((total.visits, total.unfinished), (10, 10), "{total:?}");
    assert_eq!(
        (total.late, total.late_by_generator, total.late_by_busy_users),
        (0, 0, 0),
        "{total:?}"
    );
    for clock in [Clock::Lag, Clock::Wait] {
        assert_eq!(visits.merged(Endpoint::JourneySeatMap, clock).len(), 0, "{clock}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_cut_off_while_leaving_has_reached_the_aim_before() {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::ZERO, clock);
    stub.set(Manner::KeepIn);
    let mut scenario = scenario(JourneyKind::Browse, 100.0, 0.1, 10);
    scenario.timeouts.drain = Duration::from_secs(2);
    let run = run(&stub, scenario, clock, LoadHandle::new()).await;
    let total = run.outcome.total;
    assert_eq!((total.started, total.ok, total.unfinished), (10, 10, 0), "{total:?}");
    assert_eq!(run.count(Endpoint::QueueLeave, Outcome::Unfinished), 10);
    // The time until the answer that they were after, and not until the end of all.
    let response = run.merged(Endpoint::JourneyBrowse, Clock::Response);
    assert_eq!(
        (response.len(), response.count_between(1_900_000_000, u64::MAX)),
        (10, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_at_once_ends_a_run_that_would_last() {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::ZERO, clock);
    stub.set(Manner::Stall);
    let handle = LoadHandle::new();
    let ender = tokio::spawn({
        let handle = handle.clone();
        async move {
            handle.begun().await.unwrap();
            while handle.progress().started < 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(handle.progress().under_way(), handle.progress().started);
            handle.stop_now();
        }
    });
    let run = run(&stub, seat_maps(50.0, 60.0, 10), clock, handle).await;
    ender.await.unwrap();
    assert!(run.outcome.was_stopped);
    assert_eq!(run.outcome.total.unfinished, run.outcome.total.started);
    assert!(run.outcome.ended.since(run.outcome.began) < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_are_asked_in_turn_and_what_straddles_is_left_out() {
    let _turn = TURN.read().await;
    let clock = RunClock::start();
    let stubs = [
        Stub::start(Duration::ZERO, clock),
        Stub::start(Duration::from_millis(5), clock),
    ];
    let selector = Arc::new(Selector::new(0));
    let keep = Keep::WithinSlices {
        settle: Duration::from_millis(100),
    };
    let names = vec!["fast".to_owned(), "slow".to_owned()];
    let recorder = Arc::new(Recorder::new(names, Arc::clone(&selector), keep, clock));
    let targets = stubs.each_ref().map(|stub| Target {
        address: stub.url(),
        part: part(),
    });
    let handle = LoadHandle::new();
    let interleaver = tokio::spawn({
        let (selector, handle, recorder) = (Arc::clone(&selector), handle.clone(), Arc::clone(&recorder));
        async move {
            handle.begun().await.unwrap();
            let (mut cuts, mut starts) = (Vec::new(), Vec::new());
            for number in 1..=4 {
                let start = clock.now();
                starts.push(start);
                selector.switch(Slice {
                    number,
                    variant: (number % 2) as u16,
                    start,
                });
                cuts.extend(recorder.cut());
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            let end = clock.now();
            starts.push(end);
            selector.switch(Slice {
                number: 0,
                variant: 0,
                start: end,
            });
            cuts.extend(recorder.cut());
            handle.stop();
            (cuts, starts)
        }
    });
    let plan = LoadPlan {
        scenario: seat_maps(200.0, 30.0, 10),
        seed: 1,
        nonce: 1,
        first_variant: 0,
    };
    let outcome = drive(plan, &targets, selector, Arc::clone(&recorder), None, handle)
        .await
        .unwrap();
    let (cuts, starts) = interleaver.await.unwrap();

    let seats: Vec<_> = cuts
        .iter()
        .filter(|c| c.tag.endpoint == Endpoint::Seats && c.tag.clock == Clock::Service)
        .collect();
    assert_eq!(seats.iter().map(|c| c.slice).collect::<Vec<_>>(), [1, 2, 3, 4]);
    for cut in &seats {
        assert_eq!(cut.tag.variant, if cut.slice % 2 == 1 { "slow" } else { "fast" });
        // What is left of each slice, as long as it was, at 200/s; and who came late, from before it.
        let number = cut.slice as usize;
        let lasted = starts[number].since(starts[number - 1]).as_secs_f64();
        let until_then = outcome.books.iter().filter(|(account, _)| account.slice <= cut.slice);
        let late: u64 = until_then.map(|(_, books)| books.late).sum();
        let most = (lasted - 0.1) * 200.0 + 5.0 + late as f64;
        let n = cut.histogram.len();
        assert!(n >= 5 && n as f64 <= most, "{number}: {n}, at most {most}");
        assert_eq!(cut.histogram.min() >= 5_000_000, cut.slice % 2 == 1);
    }
    let left_out = recorder.left_out();
    assert!(left_out.settling > 40 && left_out.straddling >= 1, "{left_out:?}");
    let slices: Vec<u32> = outcome.books.keys().map(|account| account.slice).collect();
    assert!([1, 2, 3, 4].iter().all(|slice| slices.contains(slice)), "{slices:?}");
    assert!(outcome.books.values().all(|book| book.imbalances().is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_seed_asks_for_the_same_things() {
    let clock = RunClock::start();
    let mut asked = Vec::new();
    for _ in 0..2 {
        let stub = Stub::start(Duration::ZERO, clock);
        let run = run(
            &stub,
            scenario(JourneyKind::Book, 50.0, 0.4, 1),
            clock,
            LoadHandle::new(),
        )
        .await;
        assert_eq!(
            run.count(Endpoint::JourneyBook, Outcome::Won),
            20,
            "{:?}",
            run.recorder.causes()
        );
        asked.push(stub.script.asked.lock().unwrap().clone());
    }
    // One user does one thing after the other, so that even the order is the seed's.
    assert_eq!(asked[0], asked[1]);
    assert_eq!(
        asked[0][..5],
        [
            "POST /v1/queue/tokens",
            "GET /v1/concerts/00000000-0000-0000-0000-000000000002/schedules",
            "GET /v1/schedules/01890a5d-ac96-774b-bcce-b302099a8057/seats",
            "POST /v1/reservations",
            "POST /v1/payments"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_cannot_be_set_up_says_why() {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::ZERO, clock);
    let refused = |scenario, address: String| async move {
        let handle = LoadHandle::new();
        let error = try_run(address, scenario, clock, handle.clone())
            .await
            .err()
            .expect("should be refused");
        // Whoever waits for its beginning is told that there will be none.
        let begun = tokio::time::timeout(Duration::from_secs(5), handle.begun()).await;
        assert_eq!(begun, Ok(None));
        let LoadError::Prepare(error) = error else {
            panic!("{error}")
        };
        error.to_string()
    };
    let many = ScenarioConfig {
        admitted: 1_000,
        ..seat_maps(1.0, 1.0, 1)
    };
    let error = refused(many, stub.url()).await;
    assert!(
        error.contains("has 100 users") && error.contains("seed more"),
        "{error}"
    );
    let error = refused(seat_maps(1.0, 1.0, 1), "not an address".to_owned()).await;
    assert!(error.contains("cannot be asked"), "{error}");
    let reserved = soundcheck::stack::ports::reserve().unwrap();
    let error = refused(seat_maps(1.0, 1.0, 1), format!("http://{}", reserved.address())).await;
    assert!(error.contains("connection refused"), "{error}");
}
