//! One user: what they ask next, and what gets lost on the way.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::run::{MS, now_ms};
use super::service::Service;
use crate::recording::history::*;
use crate::units::Nanos;

/// One user who does one thing at a time.
pub(super) struct Client {
    pub(super) user: Name,
    pub(super) process: u32,
    pub(super) free_at: u64,
    pub(super) token: Option<Uid>,
    pub(super) reservation: Option<Uid>,
    /// A finished operation to be sent again: its kind, key and target.
    pub(super) repeat: Option<Operation>,
}

impl Client {
    /// What a user does next.
    pub(super) fn choose(&mut self, service: &Service, rng: &mut ChaCha8Rng, invoked: Nanos) -> Operation {
        let mut op = Operation::new(OpKind::ReadBalance, self.process, invoked, invoked, Settled::Ok);
        op.user = self.user;
        if rng.random_bool(0.15)
            && let Some(before) = self.repeat
        {
            return Operation {
                invoked,
                process: self.process,
                ..before
            };
        }
        let dice = rng.random_range(0..100);
        let Some(token) = self.token else {
            op.kind = if dice < 80 { OpKind::QueueEnter } else { OpKind::Charge };
            op.amount = Some(50);
            op.key = IdemKey(rng.random());
            return op;
        };
        op.object = token;
        match (self.reservation, dice) {
            (_, 0..35) => op.kind = OpKind::QueuePosition,
            (_, 35..38) => op.kind = OpKind::QueueLeave,
            (None, 38..90) => {
                op.kind = if dice < 50 { OpKind::SeatSeen } else { OpKind::Hold };
                let seats = u32::try_from(service.seats.len()).unwrap();
                op.seat = Name(1_000 + rng.random_range(0..seats));
                op.object = Uid::NONE;
                op.key = IdemKey(rng.random());
            }
            (Some(reservation), 38..90) => {
                op.object = reservation;
                op.key = IdemKey(rng.random());
                op.kind = match dice {
                    38..70 => OpKind::Pay,
                    70..80 => OpKind::Cancel,
                    _ => OpKind::ReadReservation,
                };
            }
            _ => op.object = Uid::NONE,
        }
        op
    }

    /// Sends it; the request or the answer may get lost.
    pub(super) fn perform(
        &mut self,
        mut op: Operation,
        service: &mut Service,
        t: u64,
        rng: &mut ChaCha8Rng,
    ) -> Operation {
        let arrives = rng.random_bool(0.97);
        let answered = arrives && rng.random_bool(0.95);
        let request = op;
        if arrives {
            op = service.handle(op, now_ms(t));
        }
        op.returned = Nanos(t + rng.random_range(1..15 * MS));
        if !answered {
            op = Operation {
                settled: Settled::Info,
                returned: op.returned,
                code: Code::TimeOut,
                ..request
            };
            // A client that gave up goes on under another number, and forgets what it was about.
            self.process += 10_000;
        }
        self.free_at = op.returned.0 + 1;
        if answered && request.key.some().is_some() && op.kind != OpKind::SeatSeen && op.kind != OpKind::ReadReservation
        {
            self.repeat = Some(request);
        }
        match (op.kind, op.settled) {
            (OpKind::QueueEnter, Settled::Ok) => self.token = Some(op.object),
            (OpKind::QueueLeave, _) => (self.token, self.reservation) = (None, None),
            (OpKind::QueuePosition, Settled::Fail) => self.token = None,
            (OpKind::Hold, Settled::Ok) => self.reservation = Some(op.object),
            (OpKind::Pay | OpKind::Cancel, _) => {
                self.reservation = None;
                if op.kind == OpKind::Pay {
                    self.token = None;
                }
            }
            _ => {}
        }
        op
    }
}
