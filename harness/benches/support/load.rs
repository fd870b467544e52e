//! Requests from many connections at once, as fast as they are answered or at a given pace.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use futures::stream::FuturesUnordered;

use super::client::{Answer, Connection};

/// What a stretch of load came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slice {
    /// Answers by status.
    pub(crate) answers: BTreeMap<u16, u64>,
    /// From the first request to the last answer, counted or not.
    pub(crate) took: Duration,
}

impl Slice {
    /// Answers of `status` a second. Panics when there was another one: then something else was measured.
    #[track_caller]
    pub(crate) fn rate_of(&self, status: u16) -> f64 {
        assert!(
            self.answers.keys().eq([&status]),
            "expected {status} alone, got answers by status {:?}",
            self.answers
        );
        self.n_answers() as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn n_answers(&self) -> u64 {
        self.answers.values().sum()
    }
}

/// Opens `n` connections.
pub(crate) async fn connections(address: &str, n: usize) -> Vec<Connection> {
    let mut opened = Vec::with_capacity(n);
    for _ in 0..n {
        opened.push(Connection::open(address).await.unwrap());
    }
    opened
}

/// Sends what `next` makes on every connection, each as soon as it has its answer, for `length`. Requests under way
/// at the end are waited for and counted.
pub(crate) async fn closed_loop<R: AsRef<[u8]>>(
    connections: &mut [Connection],
    length: Duration,
    next: impl Fn() -> R,
) -> Slice {
    let started = Instant::now();
    let next = &next;
    let running: FuturesUnordered<_> = connections
        .iter_mut()
        .map(|connection| async move {
            let mut answers = BTreeMap::new();
            while started.elapsed() < length {
                let answer = connection.exchange(next().as_ref()).await?;
                *answers.entry(answer.status).or_insert(0) += 1;
            }
            Ok::<_, std::io::Error>(answers)
        })
        .collect();
    let answers = merged(running.try_collect().await.unwrap());
    Slice {
        answers,
        took: started.elapsed(),
    }
}

/// What one connection sends at a pace: it makes each request, and is told each answer.
pub(crate) trait Visitor {
    fn next(&mut self) -> Vec<u8>;
    fn answered(&mut self, answer: Answer<'_>);
}

/// Sends at `per_second` in total for `length`, in turns over the visitors, a connection each. A visitor that is late
/// sends at once, so the pace is kept as long as the service keeps up. Answers that come after `length` do not count.
pub(crate) async fn paced<V: Visitor>(address: &str, visitors: &mut [V], per_second: u32, length: Duration) -> Slice {
    let n = visitors.len();
    let gap = Duration::from_secs(1) / per_second;
    let opened = connections(address, n).await;
    let started = tokio::time::Instant::now();
    let running: FuturesUnordered<_> = opened
        .into_iter()
        .zip(visitors)
        .enumerate()
        .map(|(place, (mut connection, visitor))| async move {
            let mut answers = BTreeMap::new();
            let mut due = gap * u32::try_from(place).unwrap();
            while due < length {
                tokio::time::sleep_until(started + due).await;
                let answer = connection.exchange(&visitor.next()).await?;
                if started.elapsed() < length {
                    *answers.entry(answer.status).or_insert(0) += 1;
                }
                visitor.answered(answer);
                due += gap * u32::try_from(n).unwrap();
            }
            Ok::<_, std::io::Error>(answers)
        })
        .collect();
    let answers = merged(running.try_collect().await.unwrap());
    Slice {
        answers,
        took: started.elapsed(),
    }
}

fn merged(parts: Vec<BTreeMap<u16, u64>>) -> BTreeMap<u16, u64> {
    let mut all = BTreeMap::new();
    for (status, n) in parts.into_iter().flatten() {
        *all.entry(status).or_insert(0) += n;
    }
    all
}
