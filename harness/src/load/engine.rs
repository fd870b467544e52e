//! One attack: Goose keeps the users, the schedule says when, the journeys say what, and the books balance at the end.
//!
//! Goose is used for its users alone. What is worked around: its clients (ours are pooled and shared), its numbers
//! (off), its telnet (off), its kill switch, which is one static for the process (our own tokens end an attack), and
//! its handler of Ctrl-C, which exits without running destructors (whoever runs the tool installs one first).

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use goose::client::GooseClientBuilder;
use goose::config::GooseConfiguration;
use goose::goose::{GooseUser, Scenario, Transaction};
use goose::{GooseAttack, GooseError};
use rand::Rng as _;
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use super::arrivals::{Arrival, Arrivals, Blame, Offered};
use super::closed::VirtualUsers;
use super::feed::Feeds;
use super::ground::{Ground, PrepareError, Target};
use super::handle::LoadHandle;
use super::journeys;
use super::limits;
use super::recorder::Recorder;
use super::schedule::Schedule;
use super::selector::Selector;
use super::session::{Context, Dice, Session};
use super::tally::{Account, Tally, total};
use crate::config::{Row, ScenarioConfig};
use crate::recording::{Accounting, HistorySink, Outcome, Sample};
use crate::units::Nanos;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    pub scenario: ScenarioConfig,
    /// Decides the schedule and every choice.
    pub seed: u64,
    /// Makes idempotency keys and trace ids differ from those of another attack with the same seed on the same data.
    pub nonce: u64,
    /// The index of the first target among the recording's variants; the others follow it.
    pub first_variant: u16,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct LoadOutcome {
    /// When the schedule began.
    pub began: Nanos,
    /// When the last user was done.
    pub ended: Nanos,
    /// What became of every arrival, apart by slice and variant.
    pub books: BTreeMap<Account, Accounting>,
    /// The books added up; the identities hold.
    pub total: Accounting,
    /// What became of the schedule, visits of virtual users left out.
    pub offered: Offered,
    /// Whether the arrivals were ended before the schedule was over: from outside, or by a feeder that ran dry.
    pub was_stopped: bool,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nothing to ask.
    #[error("a load needs at least one target")]
    NoTarget,
    /// A target cannot carry the scenario.
    #[error("cannot prepare the load")]
    Prepare(#[from] PrepareError),
    /// Too few descriptors.
    #[error(transparent)]
    Limit(#[from] limits::LimitError),
    /// The arrivals' timer.
    #[error("the timer of the arrivals failed")]
    Timer(#[source] io::Error),
    /// Goose refused.
    #[error("cannot run the users")]
    Goose(#[source] Box<GooseError>),
    /// A user's task ended in the middle of its work: a bug.
    #[error("a user's task panicked; the load was ended, since its books cannot balance")]
    Panicked,
    /// The identities do not hold: a bug.
    #[error("the books of the load do not balance: {0}")]
    Books(String),
}

/// All that the users of one attack share.
struct Attack {
    context: Context,
    grounds: Vec<Ground>,
    first_variant: u16,
    arrivals: Arrivals,
    feeds: Feeds,
    virtual_users: VirtualUsers,
    /// How often each virtual user has come, and all of them together.
    visits: Vec<AtomicU32>,
    n_visits: AtomicU64,
    /// Ends the arrivals, also when the time is over rather than a stop asked for.
    no_more: CancellationToken,
    selector: Arc<Selector>,
    tally: Tally,
    /// Users who serve nobody any more, and whether that is all of them.
    n_done: AtomicUsize,
    all_done: CancellationToken,
    handle: LoadHandle,
    gate: Barrier,
    failure: Mutex<Option<LoadError>>,
}

/// Runs `plan` against `targets` (one a variant, in the order of the variants) and returns when every user is done.
///
/// Several attacks may run one after the other or side by side; each needs a handle of its own. `selector` says at
/// each arrival which target is asked, `recorder` gets the samples, `history` the operations.
///
/// # Errors
/// When the load cannot be set up, or its books do not balance.
pub async fn drive(
    plan: LoadPlan,
    targets: &[Target],
    selector: Arc<Selector>,
    recorder: Arc<Recorder>,
    history: Option<HistorySink>,
    handle: LoadHandle,
) -> Result<LoadOutcome, LoadError> {
    // Whoever gives this up half way leaves no load behind, and nobody waits for the beginning of a load that could not be
    // set up.
    let _ends = (handle.soft.clone().drop_guard(), handle.hard.clone().drop_guard());
    let first = targets.first().ok_or(LoadError::NoTarget)?;
    let clock = recorder.clock();
    let scenario = plan.scenario.clone();
    let virtual_users = VirtualUsers::new(&scenario.stages);
    let n_users = scenario.users.saturating_add(virtual_users.most());
    limits::make_room(scenario.most_connections())?;
    let mut grounds = Vec::with_capacity(targets.len());
    for (index, target) in targets.iter().enumerate() {
        grounds.push(Ground::prepare(index, target, &scenario, clock).await?);
    }
    let schedule = Schedule::new(&scenario.stages, scenario.arrivals, plan.seed);
    let length = schedule.length();
    let no_more = handle.soft.child_token();
    let arrivals = Arrivals::new(schedule, scenario.max_late, clock, no_more.clone()).map_err(LoadError::Timer)?;
    let dice = Dice::new(plan.seed, plan.nonce);
    let attack = Arc::new(Attack {
        gate: Barrier::new(n_users as usize),
        feeds: Feeds::new(&scenario, dice.clone(), plan.seed),
        context: Context {
            dice,
            scenario,
            recorder,
            history,
        },
        grounds,
        first_variant: plan.first_variant,
        arrivals,
        visits: (0..virtual_users.most()).map(|_| AtomicU32::new(0)).collect(),
        n_visits: AtomicU64::new(0),
        virtual_users,
        no_more,
        selector,
        tally: Tally::default(),
        n_done: AtomicUsize::new(0),
        all_done: CancellationToken::new(),
        handle,
        failure: Mutex::new(None),
    });
    let goose = goose(&attack, &first.address).map_err(|error| LoadError::Goose(Box::new(error)))?;
    let timekeeper = tokio::spawn(keep_time(Arc::clone(&attack), length));
    let run = Box::pin(goose.execute()).await;
    timekeeper.abort();
    let ended = clock.now();
    if let Err(error) = run {
        return Err(LoadError::Goose(Box::new(error)));
    }
    attack.close(ended, length).await
}

/// Ends the arrivals when the schedule's time and its drain are over, and journeys when their drain is.
async fn keep_time(attack: Arc<Attack>, length: Duration) {
    let handle = &attack.handle;
    let Some(zero) = handle.begun().await else { return };
    let clock = attack.context.recorder.clock();
    let left = zero.plus(length).since(clock.now());
    tokio::select! {
        () = tokio::time::sleep(left) => (),
        () = handle.soft.cancelled() => (),
    }
    tokio::time::sleep(attack.context.scenario.timeouts.drain).await;
    attack.no_more.cancel();
    handle.hard.cancel();
}

fn goose(attack: &Arc<Attack>, host: &str) -> Result<GooseAttack, GooseError> {
    let mut configuration = GooseConfiguration::default();
    configuration.host = Some(host.to_owned());
    configuration.users = Some(attack.n_users());
    // All users at once: a ramp of users is not what changes the load here.
    configuration.increase_rate = Some("1000000000".to_owned());
    configuration.no_telnet = true;
    configuration.no_metrics = true;
    configuration.no_print_metrics = true;
    configuration.no_error_summary = true;
    configuration.no_threshold_abort = true;
    // Where nobody has installed a logger Goose installs one, which would tell every step on standard output.
    configuration.quiet = 2;
    let ready = transaction(attack, |attack, _| Box::pin(async move { attack.ready().await })).set_on_start();
    let work = transaction(attack, |attack, user| Box::pin(async move { attack.work(user).await }));
    let scenario = Scenario::new("open model")
        .register_transaction(ready)
        .register_transaction(work);
    Ok(GooseAttack::initialize_with_config(configuration)?
        .set_client_builder_without_cookies(GooseClientBuilder::new().without_cookies())?
        .register_scenario(scenario))
}

type Step<'r> = Pin<Box<dyn Future<Output = ()> + Send + 'r>>;

fn transaction(attack: &Arc<Attack>, step: for<'r> fn(Arc<Attack>, &'r mut GooseUser) -> Step<'r>) -> Transaction {
    let attack = Arc::clone(attack);
    Transaction::new(Arc::new(move |user| {
        let attack = Arc::clone(&attack);
        Box::pin(async move {
            step(attack, user).await;
            Ok(())
        })
    }))
}

/// Set on a user who has told Goose that it is done.
#[derive(Clone)]
struct ToldDone;

/// Set in the number of a virtual user's visit, so that it is no arrival's.
const VISIT: u64 = 1 << 63;
/// Set besides where the pause after the visit is drawn.
const PAUSE: u64 = 1 << 62;

impl Attack {
    fn n_users(&self) -> usize {
        self.context.scenario.users as usize + self.visits.len()
    }

    /// Arrivals and visits that became due, and those that were started.
    fn counts(&self) -> (u64, u64) {
        // First: every visit that is counted is counted on both sides.
        let visits = self.n_visits.load(Ordering::Relaxed);
        let (scheduled, started) = self.arrivals.counts();
        (scheduled + visits, started + visits)
    }

    /// Which of the virtual users a worker is; `None` for those who serve arrivals.
    fn virtual_user(&self, worker: usize) -> Option<u32> {
        let number = worker.checked_sub(self.context.scenario.users as usize)?;
        u32::try_from(number).ok()
    }

    /// Waits until this virtual user is there, and begins its next visit, which was due when its pause was over; `None`
    /// when it does not come again.
    async fn next_visit(&self, number: u32, mut due: Option<Nanos>) -> Option<Arrival> {
        let clock = self.context.recorder.clock();
        // As for arrivals: a run that ends before it has begun has none.
        let zero = self.arrivals.began()?;
        loop {
            let now = clock.now();
            let since = Nanos::from_duration(now.since(zero));
            let there = self.virtual_users.next_there(number, since)?;
            if there > since {
                let then = zero.plus(there.since(Nanos(0)));
                due = Some(then);
                tokio::select! {
                    () = tokio::time::sleep_until(clock.instant(then).into()) => continue,
                    () = self.no_more.cancelled() => return None,
                }
            }
            if self.no_more.is_cancelled() {
                return None;
            }
            let visit = self.visits.get(number as usize)?.fetch_add(1, Ordering::Relaxed);
            let number = VISIT | u64::from(number) << 32 | u64::from(visit);
            let row = self.row(number)?;
            self.n_visits.fetch_add(1, Ordering::Relaxed);
            return Some(Arrival {
                number,
                due: due.unwrap_or(now),
                taken: now,
                blame: Blame::Visit,
                row,
            });
        }
    }

    /// What the feeders give the next arrival; `None` ends the arrivals, since one of them has run dry.
    fn row(&self, number: u64) -> Option<Row> {
        if self.feeds.have_no_rows() {
            return Some(Row::default());
        }
        let journey = journeys::choose(&self.context.scenario, &mut self.context.dice.choices(number));
        let now = self.context.recorder.clock().now();
        let row = self.feeds.next(journey, number, now);
        row.map_err(|dry| self.handle.run_dry(dry)).ok()
    }

    /// Between two visits; when the pause was to be over.
    async fn think(&self, visit: &Arrival) -> Nanos {
        let range = self.context.scenario.think;
        let mut choices = self.context.dice.choices(visit.number | PAUSE);
        let pause = range.from + (range.to - range.from).mul_f64(choices.random::<f64>());
        let due = self.context.recorder.clock().now().plus(pause);
        if pause.is_zero() {
            // The timer would make a millisecond of it.
            return due;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.no_more.cancelled() => {}
        }
        due
    }

    /// Waits until all users stand ready; then the schedule begins.
    async fn ready(&self) {
        tokio::select! {
            _ = self.gate.wait() => {
                let zero = self.arrivals.begin(self.context.recorder.clock().now());
                self.handle.begin(zero);
            }
            () = self.handle.soft.cancelled() => (),
        }
    }

    /// One arrival after another, from the line to the books, until there are no more. All in one of Goose's
    /// transactions: between two of them it would allocate, and keep books that nobody reads.
    async fn work(&self, user: &mut GooseUser) {
        let worker = user.weighted_users_index;
        let guard = PanicGuard {
            attack: self,
            tell_done: tell_done(user),
        };
        let number = self.virtual_user(worker);
        let mut due = None;
        let mut cut_off = std::pin::pin!(self.handle.hard.cancelled());
        loop {
            let next = async {
                match number {
                    Some(number) => Ok(self.next_visit(number, due).await),
                    None => {
                        let drop = |arrival: &Arrival| self.drop_arrival(worker, arrival);
                        self.arrivals.next(|number| self.row(number), drop).await
                    }
                }
            };
            let next = tokio::select! {
                biased;
                next = next => next,
                () = &mut cut_off => Ok(None),
            };
            match next {
                Ok(Some(arrival)) => {
                    self.serve(worker, arrival, cut_off.as_mut()).await;
                    if number.is_some() {
                        due = Some(self.think(&arrival).await);
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    self.fail(LoadError::Timer(error));
                    break;
                }
            }
        }
        drop(guard);
        self.rest(user).await;
    }

    async fn serve(&self, worker: usize, arrival: Arrival, cut_off: Pin<&mut impl Future<Output = ()>>) {
        let slice = self.selector.current();
        self.tally.started(worker, slice, &arrival);
        self.handle.counted(self.counts());
        let mut choices = self.context.dice.choices(arrival.number);
        let kind = journeys::choose(&self.context.scenario, &mut choices);
        let place = usize::from(slice.variant.saturating_sub(self.first_variant));
        let ground = &self.grounds[place.min(self.grounds.len() - 1)];
        let mut session = Session::new(&self.context, ground, worker, arrival, slice, choices);
        let outcome = tokio::select! {
            biased;
            outcome = journeys::run(kind, &mut session) => Some(outcome),
            () = cut_off => None,
        };
        let (outcome, done) = match outcome {
            Some(outcome) => (Some(outcome), session.ended()),
            None => session.cut_off(self.context.recorder.clock().now()),
        };
        let (began, waited) = session.began(done);
        let lateness = arrival.lateness(waited);
        let late = arrival.is_late(began).then_some(lateness);
        self.tally.ended(worker, slice, late, outcome);
        if let Some(outcome) = outcome {
            self.handle.ended(outcome);
        }
        let sample = Sample {
            variant: slice.variant,
            slice: slice.number,
            endpoint: journeys::endpoint(kind),
            outcome: outcome.unwrap_or(Outcome::Unfinished),
            intended: Some(arrival.intended()),
            lateness,
            sent: began,
            done,
        };
        self.context.recorder.record(worker, &sample);
    }

    fn drop_arrival(&self, worker: usize, arrival: &Arrival) {
        let slice = self.selector.current();
        self.tally.dropped(worker, slice, arrival);
        self.handle.counted(self.counts());
        let mut choices = self.context.dice.choices(arrival.number);
        let kind = journeys::choose(&self.context.scenario, &mut choices);
        let sample = Sample {
            variant: slice.variant,
            slice: slice.number,
            endpoint: journeys::endpoint(kind),
            outcome: Outcome::Dropped,
            intended: Some(arrival.due),
            lateness: arrival.lateness(false),
            sent: arrival.taken,
            done: arrival.taken,
        };
        self.context.recorder.record(worker, &sample);
    }

    /// Tells Goose once that this user is done, and waits to be told to go, in the steps in which Goose looks.
    async fn rest(&self, user: &mut GooseUser) {
        if user.get_session_data::<ToldDone>().is_none() {
            user.set_session_data(ToldDone);
            tell_done(user)();
            self.one_is_done();
        }
        // Goose tells nobody to go before all are done. Users who looked every few milliseconds until then would keep a
        // core busy while others are still measured.
        self.all_done.cancelled().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    fn one_is_done(&self) {
        if self.n_done.fetch_add(1, Ordering::Relaxed) + 1 >= self.n_users() {
            self.all_done.cancel();
        }
    }

    fn fail(&self, error: LoadError) {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
        self.handle.stop_now();
    }

    /// Closes the books: what was due and never taken is dropped, and then all must balance.
    async fn close(&self, ended: Nanos, length: Duration) -> Result<LoadOutcome, LoadError> {
        let was_stopped = self.handle.soft.is_cancelled();
        if let Some(error) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let has_begun = self.arrivals.began().is_some();
        let began = self.arrivals.begin(ended);
        let until = if was_stopped {
            let clock = self.context.recorder.clock();
            let stopped = self.handle.stopped_at().map_or(ended, |at| clock.at(at));
            stopped.min(began.plus(length))
        } else {
            Nanos(u64::MAX)
        };
        if has_begun {
            let drop = |arrival: &Arrival| self.drop_arrival(0, arrival);
            self.arrivals.close(until, ended, drop).await;
        }
        let offered = self.arrivals.offered().await;
        let books = self.tally.books();
        let total = total(&books);
        let mut imbalances = total.imbalances();
        // Visits of virtual users are due when they begin.
        let visits = self.n_visits.load(Ordering::Relaxed);
        if (total.scheduled, total.started, total.dropped)
            != (
                offered.scheduled + visits,
                offered.started + visits,
                offered.dropped.total(),
            )
        {
            imbalances.push(format!(
                "the schedule counts {} arrivals, {} started, {} dropped, virtual users {visits} visits, and the books {}, {}, {}",
                offered.scheduled,
                offered.started,
                offered.dropped.total(),
                total.scheduled,
                total.started,
                total.dropped
            ));
        }
        if !imbalances.is_empty() {
            return Err(LoadError::Books(imbalances.join("; ")));
        }
        Ok(LoadOutcome {
            began,
            ended,
            books,
            total,
            offered,
            was_stopped,
        })
    }
}

/// Tells Goose that a user is done. It counts its users from one.
fn tell_done(user: &GooseUser) -> impl Fn() + use<> {
    let (channel, number) = (user.shutdown_channel.clone(), user.weighted_users_index + 1);
    move || {
        // If nobody listens any more, Goose has ended, which is what is asked for.
        let _sent = channel.as_ref().map(|channel| channel.send(number));
    }
}

/// A user who panics would never tell Goose that it is done, and the attack would never end.
struct PanicGuard<'a, F: Fn()> {
    attack: &'a Attack,
    tell_done: F,
}

impl<F: Fn()> Drop for PanicGuard<'_, F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.attack.fail(LoadError::Panicked);
            (self.tell_done)();
            self.attack.one_is_done();
        }
    }
}
