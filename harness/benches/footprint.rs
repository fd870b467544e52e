//! What the service costs before it does anything: its start, and its memory, idle and at 1,000 requests a second.
//!
//! `cargo bench -p soundcheck --bench footprint`. MySQL, Redis and Kafka need a container daemon and their images;
//! SQLite with the mock broker needs nothing.
//!
//! The load is bookings from one end to the other, each by a user of its own and of ten requests, with the service's
//! default switches: enter the waiting room, look at the dates and at the seats of five, hold, pay, read the reservation.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

#[path = "support/mod.rs"]
mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use soundcheck::load::catalogue::Catalogue;
use soundcheck::stack::{Component, StackChoice};
use soundcheck::target::{RunningService, SeedSpec, ServiceConfig};
use support::client::{Answer, Connection, get, post};
use support::figures::{Goal, Rounds};
use support::load::{Visitor, paced};
use support::site::{Site, admit, enter, stop};
use uuid::Uuid;

const START_GOAL_MS: Goal = Goal::AtMost(300.0);
const IDLE_GOAL_MIB: Goal = Goal::AtMost(60.0);
const LOADED_GOAL_MIB: Goal = Goal::AtMost(150.0);
const RATE_GOAL: Goal = Goal::AtLeast(1_000.0);

const N_STARTS: usize = 12;
/// Long enough for every background task to have run.
const IDLE: Duration = Duration::from_secs(5);
/// Somewhat more than the goal asks for, since what is under way at the end does not count.
const PER_SECOND: u32 = 1_050;
const LOADED: Duration = Duration::from_secs(15);
const N_VISITORS: usize = 100;

const SPEC: SeedSpec = SeedSpec {
    seed: 7,
    n_users: 4_000,
    n_concerts: 1,
    n_schedules_per_concert: 20,
    n_seats_per_schedule: 400,
    skew: Some(0.0),
};
const SETTINGS: [(&str, &str); 1] = [("queue.capacity", "10000")];
const NAMESPACE: &str = "bench_footprint";

/// Who has not booked yet, and which seats are left: one of each a booking.
struct Tickets {
    concert: Uuid,
    dates: Vec<Uuid>,
    users: Vec<Uuid>,
    seats: Vec<String>,
    n_used: Cell<usize>,
}

/// One booking after another, each by a user of its own.
struct Booker {
    tickets: Rc<Tickets>,
    booking: usize,
    step: u8,
    token: String,
    reservation: String,
}

impl Booker {
    fn new(tickets: &Rc<Tickets>) -> Self {
        Self {
            tickets: tickets.clone(),
            booking: 0,
            step: 0,
            token: String::new(),
            reservation: String::new(),
        }
    }
}

impl Visitor for Booker {
    fn next(&mut self) -> Vec<u8> {
        let tickets = self.tickets.clone();
        if self.step == 0 {
            self.booking = tickets.n_used.replace(tickets.n_used.get() + 1);
        }
        let token = Some(self.token.as_str());
        match self.step {
            0 => enter(tickets.users[self.booking]),
            1 => get(&format!("/v1/concerts/{}/schedules", tickets.concert), token),
            7 => {
                let body = format!(r#"{{"seat_id":"{}"}}"#, tickets.seats[self.booking]);
                post(
                    "/v1/reservations",
                    token,
                    Some(&format!("hold-{}", self.booking)),
                    &body,
                )
            }
            8 => {
                let body = format!(r#"{{"reservation_id":"{}"}}"#, self.reservation);
                post("/v1/payments", token, Some(&format!("pay-{}", self.booking)), &body)
            }
            9 => get(&format!("/v1/reservations/{}", self.reservation), token),
            _ => {
                let date = tickets.dates[(self.booking + usize::from(self.step)) % tickets.dates.len()];
                get(&format!("/v1/schedules/{date}/seats"), token)
            }
        }
    }

    fn answered(&mut self, answer: Answer<'_>) {
        let expected = if matches!(self.step, 0 | 7) { 201 } else { 200 };
        assert_eq!(
            answer.status,
            expected,
            "step {}: {}",
            self.step,
            String::from_utf8_lossy(answer.body)
        );
        let field = |name: &str| {
            let body: Value = serde_json::from_slice(answer.body).unwrap();
            body[name].as_str().unwrap().to_owned()
        };
        match self.step {
            0 => self.token = field("token"),
            7 => self.reservation = field("reservation_id"),
            _ => {}
        }
        self.step = (self.step + 1) % 10;
    }
}

/// Seats that every user can pay for, with whom and where.
async fn tickets(service: &RunningService, catalogue: &Catalogue) -> Rc<Tickets> {
    // The last user looks; the others book.
    let (looker, users) = catalogue.users.split_last().unwrap();
    let token = admit(service, &[*looker]).await.remove(0);
    let mut client = Connection::open(&service.ready().address).await.unwrap();
    let concert = &catalogue.concerts[0];
    let dates: Vec<Uuid> = concert.schedules.iter().map(|date| date.schedule_id).collect();
    let mut seats = Vec::new();
    for date in &dates {
        let answer = client
            .exchange(&get(&format!("/v1/schedules/{date}/seats"), Some(&token)))
            .await
            .unwrap();
        let map: Value = serde_json::from_slice(answer.body).unwrap();
        let cheap = map["seats"].as_array().unwrap().iter();
        // The least balance of a seeded user buys any of these.
        let cheap = cheap.filter(|seat| seat["price"].as_i64().unwrap() <= 19_000);
        seats.extend(cheap.map(|seat| seat["seat_id"].as_str().unwrap().to_owned()));
    }
    Rc::new(Tickets {
        concert: concert.concert_id,
        dates,
        users: users.to_vec(),
        seats,
        n_used: Cell::new(0),
    })
}

fn resident_mib(service: &RunningService) -> f64 {
    service.usage().unwrap().resident.0 as f64 / f64::from(1 << 20)
}

fn peak_mib(service: &RunningService) -> f64 {
    service.usage().unwrap().resident_peak.0 as f64 / f64::from(1 << 20)
}

/// Milliseconds from the start of the process to its ready line.
async fn start_ms(site: &Site, config: &ServiceConfig) -> f64 {
    let service = site.launch(config, "start").await;
    let took = service.start_took();
    stop(service).await;
    took.as_secs_f64() * 1e3
}

async fn memory(site: &Site, config: &ServiceConfig, catalogue: &Catalogue) {
    let service = site.launch(config, "memory").await;
    tokio::time::sleep(IDLE).await;
    let idle = resident_mib(&service);
    println!(
        "  idle, after {} s: {idle:.1} MiB; {}",
        IDLE.as_secs(),
        IDLE_GOAL_MIB.verdict(idle)
    );

    let tickets = tickets(&service, catalogue).await;
    let mut bookers: Vec<Booker> = (0..N_VISITORS).map(|_| Booker::new(&tickets)).collect();
    let made = paced(&service.ready().address, &mut bookers, PER_SECOND, LOADED).await;
    let achieved = made.n_answers() as f64 / LOADED.as_secs_f64();
    let peak = peak_mib(&service);
    println!(
        "  at {achieved:.0} requests/s for {} s ({}): peak {peak:.1} MiB, {:.1} MiB at the end; {}",
        LOADED.as_secs(),
        RATE_GOAL.verdict(achieved),
        resident_mib(&service),
        LOADED_GOAL_MIB.verdict(peak)
    );
    stop(service).await;
}

async fn measure() {
    println!("start and memory of the service (`cargo bench -p soundcheck --bench footprint`)");
    let mut sides = Vec::new();
    for choice in [StackChoice::Embedded, StackChoice::Containers] {
        let Some(site) = Site::open(choice, &Component::ALL).await else {
            continue;
        };
        let config = site.config(NAMESPACE, &SETTINGS);
        let path = site.migrate(&config).await;
        let catalogue = site.seed(&path, &SPEC).await;
        sides.push((site, config, catalogue, Vec::new()));
    }
    // Round and round, and each round the other way about.
    for _ in 0..N_STARTS {
        for (site, config, _, took_ms) in &mut sides {
            took_ms.push(start_ms(site, config).await);
        }
        sides.reverse();
    }
    for (site, config, catalogue, took_ms) in sides {
        let starts = Rounds::new(took_ms);
        println!("{}", site.engines());
        // The slowest start counts.
        println!(
            "  start: {} ms; {}",
            starts.text(0),
            START_GOAL_MS.verdict(starts.max())
        );
        memory(&site, &config, &catalogue).await;
        site.close().await;
    }
}

fn main() {
    support::bench(measure());
}
