//! What a position costs: a sorted set against a list, at growing lengths of the line, on the same server in turns.
//!
//! `cargo bench -p soundcheck --bench queue_rank`. Needs a container daemon and the image of Redis.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use booking_service::adapters::redis_connection::RedisConnection;
use booking_service::adapters::redis_queue::{LineKind, QueueLimits, RedisQueue};
use booking_service::config::Mutants;
use booking_service::domain::{QueueToken, Timestamp, TokenId, UserId};
use booking_service::ports::{Standing, WaitingQueue as _};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use rand::{Rng as _, SeedableRng as _};
use support::redis_server::{PATIENT, RedisServer, namespace};

const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);
const SAMPLES: usize = 500;
const LENGTHS: [u32; 3] = [1_000, 10_000, 100_000];
/// Nobody is admitted and nobody expires, so that the line keeps its length.
const LIMITS: QueueLimits = QueueLimits {
    capacity: 0,
    active_ttl: Duration::from_secs(60),
    waiting_ttl: Duration::from_secs(60),
};

/// What one question for a position took, in microseconds.
struct Cost {
    round_trip_p50: f64,
    round_trip_p99: f64,
    /// In Redis alone, on average, by its own statistics.
    server_mean: f64,
}

fn token(number: u32) -> QueueToken {
    QueueToken {
        user: UserId::from_raw(i64::from(number)).unwrap(),
        id: TokenId(u64::from(number)),
    }
}

async fn fill(queue: &RedisQueue, from: u32, to: u32) {
    stream::iter(from..to)
        .map(|number| queue.enter(token(number).user, token(number).id, NOW))
        .buffered(64)
        .try_for_each(|_| futures::future::ready(Ok(())))
        .await
        .unwrap();
}

/// Calls of scripts and the microseconds that they took, since the server began.
async fn script_time(connection: &RedisConnection) -> (f64, f64) {
    let text: String = connection
        .query("bench", redis::cmd("INFO").arg("commandstats"))
        .await
        .unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:"))
        .unwrap();
    let field = |name: &str| -> f64 {
        let found = line
            .split(',')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.unwrap().parse().unwrap()
    };
    (field("calls"), field("usec"))
}

async fn measure(queue: &RedisQueue, connection: &RedisConnection, length: u32, seed: u64) -> Cost {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let (calls_before, usec_before) = script_time(connection).await;
    let mut took_us = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let number = rng.random_range(0..length);
        let started = Instant::now();
        let standing = queue.standing(token(number), NOW).await.unwrap();
        took_us.push(started.elapsed().as_secs_f64() * 1e6);
        assert!(matches!(standing, Standing::Waiting { ahead, .. } if ahead < u64::from(length)));
    }
    let (calls, usec) = script_time(connection).await;
    took_us.sort_by(f64::total_cmp);
    Cost {
        round_trip_p50: took_us[SAMPLES / 2],
        round_trip_p99: took_us[SAMPLES * 99 / 100],
        server_mean: (usec - usec_before) / (calls - calls_before),
    }
}

async fn run() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    let connection = server.connect(PATIENT);
    let sides = [("sorted set", LineKind::SortedSet), ("list", LineKind::List)].map(|(name, kind)| {
        let queue = RedisQueue::new(connection.clone(), &namespace(), kind, LIMITS, Mutants::default());
        (name, queue)
    });
    println!("position in the line, microseconds ({SAMPLES} questions of random users a row)");
    println!("waiting   kind        round trip p50   round trip p99   in Redis, mean");
    let mut filled = 0;
    for length in LENGTHS {
        let mut server_means = Vec::new();
        for (name, queue) in &sides {
            fill(queue, filled, length).await;
            let cost = measure(queue, &connection, length, u64::from(length)).await;
            println!(
                "{length:>7}   {name:<10}  {:>14.0}   {:>14.0}   {:>14.1}",
                cost.round_trip_p50, cost.round_trip_p99, cost.server_mean
            );
            server_means.push(cost.server_mean);
        }
        println!(
            "{length:>7}   list / sorted set, in Redis: {:.1}",
            server_means[1] / server_means[0]
        );
        filled = length;
    }
}

fn main() {
    // `cargo test --benches` runs this too, and must stay quick.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("not measured: run it with `cargo bench`");
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(run());
}
