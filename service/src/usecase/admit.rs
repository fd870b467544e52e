//! The waiting room: entering, asking, leaving, and the check that others need.

use std::sync::Mutex;
use std::time::Duration;

use rand::Rng as _;

use super::{Booking, Failure};
use crate::config::Mutant;
use crate::domain::{QueueToken, Timestamp, TokenId, UserId};
use crate::ports::{QueueTotals, Standing, Unavailable};

/// A token with where it stands and what its owner may expect.
#[derive(Clone, Debug)]
pub struct Place {
    /// The token.
    pub token: QueueToken,
    /// Where it stands; never `Gone`.
    pub standing: Standing,
    /// How long it may take until admission; `None` while nobody has been admitted yet, so nothing is known.
    pub estimated_wait: Option<Duration>,
}

/// Estimates waits from the pace of admissions, over all instances.
#[derive(Debug, Default)]
pub struct WaitEstimate(Mutex<Pace>);

#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    seen: Option<(Timestamp, u64)>,
    per_second: Option<f64>,
}

/// Weight of the newest second against the past.
const NEWEST: f64 = 0.2;

impl WaitEstimate {
    /// Notes that `admitted` tokens were admitted since the queue began.
    pub fn note(&self, admitted: u64, now: Timestamp) {
        let mut pace = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some((since, before)) = pace.seen else {
            pace.seen = Some((now, admitted));
            return;
        };
        let seconds = now.since(since).as_secs_f64();
        if seconds < 1.0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a pace needs no more than 52 bits")]
        let latest = admitted.saturating_sub(before) as f64 / seconds;
        pace.per_second = Some(pace.per_second.map_or(latest, |old| old + NEWEST * (latest - old)));
        pace.seen = Some((now, admitted));
    }

    /// How long it takes until `ahead` others and then this one are admitted.
    pub fn wait(&self, ahead: u64) -> Option<Duration> {
        let pace = *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let per_second = pace.per_second.filter(|pace| *pace > 0.0)?;
        #[expect(clippy::cast_precision_loss, reason = "an estimate needs no more than 52 bits")]
        let seconds = (ahead + 1) as f64 / per_second;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// The queue's totals as last read. They outlive an instance, and a counter begins with its process.
#[derive(Debug, Default)]
pub struct TotalsSeen(Mutex<Option<QueueTotals>>);

impl TotalsSeen {
    /// What was admitted and what expired since the last call; nothing at the first.
    fn news(&self, totals: QueueTotals) -> (u64, u64) {
        let mut seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(before) = seen.replace(totals) else {
            return (0, 0);
        };
        // A queue that was lost begins again at 0.
        let since = |before: u64, now: u64| if now < before { now } else { now - before };
        (
            since(before.admitted, totals.admitted),
            since(before.expired, totals.expired),
        )
    }
}

/// Tokens that the queue called active not long ago. Reading rests on it, so that a cached seat map costs neither a
/// round trip to the queue nor a connection; changes ask the queue itself.
#[derive(Clone, Debug)]
pub struct SeenActive(moka::sync::Cache<QueueToken, Timestamp>);

/// For how long a token that ended on another instance may still read here.
const SEEN_ACTIVE_TTL: Duration = Duration::from_secs(1);
/// Far above any capacity, so that it bounds memory and nothing else.
const SEEN_ACTIVE_MOST: u64 = 100_000;

impl Default for SeenActive {
    fn default() -> Self {
        let cache = moka::sync::Cache::builder()
            .max_capacity(SEEN_ACTIVE_MOST)
            .time_to_live(SEEN_ACTIVE_TTL);
        Self(cache.build())
    }
}

impl SeenActive {
    fn note(&self, token: QueueToken, standing: Standing) {
        match standing {
            Standing::Active { expires_at } => self.0.insert(token, expires_at),
            Standing::Waiting { .. } | Standing::Gone => self.0.invalidate(&token),
        }
    }

    fn covers(&self, token: QueueToken, now: Timestamp) -> bool {
        self.0.get(&token).is_some_and(|expires_at| now < expires_at)
    }
}

impl Booking {
    /// Takes a place in line for `user`, or finds the one that it has.
    ///
    /// # Errors
    /// When there is no such user, or the queue is away.
    pub async fn enter_queue(&self, user: UserId) -> Result<Place, Failure> {
        if self.seen("balance", self.store.balance(user).await)?.is_none() {
            return Err(Failure::NotFound("user"));
        }
        let candidate = TokenId(rand::rng().random());
        let timer = self
            .metrics
            .queue_call_duration
            .with_label_values(&["enter"])
            .start_timer();
        let entered = self.queue.enter(user, candidate, self.now()).await;
        drop(timer);
        let (id, standing) = self.counted(entered)?;
        let token = QueueToken { user, id };
        self.seen_active.note(token, standing);
        let place = self.place(token, standing)?;
        let state = if matches!(standing, Standing::Active { .. }) {
            "active"
        } else {
            "waiting"
        };
        self.metrics.queue_entered.with_label_values(&[state]).inc();
        Ok(place)
    }

    /// Where a token stands.
    ///
    /// # Errors
    /// [`Failure::TokenGone`] when it is finished, or the queue is away.
    pub async fn queue_place(&self, token: QueueToken) -> Result<Place, Failure> {
        let standing = self.standing(token).await?;
        self.place(token, standing)
    }

    /// Gives a place up; giving it up twice is no failure.
    ///
    /// # Errors
    /// When the queue is away.
    pub async fn leave_queue(&self, token: QueueToken) -> Result<(), Failure> {
        self.seen_active.0.invalidate(&token);
        let timer = self
            .metrics
            .queue_call_duration
            .with_label_values(&["leave"])
            .start_timer();
        let left = self.queue.leave(token, self.now()).await;
        drop(timer);
        self.counted(left)?;
        Ok(())
    }

    /// Fails unless the token is admitted.
    ///
    /// # Errors
    /// [`Failure::NotAdmitted`] or [`Failure::TokenGone`], or the queue is away.
    pub async fn require_admission(&self, token: QueueToken) -> Result<(), Failure> {
        let standing = if self.mutant(Mutant::D17) {
            self.store.holding_a_connection(self.standing(token)).await?
        } else {
            self.standing(token).await
        };
        match standing? {
            Standing::Active { .. } => Ok(()),
            Standing::Waiting { .. } => Err(Failure::NotAdmitted),
            Standing::Gone => Err(Failure::TokenGone),
        }
    }

    /// As [`Booking::require_admission`], for reading: what was true a moment ago will do.
    ///
    /// # Errors
    /// [`Failure::NotAdmitted`] or [`Failure::TokenGone`], or the queue is away.
    pub async fn require_admission_to_read(&self, token: QueueToken) -> Result<(), Failure> {
        // D17 borrows a connection for every check.
        if !self.mutant(Mutant::D17) && self.seen_active.covers(token, self.now()) {
            return Ok(());
        }
        self.require_admission(token).await
    }

    /// One round of expiry and admission, for the background task.
    ///
    /// # Errors
    /// When the queue is away.
    pub async fn tick_queue(&self) -> Result<(), Failure> {
        let now = self.now();
        let timer = self
            .metrics
            .queue_call_duration
            .with_label_values(&["tick"])
            .start_timer();
        let ticked = self.queue.tick(now).await;
        drop(timer);
        let counts = self.counted(ticked)?;
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.queue_waiting.set(gauge(counts.waiting));
        self.metrics.queue_active.set(gauge(counts.active));
        // Totals of the queue itself: admissions happen in every operation, on every instance.
        let totals = self.counted(self.queue.totals().await)?;
        let (admitted, expired) = self.totals_seen.news(totals);
        self.metrics.queue_admitted.inc_by(admitted);
        self.metrics.queue_expired.inc_by(expired);
        self.wait.note(totals.admitted, now);
        Ok(())
    }

    async fn standing(&self, token: QueueToken) -> Result<Standing, Failure> {
        let timer = self
            .metrics
            .queue_call_duration
            .with_label_values(&["standing"])
            .start_timer();
        let standing = self.queue.standing(token, self.now()).await;
        drop(timer);
        let standing = self.counted(standing)?;
        self.seen_active.note(token, standing);
        Ok(standing)
    }

    fn place(&self, token: QueueToken, standing: Standing) -> Result<Place, Failure> {
        let estimated_wait = match standing {
            Standing::Gone => return Err(Failure::TokenGone),
            Standing::Active { .. } => Some(Duration::ZERO),
            Standing::Waiting { ahead, .. } => self.wait.wait(ahead),
        };
        Ok(Place {
            token,
            standing,
            estimated_wait,
        })
    }

    pub(crate) fn counted<T>(&self, result: Result<T, Unavailable>) -> Result<T, Failure> {
        result.map_err(|error| {
            self.metrics
                .dependency_errors
                .with_label_values(&[error.dependency])
                .inc();
            Failure::from(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_the_pace_and_is_unknown_without_one() {
        let estimate = WaitEstimate::default();
        let at = Timestamp::from_unix_ms;
        assert_eq!(estimate.wait(9), None);
        estimate.note(100, at(0));
        assert_eq!(estimate.wait(9), None);
        estimate.note(120, at(2_000));
        assert_eq!(estimate.wait(9), Some(Duration::from_secs(1)));
        estimate.note(120, at(4_000));
        assert!(
            estimate.wait(9) > Some(Duration::from_secs(1)),
            "a pause makes waits longer"
        );
    }

    #[test]
    fn an_instance_counts_what_the_queue_did_since_it_began() {
        let seen = TotalsSeen::default();
        let totals = |admitted, expired| QueueTotals {
            admitted,
            expired,
            ..QueueTotals::default()
        };
        assert_eq!(seen.news(totals(100, 40)), (0, 0), "before its time");
        assert_eq!(seen.news(totals(103, 40)), (3, 0));
        assert_eq!(seen.news(totals(103, 41)), (0, 1));
        assert_eq!(seen.news(totals(2, 0)), (2, 0), "the queue was lost, and began again");
    }
}
