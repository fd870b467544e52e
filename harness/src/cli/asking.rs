//! Puts queries to a Prometheus, and tells which of them have no answer.

use std::borrow::Borrow;
use std::time::{Duration, Instant};

use super::exit::{Exit, Failure, OrExit as _};
use super::prometheus::Prometheus;
use super::stdout;
use crate::monitoring::Query;

const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Puts `queries` to the Prometheus at `address`; those without an answer and without a reason again for `within`.
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
            let answer = server.now(query).await.or_exit(Exit::Usage)?;
            let is_empty = answer["result"].as_array().is_none_or(Vec::is_empty);
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
