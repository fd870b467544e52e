//! A target and all that its journeys stand on: its client, its part of the catalogue, and users admitted beforehand.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use uuid::Uuid;

use super::catalogue::{CataloguePart, Concert};
use super::client::{Call, Client, ClientError, Trace};
use super::outcome::Ending;
use super::replies::{Done, Entered, Place, Reply, SeatMap};
use super::session::pick;
use crate::config::{JourneyKind, ScenarioConfig};
use crate::recording::{Endpoint, RunClock};
use crate::units::Nanos;

/// One of the services that are asked; in an experiment each variant is one.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it listens, as in `http://127.0.0.1:8080`.
    pub address: String,
    /// What may be asked for.
    pub part: CataloguePart,
}

/// Why a target cannot carry the scenario.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// No client.
    #[error("target {0} cannot be asked")]
    Client(usize, #[source] ClientError),
    /// Nobody or nothing to ask for.
    #[error(
        "target {target} has {users} users and {concerts} concerts to choose from, and needs at least {needs} users and 1 concert; seed more"
    )]
    TooLittle {
        target: usize,
        users: usize,
        concerts: usize,
        needs: usize,
    },
    /// A user could not be admitted before the run.
    #[error("target {target} admitted no user before the run: {why}; is `queue.capacity` at least {admitted}?")]
    Admission {
        target: usize,
        admitted: usize,
        why: String,
    },
    /// No seats to hold.
    #[error("target {target} has no seat on sale to hold: {why}")]
    Seats { target: usize, why: String },
}

/// A user with a token that is active already.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) user: Uuid,
    pub(crate) token: String,
}

/// The seats of a date, known beforehand.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) schedule: Uuid,
    pub(crate) seats: Vec<Uuid>,
}

/// A seat map, and when it was asked for and answered.
#[derive(Debug)]
pub(crate) struct MapRead {
    pub(crate) schedule: Uuid,
    pub(crate) map: SeatMap,
    pub(crate) sent: Nanos,
    pub(crate) done: Nanos,
}

/// A target, ready for journeys.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) client: Client,
    part: CataloguePart,
    /// Users of the queue; those admitted beforehand come after them.
    n_queue_users: usize,
    n_concerts: usize,
    admitted: Vec<Admitted>,
    next_admitted: AtomicUsize,
    shelves: Vec<Shelf>,
}

/// Admissions at once during the set-up.
const AT_ONCE: usize = 16;
/// Dates whose seats are read beforehand for holds, and seats after which that is enough.
const MAX_SHELVES: usize = 64;
const ENOUGH_SEATS: usize = 20_000;

impl Ground {
    /// Sets a target up: admits users and reads seats where journeys need them. Nothing of this is measured.
    ///
    /// # Errors
    /// When the target cannot carry the scenario.
    pub(crate) async fn prepare(
        index: usize,
        target: &Target,
        scenario: &ScenarioConfig,
        clock: RunClock,
    ) -> Result<Self, PrepareError> {
        let client = Client::new(&target.address, scenario.timeouts.request, scenario.connections, clock)
            .map_err(|source| PrepareError::Client(index, source))?;
        let part = target.part.clone();
        let n_admitted = if scenario.needs_admitted() {
            scenario.admitted as usize
        } else {
            0
        };
        let queues = scenario
            .journeys
            .iter()
            .any(|(kind, share)| !kind.needs_admitted() && share.0 > 0.0);
        let needs = n_admitted + usize::from(queues);
        if part.users.len() < needs || part.concerts.is_empty() {
            return Err(PrepareError::TooLittle {
                target: index,
                users: part.users.len(),
                concerts: part.concerts.len(),
                needs,
            });
        }
        let n_queue_users = part.users.len() - n_admitted;
        let n_concerts = scenario
            .concerts
            .map_or(usize::MAX, |n| n as usize)
            .min(part.concerts.len());
        let mut ground = Self {
            client,
            part,
            n_queue_users,
            n_concerts,
            admitted: Vec::new(),
            next_admitted: AtomicUsize::new(0),
            shelves: Vec::new(),
        };
        if n_admitted > 0 {
            ground.admitted = ground.admit(scenario).await.map_err(|why| PrepareError::Admission {
                target: index,
                admitted: n_admitted,
                why,
            })?;
        }
        if scenario
            .journeys
            .get(&JourneyKind::HoldCycle)
            .is_some_and(|share| share.0 > 0.0)
        {
            ground.shelves = ground
                .read_shelves()
                .await
                .map_err(|why| PrepareError::Seats { target: index, why })?;
        }
        Ok(ground)
    }

    /// The user behind an arrival. Without skew every user comes in turn, so that nobody is in the queue twice while
    /// others never come; with skew the popular come again and share their own token.
    pub(crate) fn choose_user(
        &self,
        number: u64,
        choices: &mut ChaCha8Rng,
        skew: f64,
        wanted: Option<NonZeroU32>,
    ) -> Uuid {
        let in_turn = usize::try_from(number % (self.n_queue_users.max(1) as u64)).unwrap_or(0);
        let place = match wanted {
            Some(wanted) => place(wanted),
            None if skew > 0.0 => pick(choices, self.n_queue_users, skew).unwrap_or(0),
            None => in_turn,
        };
        self.part.users.get(place).copied().unwrap_or_default()
    }

    /// A concert; `None` only when a row wants one that this target has not.
    pub(crate) fn choose_concert(
        &self,
        choices: &mut ChaCha8Rng,
        skew: f64,
        wanted: Option<NonZeroU32>,
    ) -> Option<&Concert> {
        let place = match wanted {
            Some(wanted) => place(wanted),
            None => pick(choices, self.n_concerts, skew).unwrap_or(0),
        };
        self.part.concerts.get(place)
    }

    /// A date of any concert.
    pub(crate) fn choose_date(&self, choices: &mut ChaCha8Rng, concerts: f64, schedules: f64) -> Option<Uuid> {
        let concert = self.part.concerts.get(pick(choices, self.n_concerts, concerts)?)?;
        let date = concert
            .schedules
            .get(pick(choices, concert.schedules.len(), schedules)?)?;
        Some(date.schedule_id)
    }

    /// The next of the users who were admitted beforehand, in turn: two journeys at once share one only when all are
    /// in use.
    pub(crate) fn next_admitted(&self) -> Option<&Admitted> {
        let turn = self.next_admitted.fetch_add(1, Ordering::Relaxed);
        self.admitted.get(turn % self.admitted.len().max(1))
    }

    /// A seat that was on sale before the run.
    pub(crate) fn choose_seat(&self, choices: &mut ChaCha8Rng, dates: f64, seats: f64) -> Option<(Uuid, Uuid)> {
        let shelf = self.shelves.get(pick(choices, self.shelves.len(), dates)?)?;
        let seat = shelf.seats.get(pick(choices, shelf.seats.len(), seats)?)?;
        Some((shelf.schedule, *seat))
    }

    async fn admit(&self, scenario: &ScenarioConfig) -> Result<Vec<Admitted>, String> {
        let patience = scenario.timeouts.admission;
        stream::iter(self.part.users[self.n_queue_users..].iter().copied().enumerate())
            .map(|(n, user)| async move {
                tokio::time::timeout(patience, self.admit_one(n, user, scenario.poll))
                    .await
                    .unwrap_or_else(|_| Err(format!("user {user} still waits after {patience:?}")))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn admit_one(&self, n: usize, user: Uuid, poll: Duration) -> Result<Admitted, String> {
        let call = Call::post("/v1/queue/tokens", json!({ "user_id": user }));
        let entered: Entered = self.set_up(n, Endpoint::QueueEnter, &call).await?;
        let mut is_active = entered.is_active();
        while !is_active {
            tokio::time::sleep(poll).await;
            let call = Call::get("/v1/queue/token").token(&entered.token);
            is_active = self
                .set_up::<Place>(n, Endpoint::QueuePosition, &call)
                .await?
                .is_active();
        }
        Ok(Admitted {
            user,
            token: entered.token,
        })
    }

    async fn read_shelves(&self) -> Result<Vec<Shelf>, String> {
        let mut shelves = Vec::new();
        self.read_maps(|read| {
            let seats: Vec<Uuid> = read.map.seats.iter().map(|seat| seat.seat_id).collect();
            if !seats.is_empty() {
                shelves.push(Shelf {
                    schedule: read.schedule,
                    seats,
                });
            }
        })
        .await?;
        if shelves.is_empty() {
            Err("every seat map read is empty".to_owned())
        } else {
            Ok(shelves)
        }
    }

    /// Reads the maps of the first dates, one after the other, until that is enough, and shows each.
    pub(crate) async fn read_maps(&self, mut show: impl FnMut(&MapRead)) -> Result<(), String> {
        let token = self
            .admitted
            .first()
            .map(|admitted| admitted.token.as_str())
            .unwrap_or_default();
        let mut n_seats = 0;
        let concerts = &self.part.concerts[..self.n_concerts];
        for date in concerts.iter().flat_map(|concert| &concert.schedules).take(MAX_SHELVES) {
            let call = Call::get(format!("/v1/schedules/{}/seats", date.schedule_id)).token(token);
            let (map, sent, done) = self.set_up_timed::<SeatMap>(0, Endpoint::Seats, &call).await?;
            n_seats += map.seats.len();
            show(&MapRead {
                schedule: date.schedule_id,
                map,
                sent,
                done,
            });
            if n_seats >= ENOUGH_SEATS {
                break;
            }
        }
        Ok(())
    }

    /// Gives back the places of those who were admitted beforehand.
    pub(crate) async fn dismiss(&self) -> Result<(), String> {
        for admitted in &self.admitted {
            let call = Call::delete("/v1/queue/token").token(&admitted.token);
            self.set_up::<Done>(0, Endpoint::QueueLeave, &call).await?;
        }
        Ok(())
    }

    /// One request of the set-up, outside of any measurement.
    async fn set_up<T: Reply>(&self, n: usize, endpoint: Endpoint, call: &Call<'_>) -> Result<T, String> {
        self.set_up_timed(n, endpoint, call).await.map(|(reply, ..)| reply)
    }

    /// The same, with the moments at which it was sent and answered.
    async fn set_up_timed<T: Reply>(
        &self,
        n: usize,
        endpoint: Endpoint,
        call: &Call<'_>,
    ) -> Result<(T, Nanos, Nanos), String> {
        let trace = Trace {
            trace: rand::random::<u128>() | 1,
            span: rand::random::<u64>() | 1,
            request_id: format!("set-up-{n}"),
        };
        let connection = self.client.connection(n).await;
        let exchange = self.client.send(connection, call, trace).await;
        match &exchange.result {
            Ok(answer) if answer.is_success() => {
                let reply =
                    T::read(&answer.body).map_err(|error| format!("{endpoint} was answered unreadably: {error}"))?;
                Ok((reply, exchange.sent, exchange.done))
            }
            result => Err(format!(
                "{endpoint} ended with {}",
                ending_text(&Ending::of(endpoint, result))
            )),
        }
    }
}

/// Rows count from 1.
fn place(number: NonZeroU32) -> usize {
    number.get() as usize - 1
}

fn ending_text(ending: &Ending) -> String {
    if ending.cause.is_empty() {
        ending.code.to_string()
    } else {
        ending.cause.clone()
    }
}
