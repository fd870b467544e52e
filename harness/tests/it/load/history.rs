//! Every operation that the ledger judges stands in the history, with what is known of whether it happened.

use std::time::Duration;

use soundcheck::config::{JourneyKind, ScenarioConfig};
use soundcheck::load::LoadHandle;
use soundcheck::recording::history::{Code, OpKind, Settled, State};
use soundcheck::recording::model::{Environment, Tool};
use soundcheck::recording::{Manifest, Operation, Recording, RecordingWriter, RunClock};
use tokio::net::TcpSocket;

use crate::outcomes::{answer_in_plain_text, serve};
use crate::run::{TURN, scenario, try_run_with_history};
use crate::stub::{Manner, Stub};

/// The history of one run against a stub.
async fn operations(manner: Manner, scenario: ScenarioConfig) -> Vec<Operation> {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::ZERO, clock);
    stub.set(manner);
    operations_at(stub.url(), scenario, clock).await
}

/// The history of one run against whatever is there, or is not.
async fn operations_at(address: String, scenario: ScenarioConfig, clock: RunClock) -> Vec<Operation> {
    let _turn = TURN.read().await;
    let dir = tempfile::tempdir().unwrap();
    let tool = Tool {
        version: "0".to_owned(),
        commit: None,
    };
    let manifest = Manifest::new("run", tool, 7, Environment::default(), clock.anchor());
    let writer = RecordingWriter::create(dir.path(), &manifest).unwrap();
    let history = Some(writer.history());
    try_run_with_history(address, scenario, clock, LoadHandle::new(), history)
        .await
        .unwrap();
    writer.flush().unwrap();
    let mut operations = Vec::new();
    Recording::open(dir.path())
        .unwrap()
        .history()
        .unwrap()
        .scan(|_, op| operations.push(*op))
        .unwrap();
    operations
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_is_written_down_step_by_step() {
    let operations = operations(Manner::Answer, scenario(JourneyKind::Book, 10.0, 0.1, 1)).await;
    let kinds: Vec<OpKind> = operations.iter().map(|op| op.kind).collect();
    assert_eq!(kinds, [OpKind::QueueEnter, OpKind::SeatSeen, OpKind::Hold, OpKind::Pay]);
    let [entered, seen, held, paid] = operations[..] else {
        panic!("{operations:?}")
    };
    assert!(
        operations
            .iter()
            .all(|op| op.is_ok() && op.process == entered.process && op.returned >= op.invoked)
    );
    assert_eq!((entered.state, entered.amount), (State::Active, Some(0)));
    assert!(entered.user.some().is_some() && operations.iter().all(|op| op.user == entered.user));
    assert!(held.seat == seen.seat && held.seat.some().is_some() && held.schedule.some().is_some());
    assert_eq!((held.amount, held.extra), (Some(100), Some(1_893_456_000_000)));
    assert_eq!(
        (paid.object, paid.amount, paid.extra),
        (held.object, Some(100), Some(900))
    );
    assert!(held.key.some().is_some() && paid.key.some().is_some() && held.key != paid.key);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_have_happened_is_not_called_a_failure() {
    let mut scenario = scenario(JourneyKind::HoldCycle, 10.0, 0.1, 1);
    scenario.timeouts.drain = Duration::from_secs(20);
    let expected = [
        (Manner::Refuse(409, "seat-taken"), Settled::Fail, Code::SeatTaken),
        (Manner::Refuse(503, "overloaded"), Settled::Fail, Code::Overloaded),
        (Manner::Refuse(500, "internal"), Settled::Info, Code::Internal),
        (Manner::Refuse(504, "deadline"), Settled::Info, Code::Deadline),
        (Manner::Reset, Settled::Info, Code::Reset),
        (Manner::Hang, Settled::Info, Code::Broken),
        (Manner::Garbage, Settled::Info, Code::NoHttp),
        (Manner::Stall, Settled::Info, Code::TimeOut),
        (Manner::Nonsense, Settled::Info, Code::Unreadable),
        (Manner::Long(10 << 20), Settled::Info, Code::TooLong),
    ];
    for (manner, settled, code) in expected {
        // Short only where it is to be waited for, so that a busy machine turns no answer into a time-out.
        let is_stall = matches!(manner, Manner::Stall);
        scenario.timeouts.request = Duration::from_millis(if is_stall { 300 } else { 20_000 });
        let operations = operations(manner.clone(), scenario.clone()).await;
        let [hold] = operations[..] else {
            panic!("{manner:?}: {operations:?}")
        };
        assert_eq!(
            (hold.kind, hold.settled, hold.code),
            (OpKind::Hold, settled, code),
            "{manner:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cut_off_under_way_is_written_down_as_unknown() {
    let mut scenario = scenario(JourneyKind::HoldCycle, 10.0, 0.1, 1);
    scenario.timeouts.drain = Duration::from_millis(100);
    let operations = operations(Manner::Stall, scenario).await;
    let [hold] = operations[..] else {
        panic!("{operations:?}")
    };
    assert_eq!((hold.settled, hold.status), (Settled::Info, 0));
    assert!(hold.key.some().is_some());
}

/// Nothing was sent, so nothing has happened: that is certain, and no doubt remains about the seat.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_found_no_connection_has_certainly_not_happened() {
    // A port that is taken and not listened on stays so for as long as it is held.
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let plain = serve(answer_in_plain_text).await;
    let cases = [
        (
            format!("http://{}", held.local_addr().unwrap()),
            Code::ConnectionRefused,
        ),
        (format!("https://127.0.0.1:{plain}"), Code::Tls),
    ];
    for (address, code) in cases {
        let mut scenario = scenario(JourneyKind::Book, 10.0, 0.1, 1);
        // Long, so that a busy machine turns no refusal into a time-out.
        scenario.timeouts.request = Duration::from_secs(20);
        scenario.timeouts.drain = Duration::from_secs(20);
        let operations = operations_at(address.clone(), scenario, RunClock::start()).await;
        let [entered] = operations[..] else {
            panic!("{address}: {operations:?}")
        };
        assert_eq!(
            (entered.kind, entered.settled, entered.code, entered.status),
            (OpKind::QueueEnter, Settled::Fail, code, 0),
            "{address}"
        );
        assert!(
            entered.user.some().is_some() && entered.returned >= entered.invoked,
            "{address}"
        );
    }
}
