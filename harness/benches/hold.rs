//! Seat holds on MySQL: through the service's HTTP, against sysbench with the same statements on the same server.
//!
//! `cargo bench -p soundcheck --bench hold`. Needs a container daemon, the images of MySQL and Redis, and sysbench.
//!
//! Both sides have 64 connections to MySQL and a schema of the same size, which the service's own commands made and
//! filled, and MySQL's defaults for durability. Every hold is of another seat. The service has its default switches
//! (so a hold also asks Redis whether its user is admitted, and empties the seat map's cache), an admitted token a
//! user, and 64 clients that each wait for their answer.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

#[path = "support/mod.rs"]
mod support;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, SystemTime};

use booking_service::domain::{SeatId, UserId};
use soundcheck::stack::component::address_of;
use soundcheck::stack::{Component, StackChoice};
use soundcheck::target::{RunningService, SeedSpec};
use sqlx::{Connection as _, MySqlConnection, Row as _};
use support::client::post;
use support::figures::{Goal, Rounds};
use support::load::{closed_loop, connections};
use support::site::{Site, admit, stop};

const GOAL: Goal = Goal::AtLeast(0.7);
const N_CONNECTIONS: usize = 64;
const N_ROUNDS: u64 = 6;
const SLICE: Duration = Duration::from_secs(8);
const WARM_UP: Duration = Duration::from_secs(3);
/// Seats that a slice may use up: some 6,000 holds a second.
const HOLDS_PER_SLICE: u64 = 50_000;
/// Coprime to the number of seats.
const STRIDE: u64 = 104_729;

const SPEC: SeedSpec = SeedSpec {
    seed: 7,
    n_users: 2_000,
    n_concerts: 10,
    n_schedules_per_concert: 10,
    // One slice more than rounds, for the warm-up.
    n_seats_per_schedule: (N_ROUNDS + 1) * HOLDS_PER_SLICE / 100,
    skew: None,
};

const SERVICE: &str = "bench_hold_service";
const SYSBENCH: &str = "bench_hold_sysbench";
const SETTINGS: [(&str, &str); 6] = [
    ("pool.size", "64"),
    ("locking", "conditional-update"),
    ("queue.capacity", "10000"),
    // Nothing ends during the measurement.
    ("queue.active_ttl", "1h"),
    ("hold.ttl", "1h"),
    ("resilience.request_timeout", "10s"),
];

/// A filled schema: ids without gaps, so that both sides can name any row.
struct Rows {
    first_seat: i64,
    n_seats: u64,
    first_user: i64,
}

impl Rows {
    async fn read(connection: &mut MySqlConnection) -> Self {
        let (first_seat, n_seats) = ids(connection, "SELECT MIN(id), MAX(id), COUNT(*) FROM seats").await;
        let (first_user, n_users) = ids(connection, "SELECT MIN(id), MAX(id), COUNT(*) FROM users").await;
        assert_eq!(n_users, SPEC.n_users);
        assert!(n_seats % STRIDE != 0);
        Self {
            first_seat,
            n_seats,
            first_user,
        }
    }

    fn seat(&self, hold: u64) -> SeatId {
        let place = (hold * STRIDE % self.n_seats).cast_signed();
        SeatId::from_raw(self.first_seat + place).unwrap()
    }
}

async fn ids(connection: &mut MySqlConnection, question: &'static str) -> (i64, u64) {
    let (first, last, n): (i64, i64, i64) = sqlx::query_as(question).fetch_one(connection).await.unwrap();
    assert_eq!(last - first + 1, n, "ids have gaps");
    (first, n.unsigned_abs())
}

/// Holds a second through the service.
async fn service_slice(service: &RunningService, rows: &Rows, tokens: &[String], slice: u64, length: Duration) -> f64 {
    let mut clients = connections(&service.ready().address, N_CONNECTIONS).await;
    let next = Cell::new(slice * HOLDS_PER_SLICE);
    let made = closed_loop(&mut clients, length, || {
        let hold = next.replace(next.get() + 1);
        let token = &tokens[usize::try_from(hold).unwrap() % tokens.len()];
        let seat = rows.seat(hold).public();
        let body = format!(r#"{{"seat_id":"{seat}"}}"#);
        post(
            "/v1/reservations",
            Some(token),
            Some(&format!("bench-{hold:030}")),
            &body,
        )
    })
    .await;
    assert!(made.n_answers() <= HOLDS_PER_SLICE, "the seats of a slice are used up");
    made.rate_of(201)
}

/// Holds a second by sysbench, from its own report.
async fn sysbench_slice(url: &str, rows: &Rows, slice: u64, length: Duration) -> f64 {
    let address = address_of(url).unwrap();
    let (host, port) = address.rsplit_once(':').unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut command = Command::new("sysbench");
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/hold.lua"))
        .args(["--db-driver=mysql", "--mysql-user=root", "--report-interval=0"])
        .arg(format!("--mysql-host={host}"))
        .arg(format!("--mysql-port={port}"))
        .arg(format!("--mysql-db={SYSBENCH}"))
        .arg(format!("--threads={N_CONNECTIONS}"))
        .arg(format!("--time={}", length.as_secs()))
        .args(["--events=0", "--percentile=99"])
        .arg(format!("--first_seat={}", rows.first_seat))
        .arg(format!("--n_seats={}", rows.n_seats))
        .arg(format!("--stride={STRIDE}"))
        .arg(format!("--first_user={}", rows.first_user))
        .arg(format!("--n_users={}", SPEC.n_users))
        .arg(format!("--first_hold={}", slice * HOLDS_PER_SLICE))
        .arg(format!("--n_holds={HOLDS_PER_SLICE}"))
        .arg(format!("--now_ms={}", now.as_millis()))
        .arg("run");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "sysbench failed:\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let field = |name: &str| -> f64 {
        let rest = text
            .split_once(name)
            .unwrap_or_else(|| panic!("no `{name}` in:\n{text}"))
            .1;
        let value = rest.split_ascii_whitespace().next().unwrap();
        value.trim_end_matches('s').parse().unwrap()
    };
    assert!(field("ignored errors:") == 0.0, "sysbench had failures:\n{text}");
    field("total number of events:") / field("total time:")
}

/// What a schema's holds made the server execute: each statement, and how often.
async fn statements(connection: &mut MySqlConnection, schema: &str) -> BTreeMap<String, u64> {
    const OF_A_HOLD: [&str; 5] = [
        "BEGIN",
        "UPDATE `seats`",
        "INSERT INTO `reservations`",
        "INSERT INTO `payments`",
        "COMMIT",
    ];
    let rows = sqlx::query(
        "SELECT DIGEST_TEXT, COUNT_STAR FROM performance_schema.events_statements_summary_by_digest \
         WHERE SCHEMA_NAME = ? AND DIGEST_TEXT IS NOT NULL",
    )
    .bind(schema)
    .fetch_all(connection)
    .await
    .unwrap();
    let all = rows
        .iter()
        .map(|row| (row.get::<String, _>("DIGEST_TEXT"), row.get::<u64, _>("COUNT_STAR")));
    all.filter(|(text, _)| OF_A_HOLD.iter().any(|start| text.starts_with(start)))
        .collect()
}

/// Panics unless both sides had the same statements executed.
async fn assert_same_statements(connection: &mut MySqlConnection) {
    let (service, sysbench) = (
        statements(connection, SERVICE).await,
        statements(connection, SYSBENCH).await,
    );
    assert!(
        service.keys().eq(sysbench.keys()),
        "hold.lua is no longer what the service executes:\n{service:#?}\n{sysbench:#?}"
    );
}

async fn measure() {
    println!("seat holds on MySQL, service against sysbench (`cargo bench -p soundcheck --bench hold`)");
    if let Err(error) = Command::new("sysbench").arg("--version").output() {
        println!("n/a: sysbench does not start ({error}); install it, such as by `apt-get install sysbench`");
        return;
    }
    let Some(site) = Site::open(StackChoice::Containers, &[Component::Database, Component::Redis]).await else {
        return;
    };
    let config = site.config(SERVICE, &SETTINGS);
    let path = site.migrate(&config).await;
    let catalogue = site.seed(&path, &SPEC).await;
    let path = site.migrate(&site.config(SYSBENCH, &SETTINGS)).await;
    site.seed(&path, &SPEC).await;
    let url = site.endpoints(SERVICE).database_url;
    let mut connection = MySqlConnection::connect(&format!("{url}/{SERVICE}")).await.unwrap();
    let rows = Rows::read(&mut connection).await;
    assert_eq!(catalogue.users[0], UserId::from_raw(rows.first_user).unwrap().public());

    let service = site.launch(&config, "service").await;
    let tokens = admit(&service, &catalogue.users).await;
    println!(
        "{}; {N_CONNECTIONS} connections, {} seats, {} users, slices of {} s",
        site.engines(),
        rows.n_seats,
        SPEC.n_users,
        SLICE.as_secs()
    );
    service_slice(&service, &rows, &tokens, 0, WARM_UP).await;
    sysbench_slice(&url, &rows, 0, WARM_UP).await;

    println!("round   service holds/s   sysbench holds/s   ratio");
    let mut pairs = Vec::new();
    for round in 1..=N_ROUNDS {
        // ABBA: a drift of the machine falls on both alike.
        let (with_service, with_sysbench) = if round % 2 == 1 {
            let first = service_slice(&service, &rows, &tokens, round, SLICE).await;
            (first, sysbench_slice(&url, &rows, round, SLICE).await)
        } else {
            let first = sysbench_slice(&url, &rows, round, SLICE).await;
            (service_slice(&service, &rows, &tokens, round, SLICE).await, first)
        };
        let ratio = with_service / with_sysbench;
        println!("{round:>5}   {with_service:>15.0}   {with_sysbench:>16.0}   {ratio:>5.2}");
        pairs.push((with_service, with_sysbench));
    }
    assert_same_statements(&mut connection).await;
    let ratios = Rounds::new(pairs.iter().map(|(service, sysbench)| service / sysbench));
    println!(
        "service:  {} holds/s",
        Rounds::new(pairs.iter().map(|pair| pair.0)).text(0)
    );
    println!(
        "sysbench: {} holds/s",
        Rounds::new(pairs.iter().map(|pair| pair.1)).text(0)
    );
    println!(
        "service / sysbench: {}; {}",
        ratios.text(2),
        GOAL.verdict(ratios.median())
    );
    stop(service).await;
    connection.close().await.unwrap();
    site.close().await;
}

fn main() {
    support::bench(measure());
}
