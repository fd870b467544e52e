//! The history, projected onto what the invariants need. Ten million operations must fit, so each kind keeps only its
//! own columns, and polls of the queue fold into one entry a token.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::num::NonZeroI64;

use super::token::{At, Token};
use super::uid_map::UidMap;
use crate::recording::history::{Code, IdemKey, Name, OpKind, Operation, Settled, State, Uid};
use crate::units::Nanos;

/// Takes the history of one variant, operation by operation.
#[derive(Debug, Default)]
pub struct Projection {
    facts: Facts,
    token_places: UidMap<u32>,
}

/// The history of one variant, as columns, each in the order in which it is needed.
#[derive(Debug, Default)]
pub struct Facts {
    pub operations: u64,
    /// Operations that could change seats or money, and of which nobody knows whether they happened.
    pub unsettled: Vec<Unsettled>,
    /// Operations that could change seats or money, whatever came of them.
    pub changes: u64,
    pub(super) holds: Vec<Hold>,
    /// By seat and time.
    pub(super) attempts: Vec<Attempt>,
    /// By user and time.
    pub(super) pays: Vec<Pay>,
    /// The same, summed up for each reservation.
    pub(super) payments: UidMap<Payment>,
    pub(super) cancels: Vec<Cancel>,
    pub(super) reads: Vec<Read>,
    pub(super) seen: Vec<Seen>,
    pub(super) maps: Maps,
    /// When the last answer came to an operation that could change a seat.
    pub(super) last_change: Option<Nanos>,
    /// By user and key.
    pub(super) charges: Vec<Charge>,
    /// By user and key.
    pub(super) keyed: Vec<Keyed>,
    /// By the time of the first request.
    pub(super) tokens: Vec<Token>,
    /// Requests to enter the queue that may have given a place without its user learning of it.
    pub(super) silent_entries: Vec<(Name, Nanos)>,
    /// Answers with a server error that no overload explains.
    pub(super) server_errors: Vec<(Nanos, Nanos, u32)>,
    /// Intervals of operations that succeeded, in coarse steps: did any overlap a fault?
    pub(super) successes: Vec<(Nanos, Nanos)>,
}

/// An operation that may have happened.
#[derive(Clone, Copy, Debug)]
pub struct Unsettled {
    pub(super) kind: OpKind,
    pub(super) user: Name,
    pub(super) key: IdemKey,
    pub(super) object: Uid,
}

/// A hold that succeeded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) reservation: Uid,
    pub(super) returned: Nanos,
    pub(super) expires_ms: Option<NonZeroI64>,
    pub(super) seat: Name,
    pub(super) operation: u32,
}

/// A try to hold a seat, whatever came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) invoked: Nanos,
    /// The end of time for one without an answer: it may still be under way.
    pub(super) returned: Nanos,
    pub(super) seat: Name,
    pub(super) operation: u32,
    /// Whether it was refused since the seat was taken.
    pub(super) taken: bool,
}

/// A payment that succeeded, or may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pay {
    pub(super) reservation: Uid,
    pub(super) invoked: Nanos,
    pub(super) returned: Nanos,
    pub(super) user: Name,
    pub(super) operation: u32,
    pub(super) ok: bool,
}

/// A cancellation that succeeded, or may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cancel {
    pub(super) reservation: Uid,
    pub(super) invoked: Nanos,
}

/// A reservation that somebody read as anything but paid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) reservation: Uid,
    pub(super) invoked: Nanos,
    pub(super) operation: u32,
    pub(super) state: State,
}

/// A seat that a map showed as available.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) invoked: Nanos,
    pub(super) returned: Nanos,
    pub(super) seat: Name,
    pub(super) operation: u32,
}

/// The seat maps that were read, summed up.
#[derive(Clone, Debug, Default)]
pub(super) struct Maps {
    /// Whether the clients looked how many seats each map shows, and so for repeated ones.
    pub(super) are_counted: bool,
    /// Those that showed a seat more than once.
    pub(super) repeating: u64,
    /// The first of them.
    pub(super) repeated: Option<Repeated>,
    /// Whose maps they were.
    pub(super) dates: BTreeSet<Name>,
}

/// A seat that one map showed more than once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeated {
    pub(super) seat: Name,
    pub(super) times: i64,
    pub(super) operation: u32,
}

/// A charge that succeeded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    pub(super) key: IdemKey,
    pub(super) amount: i64,
    pub(super) user: Name,
    pub(super) operation: u32,
}

/// An answer to an operation that had a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed {
    pub(super) key: IdemKey,
    /// Of everything that must be the same in every answer.
    pub(super) answer: u64,
    pub(super) user: Name,
    pub(super) operation: u32,
}

/// What is known of all payments of one reservation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payment {
    /// The earliest request, which may have paid.
    pub(super) asked: Nanos,
    /// The earliest answer that said "paid".
    pub(super) answered: Option<At>,
}

impl Projection {
    /// Adds the operation with this number. The order does not matter.
    pub fn observe(&mut self, index: u64, op: &Operation) {
        // A number too large for the column points nowhere, and costs the witness a line.
        let operation = u32::try_from(index).unwrap_or(u32::MAX);
        self.facts.operations += 1;
        self.account(op);
        if op.is_ok() {
            self.success(op);
        }
        if op.status >= 500 && !matches!(op.status, 503 | 504) {
            self.facts.server_errors.push((op.invoked, op.returned, operation));
        }
        match op.kind {
            OpKind::Hold => self.hold(operation, op),
            OpKind::Pay if op.settled != Settled::Fail => self.facts.pays.push(Pay {
                reservation: op.object,
                invoked: op.invoked,
                returned: op.returned,
                user: op.user,
                operation,
                ok: op.is_ok(),
            }),
            OpKind::Cancel if op.settled != Settled::Fail => self.facts.cancels.push(Cancel {
                reservation: op.object,
                invoked: op.invoked,
            }),
            OpKind::ReadReservation if op.is_ok() && !matches!(op.state, State::Paid | State::None) => {
                self.facts.reads.push(Read {
                    reservation: op.object,
                    invoked: op.invoked,
                    operation,
                    state: op.state,
                })
            }
            OpKind::SeatSeen if op.is_ok() => self.seat_map(operation, op),
            OpKind::Charge if op.is_ok() => self.facts.charges.push(Charge {
                key: op.key,
                amount: op.amount.unwrap_or_default(),
                user: op.user,
                operation,
            }),
            OpKind::QueueEnter | OpKind::QueuePosition | OpKind::QueueLeave => self.queue(operation, op),
            _ => {}
        }
        if op.is_ok() && op.key.some().is_some() {
            self.facts.keyed.push(Keyed {
                key: op.key,
                answer: answer(op),
                user: op.user,
                operation,
            });
        }
    }

    fn account(&mut self, op: &Operation) {
        let changes = matches!(op.kind, OpKind::Hold | OpKind::Pay | OpKind::Cancel | OpKind::Charge);
        if changes {
            self.facts.changes += 1;
            self.facts.last_change = self.facts.last_change.max(Some(op.returned));
            if op.settled == Settled::Info {
                self.facts.unsettled.push(Unsettled {
                    kind: op.kind,
                    user: op.user,
                    key: op.key,
                    object: op.object,
                });
            }
        }
    }

    fn seat_map(&mut self, operation: u32, op: &Operation) {
        let maps = &mut self.facts.maps;
        maps.dates.extend(op.schedule.some());
        if let Some(times) = op.extra {
            // The same read stands in the history a second time, with a seat that it showed as well.
            maps.repeating += 1;
            maps.repeated.get_or_insert(Repeated {
                seat: op.seat,
                times,
                operation,
            });
            return;
        }
        maps.are_counted |= op.amount.is_some();
        if op.seat.some().is_some() {
            self.facts.seen.push(Seen {
                invoked: op.invoked,
                returned: op.returned,
                seat: op.seat,
                operation,
            });
        }
    }

    /// Merges what overlaps or nearly touches, so that a busy run keeps a handful of intervals.
    fn success(&mut self, op: &Operation) {
        const NEAR: u64 = 10_000_000;
        match self.facts.successes.last_mut() {
            Some((from, until))
                if op.invoked.0 <= until.0.saturating_add(NEAR) && from.0 <= op.returned.0.saturating_add(NEAR) =>
            {
                *from = (*from).min(op.invoked);
                *until = (*until).max(op.returned);
            }
            _ => self.facts.successes.push((op.invoked, op.returned)),
        }
    }

    fn hold(&mut self, operation: u32, op: &Operation) {
        let Some(seat) = op.seat.some() else { return };
        self.facts.attempts.push(Attempt {
            invoked: op.invoked,
            returned: if op.settled == Settled::Info {
                Nanos(u64::MAX)
            } else {
                op.returned
            },
            seat,
            operation,
            taken: op.settled == Settled::Fail && op.code == Code::SeatTaken,
        });
        if op.is_ok() {
            self.facts.holds.push(Hold {
                reservation: op.object,
                returned: op.returned,
                expires_ms: op.extra.and_then(NonZeroI64::new),
                seat,
                operation,
            });
        }
    }

    fn queue(&mut self, operation: u32, op: &Operation) {
        if op.kind == OpKind::QueueEnter && op.settled == Settled::Info {
            self.facts.silent_entries.push((op.user, op.invoked));
        }
        let Some(id) = op.object.some() else { return };
        let tokens = &mut self.facts.tokens;
        let place = *self.token_places.entry(id).or_insert_with(|| {
            tokens.push(Token::new(id, op.user));
            u32::try_from(tokens.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(token) = tokens.get_mut(place as usize) {
            token.observe(operation, op);
        }
    }

    /// Everything has been added: brings each column into its order.
    pub fn finish(self) -> Facts {
        let mut facts = self.facts;
        facts.silent_entries.sort_unstable();
        facts.silent_entries.dedup_by_key(|(user, _)| *user);
        for token in &mut facts.tokens {
            // Who asks again gets the same place: it may be as old as the first request that had no answer.
            if let Ok(place) = facts
                .silent_entries
                .binary_search_by_key(&token.user, |&(user, _)| user)
            {
                token.asked = token.asked.min(facts.silent_entries[place].1);
            }
        }
        facts.tokens.sort_unstable_by_key(|token| (token.asked, token.id));
        facts
            .attempts
            .sort_unstable_by_key(|attempt| (attempt.seat, attempt.invoked, attempt.operation));
        facts
            .charges
            .sort_unstable_by_key(|charge| (charge.user, charge.key, charge.operation));
        facts
            .keyed
            .sort_unstable_by_key(|answer| (answer.user, answer.key, answer.operation));
        facts
            .pays
            .sort_unstable_by_key(|pay| (pay.user, pay.invoked, pay.operation));
        for pay in &facts.pays {
            let payment = facts.payments.entry(pay.reservation).or_insert(Payment {
                asked: pay.invoked,
                answered: None,
            });
            payment.asked = payment.asked.min(pay.invoked);
            if pay.ok {
                payment.answered = At::earliest(payment.answered, At::new(pay.returned, pay.operation));
            }
        }
        facts
    }
}

impl Facts {
    /// Whether a client was told that a reservation is paid.
    pub(super) fn is_paid(&self, reservation: Uid) -> bool {
        self.paid(reservation).is_some()
    }

    /// The first answer that said so.
    pub(super) fn paid(&self, reservation: Uid) -> Option<At> {
        self.payments.get(&reservation)?.answered
    }
}

/// A digest of what every answer to one key must agree on. The hasher is fixed, so that a verdict is reproducible.
fn answer(op: &Operation) -> u64 {
    let seat = (op.kind == OpKind::Hold).then_some(op.seat);
    BuildHasherDefault::<DefaultHasher>::default().hash_one((op.kind, op.object, op.amount, op.extra, seat))
}

#[cfg(test)]
impl FromIterator<Operation> for Facts {
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Self {
        let mut projection = Projection::default();
        (0..)
            .zip(operations)
            .for_each(|(index, op)| projection.observe(index, &op));
        projection.finish()
    }
}
