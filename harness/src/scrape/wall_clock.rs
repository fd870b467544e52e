//! What time other clocks show, against the run's own. Each is asked several times, and the answer that came back
//! soonest counts: the other clock was read at some moment between question and answer, so that the truth lies within
//! half a round trip of the middle, however unequal the two ways were.

use std::time::Duration;

use sqlx::{Executor as _, Row as _};

use super::service::ServiceSource;
use super::{ScrapeError, mysql, parse};
use crate::recording::RunClock;
use crate::recording::model::ClockOffset;
use crate::units::Nanos;

/// Enough that one of them is not held up on a busy machine.
const TIMES: usize = 20;
const MICROSECOND: Duration = Duration::from_micros(1);
const MILLISECOND: Duration = Duration::from_millis(1);
/// The service's clock, as its metrics show it.
const SERVICE_CLOCK: &str = "booking_clock_unix_seconds";

/// One question for the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Asked {
    sent: Nanos,
    answered: Nanos,
    /// Unix time in nanoseconds, cut off to the clock's resolution.
    shown_ns: i64,
}

/// MySQL's clock.
///
/// # Errors
/// When the server cannot be asked.
pub async fn of_mysql(url: &str, clock: RunClock) -> Result<ClockOffset, ScrapeError> {
    const WHAT: &str = "the time";
    const NOW: &str = "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)";
    let mut connection = mysql::connect(&mysql::options(url)?).await?;
    // In a zone with summer time an hour of the year would be two.
    connection
        .execute(sqlx::raw_sql("SET time_zone = '+00:00'"))
        .await
        .map_err(mysql::asking(WHAT))?;
    let mut answers = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let sent = clock.now();
        let row = connection
            .fetch_one(sqlx::raw_sql(NOW))
            .await
            .map_err(mysql::asking(WHAT))?;
        let answered = clock.now();
        let shown_us: i64 = row.try_get(0).map_err(mysql::asking(WHAT))?;
        answers.push(Asked {
            sent,
            answered,
            shown_ns: shown_us.saturating_mul(1_000),
        });
    }
    Ok(nearest("mysql", &answers, MICROSECOND, clock))
}

/// Redis' clock.
///
/// # Errors
/// When the server cannot be asked.
pub async fn of_redis(url: &str, clock: RunClock) -> Result<ClockOffset, ScrapeError> {
    let server = "Redis";
    let client = redis::Client::open(url).map_err(|source| ScrapeError::Address {
        server,
        source: Box::new(source),
    })?;
    let mut connection = client
        .get_multiplexed_async_connection()
        .await
        .map_err(|source| ScrapeError::Connect {
            server,
            source: Box::new(source),
        })?;
    let mut answers = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let sent = clock.now();
        let (seconds, microseconds): (i64, i64) =
            redis::cmd("TIME")
                .query_async(&mut connection)
                .await
                .map_err(|source| ScrapeError::Ask {
                    server,
                    what: "TIME",
                    source: Box::new(source),
                })?;
        let shown_us = seconds.saturating_mul(1_000_000).saturating_add(microseconds);
        answers.push(Asked {
            sent,
            answered: clock.now(),
            shown_ns: shown_us.saturating_mul(1_000),
        });
    }
    Ok(nearest("redis", &answers, MICROSECOND, clock))
}

/// The service's clock, from its metrics; `None` for a build that does not show it.
///
/// # Errors
/// When the service cannot be asked.
pub async fn of_service(metrics_url: &str, clock: RunClock) -> Result<Option<ClockOffset>, ScrapeError> {
    let service = ServiceSource::new(metrics_url)?;
    let mut answers = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let sent = clock.now();
        let response = service.ask().await?;
        let answered = clock.now();
        let samples = parse::parse(&service.page(response).await?).map_err(|source| ScrapeError::Parse {
            url: metrics_url.to_owned(),
            source,
        })?;
        let Some(shown) = samples.iter().find(|sample| sample.name == SERVICE_CLOCK) else {
            return Ok(None);
        };
        answers.push(Asked {
            sent,
            answered,
            // To the millisecond, which a floating-point number of seconds holds exactly enough.
            shown_ns: ((shown.value * 1e3).round() as i64).saturating_mul(1_000_000),
        });
    }
    Ok(Some(nearest("service", &answers, MILLISECOND, clock)))
}

/// The offset by the answer with the shortest round trip.
fn nearest(of: &str, answers: &[Asked], resolution: Duration, clock: RunClock) -> ClockOffset {
    let round_trip = |asked: &Asked| asked.answered.since(asked.sent);
    let best = answers
        .iter()
        .min_by_key(|asked| round_trip(asked))
        .copied()
        .unwrap_or(Asked {
            sent: Nanos(0),
            answered: Nanos(u64::MAX),
            shown_ns: 0,
        });
    let round_trip_ns = best.answered.0.saturating_sub(best.sent.0);
    let resolution_ns = u64::try_from(resolution.as_nanos()).unwrap_or(u64::MAX);
    // What is shown was cut off, so that the truth is half a step later on average.
    let shown = i128::from(best.shown_ns) + i128::from(resolution_ns / 2);
    let middle = i128::from(clock.anchor().unix_ns) + i128::from(best.sent.0) + i128::from(round_trip_ns / 2);
    ClockOffset {
        of: of.to_owned(),
        offset_ns: i64::try_from(shown - middle).unwrap_or(i64::MAX),
        uncertainty_ns: round_trip_ns
            .saturating_add(resolution_ns)
            .div_ceil(2)
            .saturating_add(1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whenever the other clock was read on the way, the truth is within what is said.
        #[test]
        fn the_truth_lies_within_the_uncertainty(
            true_offset_ns in -1_000_000_000_000_i64..1_000_000_000_000,
            asked in prop::collection::vec((0_u64..1_000_000_000, 0_u64..50_000_000, 0_u64..50_000_000), 1..20),
        ) {
            let clock = RunClock::start();
            let answers: Vec<Asked> = asked
                .iter()
                .map(|&(sent, to, back)| {
                    let read = clock.anchor().unix_ns + i64::try_from(sent + to).unwrap() + true_offset_ns;
                    Asked {
                        sent: Nanos(sent),
                        answered: Nanos(sent + to + back),
                        shown_ns: read.div_euclid(1_000_000) * 1_000_000,
                    }
                })
                .collect();
            let found = nearest("other", &answers, MILLISECOND, clock);
            let error = found.offset_ns.abs_diff(true_offset_ns);
            prop_assert!(error <= found.uncertainty_ns, "off by {error}, and said {}", found.uncertainty_ns);
            let shortest = asked.iter().map(|(_, to, back)| to + back).min().unwrap();
            prop_assert!(found.uncertainty_ns <= (shortest + 1_000_000) / 2 + 2);
        }
    }
}
