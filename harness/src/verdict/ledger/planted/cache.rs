//! I11, planted: caches that keep nothing, or not everything, or need the database to say so.

use super::case::*;
use super::pages::Pages;
const WHICH: Invariant = Invariant::Cache;

/// What happens in a second, and how the service is set up.
#[derive(Clone, Copy)]
struct House {
    mode: &'static str,
    queue: &'static str,
    hits: f64,
    loads: f64,
    sold_out: f64,
    changes: f64,
    /// Requests for dates that do not exist.
    unknown: f64,
    at_once: f64,
    hit_connections: f64,
    evictions: f64,
    breaker: f64,
}

/// Twenty dates whose entries live for two seconds: 10 loads a second have a reason.
const SOUND: House = House {
    mode: "local",
    queue: "zset",
    hits: 500.0,
    loads: 10.0,
    sold_out: 3.0,
    changes: 5.0,
    unknown: 0.0,
    at_once: 1.0,
    hit_connections: 0.0,
    evictions: 0.0,
    breaker: 0.0,
};

/// Ten seconds in each of these houses, one after the other.
fn lived(houses: &[House]) -> Case {
    let pages = Pages::new();
    let mut sum = [0.0; 8];
    let seconds = houses.iter().flat_map(|house| [house; 10]);
    for (second, house) in (0..).zip(std::iter::once(&houses[0]).chain(seconds)) {
        let growth = [
            house.hits,
            house.loads,
            house.sold_out,
            house.changes,
            house.unknown,
            house.hit_connections,
            house.evictions,
            house.loads,
        ];
        if second > 0 {
            sum.iter_mut().zip(growth).for_each(|(sum, by)| *sum += by);
        }
        let [hits, loads, sold_out, changes, unknown, connections, evictions, loaders] = sum;
        let up_to = |bound: f64| if bound >= house.at_once { loaders } else { 0.0 };
        pages.scrape(
            second,
            "service:base",
            &[
                (
                    "booking_switch_info",
                    &[("switch", "cache.mode"), ("value", house.mode)],
                    1.0,
                ),
                ("booking_switch_info", &[("switch", "cache.ttl"), ("value", "2s")], 1.0),
                (
                    "booking_switch_info",
                    &[("switch", "queue.mode"), ("value", house.queue)],
                    1.0,
                ),
                (
                    "booking_cache_requests_total",
                    &[("layer", "local"), ("result", "hit")],
                    hits,
                ),
                ("booking_cache_loads_total", &[("reason", "miss")], loads + unknown),
                ("booking_cache_loads_sold_out_total", &[], sold_out),
                ("booking_cache_invalidations_total", &[("result", "ok")], changes),
                ("booking_cache_hit_connections_total", &[], connections),
                ("booking_cache_evictions_total", &[], evictions),
                ("booking_cache_loader_concurrency_bucket", &[("le", "1")], up_to(1.0)),
                ("booking_cache_loader_concurrency_bucket", &[("le", "16")], up_to(16.0)),
                ("booking_cache_loader_concurrency_bucket", &[("le", "+Inf")], loaders),
                ("booking_breaker_state", &[("dependency", "redis")], house.breaker),
                (
                    "booking_http_requests_total",
                    &[("route", "/v1/schedules/{id}/seats"), ("status", "404")],
                    unknown,
                ),
            ],
        );
    }
    let mut case = Case::new();
    case.series = pages.read();
    for date in 1..=20 {
        let op = case.op(OpKind::SeatSeen, 10, 20);
        (op.seat, op.schedule) = (SEAT, Name(1_000 + date));
    }
    case
}

#[test]
fn a_cache_that_is_never_filled_is_found() {
    let never_filled = House {
        hits: 0.0,
        loads: 300.0,
        sold_out: 0.0,
        ..SOUND
    };
    lived(&[never_filled]).convicts(WHICH, "the cache answered nothing at all", &[]);
    // Each change, each end of an entry and each reader at once is a reason to read.
    let busy = House {
        changes: 290.0,
        ..never_filled
    };
    lived(&[busy]).acquits(WHICH);
    let at_once = House {
        at_once: 16.0,
        ..never_filled
    };
    lived(&[at_once]).acquits(WHICH);
    let unknown = House {
        loads: 10.0,
        unknown: 290.0,
        ..never_filled
    };
    lived(&[unknown]).acquits(WHICH);
    lived(&[SOUND]).acquits(WHICH);
}

#[test]
fn sold_out_maps_that_are_read_again_and_again_are_found_among_hits() {
    let sold_out = House {
        loads: 210.0,
        sold_out: 200.0,
        changes: 0.0,
        ..SOUND
    };
    let selling = House {
        changes: 100.0,
        loads: 110.0,
        ..SOUND
    };
    lived(&[selling, sold_out]).convicts(WHICH, "maps that were sold out", &[]);
    lived(&[selling, SOUND]).acquits(WHICH);
}

#[test]
fn an_answer_from_the_cache_needs_no_connection() {
    let borrowing = House {
        hit_connections: 500.0,
        ..SOUND
    };
    lived(&[borrowing]).convicts(WHICH, "borrowed 5000 database connections", &[]);
    let queue_in_database = House {
        queue: "sql",
        ..borrowing
    };
    lived(&[queue_in_database]).acquits(WHICH);
}

#[test]
fn where_reading_has_other_reasons_nobody_is_accused() {
    let rereading = House { loads: 300.0, ..SOUND };
    lived(&[rereading]).convicts(WHICH, "were read from the database", &[]);
    let away = House {
        breaker: 2.0,
        ..rereading
    };
    lived(&[away]).acquits(WHICH);
    let too_small = House {
        evictions: 1.0,
        queue: "sql",
        ..rereading
    };
    lived(&[too_small]).is_idle(WHICH, "for want of room");
    let off = House {
        mode: "off",
        ..rereading
    };
    lived(&[off]).is_idle(WHICH, "the cache is off");
    let mut broken = lived(&[rereading]);
    broken.harness.faults.push(FaultWindow {
        name: "redis.pause".to_owned(),
        target: "redis".to_owned(),
        from: ms(500),
        until: Some(ms(1_000)),
    });
    broken.acquits(WHICH);
    Case::new().is_idle(WHICH, "not scraped");
}

#[test]
fn a_restart_is_no_reason_to_accuse() {
    // The counters fall back, and what has been counted since then is all that is known.
    let pages = Pages::new();
    for (second, started, loads) in [(0, 1.0, 0.0), (1, 1.0, 20.0), (2, 2.0, 20.0), (3, 3.0, 20.0)] {
        pages.scrape(
            second,
            "edge:base",
            &[
                (
                    "booking_switch_info",
                    &[("switch", "cache.mode"), ("value", "local")],
                    1.0,
                ),
                ("booking_switch_info", &[("switch", "cache.ttl"), ("value", "1h")], 1.0),
                ("booking_cache_loads_total", &[("reason", "miss")], loads),
                ("booking_cache_loader_concurrency_bucket", &[("le", "1")], loads),
                ("process_start_time_seconds", &[], started),
            ],
        );
    }
    let mut case = Case::new();
    case.series = pages.read();
    case.op(OpKind::SeatSeen, 10, 20).schedule = Name(1_001);
    case.acquits(WHICH);
}
