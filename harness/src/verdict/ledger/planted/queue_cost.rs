//! I13, planted: a queue that is read from end to end.

use super::case::*;
use super::pages::Pages;
const WHICH: Invariant = Invariant::QueueCost;

/// Seconds with so many waiting and so many microseconds for each of a hundred scripts.
fn queued(mode: &str, seconds: &[(f64, f64)]) -> Case {
    let pages = Pages::new();
    let (mut calls, mut took) = (0.0, 0.0);
    for (second, (waiting, micros)) in (0..).zip(seconds) {
        pages.scrape(
            second,
            "service:base",
            &[
                ("booking_switch_info", &[("switch", "queue.mode"), ("value", mode)], 1.0),
                ("booking_queue_waiting", &[], *waiting),
            ],
        );
        pages.scrape(
            second,
            "redis",
            &[
                ("redis_commands_total", &[("cmd", "evalsha")], calls),
                ("redis_commands_duration_seconds_total", &[("cmd", "evalsha")], took),
                (
                    "redis_commands_total",
                    &[("cmd", "get")],
                    1e6 * f64::from(second as u32),
                ),
            ],
        );
        // What is counted shows at the next scrape.
        calls += 100.0;
        took += 100.0 * micros * 1e-6;
    }
    let mut case = Case::new();
    case.series = pages.read();
    case
}

/// What is counted in a second shows at the next scrape.
const SHORT: [(f64, f64); 5] = [(40.0, 30.0), (50.0, 35.0), (50.0, 200.0), (60.0, 31.0), (60.0, 30.0)];

fn then(long: [(f64, f64); 5]) -> Vec<(f64, f64)> {
    SHORT.into_iter().chain(long).collect()
}

#[test]
fn scripts_that_read_the_whole_line_are_found() {
    let linear = then([(5e3, 900.0), (5e3, 700.0), (5e3, 800.0), (5e3, 900.0), (5e3, 0.0)]);
    queued("zset", &linear).convicts(WHICH, "busy for 700 µs at best with 5000 waiting", &[]);
    queued("list", &linear).is_idle(WHICH, "promises no equal cost");
    let mut shared = queued("zset", &linear);
    shared.variant.name = "other".to_owned();
    shared.is_idle(WHICH, "not scraped");
}

#[test]
fn a_logarithm_and_a_busy_machine_are_innocent() {
    let noisy = then([(5e3, 900.0), (5e3, 60.0), (5e3, 800.0), (5e3, 900.0), (5e3, 0.0)]);
    queued("zset", &noisy).acquits(WHICH);
    // Nobody saw a long queue for long.
    queued("zset", &SHORT).is_idle(WHICH, "both short");
}
