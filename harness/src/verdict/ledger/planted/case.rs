//! A small history and its end, and what the ledger must say of them.

use super::super::counted::Counted;
pub(super) use super::super::end::{Drained, End, FaultWindow, HarnessFacts, ServiceClock};
pub(super) use super::super::finding::{Invariant, Judgement};
pub(super) use super::super::judge::judge;
pub(super) use super::super::simulation::ZERO_MS;
pub(super) use crate::recording::SeriesSet;
pub(super) use crate::recording::audit::*;
pub(super) use crate::recording::event::{DeadLetter, Event, What};
pub(super) use crate::recording::history::*;
pub(super) use crate::recording::model::{ClockAnchor, ClockOffset, Environment, Manifest, Rules, Tool, Variant};
pub(super) use crate::units::Nanos;

/// Milliseconds of the run.
pub(super) const fn ms(at: u64) -> Nanos {
    Nanos(at * 1_000_000)
}

pub(super) const fn uid(number: u64) -> Uid {
    Uid::from_halves(number, 1)
}

/// The variant.
pub(super) const NAME: &str = "base";
pub(super) const ANNA: Name = Name(1);
pub(super) const BERT: Name = Name(2);
pub(super) const SEAT: Name = Name(100);
pub(super) const R1: Uid = uid(1);
pub(super) const R2: Uid = uid(2);

/// A history and its end. Holds last 1,000 ms; the final state is read at 10,000 ms.
pub(super) struct Case {
    pub(super) operations: Vec<Operation>,
    pub(super) audit: Audit,
    pub(super) rules: Rules,
    pub(super) harness: HarnessFacts,
    pub(super) clock_uncertainty_ms: u64,
    pub(super) series: SeriesSet,
    pub(super) events: Vec<Event>,
    /// The only one of its recording.
    pub(super) variant: Variant,
}

impl Case {
    pub(super) fn new() -> Self {
        let audit = Audit {
            users: [ANNA, BERT]
                .map(|user| UserRow {
                    user,
                    initial: 100,
                    balance: 100,
                })
                .to_vec(),
            summary: Some(std::collections::BTreeMap::new()),
            ..Audit::default()
        };
        let rules = Rules {
            queue_capacity: Some(2),
            hold_ttl_ms: Some(1_000),
            active_ttl_ms: Some(5_000),
            grace_ms: Some(500),
            drain_ms: Some(3_000),
            staleness_ms: Some(200),
            outbox: Some(true),
        };
        let harness = HarnessFacts {
            audited: Some(ms(10_000)),
            drained: Some(Drained {
                pending: Some(0),
                waited: ms(100),
            }),
            dead_letters: Some(Vec::new()),
            ..HarnessFacts::default()
        };
        Self {
            operations: Vec::new(),
            audit,
            rules,
            harness,
            clock_uncertainty_ms: 0,
            series: SeriesSet::default(),
            events: Vec::new(),
            variant: Variant::named(NAME),
        }
    }

    pub(super) fn op(&mut self, kind: OpKind, from: u64, to: u64) -> &mut Operation {
        self.operations
            .push(Operation::new(kind, 1, ms(from), ms(to), Settled::Ok));
        self.operations.last_mut().unwrap()
    }

    /// A hold of [`SEAT`] that succeeded; its effect is at `from`.
    pub(super) fn hold(&mut self, user: Name, reservation: Uid, from: u64, to: u64) -> &mut Operation {
        let op = self.op(OpKind::Hold, from, to);
        (op.user, op.seat, op.object) = (user, SEAT, reservation);
        (op.amount, op.extra) = (Some(10), Some(at(from) + 1_000));
        op
    }

    pub(super) fn pay(&mut self, user: Name, reservation: Uid, from: u64, to: u64) -> &mut Operation {
        let op = self.op(OpKind::Pay, from, to);
        (op.user, op.object, op.amount) = (user, reservation, Some(10));
        op
    }

    /// A poll, or the entry itself, with the state that it showed and when the token expires.
    pub(super) fn queue(&mut self, kind: OpKind, user: Name, from: u64, to: u64, state: State) -> &mut Operation {
        let op = self.op(kind, from, to);
        (op.user, op.object, op.state) = (user, uid(1_000 + u64::from(user.0)), state);
        op.extra = Some(at(from) + 5_000);
        op
    }

    pub(super) fn row(&mut self, user: Name, reservation: Uid, created: u64, status: ReservationStatus) {
        self.audit.reservations.push(ReservationRow {
            reservation,
            user,
            seat: SEAT,
            status,
            amount: 10,
            created_ms: at(created),
            expires_ms: at(created) + 1_000,
            key: None,
        });
    }

    /// Everything that a payment leaves behind.
    pub(super) fn paid(&mut self, user: Name, reservation: Uid, completed: u64) {
        self.audit.payments.push(PaymentRow {
            reservation,
            status: PaymentStatus::Completed,
            amount: 10,
            completed_ms: Some(at(completed)),
            key: None,
        });
        self.audit.ledger.push(LedgerRow {
            user,
            entry: Entry::Payment,
            amount: 10,
            reservation: Some(reservation),
            key: None,
        });
        self.audit
            .users
            .iter_mut()
            .find(|row| row.user == user)
            .unwrap()
            .balance -= 10;
        let number = self.audit.outbox.len() as u64 + 1;
        let event = uid(500 + number);
        self.audit.outbox.push(OutboxRow {
            event,
            shard: 0,
            seq: number,
            reservation,
            published: true,
        });
        self.audit.processed.push(event);
        self.audit.tickets.push(TicketRow { reservation, event });
    }

    pub(super) fn seat(&mut self, status: SeatStatus, reservation: Option<Uid>, held_until: u64) {
        self.audit.seats.push(SeatRow {
            seat: SEAT,
            price: 10,
            status,
            reservation,
            held_until_ms: Some(at(held_until)),
        });
    }

    /// A booking without a flaw: held, paid, sold.
    pub(super) fn booked() -> Self {
        let mut case = Self::new();
        case.hold(ANNA, R1, 0, 10);
        case.pay(ANNA, R1, 100, 110);
        case.row(ANNA, R1, 5, ReservationStatus::Paid);
        case.paid(ANNA, R1, 105);
        case.seat(SeatStatus::Sold, Some(R1), 0);
        case
    }

    pub(super) fn judge(&self, invariant: Invariant) -> Judgement {
        let offset = ClockOffset {
            of: "service".to_owned(),
            offset_ns: 0,
            uncertainty_ns: self.clock_uncertainty_ms * 1_000_000,
        };
        let anchor = ClockAnchor {
            unix_ns: ZERO_MS * 1_000_000,
            offsets: vec![offset],
        };
        let names = Names::default();
        let clock = ServiceClock::of(&anchor);
        let tool = Tool {
            version: "0".to_owned(),
            commit: None,
        };
        let mut manifest = Manifest::new("run", tool, 1, Environment::default(), anchor);
        manifest.variants.push(self.variant.clone());
        let counted = Counted::of(&self.series, &manifest, &self.events, 0);
        let end = End::new(Some(&self.audit), &names, &self.rules, clock, self.harness.clone());
        let end = end.with_counted(Some(counted));
        let facts = self.operations.iter().copied().collect();
        judge(&facts, &end)
            .into_iter()
            .find(|(which, ..)| *which == invariant)
            .unwrap()
            .1
    }

    /// Convicted for this reason, with exactly these operations as witnesses.
    #[track_caller]
    pub(super) fn convicts(&self, invariant: Invariant, reason: &str, operations: &[u32]) {
        match self.judge(invariant) {
            Judgement::Invalid(evidence) => {
                assert!(evidence.reason.contains(reason), "{}", evidence.reason);
                let mut witness = evidence.operations.clone();
                witness.sort_unstable();
                witness.dedup();
                assert_eq!(witness, operations, "{}", evidence.reason);
            }
            other => panic!("{invariant:?} was to be broken: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn acquits(&self, invariant: Invariant) {
        assert_eq!(self.judge(invariant), Judgement::Valid);
    }

    /// The same, for a case whose final state is empty.
    #[track_caller]
    pub(super) fn acquits_or_idle(&self, invariant: Invariant) {
        let judgement = self.judge(invariant);
        assert!(
            matches!(judgement, Judgement::Valid | Judgement::Idle(_)),
            "{judgement:?}"
        );
    }

    #[track_caller]
    pub(super) fn is_idle(&self, invariant: Invariant, reason: &str) {
        let Judgement::Idle(why) = self.judge(invariant) else {
            panic!("{invariant:?} was not to be tried: {:?}", self.judge(invariant))
        };
        assert!(why.contains(reason), "{why}");
    }

    #[track_caller]
    pub(super) fn doubts(&self, invariant: Invariant, reason: &str) {
        let Judgement::Unknown(why) = self.judge(invariant) else {
            panic!("{invariant:?} was to be unknown: {:?}", self.judge(invariant))
        };
        assert!(why.contains(reason), "{why}");
    }
}

/// The service's clock at a moment of the run.
pub(super) fn at(ms: u64) -> i64 {
    ZERO_MS + i64::try_from(ms).unwrap()
}
