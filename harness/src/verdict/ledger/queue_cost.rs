//! I13: what Redis needs for a queue operation does not grow with the queue.
//!
//! The time is Redis' own, for the scripts that it ran: neither the network nor the service is in it. It is compared
//! between stretches with a short queue and stretches with a long one; a logarithm makes no difference here, and reading
//! the whole line does. The fastest stretch of the long queue has to be slow, so that a busy machine accuses nobody.

use std::time::Duration;

use super::counted::{Counted, Page};
use super::end::End;
use super::finding::{Evidence, Judgement};
use crate::analysis::series::Point;
use crate::units::Nanos;

/// At most so many wait in a short queue, at least so many in a long one.
const SHORT: f64 = 100.0;
const LONG: f64 = 1_000.0;
/// Scrapes in a row that tell anything, with calls in between.
const FEWEST_WINDOWS: usize = 3;
const FEWEST_CALLS: f64 = 20.0;
/// Slower than this is more than a logarithm and noise.
const FACTOR: f64 = 5.0;
/// How far from a window the length of the queue may be known.
const NEAR: Duration = Duration::from_secs(10);
/// Commands that run a script, as Redis names them.
const SCRIPTS: [&str; 3] = ["evalsha", "eval", "fcall"];

/// Script calls between two scrapes.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// The fewest and the most who waited.
    waiting: (f64, f64),
    seconds_per_call: f64,
}

pub(super) fn check(end: &End<'_>) -> (Judgement, String) {
    let windows = match end.counted.as_ref().map(windows) {
        Some(Ok(windows)) => windows,
        Some(Err(why)) => return (Judgement::Idle(why.to_owned()), String::new()),
        None => {
            let why = "nothing was counted to the end of the recording";
            return (Judgement::Idle(why.to_owned()), String::new());
        }
    };
    let mut short: Vec<Window> = windows.iter().copied().filter(|it| it.waiting.1 <= SHORT).collect();
    let mut long: Vec<Window> = windows.iter().copied().filter(|it| it.waiting.0 >= LONG).collect();
    for class in [&mut short, &mut long] {
        class.sort_by(|a, b| a.seconds_per_call.total_cmp(&b.seconds_per_call));
    }
    if short.len() < FEWEST_WINDOWS || long.len() < FEWEST_WINDOWS {
        let why =
            format!("the queue was not both short (at most {SHORT:.0}) and long (at least {LONG:.0}) for long enough");
        return (Judgement::Idle(why), String::new());
    }
    let (usual, fastest) = (short[short.len() / 2], long[0]);
    let basis = format!(
        "{:.0} µs a script with at most {:.0} waiting, {:.0} µs with {:.0}",
        usual.seconds_per_call * 1e6,
        usual.waiting.1,
        fastest.seconds_per_call * 1e6,
        fastest.waiting.0
    );
    let evidence = (fastest.seconds_per_call > FACTOR * usual.seconds_per_call).then(|| {
        Evidence::new(format!(
            "a queue operation keeps Redis busy for {:.0} µs at best with {:.0} waiting, and for {:.0} µs with {:.0}",
            fastest.seconds_per_call * 1e6,
            fastest.waiting.0,
            usual.seconds_per_call * 1e6,
            usual.waiting.1
        ))
    });
    (evidence.into(), basis)
}

fn windows(counted: &Counted<'_>) -> Result<Vec<Window>, &'static str> {
    let page = counted.page().ok_or("the service's counters were not scraped")?;
    if page.switch("queue.mode") != Some("zset") {
        return Err("the queue is no sorted set in Redis, and promises no equal cost");
    }
    let redis = counted
        .server("redis")
        .ok_or("Redis' counters were not scraped, or are those of several variants")?;
    let waiting = page
        .points("booking_queue_waiting", &[])
        .ok_or("the service does not show the length of its queue")?;
    let (calls, seconds) = (
        scripts(redis, "commands_total"),
        scripts(redis, "commands_duration_seconds_total"),
    );
    let scrapes = redis.scrapes();
    Ok((1..scrapes.len())
        .filter_map(|now| {
            let grown = |column: &[f64]| Some(column.get(now)? - column.get(now - 1)?);
            let (calls, seconds) = (grown(&calls)?, grown(&seconds)?);
            (calls >= FEWEST_CALLS && seconds >= 0.0).then_some(Window {
                waiting: lengths(&waiting, scrapes[now - 1], scrapes[now])?,
                seconds_per_call: seconds / calls,
            })
        })
        .collect())
}

/// The least and the greatest length between two moments and at the readings around them. `None` where a reading is
/// missing.
fn lengths(waiting: &[Point], from: Nanos, until: Nanos) -> Option<(f64, f64)> {
    let first = waiting.partition_point(|point| point.at <= from).checked_sub(1)?;
    let last = waiting.partition_point(|point| point.at < until);
    let (before, after) = (waiting.get(first)?.at, waiting.get(last)?.at);
    if from.since(before) > NEAR || after.since(until) > NEAR {
        return None;
    }
    let mut range: Option<(f64, f64)> = None;
    for point in waiting.get(first..=last)? {
        let length = point.reading.value()?;
        let (low, high) = range.unwrap_or((length, length));
        range = Some((low.min(length), high.max(length)));
    }
    range
}

/// The sum over all commands that run scripts, at each scrape.
fn scripts(redis: Page<'_>, counter: &str) -> Vec<f64> {
    let name = format!("redis_{counter}");
    let mut sum = vec![0.0; redis.scrapes().len()];
    for command in SCRIPTS {
        let column = redis.column(&name, &[("cmd", command)]).unwrap_or_default();
        sum.iter_mut().zip(column).for_each(|(sum, value)| *sum += value);
    }
    sum
}
