//! The history, projected onto what the invariants need. Ten million operations must fit, so each kind keeps only its
//! own columns, and polls of the queue fold into one entry a token.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::num::NonZeroI64;

use crate::recording::history::{Code, IdemKey, Name, OpKind, Operation, Settled, State, Uid};
use crate::units::Nanos;

/// The history of one variant, as columns.
#[derive(Debug, Default)]
pub struct Facts {
    pub operations: u64,
    /// Operations that could change seats or money, and of which nobody knows whether they happened.
    pub unsettled: Vec<Unsettled>,
    /// Operations that could change seats or money, whatever came of them.
    pub changes: u64,
    pub(super) holds: Vec<Hold>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) pays: Vec<Pay>,
    pub(super) cancels: Vec<Cancel>,
    pub(super) reads: Vec<Read>,
    pub(super) seen: Vec<Seen>,
    pub(super) charges: Vec<Charge>,
    pub(super) keyed: Vec<Keyed>,
    pub(super) tokens: HashMap<Uid, Token>,
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

/// A reservation as somebody read it.
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

/// Everything known about one place in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) user: Name,
    /// The earliest request for it.
    pub(super) asked: Nanos,
    /// The earliest answer that gave it.
    pub(super) acknowledged: Option<At>,
    /// The latest request whose answer still said "waiting".
    pub(super) waiting: Option<At>,
    /// The earliest answer that said "active".
    pub(super) active: Option<At>,
    /// The latest request whose answer said "active".
    pub(super) active_last: Option<At>,
    /// The latest request whose answer said when it expires, and what it said.
    pub(super) told: Option<(At, State, NonZeroI64)>,
    /// The earliest answer that knew the token no more.
    pub(super) gone: Option<At>,
    /// The earliest request to leave.
    pub(super) left: Option<Nanos>,
}

/// A moment and the operation that shows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct At {
    pub(super) t: Nanos,
    pub(super) operation: u32,
}

impl Facts {
    /// Adds the operation with this number. The order does not matter.
    pub fn observe(&mut self, index: u64, op: &Operation) {
        // A number too large for the column points nowhere, and costs the witness a line.
        let operation = u32::try_from(index).unwrap_or(u32::MAX);
        self.operations += 1;
        self.account(op);
        if op.is_ok() {
            self.success(op);
        }
        if op.status >= 500 && !matches!(op.status, 503 | 504) {
            self.server_errors.push((op.invoked, op.returned, operation));
        }
        match op.kind {
            OpKind::Hold => self.hold(operation, op),
            OpKind::Pay if op.settled != Settled::Fail => self.pays.push(Pay {
                reservation: op.object,
                invoked: op.invoked,
                returned: op.returned,
                user: op.user,
                operation,
                ok: op.is_ok(),
            }),
            OpKind::Cancel if op.settled != Settled::Fail => self.cancels.push(Cancel {
                reservation: op.object,
                invoked: op.invoked,
            }),
            OpKind::ReadReservation if op.is_ok() => self.reads.push(Read {
                reservation: op.object,
                invoked: op.invoked,
                operation,
                state: op.state,
            }),
            OpKind::SeatSeen if op.is_ok() && op.seat.some().is_some() => self.seen.push(Seen {
                invoked: op.invoked,
                returned: op.returned,
                seat: op.seat,
                operation,
            }),
            OpKind::Charge if op.is_ok() => self.charges.push(Charge {
                key: op.key,
                amount: op.amount.unwrap_or_default(),
                user: op.user,
                operation,
            }),
            OpKind::QueueEnter | OpKind::QueuePosition | OpKind::QueueLeave => self.queue(operation, op),
            _ => {}
        }
        if op.is_ok() && op.key.some().is_some() {
            self.keyed.push(Keyed {
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
            self.changes += 1;
            if op.settled == Settled::Info {
                self.unsettled.push(Unsettled {
                    kind: op.kind,
                    user: op.user,
                    key: op.key,
                    object: op.object,
                });
            }
        }
    }

    /// Merges what overlaps or nearly touches, so that a busy run keeps a handful of intervals.
    fn success(&mut self, op: &Operation) {
        const NEAR: u64 = 10_000_000;
        match self.successes.last_mut() {
            Some((from, until))
                if op.invoked.0 <= until.0.saturating_add(NEAR) && from.0 <= op.returned.0.saturating_add(NEAR) =>
            {
                *from = (*from).min(op.invoked);
                *until = (*until).max(op.returned);
            }
            _ => self.successes.push((op.invoked, op.returned)),
        }
    }

    fn hold(&mut self, operation: u32, op: &Operation) {
        let Some(seat) = op.seat.some() else { return };
        self.attempts.push(Attempt {
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
            self.holds.push(Hold {
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
            self.silent_entries.push((op.user, op.invoked));
        }
        let Some(id) = op.object.some() else { return };
        let token = self.tokens.entry(id).or_insert(Token {
            user: op.user,
            asked: Nanos(u64::MAX),
            acknowledged: None,
            waiting: None,
            active: None,
            active_last: None,
            told: None,
            gone: None,
            left: None,
        });
        let invoked = At {
            t: op.invoked,
            operation,
        };
        let returned = At {
            t: op.returned,
            operation,
        };
        if op.kind == OpKind::QueueLeave {
            // A refused request to leave left nothing, but one without an answer may have.
            if op.settled != Settled::Fail {
                token.left = earliest(token.left, op.invoked);
            }
            return;
        }
        if op.kind == OpKind::QueueEnter {
            token.user = op.user;
            token.asked = token.asked.min(op.invoked);
        }
        if op.settled == Settled::Fail && matches!(op.code, Code::TokenGone | Code::TokenInvalid)
            || op.is_ok() && op.state == State::Gone
        {
            token.gone = earliest(token.gone, returned);
        }
        if !op.is_ok() {
            return;
        }
        if op.kind == OpKind::QueueEnter {
            token.acknowledged = earliest(token.acknowledged, returned);
        }
        match op.state {
            State::Waiting => token.waiting = token.waiting.max(Some(invoked)),
            State::Active => {
                token.active = earliest(token.active, returned);
                token.active_last = token.active_last.max(Some(invoked));
            }
            _ => return,
        }
        if let Some(expires_ms) = op.extra.and_then(NonZeroI64::new) {
            token.told = token.told.max(Some((invoked, op.state, expires_ms)));
        }
    }
}

fn earliest<T: Ord + Copy>(known: Option<T>, other: T) -> Option<T> {
    Some(known.map_or(other, |known| known.min(other)))
}

/// A digest of what every answer to one key must agree on. The hasher is fixed, so that a verdict is reproducible.
fn answer(op: &Operation) -> u64 {
    let seat = (op.kind == OpKind::Hold).then_some(op.seat);
    BuildHasherDefault::<DefaultHasher>::default().hash_one((op.kind, op.object, op.amount, op.extra, seat))
}

#[cfg(test)]
impl FromIterator<Operation> for Facts {
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Self {
        let mut facts = Self::default();
        operations
            .into_iter()
            .enumerate()
            .for_each(|(index, op)| facts.observe(index as u64, &op));
        facts
    }
}
