//! Every way in which a target can misbehave has an outcome of its own, and the run goes on.

use std::time::Duration;

use soundcheck::config::JourneyKind;
use soundcheck::load::LoadHandle;
use soundcheck::recording::{Endpoint, Outcome, RunClock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::{TlsAcceptor, rustls};

use crate::run::{TURN, run, scenario, seat_maps, try_run};
use crate::stub::{Manner, Stub};

async fn check(manner: Manner, outcome: Outcome, cause: &str) {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::ZERO, clock);
    stub.set(manner.clone());
    let mut scenario = seat_maps(100.0, 0.1, 10);
    // Short only where it is to be waited for, so that a busy machine turns no answer into a time-out.
    let is_stall = matches!(manner, Manner::Stall);
    scenario.timeouts.request = Duration::from_millis(if is_stall { 300 } else { 20_000 });
    scenario.timeouts.drain = Duration::from_secs(20);
    let run = run(&stub, scenario, clock, LoadHandle::new()).await;
    let total = run.outcome.total;
    let causes = run.recorder.causes();
    assert_eq!(run.count(Endpoint::Seats, outcome), 10, "{manner:?}: {causes:?}");
    assert_eq!(run.count(Endpoint::JourneySeatMap, outcome), 10, "{manner:?}");
    assert_eq!(
        if outcome.is_served() { total.ok } else { total.failed },
        10,
        "{manner:?}: {total:?}"
    );
    let named = causes
        .keys()
        .any(|known| known.outcome == outcome && known.text.contains(cause));
    assert!(named || cause.is_empty(), "{manner:?}: {causes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_no_answers() {
    check(Manner::Nonsense, Outcome::Error, "200 with an unreadable body").await;
    check(Manner::Garbage, Outcome::Lost, "no HTTP: ").await;
    check(Manner::Long(10 << 20), Outcome::Lost, "longer than 8 MiB").await;
    check(Manner::Reset, Outcome::Lost, "connection reset").await;
    check(Manner::Hang, Outcome::Lost, "broken off: ").await;
    check(Manner::Stall, Outcome::TimeOut, "no answer in time").await;
}

/// Journeys that get no further than their first request, since there is no connection for it: each is one failure of a
/// named cause, and the books hold all of them.
async fn check_unconnected(address: String, cause: &str) {
    let _turn = TURN.read().await;
    let mut scenario = scenario(JourneyKind::Browse, 100.0, 0.1, 10);
    // Long, so that a busy machine turns no refusal into a time-out.
    scenario.timeouts.request = Duration::from_secs(20);
    scenario.timeouts.drain = Duration::from_secs(20);
    let run = try_run(address, scenario, RunClock::start(), LoadHandle::new())
        .await
        .unwrap();
    let causes = run.recorder.causes();
    assert_eq!(
        run.count(Endpoint::QueueEnter, Outcome::Lost),
        10,
        "{cause}: {causes:?}"
    );
    assert_eq!(run.outcome.total.failed, 10, "{cause}: {:?}", run.outcome.total);
    let [(named, 10)] = causes.iter().map(|(cause, count)| (cause, *count)).collect::<Vec<_>>()[..] else {
        panic!("{cause}: {causes:?}")
    };
    assert!(named.text.starts_with(cause), "{cause}: {causes:?}");
}

/// A server that does this with every connection, for as long as the test runs.
pub(crate) async fn serve<F, S>(each: S) -> u16
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(each(stream));
        }
    });
    port
}

/// Plain text where a handshake is expected.
pub(crate) async fn answer_in_plain_text(mut stream: TcpStream) {
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).await.unwrap();
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    let _end = stream.read_to_end(&mut Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_listens_refuses_every_connection() {
    // A port that is taken and not listened on stays so for as long as it is held.
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://{}", held.local_addr().unwrap());
    check_unconnected(address, "connection refused").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secure_connection_is_told_apart_from_none() {
    let plain = serve(answer_in_plain_text).await;
    check_unconnected(
        format!("https://127.0.0.1:{plain}"),
        "no secure connection (TLS): received corrupt message",
    )
    .await;

    // A server that refuses the handshake by an alert, fatal: handshake_failure.
    let alerts = serve(|mut stream| async move {
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).await.unwrap();
        stream.write_all(&[21, 3, 3, 0, 2, 2, 40]).await.unwrap();
        let _end = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    check_unconnected(
        format!("https://127.0.0.1:{alerts}"),
        "no secure connection (TLS): received fatal alert",
    )
    .await;

    // One that hangs up in the middle of it.
    let hangs_up = serve(|mut stream| async move {
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).await.unwrap();
    })
    .await;
    check_unconnected(format!("https://127.0.0.1:{hangs_up}"), "no secure connection (TLS): ").await;

    // A certificate that nobody trusts.
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(config));
    let self_signed = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let refused = acceptor.accept(stream).await;
            assert!(refused.is_err(), "the certificate was trusted");
        }
    })
    .await;
    let address = format!("https://127.0.0.1:{self_signed}");
    check_unconnected(address, "no secure connection (TLS): invalid peer certificate").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_told_apart_from_failures() {
    check(Manner::Refuse(403, "not-admitted"), Outcome::NotAdmitted, "").await;
    check(Manner::Refuse(409, "conflict"), Outcome::Conflict, "").await;
    check(Manner::Refuse(404, "not-found"), Outcome::Refused, "404 not-found").await;
    check(Manner::Refuse(404, ""), Outcome::Error, "404 without a problem's code").await;
    check(Manner::Refuse(500, "internal"), Outcome::Error, "500 internal").await;
    check(Manner::Refuse(503, "overloaded"), Outcome::Error, "503 overloaded").await;
    check(Manner::Refuse(302, ""), Outcome::Error, "302").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_journey_reaches_its_end_on_a_service_that_always_agrees() {
    let clock = RunClock::start();
    let expected = [
        (JourneyKind::Browse, Outcome::Ok),
        (JourneyKind::Book, Outcome::Won),
        (JourneyKind::Abandon, Outcome::Ok),
        (JourneyKind::SeatMap, Outcome::Ok),
        (JourneyKind::HoldCycle, Outcome::Won),
    ];
    for (kind, outcome) in expected {
        let stub = Stub::start(Duration::ZERO, clock);
        let run = run(&stub, scenario(kind, 50.0, 0.2, 5), clock, LoadHandle::new()).await;
        assert_eq!(run.outcome.total.ok, 10, "{kind:?}: {:?}", run.recorder.causes());
        let ended = run.cuts.iter().any(|cut| {
            cut.tag.endpoint.name().starts_with("journey") && cut.tag.outcome == outcome && cut.histogram.len() == 10
        });
        assert!(
            ended,
            "{kind:?}: {:?}",
            run.cuts.iter().map(|cut| cut.tag.to_string()).collect::<Vec<_>>()
        );
    }
}

/// Who finds nothing left has been served, holds nothing, and leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_nothing_left_ends_sold_out() {
    let clock = RunClock::start();
    let journeys = [
        (JourneyKind::Browse, Endpoint::JourneyBrowse),
        (JourneyKind::Book, Endpoint::JourneyBook),
        (JourneyKind::Abandon, Endpoint::JourneyAbandon),
    ];
    for manner in [Manner::NoDates, Manner::NoSeats] {
        for (kind, journey) in journeys {
            let stub = Stub::start(Duration::ZERO, clock);
            stub.set(manner.clone());
            let run = run(&stub, scenario(kind, 50.0, 0.2, 5), clock, LoadHandle::new()).await;
            let case = format!("{manner:?}, {kind:?}: {:?}", run.recorder.causes());
            assert_eq!(run.count(journey, Outcome::SoldOut), 10, "{case}");
            assert_eq!(run.outcome.total.ok, 10, "{case}");
            let asked = stub.script.asked.lock().unwrap();
            let n_asked = |what: &str| asked.iter().filter(|asked| asked.contains(what)).count();
            let n_maps = if matches!(manner, Manner::NoSeats) { 10 } else { 0 };
            assert_eq!(n_asked("/seats"), n_maps, "{case}: {asked:?}");
            assert_eq!(n_asked("/v1/reservations"), 0, "{case}: {asked:?}");
            assert_eq!(n_asked("DELETE /v1/queue/token"), 10, "{case}: {asked:?}");
        }
    }
}
