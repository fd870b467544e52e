//! Seat maps from a warm cache, against what the same server does for a constant of the same size.
//!
//! `cargo bench -p soundcheck --bench seat_map`. The lines of Redis need a container daemon and the images of MySQL
//! and Redis; the line of the local cache needs nothing.
//!
//! The constant is `/openapi.json`, which the server keeps in memory and sends through the same layers; the dates have
//! as many seats as make their maps about as long. `/health/live`, without a body, is shown beside it. Each is asked
//! by the same client over the same connections, in random order, and every body is read.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

#[path = "support/mod.rs"]
mod support;

use std::cell::Cell;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use soundcheck::stack::{Component, StackChoice};
use soundcheck::target::{RunningService, SeedSpec, ServiceConfig};
use support::client::{Connection, get};
use support::figures::{Goal, Rounds};
use support::load::{closed_loop, connections};
use support::site::{Site, admit, counter, stop};

const GOAL: Goal = Goal::AtLeast(0.6);
const N_CONNECTIONS: usize = 32;
const N_ROUNDS: usize = 7;
const SLICE: Duration = Duration::from_millis(1_500);
const SEED: u64 = 7;
/// A line of a seat map, about: `{"seat_id":"…","number":123,"price":12345},`.
const BYTES_PER_SEAT: usize = 78;
/// What is asked, in the order of the figures.
const KINDS: [&str; 3] = ["seat map", "constant", "no body"];

/// What one slice says about one kind of request.
#[derive(Clone, Copy)]
struct Figure {
    per_second: f64,
    /// The service's processor time for one request.
    cpu_us: f64,
}

async fn slice(service: &RunningService, clients: &mut [Connection], requests: &[Vec<u8>]) -> Figure {
    let next = Cell::new(0);
    let before = service.usage().unwrap().cpu;
    let made = closed_loop(clients, SLICE, || {
        let at = next.replace(next.get() + 1);
        &requests[at % requests.len()]
    })
    .await;
    let spent = service.usage().unwrap().cpu - before;
    Figure {
        per_second: made.rate_of(200),
        cpu_us: spent.as_secs_f64() * 1e6 / made.n_answers() as f64,
    }
}

async fn body_bytes(client: &mut Connection, request: &[u8]) -> usize {
    let answer = client.exchange(request).await.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
    answer.body.len()
}

/// How long the constant is. It does not depend on the data.
async fn constant_bytes(site: &Site, config: &ServiceConfig) -> usize {
    let service = site.launch(config, "constant").await;
    let mut client = Connection::open(&service.ready().address).await.unwrap();
    let bytes = body_bytes(&mut client, &get("/openapi.json", None)).await;
    stop(service).await;
    bytes
}

async fn line(site: &Site, mode: &str, rng: &mut ChaCha8Rng) {
    let namespace = format!("bench_seat_map_{mode}");
    // Kept for longer than the bench runs; the local layer of `tiered` keeps its own, shorter lifetime.
    let config = site.config(&namespace, &[("cache.mode", mode), ("cache.ttl", "10m")]);
    let path = site.migrate(&config).await;
    let n_seats = constant_bytes(site, &config).await / BYTES_PER_SEAT;
    let spec = SeedSpec {
        seed: SEED,
        n_users: 100,
        n_concerts: 1,
        n_schedules_per_concert: 20,
        n_seats_per_schedule: u64::try_from(n_seats).unwrap(),
        skew: Some(0.0),
    };
    let catalogue = site.seed(&path, &spec).await;
    let service = site.launch(&config, &namespace).await;
    let tokens = admit(&service, &catalogue.users[..N_CONNECTIONS]).await;
    let dates = &catalogue.concerts[0].schedules;
    let maps: Vec<Vec<u8>> = dates
        .iter()
        .cycle()
        .zip(tokens.iter().cycle())
        // Every user asks for every date.
        .take(dates.len() * tokens.len())
        .map(|(date, token)| get(&format!("/v1/schedules/{}/seats", date.schedule_id), Some(token)))
        .collect();
    let requests = [maps, vec![get("/openapi.json", None)], vec![get("/health/live", None)]];

    let mut clients = connections(&service.ready().address, N_CONNECTIONS).await;
    let bytes = [
        body_bytes(&mut clients[0], &requests[0][0]).await,
        body_bytes(&mut clients[0], &requests[1][0]).await,
        body_bytes(&mut clients[0], &requests[2][0]).await,
    ];
    for request in &requests {
        slice(&service, &mut clients, request).await;
    }
    let hits_before = counter(&service, "booking_cache_requests_total", "result=\"hit\"").await;
    let lookups_before = counter(&service, "booking_cache_requests_total", "").await;
    let mut rounds: [Vec<Figure>; 3] = Default::default();
    for _ in 0..N_ROUNDS {
        let mut order = [0, 1, 2];
        order.shuffle(rng);
        for kind in order {
            rounds[kind].push(slice(&service, &mut clients, &requests[kind]).await);
        }
    }
    let hits = counter(&service, "booking_cache_requests_total", "result=\"hit\"").await - hits_before;
    let lookups = counter(&service, "booking_cache_requests_total", "").await - lookups_before;
    stop(service).await;

    println!(
        "cache.mode={mode} on {}; {:.2} % hits",
        site.engines(),
        hits / lookups * 100.0
    );
    for ((kind, bytes), figures) in KINDS.iter().zip(bytes).zip(&rounds) {
        println!(
            "  {kind:<8} {bytes:>6} bytes: {} requests/s; service's processor time {} µs a request",
            Rounds::new(figures.iter().map(|figure| figure.per_second)).text(0),
            Rounds::new(figures.iter().map(|figure| figure.cpu_us)).text(0)
        );
    }
    let against = |other: usize, of: fn(&Figure) -> f64| {
        Rounds::new(
            rounds[0]
                .iter()
                .zip(&rounds[other])
                .map(|(map, other)| of(map) / of(other)),
        )
    };
    let ratio = against(1, |figure| figure.per_second);
    println!(
        "  seat map / constant: {}; {}",
        ratio.text(2),
        GOAL.verdict(ratio.median())
    );
    println!(
        "  seat map / no body: {}; processor time, constant / seat map: {}",
        against(2, |figure| figure.per_second).text(2),
        against(1, |figure| 1.0 / figure.cpu_us).text(2)
    );
}

async fn measure() {
    println!("seat map from a warm cache against a constant (`cargo bench -p soundcheck --bench seat_map`)");
    println!(
        "{N_CONNECTIONS} connections, slices of {} ms in random order",
        SLICE.as_millis()
    );
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    if let Some(site) = Site::open(StackChoice::Embedded, &[Component::Database]).await {
        line(&site, "local", &mut rng).await;
        site.close().await;
    }
    if let Some(site) = Site::open(StackChoice::Containers, &[Component::Database, Component::Redis]).await {
        for mode in ["redis", "tiered"] {
            line(&site, mode, &mut rng).await;
        }
        site.close().await;
    }
}

fn main() {
    support::bench(measure());
}
