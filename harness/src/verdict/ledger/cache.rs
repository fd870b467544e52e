//! I11: a seat map that was cached is found again, sold out or not, and an answer from the cache borrows no connection.
//!
//! A map has to be read from the database when it was never read, when it has changed, when its time to live is over, and
//! by everyone who asked while it was being read. All of these are counted, and so is the reading. Where it is read far
//! more often than there were reasons to, the cache does not do what it is there for.

use std::time::Duration;

use super::counted::{Counted, Page};
use super::end::{End, FaultWindow};
use super::facts::Facts;
use super::finding::{Evidence, Judgement};
use crate::units::Nanos;

const LOOKUPS: &str = "booking_cache_requests_total";
const LOADS: &str = "booking_cache_loads_total";
const LOADS_SOLD_OUT: &str = "booking_cache_loads_sold_out_total";
const LOADERS: &str = "booking_cache_loader_concurrency_bucket";
const FILLS: &str = "booking_cache_fills_total";
const INVALIDATIONS: &str = "booking_cache_invalidations_total";
const SEATS_ROUTE: &str = "/v1/schedules/{id}/seats";

/// What is counted is counted a moment before or after it happens, so that an edge may separate the two.
const SLACK: f64 = 2.0;
/// Reads beyond all reasons that are let pass.
const FEW: f64 = 20.0;
/// How long after a heal the cache may still be away.
const AFTERMATH: Duration = Duration::from_secs(15);

pub(super) fn check(facts: &Facts, end: &End<'_>) -> (Judgement, String) {
    let idle = |why: &str| (Judgement::Idle(why.to_owned()), String::new());
    let Some(counted) = &end.counted else {
        return idle("nothing was counted to the end of the recording");
    };
    let Some(page) = counted.page() else {
        return idle("the service's counters were not scraped");
    };
    match page.switch("cache.mode") {
        None => return idle("the service does not say whether it has a cache"),
        Some("off") => return idle("the cache is off"),
        Some(_) => {}
    }
    let grown = |name, labels: &[(&str, &str)]| page.growth(name, labels).unwrap_or(0.0);
    let hits = grown(LOOKUPS, &[("result", "hit")]);
    let loads = grown(LOADS, &[("reason", "miss")]);
    if hits + loads == 0.0 {
        return idle("the cache was asked for nothing");
    }
    let basis = format!(
        "{hits:.0} seat maps from the cache, {loads:.0} from the database, {:.0} of them sold out",
        grown(LOADS_SOLD_OUT, &[])
    );
    let mut silent = Vec::new();
    let mut is_judged = false;
    for part in [borrowed(page, hits), reread(page, counted, facts, end)] {
        match part {
            Ok(Some(evidence)) => return (Judgement::Invalid(evidence), basis),
            Ok(None) => is_judged = true,
            Err(why) => silent.push(why),
        }
    }
    if is_judged {
        (Judgement::Valid, basis)
    } else {
        (Judgement::Idle(silent.join("; ")), basis)
    }
}

/// Whether answers from the cache borrowed connections; `Err` says why that cannot be judged.
fn borrowed(page: Page<'_>, hits: f64) -> Result<Option<Evidence>, String> {
    if page.switch("queue.mode") == Some("sql") {
        return Err("the queue is in the database, so that looking at a token borrows a connection".to_owned());
    }
    let borrowed = page
        .growth("booking_cache_hit_connections_total", &[])
        .ok_or("the service does not count the connections of answers from the cache")?;
    Ok((borrowed > 0.0).then(|| {
        Evidence::new(format!(
            "{hits:.0} answers from the cache borrowed {borrowed:.0} database connections"
        ))
    }))
}

/// Why a seat map may have to be read, beside changes.
#[derive(Clone, Copy, Debug)]
struct Reasons {
    dates: f64,
    /// The most who read one map at once.
    at_once: f64,
    ttl: Duration,
}

impl Reasons {
    fn of(page: Page<'_>, counted: &Counted<'_>, facts: &Facts) -> Result<Self, String> {
        let noted = counted.dates.unwrap_or(0).max(facts.maps.dates.len() as u64);
        if noted == 0 {
            return Err("it is not known how many dates there are".to_owned());
        }
        Ok(Self {
            dates: noted as f64,
            at_once: most_at_once(page).ok_or("it is not known how many read one seat map at once")?,
            ttl: page
                .cache_ttl()
                .filter(|ttl| !ttl.is_zero())
                .ok_or("the service does not say how long an entry lives")?,
        })
    }

    /// How often maps may have been read in a stretch of this length with this many changes, besides once each.
    fn allowed(self, changes: f64, length: Duration) -> f64 {
        self.at_once * (changes + self.dates * length.as_secs_f64() / self.ttl.as_secs_f64())
    }
}

/// The upper bound of the highest bucket in which anything was counted.
fn most_at_once(page: Page<'_>) -> Option<f64> {
    let mut buckets: Vec<(f64, f64)> = page
        .named(LOADERS)
        .filter_map(|series| {
            let bound = series.def.labels.get("le")?;
            Some((bound.parse().ok()?, page.growth(LOADERS, &[("le", bound)])?))
        })
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all = buckets.last()?.1;
    let highest = buckets.iter().find(|(_, count)| *count >= all)?.0;
    (all > 0.0 && highest.is_finite()).then_some(highest)
}

/// What happened between two scrapes.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Nanos,
    until: Nanos,
    /// Maps read from the database.
    loads: f64,
    /// Of these, the ones that were sold out.
    sold_out: f64,
    /// Changes, and maps that could not be kept.
    changes: f64,
    hits: f64,
    /// The process was started again: its own cache is empty.
    is_restart: bool,
    /// The cache itself was away, or something was broken on purpose.
    is_troubled: bool,
}

/// Several windows in a row.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: Nanos,
    until: Nanos,
    loads: f64,
    changes: f64,
    hits: f64,
    /// Loads beyond what is allowed.
    excess: f64,
}

fn reread(page: Page<'_>, counted: &Counted<'_>, facts: &Facts, end: &End<'_>) -> Result<Option<Evidence>, String> {
    if !end.clock.steady {
        return Err("the service's clock was moved, so that entries may have ended early".to_owned());
    }
    let evicted = page.growth("booking_cache_evictions_total", &[]).unwrap_or(0.0)
        + counted
            .server("redis")
            .and_then(|redis| redis.growth("redis_evicted_keys_total", &[]))
            .unwrap_or(0.0);
    if evicted > 0.0 {
        return Err(format!("{evicted:.0} entries were dropped for want of room"));
    }
    let reasons = Reasons::of(page, counted, facts)?;
    let windows = windows(page, &end.harness.faults);
    let is_beyond = |stretch: &Stretch| stretch.excess > SLACK * reasons.at_once * reasons.dates + FEW;
    let told = |stretch: Stretch, what: &str| {
        format!(
            "{what} {:.0} times within {:.1} s, though {:.0} dates changed {:.0} times",
            stretch.loads,
            stretch.until.since(stretch.from).as_secs_f64(),
            reasons.dates,
            stretch.changes
        )
    };
    let sold_out = worst(&windows, reasons, |window| window.sold_out).filter(is_beyond);
    if let Some(stretch) = sold_out {
        let reason = told(stretch, "seat maps that were sold out were read from the database");
        return Ok(Some(Evidence::new(reason)));
    }
    let any = worst(&windows, reasons, |window| window.loads).filter(is_beyond);
    Ok(any.map(|stretch| {
        let mut reason = told(stretch, "seat maps were read from the database");
        if stretch.hits == 0.0 {
            reason.push_str("; the cache answered nothing at all");
        }
        Evidence::new(reason)
    }))
}

fn windows(page: Page<'_>, faults: &[FaultWindow]) -> Vec<Window> {
    let scrapes = page.scrapes();
    let column = |name, labels: &[(&str, &str)]| {
        page.column(name, labels)
            .filter(|column| column.len() == scrapes.len())
            .unwrap_or_else(|| vec![0.0; scrapes.len()])
    };
    let loads = column(LOADS, &[("reason", "miss")]);
    // Whoever asks for a date that does not exist makes a load as well, which nothing can spare.
    let unknown = column(
        "booking_http_requests_total",
        &[("route", SEATS_ROUTE), ("status", "404")],
    );
    let sold_out = column(LOADS_SOLD_OUT, &[]);
    let hits = column(LOOKUPS, &[("result", "hit")]);
    let changes = [
        column(INVALIDATIONS, &[]),
        column(FILLS, &[("result", "outdated")]),
        column(FILLS, &[("result", "error")]),
    ];
    let troubles = [
        column("booking_breaker_opened_total", &[]),
        column("booking_dependency_errors_total", &[("dependency", "redis")]),
        column(FILLS, &[("result", "error")]),
        column(INVALIDATIONS, &[("result", "error")]),
    ];
    let is_open = column("booking_breaker_state", &[("dependency", "redis")]);
    let started = column("process_start_time_seconds", &[]);
    (1..scrapes.len())
        .map(|now| {
            let before = now - 1;
            let is_restart = started[now] != started[before] || loads[now] < loads[before];
            let since = |column: &[f64]| {
                let counted_before = if is_restart { 0.0 } else { column[before] };
                (column[now] - counted_before).max(0.0)
            };
            let (from, until) = (scrapes[before], scrapes[now]);
            let is_faulty = faults
                .iter()
                .any(|fault| until >= fault.from && fault.until.is_none_or(|healed| from <= healed.plus(AFTERMATH)));
            Window {
                from,
                until,
                loads: (since(&loads) - since(&unknown)).max(0.0),
                sold_out: since(&sold_out),
                changes: changes.iter().map(|column| since(column)).sum(),
                hits: since(&hits),
                is_restart,
                is_troubled: is_faulty
                    || is_open[now] + is_open[before] > 0.0
                    || troubles.iter().any(|column| since(column) > 0.0),
            }
        })
        .collect()
}

/// The stretch in which `loads` exceeded its reasons by most: the largest sum of neighbours, in one pass.
fn worst(windows: &[Window], reasons: Reasons, loads: impl Fn(&Window) -> f64) -> Option<Stretch> {
    let mut worst: Option<Stretch> = None;
    let mut open: Option<Stretch> = None;
    for window in windows {
        if window.is_troubled {
            open = None;
            continue;
        }
        let own = Stretch {
            from: window.from,
            until: window.until,
            loads: loads(window),
            changes: window.changes,
            hits: window.hits,
            excess: loads(window) - SLACK * reasons.allowed(window.changes, window.until.since(window.from)),
        };
        let joined = match open {
            Some(before) if before.excess > 0.0 && !window.is_restart => Stretch {
                from: before.from,
                until: own.until,
                loads: before.loads + own.loads,
                changes: before.changes + own.changes,
                hits: before.hits + own.hits,
                excess: before.excess + own.excess,
            },
            _ => own,
        };
        open = Some(joined);
        if worst.is_none_or(|worst| joined.excess > worst.excess) {
            worst = Some(joined);
        }
    }
    worst
}
