//! Puts queries to a Prometheus, and tells which of them have no answer.

use std::borrow::Borrow;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::exit::{Exit, Failure, OrExit as _};
use super::prometheus::Prometheus;
use super::stdout;
use crate::monitoring::Query;
use crate::monitoring::answers::Stretch;

const ASK_AGAIN: Duration = Duration::from_secs(1);
/// What a dashboard shows until somebody chooses otherwise.
const LATELY: Duration = Duration::from_secs(15 * 60);

/// Puts `queries` to the Prometheus at `address`: what is true now, and where nothing may be, what was lately. Those without an
/// answer and without a reason again for `within`.
///
/// # Errors
/// When it does not answer, or refuses a query.
pub(super) async fn all(address: &str, queries: &[Query], within: Duration) -> Result<Exit, Failure> {
    let server = Prometheus::new("--ask", address).or_exit(Exit::Usage)?;
    let deadline = Instant::now() + within;
    let (mut n_answered, mut without_reason) = (0, queries.iter().collect::<Vec<_>>());
    let mut with_reason = Vec::new();
    loop {
        let mut left = Vec::new();
        for query in without_reason {
            let mut is_empty = is_nothing(&server.now(query).await.or_exit(Exit::Usage)?);
            // What need not be there now may have been: a fault that is over, a run that was sent.
            if is_empty && query.empty.is_some() {
                let lately = Stretch::until(Timestamp::now(), LATELY);
                is_empty = is_nothing(&server.over(query, &lately).await.or_exit(Exit::Usage)?);
            }
            match is_empty {
                false => n_answered += 1,
                true if query.empty.is_some() => with_reason.push(query),
                true => left.push(query),
            }
        }
        without_reason = left;
        if without_reason.is_empty() || Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
    told(n_answered, &with_reason, &without_reason)
}

/// Whether there is no series in it that has a number: a quantile of nothing, and a share of nothing, is none.
fn is_nothing(answer: &Value) -> bool {
    let is_number = |sample: &Value| sample[1] != "NaN";
    let has_one = |series: &Value| {
        let at_times = series["values"].as_array().into_iter().flatten();
        at_times.chain(series.get("value")).any(is_number)
    };
    !answer["result"].as_array().into_iter().flatten().any(has_one)
}

/// Tells which queries have no answer, and ends with 4 where one has no reason for that.
pub(super) fn told<Q: Borrow<Query>>(
    n_answered: usize,
    with_reason: &[Q],
    without_reason: &[Q],
) -> Result<Exit, Failure> {
    for query in with_reason.iter().map(Borrow::borrow) {
        let reason = query.empty.as_deref().unwrap_or_default();
        stdout::line(&format!("nothing, as it may be: {}: {reason}", query.place))?;
    }
    for query in without_reason.iter().map(Borrow::borrow) {
        stdout::line(&format!("NOTHING: {}: {}", query.place, query.expr))?;
    }
    stdout::line(&format!(
        "{n_answered} of {} queries have an answer, and {} should have one and do not",
        n_answered + with_reason.len() + without_reason.len(),
        without_reason.len()
    ))?;
    Ok(match without_reason.is_empty() {
        true => Exit::Pass,
        false => Exit::Unknown,
    })
}
