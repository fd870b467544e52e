//! The service: seats, queue, money and events, with one defect at most.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::super::end::{Drained, HarnessFacts};
use super::run::{Evidence, Size};
use crate::recording::audit::*;
use crate::recording::history::*;
use crate::recording::model::Rules;
use crate::units::Nanos;

const HOLD_TTL_MS: i64 = 120;
const ACTIVE_TTL_MS: i64 = 1_500;
const WAITING_TTL_MS: i64 = 20_000;

/// What the service does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Defect {
    None,
    /// Nobody looks whether a seat is taken.
    Oversell,
    /// A payment is completed without a debit (D4).
    CompletedWithoutDebit,
    /// Repeated payments debit again (D5).
    DebitTwice,
    /// A payment is taken after the expiry, when the seat may have a new owner (D6).
    PayAfterExpiry,
    /// No free place admits everybody (D1).
    AdmitAll,
    /// Who came last is served first.
    LastInFirstOut,
    /// Taking from the queue loses people (D11).
    LoseFromQueue,
    /// Some events are consumed without effect (D16).
    SwallowEvents,
    /// The event is not written with the payment.
    NoEvent,
    /// A repeated request is done again.
    ForgetKeys,
    /// The sweeper never runs, and expired seats stay taken (D3).
    NeverSweep,
    /// Contention ends in a 500 (D14).
    ServerErrors,
}

struct Place {
    user: Name,
    expires_ms: i64,
}

pub(super) struct Seat {
    owner: Option<Uid>,
    held_until_ms: i64,
    sold: bool,
}

pub(super) struct Service {
    defect: Defect,
    capacity: usize,
    waiting: VecDeque<(Uid, Place)>,
    active: BTreeMap<Uid, Place>,
    pub(super) seats: BTreeMap<Name, Seat>,
    balances: BTreeMap<Name, i64>,
    answers: BTreeMap<(Name, IdemKey), Operation>,
    events: Vec<Uid>,
    audit: Audit,
    next_id: u64,
}

impl Service {
    pub(super) fn new(size: Size, defect: Defect) -> Self {
        let users = (1..=size.clients).map(Name);
        let seat = |number| {
            let seat = Seat {
                owner: None,
                held_until_ms: 0,
                sold: false,
            };
            (Name(1_000 + number), seat)
        };
        Self {
            defect,
            capacity: size.capacity as usize,
            waiting: VecDeque::new(),
            active: BTreeMap::new(),
            seats: (0..size.seats).map(seat).collect(),
            balances: users.map(|user| (user, 100)).collect(),
            answers: BTreeMap::new(),
            events: Vec::new(),
            audit: Audit::default(),
            next_id: 0,
        }
    }

    fn id(&mut self) -> Uid {
        self.next_id += 1;
        Uid::from(uuid::Uuid::from_u64_pair(self.next_id, 7))
    }

    /// Expiry, admission, and now and then the sweeper.
    pub(super) fn housekeeping(&mut self, now: i64, rng: &mut ChaCha8Rng) {
        self.active.retain(|_, place| place.expires_ms > now);
        self.waiting.retain(|(_, place)| place.expires_ms > now);
        while self.active.len() < self.capacity || self.defect == Defect::AdmitAll {
            let next = match self.defect {
                Defect::LastInFirstOut => self.waiting.pop_back(),
                _ => self.waiting.pop_front(),
            };
            let Some((token, mut place)) = next else { break };
            place.expires_ms = now + ACTIVE_TTL_MS;
            self.active.insert(token, place);
        }
        if self.defect == Defect::LoseFromQueue && rng.random_bool(0.02) {
            self.waiting.pop_back();
        }
        if rng.random_bool(0.1) {
            self.sweep(now);
        }
    }

    fn sweep(&mut self, now: i64) {
        if self.defect == Defect::NeverSweep {
            return;
        }
        for seat in self.seats.values_mut() {
            if !seat.sold && seat.owner.is_some() && seat.held_until_ms <= now {
                seat.owner = None;
            }
        }
        for row in &mut self.audit.reservations {
            if row.status == ReservationStatus::Pending && row.expires_ms <= now {
                row.status = ReservationStatus::Expired;
            }
        }
    }

    pub(super) fn handle(&mut self, op: Operation, now: i64) -> Operation {
        let first = self.answers.get(&(op.user, op.key)).filter(|_| op.key.some().is_some());
        if let Some(first) = first
            && self.defect != Defect::ForgetKeys
        {
            if self.defect == Defect::DebitTwice && op.kind == OpKind::Pay {
                let price = first.amount.unwrap();
                *self.balances.get_mut(&op.user).unwrap() -= price;
                self.debit(op.user, first.object, price);
            }
            return Operation {
                invoked: op.invoked,
                process: op.process,
                ..*self.answers.get(&(op.user, op.key)).unwrap()
            };
        }
        let refused = |code, status| Operation {
            settled: Settled::Fail,
            code,
            status,
            ..op
        };
        let answer = match op.kind {
            OpKind::QueueEnter => Ok(self.enter(op, now)),
            OpKind::QueuePosition => self.position(op).ok_or((Code::TokenGone, 401)),
            OpKind::QueueLeave => {
                self.waiting.retain(|(token, _)| *token != op.object);
                self.active.remove(&op.object);
                Ok(op)
            }
            OpKind::SeatSeen => {
                let seat = &self.seats[&op.seat];
                let free = !seat.sold && (seat.owner.is_none() || seat.held_until_ms <= now);
                if free { Ok(op) } else { Err((Code::Other, 200)) }
            }
            OpKind::Hold => self.hold(op, now),
            OpKind::Pay => self.pay(op, now),
            OpKind::Cancel => self.cancel(op, now),
            OpKind::ReadReservation => Ok(self.read(op)),
            OpKind::ReadBalance => Ok(Operation {
                amount: self.balances.get(&op.user).copied(),
                ..op
            }),
            OpKind::Charge => Ok(self.charge(op)),
        };
        match answer {
            Ok(answer) => {
                if op.key.some().is_some() && matches!(op.kind, OpKind::Hold | OpKind::Pay | OpKind::Charge) {
                    self.answers.insert((op.user, op.key), answer);
                }
                answer
            }
            Err((code, status)) => refused(code, status),
        }
    }

    fn enter(&mut self, op: Operation, now: i64) -> Operation {
        let known = self
            .waiting
            .iter()
            .find(|(_, place)| place.user == op.user)
            .map(|(token, _)| *token);
        let known = known.or_else(|| {
            self.active
                .iter()
                .find(|(_, place)| place.user == op.user)
                .map(|(token, _)| *token)
        });
        let token = known.unwrap_or_else(|| {
            let token = self.id();
            let place = Place {
                user: op.user,
                expires_ms: now + WAITING_TTL_MS,
            };
            self.waiting.push_back((token, place));
            token
        });
        let op = Operation {
            object: token,
            key: IdemKey::NONE,
            ..op
        };
        self.position(op).unwrap()
    }

    fn position(&mut self, op: Operation) -> Option<Operation> {
        if let Some(place) = self.active.get(&op.object) {
            return Some(Operation {
                state: State::Active,
                amount: Some(0),
                extra: Some(place.expires_ms),
                ..op
            });
        }
        let ahead = self.waiting.iter().position(|(token, _)| *token == op.object)?;
        Some(Operation {
            state: State::Waiting,
            amount: i64::try_from(ahead + 1).ok(),
            extra: Some(self.waiting[ahead].1.expires_ms),
            ..op
        })
    }

    fn hold(&mut self, op: Operation, now: i64) -> Result<Operation, (Code, u16)> {
        if !self.active.values().any(|place| place.user == op.user) {
            return Err((Code::NotAdmitted, 403));
        }
        let seat = self.seats.get(&op.seat).unwrap();
        let expired = seat.held_until_ms <= now && self.defect != Defect::NeverSweep;
        let free = !seat.sold && (seat.owner.is_none() || expired);
        if !free && self.defect == Defect::ServerErrors {
            return Err((Code::Internal, 500));
        }
        if !free && self.defect != Defect::Oversell {
            return Err((Code::SeatTaken, 409));
        }
        let previous = seat.owner;
        let reservation = self.id();
        let expires_ms = now + HOLD_TTL_MS;
        let rows = &mut self.audit.reservations;
        if let Some(row) = rows.iter_mut().find(|row| Some(row.reservation) == previous)
            && row.status == ReservationStatus::Pending
            && row.expires_ms <= now
        {
            row.status = ReservationStatus::Expired;
        }
        rows.push(ReservationRow {
            reservation,
            user: op.user,
            seat: op.seat,
            status: ReservationStatus::Pending,
            amount: 10,
            created_ms: now,
            expires_ms,
            key: Some(op.key),
        });
        self.audit.payments.push(PaymentRow {
            reservation,
            status: PaymentStatus::Pending,
            amount: 10,
            completed_ms: None,
            key: None,
        });
        let seat = self.seats.get_mut(&op.seat).unwrap();
        (seat.owner, seat.held_until_ms) = (Some(reservation), expires_ms);
        Ok(Operation {
            object: reservation,
            amount: Some(10),
            extra: Some(expires_ms),
            status: 201,
            ..op
        })
    }

    fn debit(&mut self, user: Name, reservation: Uid, amount: i64) {
        self.audit.ledger.push(LedgerRow {
            user,
            entry: Entry::Payment,
            amount,
            reservation: Some(reservation),
            key: None,
        });
    }

    fn pay(&mut self, op: Operation, now: i64) -> Result<Operation, (Code, u16)> {
        let row = self
            .audit
            .reservations
            .iter_mut()
            .find(|row| row.reservation == op.object)
            .unwrap();
        let too_late = row.expires_ms <= now || row.status == ReservationStatus::Expired;
        if row.status == ReservationStatus::Paid || row.status == ReservationStatus::Cancelled {
            return Err((Code::AlreadyPaid, 409));
        }
        if too_late && self.defect != Defect::PayAfterExpiry {
            return Err((Code::Expired, 409));
        }
        if self.balances[&op.user] < row.amount {
            return Err((Code::InsufficientBalance, 402));
        }
        row.status = ReservationStatus::Paid;
        let (seat, amount) = (row.seat, row.amount);
        let payment = self
            .audit
            .payments
            .iter_mut()
            .find(|row| row.reservation == op.object)
            .unwrap();
        payment.status = PaymentStatus::Completed;
        payment.completed_ms = Some(now);
        payment.key = Some(op.key);
        let seat = self.seats.get_mut(&seat).unwrap();
        (seat.owner, seat.sold) = (Some(op.object), true);
        let forget = self.defect == Defect::CompletedWithoutDebit && self.next_id.is_multiple_of(3);
        if !forget {
            *self.balances.get_mut(&op.user).unwrap() -= amount;
            self.debit(op.user, op.object, amount);
        }
        self.active.retain(|_, place| place.user != op.user);
        if self.defect != Defect::NoEvent {
            self.events.push(op.object);
        }
        Ok(Operation {
            amount: Some(amount),
            extra: Some(self.balances[&op.user]),
            status: 200,
            ..op
        })
    }

    fn cancel(&mut self, op: Operation, now: i64) -> Result<Operation, (Code, u16)> {
        let row = self
            .audit
            .reservations
            .iter_mut()
            .find(|row| row.reservation == op.object)
            .unwrap();
        if row.status != ReservationStatus::Pending || row.expires_ms <= now {
            return Err((Code::Expired, 409));
        }
        row.status = ReservationStatus::Cancelled;
        self.seats.get_mut(&row.seat).unwrap().owner = None;
        let payment = self
            .audit
            .payments
            .iter_mut()
            .find(|row| row.reservation == op.object)
            .unwrap();
        payment.status = PaymentStatus::Cancelled;
        Ok(op)
    }

    fn read(&self, op: Operation) -> Operation {
        let row = self
            .audit
            .reservations
            .iter()
            .find(|row| row.reservation == op.object)
            .unwrap();
        let state = match row.status {
            ReservationStatus::Pending => State::Pending,
            ReservationStatus::Paid => State::Paid,
            ReservationStatus::Cancelled => State::Cancelled,
            ReservationStatus::Expired => State::Expired,
        };
        Operation { state, ..op }
    }

    fn charge(&mut self, op: Operation) -> Operation {
        let amount = op.amount.unwrap();
        *self.balances.get_mut(&op.user).unwrap() += amount;
        self.audit.ledger.push(LedgerRow {
            user: op.user,
            entry: Entry::Charge,
            amount,
            reservation: None,
            key: Some(op.key),
        });
        Operation {
            object: self.id(),
            extra: Some(self.balances[&op.user]),
            ..op
        }
    }

    /// Delivers the events, sweeps, and writes the final state.
    pub(super) fn finish(mut self, now: i64, operations: Vec<Operation>, t: u64) -> Evidence {
        self.sweep(now);
        for (number, reservation) in std::mem::take(&mut self.events).into_iter().enumerate() {
            let event = self.id();
            self.audit.outbox.push(OutboxRow {
                event,
                shard: 0,
                seq: number as u64 + 1,
                reservation,
                published: true,
            });
            if self.defect != Defect::SwallowEvents || number % 3 != 0 {
                self.audit.processed.push(event);
                self.audit.tickets.push(TicketRow { reservation, event });
            }
        }
        let taken = self.seats.iter().filter_map(|(&name, seat)| {
            Some(SeatRow {
                seat: name,
                price: 10,
                status: if seat.sold { SeatStatus::Sold } else { SeatStatus::Held },
                reservation: Some(seat.owner?),
                held_until_ms: Some(seat.held_until_ms),
            })
        });
        self.audit.seats = taken.collect();
        let users: BTreeSet<Name> = self.balances.keys().copied().collect();
        self.audit.users = users
            .into_iter()
            .map(|user| UserRow {
                user,
                initial: 100,
                balance: self.balances[&user],
            })
            .collect();
        self.audit.summary = Some(std::collections::BTreeMap::new());
        let millis = |ms: i64| u64::try_from(ms).ok();
        Evidence {
            operations,
            audit: self.audit,
            rules: Rules {
                queue_capacity: u32::try_from(self.capacity).ok(),
                hold_ttl_ms: millis(HOLD_TTL_MS),
                active_ttl_ms: millis(ACTIVE_TTL_MS),
                grace_ms: Some(100),
                drain_ms: Some(5_000),
                staleness_ms: Some(50),
                outbox: Some(true),
            },
            harness: HarnessFacts {
                audited: Some(Nanos(t)),
                drained: Some(Drained {
                    pending: Some(0),
                    waited: Nanos(0),
                }),
                dead_letters: Some(Vec::new()),
                ..HarnessFacts::default()
            },
        }
    }
}
