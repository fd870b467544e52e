//! Everything that the history says about one place in the queue, however often it was asked about.

use std::num::{NonZeroI64, NonZeroU32};

use crate::recording::history::{Code, Name, OpKind, Operation, Settled, State, Uid};
use crate::units::Nanos;

/// A moment and the operation that shows it: twelve bytes, and no more when there is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct At {
    high: u32,
    low: u32,
    /// One more than the operation's number.
    operation: NonZeroU32,
}

impl At {
    pub(super) fn new(t: Nanos, operation: u32) -> Self {
        Self {
            high: (t.0 >> 32) as u32,
            low: t.0 as u32,
            operation: NonZeroU32::MIN.saturating_add(operation),
        }
    }

    pub(super) fn t(self) -> Nanos {
        Nanos(u64::from(self.high) << 32 | u64::from(self.low))
    }

    pub(super) fn operation(self) -> u32 {
        self.operation.get() - 1
    }

    pub(super) fn earliest(known: Option<Self>, other: Self) -> Option<Self> {
        Some(known.map_or(other, |known| known.min(other)))
    }
}

/// Everything known about one place in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) id: Uid,
    /// The earliest request for it.
    pub(super) asked: Nanos,
    pub(super) user: Name,
    /// The earliest answer that gave it.
    pub(super) acknowledged: Option<At>,
    /// The latest request whose answer still said "waiting".
    pub(super) waiting: Option<At>,
    /// The earliest answer that said "active".
    pub(super) active: Option<At>,
    /// The latest request whose answer said "active".
    pub(super) active_last: Option<At>,
    /// The latest request whose answer said when it expires.
    pub(super) told: Option<At>,
    /// The state that that answer showed.
    pub(super) told_state: State,
    /// The expiry that that answer told, in Unix milliseconds.
    pub(super) told_expiry_ms: Option<NonZeroI64>,
    /// Of the requests that were answered as if the token lived, the one that came longest after the expiry that the
    /// answer itself told.
    pub(super) overdue: Option<At>,
    /// That expiry, in Unix milliseconds.
    pub(super) overdue_expiry_ms: Option<NonZeroI64>,
    /// The earliest answer that knew the token no more.
    pub(super) gone: Option<At>,
    /// The earliest request to leave.
    pub(super) left: Option<At>,
}

impl Token {
    pub(super) fn new(id: Uid, user: Name) -> Self {
        Self {
            id,
            asked: Nanos(u64::MAX),
            user,
            acknowledged: None,
            waiting: None,
            active: None,
            active_last: None,
            told: None,
            told_state: State::None,
            told_expiry_ms: None,
            overdue: None,
            overdue_expiry_ms: None,
            gone: None,
            left: None,
        }
    }

    /// Adds one operation about this token. The order does not matter.
    pub(super) fn observe(&mut self, operation: u32, op: &Operation) {
        let invoked = At::new(op.invoked, operation);
        let returned = At::new(op.returned, operation);
        if op.kind == OpKind::QueueLeave {
            // A refused request to leave left nothing, but one without an answer may have.
            if op.settled != Settled::Fail {
                self.left = At::earliest(self.left, invoked);
            }
            return;
        }
        if op.kind == OpKind::QueueEnter {
            self.user = op.user;
            self.asked = self.asked.min(op.invoked);
        }
        if op.settled == Settled::Fail && matches!(op.code, Code::TokenGone | Code::TokenInvalid)
            || op.is_ok() && op.state == State::Gone
        {
            self.gone = At::earliest(self.gone, returned);
        }
        if !op.is_ok() {
            return;
        }
        if op.kind == OpKind::QueueEnter {
            self.acknowledged = At::earliest(self.acknowledged, returned);
        }
        match op.state {
            State::Waiting => self.waiting = self.waiting.max(Some(invoked)),
            State::Active => {
                self.active = At::earliest(self.active, returned);
                self.active_last = self.active_last.max(Some(invoked));
            }
            _ => return,
        }
        let expiry_ms = op.extra.and_then(NonZeroI64::new);
        if expiry_ms.is_some() && self.told < Some(invoked) {
            (self.told, self.told_state, self.told_expiry_ms) = (Some(invoked), op.state, expiry_ms);
        }
        // The two clocks have different origins, which cancel out in the comparison.
        let past = |at: Option<At>, expiry_ms: Option<NonZeroI64>| {
            Some(i128::from(at?.t().0) - i128::from(expiry_ms?.get()) * 1_000_000)
        };
        if past(Some(invoked), expiry_ms) > past(self.overdue, self.overdue_expiry_ms) {
            (self.overdue, self.overdue_expiry_ms) = (Some(invoked), expiry_ms);
        }
    }
}
