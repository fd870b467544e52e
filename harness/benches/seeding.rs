//! Seeding a million seats into an empty schema, from the start of the command to its end.
//!
//! `cargo bench -p soundcheck --bench seeding`. MySQL needs a container daemon and the images of MySQL and
//! Redis; SQLite needs nothing.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

#[path = "support/mod.rs"]
mod support;

use std::time::Instant;

use soundcheck::stack::{Component, StackChoice};
use soundcheck::target::SeedSpec;
use support::figures::{Goal, Rounds};
use support::site::Site;

const N_ROUNDS: usize = 3;
const SPEC: SeedSpec = SeedSpec {
    seed: 7,
    n_users: 10_000,
    n_concerts: 100,
    n_schedules_per_concert: 10,
    n_seats_per_schedule: 1_000,
    skew: None,
};

/// Seconds of one seeding; the schema is made before and removed after.
async fn seeding(site: &Site, round: usize) -> f64 {
    let namespace = format!("bench_seeding_{round}");
    let config = site.migrate(&site.config(&namespace, &[])).await;
    let started = Instant::now();
    let catalogue = site.seed(&config, &SPEC).await;
    let took = started.elapsed().as_secs_f64();
    let n_seats: u64 = catalogue
        .concerts
        .iter()
        .flat_map(|concert| &concert.schedules)
        .map(|date| date.seats)
        .sum();
    assert_eq!(n_seats, 1_000_000);
    site.remove(&namespace).await;
    took
}

async fn measure() {
    println!("seeding a million seats, seconds (`cargo bench -p soundcheck --bench seeding`)");
    let mut sides = Vec::new();
    for (choice, goal) in [
        (StackChoice::Embedded, Goal::AtMost(10.0)),
        (StackChoice::Containers, Goal::AtMost(20.0)),
    ] {
        // On MySQL the service's configuration needs a Redis, although seeding asks it nothing.
        if let Some(site) = Site::open(choice, &[Component::Database, Component::Redis]).await {
            sides.push((site, goal, Vec::new()));
        }
    }
    for round in 0..N_ROUNDS {
        for (site, _, took_s) in &mut sides {
            took_s.push(seeding(site, round).await);
        }
        sides.reverse();
    }
    for (site, goal, took_s) in sides {
        let rounds = Rounds::new(took_s);
        println!(
            "{}: {} s; {}",
            site.engines(),
            rounds.text(1),
            goal.verdict(rounds.median())
        );
        site.close().await;
    }
}

fn main() {
    support::bench(measure());
}
