//! A cache behind a breaker: while it does not answer, callers learn so at once and read the database.
//!
//! A change whose invalidation could not be sent is remembered. Its schedule is not served through this instance
//! until the invalidation has been repeated, and all that are owed are repeated as soon as the cache answers again.
//! Other instances may serve the old entry until then, or until its lifetime has passed.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::breaker::{Breaker, BreakerLimits, BreakerState, Permit};
use super::redis_connection::unavailable;
use crate::domain::{ScheduleId, Timestamp};
use crate::ports::{FillStamp, Lookup, SeatMapCache, Unavailable};
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;

/// Told about every change of state, for the metric.
pub type OnTransition = Box<dyn Fn(BreakerState) + Send + Sync>;

/// Nothing was sent, since the breaker is open.
#[derive(Debug, thiserror::Error)]
#[error("not asked, since it has not answered lately")]
pub struct BreakerOpen;

/// `C` behind a breaker. Clones share it.
#[derive(Debug)]
pub struct BreakerCache<C> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    inner: C,
    state: Mutex<State>,
    /// Time since the start, monotonic: the service's own clock can be moved.
    elapsed: Box<dyn Fn() -> Duration + Send + Sync>,
    on_transition: OnTransition,
}

struct State {
    breaker: Breaker,
    /// Schedules whose invalidation did not arrive. At most as many as have sold a seat during an outage.
    /// The number tells a later debt for the same schedule from an earlier one.
    owed: HashMap<ScheduleId, u64>,
    debts: u64,
}

impl<C: fmt::Debug> fmt::Debug for Shared<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<C> Clone for BreakerCache<C> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<C: SeatMapCache + 'static> BreakerCache<C> {
    /// Reports the first state at once, so that the metric exists before anything goes wrong.
    pub fn new(inner: C, limits: BreakerLimits, on_transition: OnTransition) -> Self {
        let origin = Instant::now();
        Self::with_clock(inner, limits, on_transition, Box::new(move || origin.elapsed()))
    }

    fn with_clock(
        inner: C,
        limits: BreakerLimits,
        on_transition: OnTransition,
        elapsed: Box<dyn Fn() -> Duration + Send + Sync>,
    ) -> Self {
        on_transition(BreakerState::Closed);
        let state = State {
            breaker: Breaker::new(limits),
            owed: HashMap::new(),
            debts: 0,
        };
        Self {
            shared: Arc::new(Shared {
                inner,
                state: Mutex::new(state),
                elapsed,
                on_transition,
            }),
        }
    }

    /// The state of the breaker.
    pub fn state(&self) -> BreakerState {
        self.shared.lock().breaker.state()
    }

    /// One call through the breaker, which learns its outcome.
    async fn send<T>(&self, call: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
        let permit = self.shared.ask().ok_or_else(|| unavailable(BreakerOpen))?;
        let outcome = call.await;
        if self.shared.report(permit, outcome.is_ok()) {
            tokio::spawn(self.clone().pay_all());
        }
        outcome
    }

    /// A call about `schedule`, after the invalidation that is owed for it, if one is.
    async fn call<T>(
        &self,
        schedule: ScheduleId,
        call: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        let is_owed = self.shared.lock().owed.contains_key(&schedule);
        if is_owed {
            self.pay(schedule).await?;
        }
        self.send(call).await
    }

    async fn pay(&self, schedule: ScheduleId) -> Result<(), Unavailable> {
        let debt = self.shared.lock().owed.get(&schedule).copied();
        self.send(async { self.shared.inner.invalidate(schedule).await })
            .await?;
        let mut state = self.shared.lock();
        // A change that came while this was under way owes its own.
        if debt.is_some() && state.owed.get(&schedule).copied() == debt {
            state.owed.remove(&schedule);
        }
        Ok(())
    }

    /// Repeats every invalidation that is owed; stops at the first failure, and the next recovery tries again.
    /// Boxed, since it sends, and sending may start it.
    fn pay_all(self) -> BoxFuture<'static, ()> {
        async move {
            let owed: Vec<ScheduleId> = self.shared.lock().owed.keys().copied().collect();
            for schedule in owed {
                if self.pay(schedule).await.is_err() {
                    return;
                }
            }
        }
        .boxed()
    }
}

/// Notes the debt when an invalidation fails, or when its caller is cancelled while the cache hangs.
struct Debt<'a, C> {
    shared: &'a Shared<C>,
    schedule: ScheduleId,
    paid: bool,
}

impl<C> Drop for Debt<'_, C> {
    fn drop(&mut self) {
        if !self.paid {
            let mut state = self.shared.lock();
            state.debts += 1;
            let number = state.debts;
            state.owed.insert(self.schedule, number);
        }
    }
}

impl<C> Shared<C> {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in between can panic and leave half a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self) -> Option<Permit> {
        let mut state = self.lock();
        let before = state.breaker.state();
        let permit = state.breaker.ask((self.elapsed)());
        self.announce(before, &state);
        permit
    }

    /// True when the cache has just recovered and something is owed.
    fn report(&self, permit: Permit, answered: bool) -> bool {
        let mut state = self.lock();
        let before = state.breaker.state();
        if answered {
            state.breaker.succeeded(permit);
        } else {
            state.breaker.failed(permit, (self.elapsed)());
        }
        self.announce(before, &state);
        answered && before == BreakerState::HalfOpen && !state.owed.is_empty()
    }

    /// Called with the lock held, so that transitions are told in their order.
    fn announce(&self, before: BreakerState, state: &State) {
        let after = state.breaker.state();
        if before != after {
            tracing::warn!(
                from = before.name(),
                to = after.name(),
                owed = state.owed.len(),
                "the cache's breaker changed its state"
            );
            (self.on_transition)(after);
        }
    }
}

// The calls are made inside their futures: not before the breaker has let them pass and what was owed is paid.
impl<C: SeatMapCache + 'static> SeatMapCache for BreakerCache<C> {
    fn get(&self, schedule: ScheduleId, now: Timestamp) -> BoxFuture<'_, Result<Lookup, Unavailable>> {
        let get = async move { self.shared.inner.get(schedule, now).await };
        self.call(schedule, get).boxed()
    }

    fn stamp(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<FillStamp, Unavailable>> {
        let stamp = async move { self.shared.inner.stamp(schedule).await };
        self.call(schedule, stamp).boxed()
    }

    fn fill(
        &self,
        schedule: ScheduleId,
        stamp: FillStamp,
        body: Bytes,
        fill_cost: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, Unavailable>> {
        let fill = async move { self.shared.inner.fill(schedule, stamp, body, fill_cost, now).await };
        self.call(schedule, fill).boxed()
    }

    /// Succeeds even when the cache does not answer: the invalidation is then owed.
    fn invalidate(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<(), Unavailable>> {
        async move {
            let mut debt = Debt {
                shared: &self.shared,
                schedule,
                paid: false,
            };
            // The breaker has counted a failure, and the debt repeats the work: nothing is left for the caller to do.
            debt.paid = self.pay(schedule).await.is_ok();
            drop(debt);
            Ok(())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::super::local_cache::LocalCache;
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

    /// A real cache at the end of a line that can be cut.
    #[derive(Debug)]
    struct Line {
        cache: LocalCache,
        is_cut: AtomicBool,
    }

    impl Line {
        fn through<'a, T: Send + 'a>(
            &'a self,
            call: BoxFuture<'a, Result<T, Unavailable>>,
        ) -> BoxFuture<'a, Result<T, Unavailable>> {
            if self.is_cut.load(Ordering::SeqCst) {
                let gone = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
                return std::future::ready(Err(unavailable(gone))).boxed();
            }
            call
        }
    }

    impl SeatMapCache for Line {
        fn get(&self, schedule: ScheduleId, now: Timestamp) -> BoxFuture<'_, Result<Lookup, Unavailable>> {
            self.through(self.cache.get(schedule, now))
        }

        fn stamp(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<FillStamp, Unavailable>> {
            self.through(self.cache.stamp(schedule))
        }

        fn fill(
            &self,
            schedule: ScheduleId,
            stamp: FillStamp,
            body: Bytes,
            fill_cost: Duration,
            now: Timestamp,
        ) -> BoxFuture<'_, Result<bool, Unavailable>> {
            self.through(self.cache.fill(schedule, stamp, body, fill_cost, now))
        }

        fn invalidate(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<(), Unavailable>> {
            if self.is_cut.load(Ordering::SeqCst) {
                return self.through(std::future::pending().boxed());
            }
            self.cache.invalidate(schedule)
        }
    }

    fn schedule(raw: i64) -> ScheduleId {
        ScheduleId::from_raw(raw).unwrap()
    }

    /// A cache behind a breaker, with all that a test can turn or see.
    struct Rig {
        line: Arc<Line>,
        cache: BreakerCache<Arc<Line>>,
        told: Arc<Mutex<Vec<BreakerState>>>,
        elapsed_ms: Arc<AtomicU64>,
    }

    impl Rig {
        fn cut(&self, is_cut: bool) {
            self.line.is_cut.store(is_cut, Ordering::SeqCst);
        }

        fn pass_the_pause(&self) {
            self.elapsed_ms.fetch_add(1_000, Ordering::SeqCst);
        }
    }

    fn rig() -> Rig {
        let line = Arc::new(Line {
            cache: LocalCache::new(Duration::from_secs(600), 1 << 20),
            is_cut: AtomicBool::new(false),
        });
        let told = Arc::new(Mutex::new(Vec::new()));
        let listener = told.clone();
        let limits = BreakerLimits {
            failures: 3,
            pause: Duration::from_secs(1),
        };
        let on_transition: OnTransition = Box::new(move |state| listener.lock().unwrap().push(state));
        let elapsed_ms = Arc::new(AtomicU64::new(0));
        let clock = elapsed_ms.clone();
        let elapsed = Box::new(move || Duration::from_millis(clock.load(Ordering::SeqCst)));
        Rig {
            cache: BreakerCache::with_clock(line.clone(), limits, on_transition, elapsed),
            line,
            told,
            elapsed_ms,
        }
    }

    async fn filled(cache: &impl SeatMapCache, id: ScheduleId) {
        let stamp = cache.stamp(id).await.unwrap();
        let body = Bytes::from_static(b"old");
        assert!(cache.fill(id, stamp, body, Duration::ZERO, NOW).await.unwrap());
    }

    #[tokio::test]
    async fn opens_while_the_cache_is_away_and_closes_after() {
        let rig = rig();
        let cache = &rig.cache;
        rig.cut(true);
        for _ in 0..3 {
            assert!(cache.get(schedule(1), NOW).await.is_err());
        }
        assert_eq!(cache.state(), BreakerState::Open);
        rig.cut(false);
        let error = cache.get(schedule(1), NOW).await.unwrap_err();
        assert!(error.source.is::<BreakerOpen>(), "not asked during the pause");
        rig.pass_the_pause();
        assert!(cache.get(schedule(1), NOW).await.is_ok());
        let expected = [
            BreakerState::Closed,
            BreakerState::Open,
            BreakerState::HalfOpen,
            BreakerState::Closed,
        ];
        assert_eq!(*rig.told.lock().unwrap(), expected);
    }

    #[tokio::test]
    async fn a_change_during_an_outage_is_never_served_old_afterwards() {
        let rig = rig();
        let cache = &rig.cache;
        for raw in 0..10 {
            filled(cache, schedule(raw)).await;
        }
        rig.cut(true);
        for raw in 0..10 {
            cache.invalidate(schedule(raw)).await.unwrap();
        }
        rig.cut(false);
        rig.pass_the_pause();
        assert!(matches!(cache.get(schedule(0), NOW).await.unwrap(), Lookup::Miss(_)));
        // The other debts are paid in the background, so that other instances stop serving the old entries too.
        while !cache.shared.lock().owed.is_empty() {
            tokio::task::yield_now().await;
        }
        for raw in 0..10 {
            assert!(
                matches!(rig.line.cache.get(schedule(raw), NOW).await.unwrap(), Lookup::Miss(_)),
                "schedule {raw}"
            );
        }
    }

    #[tokio::test]
    async fn one_lost_invalidation_is_repeated_before_the_schedule_is_read() {
        let rig = rig();
        let cache = &rig.cache;
        filled(cache, schedule(1)).await;
        rig.cut(true);
        cache.invalidate(schedule(1)).await.unwrap();
        rig.cut(false);
        assert_eq!(cache.state(), BreakerState::Closed, "one failure does not open it");
        assert!(matches!(cache.get(schedule(1), NOW).await.unwrap(), Lookup::Miss(_)));
    }
}
