//! What traces cost: the same requests to a service that traces nothing, to one that could and is not asked to, and to one
//! that keeps every request's trace and exports it.
//!
//! `cargo bench -p soundcheck --bench tracing`. Needs nothing: SQLite, and a collector in this process that throws away
//! what it gets. `SOUNDCHECK_BENCH_BEFORE` names an earlier build, which then takes its turns as well.
//!
//! A seat map from a warm cache is the cheapest request there is, with a span of its own alone; a balance adds the span of
//! a statement. Sides and requests take turns in random order. The processor time of a slice is read when its last spans
//! are on their way, and is the figure to go by: on a small machine the collector and the client share the cores.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

#[path = "support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use soundcheck::stack::{Component, StackChoice};
use soundcheck::target::{RunningService, SeedSpec};
use support::client::Connection;
use support::figures::{Goal, Rounds};
use support::load::{closed_loop, connections};
use support::site::{Site, admit, counter, stop};

/// Where there is an earlier build.
const BEFORE: &str = "before";
/// Of the processor time of a service without traces.
const NOT_KEPT_GOAL: Goal = Goal::AtMost(1.05);
const N_CONNECTIONS: usize = 32;
const N_ROUNDS: usize = 6;
const SLICE: Duration = Duration::from_millis(1_500);
/// Longer than a span waits for others.
const SETTLING: Duration = Duration::from_millis(1_300);
const SEED: u64 = 7;
const SPEC: SeedSpec = SeedSpec {
    seed: SEED,
    n_users: 100,
    n_concerts: 1,
    n_schedules_per_concert: 20,
    n_seats_per_schedule: 50,
    skew: Some(0.0),
};

/// A service, and whether its callers keep their traces.
struct Side {
    name: &'static str,
    flags: &'static str,
    service: RunningService,
    clients: Vec<Connection>,
    /// By kind of request.
    figures: [Vec<Figure>; 2],
}

#[derive(Clone, Copy)]
struct Figure {
    per_second: f64,
    /// The service's processor time for one request.
    cpu_us: f64,
}

const KINDS: [&str; 2] = ["seat map", "balance"];

/// Takes spans, and looks at none of them. On a thread of its own, as if it were elsewhere.
fn collector() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let router = Router::new().route("/v1/traces", post(|_spans: Bytes| async {}));
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    address
}

impl Side {
    /// The same path, each time by a trace of its own.
    async fn slice(&mut self, kind: usize, paths: &[(String, Option<String>)], rng: &mut ChaCha8Rng) {
        let flags = self.flags;
        let requests: Vec<Vec<u8>> = (0..1_024)
            .map(|n| {
                let (path, token) = &paths[n % paths.len()];
                let token = token
                    .as_ref()
                    .map_or_else(String::new, |token| format!("queue-token: {token}\r\n"));
                let (trace, span): (u128, u64) = rand::Rng::random(rng);
                format!(
                    "GET {path} HTTP/1.1\r\nhost: bench\r\n{token}traceparent: 00-{:032x}-{:016x}-{flags}\r\n\r\n",
                    trace | 1,
                    span | 1
                )
                .into_bytes()
            })
            .collect();
        let next = std::cell::Cell::new(0);
        let before = self.service.usage().unwrap().cpu;
        let made = closed_loop(&mut self.clients, SLICE, || {
            let at = next.replace(next.get() + 1);
            &requests[at % requests.len()]
        })
        .await;
        tokio::time::sleep(SETTLING).await;
        let spent = self.service.usage().unwrap().cpu - before;
        self.figures[kind].push(Figure {
            per_second: made.rate_of(200),
            cpu_us: spent.as_secs_f64() * 1e6 / made.n_answers() as f64,
        });
    }
}

async fn measure() {
    println!("traces: off, not kept, kept (`cargo bench -p soundcheck --bench tracing`)");
    println!(
        "{N_CONNECTIONS} connections, slices of {} ms in random order",
        SLICE.as_millis()
    );
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let Some(site) = Site::open(StackChoice::Embedded, &[Component::Database]).await else {
        return;
    };
    let base = site.config("bench_tracing", &[("cache.ttl", "10m")]);
    let path = site.migrate(&base).await;
    let catalogue = site.seed(&path, &SPEC).await;
    let endpoint = format!("http://{}", collector());
    let before = std::env::var_os("SOUNDCHECK_BENCH_BEFORE").map(PathBuf::from);
    let mut sides = Vec::new();
    for (name, flags, endpoint) in [
        ("off", "01", None),
        ("not kept", "00", Some(&endpoint)),
        ("kept", "01", Some(&endpoint)),
        (BEFORE, "01", None),
    ] {
        let mut settings = vec![("cache.ttl", "10m")];
        if let Some(endpoint) = endpoint {
            settings.push(("tracing.otlp_endpoint", endpoint.as_str()));
        }
        let config = site.config("bench_tracing", &settings);
        let log = name.replace(' ', "-");
        let service = match (&before, name) {
            (Some(build), BEFORE) => site.launch_build(build.clone(), &config, &log).await,
            (None, BEFORE) => continue,
            _ => site.launch(&config, &log).await,
        };
        let clients = connections(&service.ready().address, N_CONNECTIONS).await;
        sides.push(Side {
            name,
            flags,
            service,
            clients,
            figures: Default::default(),
        });
    }
    let tokens = admit(&sides[0].service, &catalogue.users[..N_CONNECTIONS]).await;
    let dates = &catalogue.concerts[0].schedules;
    let maps = dates
        .iter()
        .cycle()
        .zip(tokens.iter().cycle())
        .take(dates.len() * tokens.len());
    let paths: [Vec<(String, Option<String>)>; 2] = [
        maps.map(|(date, token)| (format!("/v1/schedules/{}/seats", date.schedule_id), Some(token.clone())))
            .collect(),
        catalogue
            .users
            .iter()
            .map(|user| (format!("/v1/users/{user}/balance"), None))
            .collect(),
    ];

    let mut turns: Vec<(usize, usize)> = (0..sides.len()).flat_map(|side| [(side, 0), (side, 1)]).collect();
    // The first turns warm caches and connections up.
    for round in 0..=N_ROUNDS {
        turns.shuffle(&mut rng);
        for (side, kind) in &turns {
            sides[*side].slice(*kind, &paths[*kind], &mut rng).await;
        }
        if round == 0 {
            sides.iter_mut().for_each(|side| side.figures = Default::default());
        }
    }

    println!("{}", site.engines());
    for (kind, what) in KINDS.iter().enumerate() {
        for side in &sides {
            let figures = &side.figures[kind];
            println!(
                "  {what:<8} {:<8}: {} requests/s; service's processor time {} µs a request",
                side.name,
                Rounds::new(figures.iter().map(|figure| figure.per_second)).text(0),
                Rounds::new(figures.iter().map(|figure| figure.cpu_us)).text(1)
            );
        }
        let against_off = |side: &Side, of: fn(&Figure) -> f64| {
            let off = sides[0].figures[kind].iter();
            Rounds::new(side.figures[kind].iter().zip(off).map(|(on, off)| of(on) / of(off)))
        };
        for side in &sides[1..] {
            let cpu = against_off(side, |figure| figure.cpu_us);
            let goal = match side.name {
                "not kept" => format!("; {}", NOT_KEPT_GOAL.verdict(cpu.median())),
                _ => String::new(),
            };
            println!(
                "  {what:<8} {} / off: requests/s {}; processor time {}{goal}",
                side.name,
                against_off(side, |figure| figure.per_second).text(2),
                cpu.text(2)
            );
        }
    }
    for side in sides {
        if ["not kept", "kept"].contains(&side.name) {
            let exported = counter(&side.service, "booking_spans_exported_total", "").await;
            let dropped = counter(&side.service, "booking_spans_dropped_total", "").await;
            println!("  {}: {exported:.0} spans exported, {dropped:.0} dropped", side.name);
        }
        stop(side.service).await;
    }
    site.close().await;
}

fn main() {
    support::bench(measure());
}
