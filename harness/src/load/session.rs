//! One user on one journey: asks, times, types and writes down every request.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Zipf};
use uuid::Uuid;

use super::arrivals::Arrival;
use super::client::{Call, Trace};
use super::ground::Ground;
use super::outcome::Ending;
use super::recorder::Recorder;
use super::replies::{Reply, SeatMap};
use super::selector::Slice;
use crate::config::scenario::Skew;
use crate::config::{Row, ScenarioConfig};
use crate::recording::history::{Code, IdemKey, OpKind, Settled, Uid};
use crate::recording::{Endpoint, HistorySink, Operation, Outcome, RunClock, Sample};
use crate::units::Nanos;

/// What all journeys of one attack share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) scenario: ScenarioConfig,
    pub(crate) recorder: std::sync::Arc<Recorder>,
    pub(crate) history: Option<HistorySink>,
    pub(crate) dice: Dice,
}

/// Randomness by arrival: the same seed makes the same choices for the same arrival, whoever serves it and when.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    choices: ChaCha8Rng,
    /// Where the ids of all arrivals begin.
    ids: u64,
    nonce: u64,
}

/// A user on a journey.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) context: &'a Context,
    pub(crate) ground: &'a Ground,
    /// Index of the worker; spreads users over pools and shards.
    worker: usize,
    arrival: Arrival,
    slice: Slice,
    pub(crate) choices: ChaCha8Rng,
    /// How what no row says is drawn.
    pub(crate) skew: Skew,
    ids: SmallRng,
    process: u32,
    trace: u128,
    /// Requests sent so far; the first one alone has an intended start.
    n_steps: u32,
    /// How far it is with the connection for its first request.
    first: First,
    /// When the last request was sent.
    asked: Nanos,
    /// When the last answer was complete.
    answered: Nanos,
    /// When and how the journey was over, if requests follow that are no part of it.
    ended: Option<(Nanos, Outcome)>,
    /// The request that was sent and has no answer yet, when it was sent, and its span.
    under_way: Option<(Endpoint, Nanos, u64)>,
}

/// The connection for a journey's first request.
#[derive(Clone, Copy, Debug)]
enum First {
    /// Nothing was asked yet.
    Unasked,
    /// All are taken so far.
    Awaited,
    /// It was there at `at`; `waited` when all were taken at first.
    There { at: Nanos, waited: bool },
}

/// What is known of an operation before it is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About {
    pub(crate) user: Option<Uuid>,
    pub(crate) seat: Option<Uuid>,
    pub(crate) schedule: Option<Uuid>,
    pub(crate) object: Uid,
    pub(crate) amount: Option<i64>,
}

impl Dice {
    /// `nonce` makes ids of one attack differ from those of another with the same seed.
    pub(crate) fn new(seed: u64, nonce: u64) -> Self {
        Self {
            choices: ChaCha8Rng::seed_from_u64(seed),
            ids: ChaCha8Rng::seed_from_u64(nonce).next_u64(),
            nonce,
        }
    }

    /// Choices of an arrival, from the first on.
    pub(crate) fn choices(&self, number: u64) -> ChaCha8Rng {
        let mut choices = self.choices.clone();
        choices.set_stream(number);
        choices
    }

    /// They must differ, and need no better law; the state of a better generator would weigh on every user.
    fn ids(&self, number: u64) -> SmallRng {
        SmallRng::seed_from_u64(self.ids.wrapping_add(number))
    }
}

/// An index below `n`, 0 the likeliest, by Zipf's law with exponent `skew`.
pub(crate) fn pick(random: &mut ChaCha8Rng, n: usize, skew: f64) -> Option<usize> {
    let law = (n > 0).then(|| Zipf::new(n as f64, skew).ok()).flatten()?;
    // The law's ranks run from 1 to n.
    Some((law.sample(random) as usize).clamp(1, n) - 1)
}

impl<'a> Session<'a> {
    /// `choices` continue where the choice of the journey left off.
    pub(crate) fn new(
        context: &'a Context,
        ground: &'a Ground,
        worker: usize,
        arrival: Arrival,
        slice: Slice,
        choices: ChaCha8Rng,
    ) -> Self {
        let mut ids = context.dice.ids(arrival.number);
        let trace = u128::from(ids.next_u64()) << 64 | u128::from(ids.next_u64() | 1);
        Self {
            context,
            ground,
            worker,
            arrival,
            slice,
            choices,
            skew: context.scenario.skew,
            ids,
            process: context.recorder.next_process(),
            trace,
            n_steps: 0,
            first: First::Unasked,
            asked: arrival.taken,
            answered: arrival.taken,
            ended: None,
            under_way: None,
        }
    }

    /// The arrival's number.
    pub(crate) const fn number(&self) -> u64 {
        self.arrival.number
    }

    /// What its feeders say.
    pub(crate) const fn row(&self) -> Row {
        self.arrival.row
    }

    /// A key that no other operation has.
    pub(crate) fn new_key(&mut self) -> u64 {
        self.ids.next_u64() | 1
    }

    /// The journey is over with this outcome, its aim reached or lost; what follows is tidying up.
    pub(crate) fn is_over(&mut self, outcome: Outcome) {
        self.ended.get_or_insert((self.answered, outcome));
    }

    /// When the journey was over, for whom it mattered to.
    pub(crate) fn ended(&self) -> Nanos {
        self.ended.map_or(self.answered, |(at, _)| at)
    }

    /// The journey is cut off now. What was sent and not answered is a request like any other, and its user waited. How and
    /// when the journey itself ended: before, if only tidying up was cut off.
    pub(crate) fn cut_off(&mut self, now: Nanos) -> (Option<Outcome>, Nanos) {
        if let Some((endpoint, sent, span)) = self.under_way.take() {
            self.record(endpoint, Outcome::Unfinished, (sent, now), span);
        }
        self.ended.map_or((None, now), |(at, outcome)| (Some(outcome), at))
    }

    /// Takes the time of the request just asked.
    fn record(&self, endpoint: Endpoint, outcome: Outcome, (sent, done): (Nanos, Nanos), span: u64) {
        let (_, waited) = self.began(sent);
        let sample = Sample {
            variant: self.slice.variant,
            slice: self.slice.number,
            endpoint,
            outcome,
            intended: (self.n_steps == 1).then_some(self.arrival.intended()),
            lateness: self.arrival.lateness(waited),
            sent,
            done,
        };
        self.context
            .recorder
            .record_request(self.worker, &sample, self.trace, span);
    }

    /// When the journey began, of which nothing came after `until`, and whether it waited for a connection: until it had
    /// one, or as long as it lasted.
    pub(crate) const fn began(&self, until: Nanos) -> (Nanos, bool) {
        match self.first {
            First::Unasked => (self.arrival.taken, false),
            First::Awaited => (until, true),
            First::There { at, waited } => (at, waited),
        }
    }

    /// Waits as a person who reads what is on the screen.
    pub(crate) async fn think(&mut self) {
        let range = self.context.scenario.think;
        if !range.to.is_zero() {
            let between = self.choices.random_range(range.from..=range.to);
            tokio::time::sleep(between).await;
        }
    }

    /// Waits for `length`.
    pub(crate) async fn wait(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }

    /// Sends one request, takes its time and its ending, and reads the answer.
    ///
    /// # Errors
    /// With the ending of a request that did not succeed.
    pub(crate) async fn ask<T: Reply>(
        &mut self,
        endpoint: Endpoint,
        call: Call<'_>,
        about: About,
    ) -> Result<T, Ending> {
        self.n_steps += 1;
        let request_id = format!(
            "{:08x}-{}-{}",
            self.context.dice.nonce as u32, self.arrival.number, self.n_steps
        );
        let span = self.ids.next_u64() | 1;
        let trace = Trace {
            trace: self.trace,
            span,
            request_id,
        };
        let clock = self.context.recorder.clock();
        let mut pending = self.pending(endpoint, &call, about, clock);
        let is_first = self.n_steps == 1;
        let (client, worker) = (&self.ground.client, self.worker);
        let (first, under_way) = (&mut self.first, &mut self.under_way);
        // On the heap while it lasts: most users are idle, and each would keep room for it.
        let exchange = Box::pin(async {
            // Also a journey that is cut off meanwhile must be seen to have waited.
            if is_first {
                *first = First::Awaited;
            }
            let connection = client.connection(worker).await;
            let at = clock.now();
            if is_first {
                *first = First::There {
                    at,
                    waited: connection.waited,
                };
            }
            *under_way = Some((endpoint, at, span));
            client.send(connection, &call, trace).await
        })
        .await;
        self.under_way = None;
        let mut ending = Ending::of(endpoint, &exchange.result);
        let mut reply = None;
        if let (Settled::Ok, Ok(answer)) = (ending.settled, &exchange.result) {
            match T::read(&answer.body) {
                Ok(read) => reply = Some(read),
                Err(error) => ending = Ending::unreadable(answer.status, &error.to_string()),
            }
        }
        if let Some(pending) = &mut pending {
            pending.settle(exchange.sent, exchange.done, &ending, reply.as_ref());
        }
        self.asked = exchange.sent;
        self.answered = exchange.done;
        self.record(endpoint, ending.outcome, (exchange.sent, exchange.done), span);
        if !ending.cause.is_empty() {
            self.context
                .recorder
                .count_cause(self.slice.variant, endpoint, ending.outcome, &ending.cause);
        }
        reply.ok_or(ending)
    }

    /// Writes down that the seat map just read showed this seat on sale, or none at all; and one that it showed twice.
    pub(crate) fn note_map(&self, user: Uuid, schedule: Uuid, map: &SeatMap, seat: Option<Uuid>) {
        let Some(history) = &self.context.history else { return };
        let mut seen = Operation::new(OpKind::SeatSeen, self.process, self.asked, self.answered, Settled::Ok);
        seen.variant = self.slice.variant;
        note_map(history, seen, Some(user), schedule, map, seat);
    }

    fn pending(&self, endpoint: Endpoint, call: &Call<'_>, about: About, clock: RunClock) -> Option<Pending> {
        let history = self.context.history.clone()?;
        let now = clock.now();
        let mut operation = Operation::new(kind(endpoint)?, self.process, now, now, Settled::Info);
        operation.variant = self.slice.variant;
        operation.object = about.object;
        operation.amount = about.amount;
        operation.key = call.key.map_or(IdemKey::NONE, IdemKey);
        name(&mut operation, &history, about);
        Some(Pending {
            history,
            operation,
            clock,
            is_settled: false,
        })
    }
}

/// Writes a read of a seat map into the history: once for each of `seats`, or without any when there are none; and once
/// more for a seat that the map repeats.
pub(crate) fn note_map(
    history: &HistorySink,
    seen: Operation,
    user: Option<Uuid>,
    schedule: Uuid,
    map: &SeatMap,
    seats: impl IntoIterator<Item = Uuid>,
) {
    let record = |seat: Option<Uuid>, times: Option<i64>| {
        let mut operation = Operation {
            amount: Some(map.n_seats()),
            extra: times,
            ..seen
        };
        let about = About {
            user,
            seat,
            schedule: Some(schedule),
            ..About::default()
        };
        name(&mut operation, history, about);
        history.record(&operation);
    };
    let mut seats = seats.into_iter();
    record(seats.next(), None);
    seats.for_each(|seat| record(Some(seat), None));
    if let Some((seat, times)) = map.repeated() {
        record(Some(seat), Some(times));
    }
}

/// The operation that a request is, for the ledger; `None` for reads that it does not judge one by one.
fn kind(endpoint: Endpoint) -> Option<OpKind> {
    Some(match endpoint {
        Endpoint::QueueEnter => OpKind::QueueEnter,
        Endpoint::QueuePosition => OpKind::QueuePosition,
        Endpoint::QueueLeave => OpKind::QueueLeave,
        Endpoint::Hold => OpKind::Hold,
        Endpoint::ReadReservation => OpKind::ReadReservation,
        Endpoint::Cancel => OpKind::Cancel,
        Endpoint::Pay => OpKind::Pay,
        Endpoint::Balance => OpKind::ReadBalance,
        Endpoint::Charge => OpKind::Charge,
        _ => return None,
    })
}

fn name(operation: &mut Operation, history: &HistorySink, about: About) {
    let name = |id: Option<Uuid>| id.map_or_else(Default::default, |id| history.name(&id.to_string()));
    operation.user = name(about.user);
    operation.seat = name(about.seat);
    operation.schedule = name(about.schedule);
}

/// An operation under way. If it is dropped unsettled, for the run is over, the history says that nobody knows.
struct Pending {
    history: HistorySink,
    operation: Operation,
    clock: RunClock,
    is_settled: bool,
}

impl Pending {
    fn settle<T: Reply>(&mut self, sent: Nanos, done: Nanos, ending: &Ending, reply: Option<&T>) {
        self.operation.invoked = sent;
        self.operation.returned = done;
        self.operation.settled = ending.settled;
        self.operation.status = ending.status;
        self.operation.code = ending.code;
        if let Some(reply) = reply {
            reply.note(&mut self.operation);
        }
        self.history.record(&self.operation);
        self.is_settled = true;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_settled {
            self.operation.returned = self.clock.now();
            self.operation.code = Code::TimeOut;
            self.history.record(&self.operation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrival_makes_the_same_choices_whenever_it_is_served() {
        let dice = Dice::new(7, 1);
        let draw = |dice: &Dice, number| -> Vec<u64> {
            let mut choices = dice.choices(number);
            (0..5).map(|_| choices.next_u64()).collect()
        };
        let other_nonce = Dice::new(7, 2);
        assert_eq!(draw(&dice, 3), draw(&other_nonce, 3));
        assert_ne!(draw(&dice, 3), draw(&dice, 4));
        assert_ne!(draw(&dice, 3), draw(&Dice::new(8, 1), 3));
        assert_ne!(dice.ids(3).next_u64(), other_nonce.ids(3).next_u64());
    }

    #[test]
    fn picks_stay_inside_and_prefer_the_first_by_their_skew() {
        let mut random = Dice::new(1, 1).choices(0);
        assert_eq!(pick(&mut random, 0, 1.0), None);
        let count = |random: &mut ChaCha8Rng, skew| {
            let picks: Vec<usize> = (0..2_000).filter_map(|_| pick(random, 10, skew)).collect();
            assert!(picks.len() == 2_000 && picks.iter().all(|pick| *pick < 10));
            picks.iter().filter(|pick| **pick == 0).count()
        };
        // Even: 200 of 2,000 with standard deviation 13. Exponent 1: 1/H(10) = 34 %.
        assert!((120..=280).contains(&count(&mut random, 0.0)));
        assert!((560..=810).contains(&count(&mut random, 1.0)));
    }
}
