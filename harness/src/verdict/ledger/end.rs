//! What is known when the run is over: the service's final state, its promises, its clock, what the harness did, and
//! what was counted meanwhile.

use super::counted::Counted;
use super::uid_map::UidMap;
use crate::recording::audit::{Audit, ReservationRow};
use crate::recording::event::{DeadLetter, Event, FaultStep, What};
use crate::recording::history::{Name, Names, Uid};
use crate::recording::model::{ClockAnchor, Rules};
use crate::units::Nanos;

/// The other half of the evidence, beside the history.
#[derive(Debug)]
pub struct End<'a> {
    /// The final state; `None` when it could not be read to its end.
    pub audit: Option<&'a Audit>,
    pub names: &'a Names,
    pub rules: &'a Rules,
    pub clock: ServiceClock,
    pub harness: HarnessFacts,
    /// `None` when nothing was scraped, or not to the end.
    pub counted: Option<Counted<'a>>,
    reservations: UidMap<&'a ReservationRow>,
}

/// What the events tell about one variant.
#[derive(Clone, Debug, Default)]
pub struct HarnessFacts {
    /// When the final state was asked for.
    pub audited: Option<Nanos>,
    /// Why there is none.
    pub audit_error: Option<String>,
    pub drained: Option<Drained>,
    /// Keys of the messages that were made to fail.
    pub planted: Vec<String>,
    /// `None` when nobody listed them.
    pub dead_letters: Option<Vec<DeadLetter>>,
    pub faults: Vec<FaultWindow>,
}

/// How the wait for the outbox ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drained {
    /// Payments whose event had no effect yet; `None` when nobody could say.
    pub pending: Option<u64>,
    pub waited: Nanos,
}

/// A fault from its injection to the moment at which its target was seen to work again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FaultWindow {
    pub name: String,
    pub target: String,
    pub from: Nanos,
    /// `None`: it was never seen to work again.
    pub until: Option<Nanos>,
}

impl HarnessFacts {
    /// Collects them from the events of a run.
    pub fn of(events: &[Event], variant: u16) -> Self {
        let mut facts = Self::default();
        for Event { t, what } in events {
            match what {
                What::FinalAudit { variant: of, error } if *of == variant => {
                    facts.audited = Some(*t);
                    facts.audit_error.clone_from(error);
                }
                What::Drained {
                    variant: of,
                    pending,
                    waited,
                } if *of == variant => {
                    facts.drained = Some(Drained {
                        pending: *pending,
                        waited: *waited,
                    });
                }
                What::Planted { variant: of, key } if *of == variant => facts.planted.push(key.clone()),
                What::DeadLetters { variant: of, listed } if *of == variant => {
                    facts.dead_letters.get_or_insert_default().extend_from_slice(listed);
                }
                What::Fault { name, target, step, .. } => facts.fault(*t, name, target, *step),
                _ => {}
            }
        }
        facts
    }

    fn fault(&mut self, t: Nanos, name: &str, target: &str, step: FaultStep) {
        let open = self
            .faults
            .iter_mut()
            .rev()
            .find(|fault| fault.name == name && fault.target == target);
        match (step, open) {
            (FaultStep::Injecting | FaultStep::Injected, Some(fault)) if fault.until.is_none() => {}
            (FaultStep::Injecting | FaultStep::Injected, _) => self.faults.push(FaultWindow {
                name: name.to_owned(),
                target: target.to_owned(),
                from: t,
                until: None,
            }),
            (FaultStep::Verified, Some(fault)) => fault.until = Some(t),
            _ => {}
        }
    }
}

/// Translates the service's calendar times to the run's clock, as far as the offset between the two is known.
#[derive(Clone, Copy, Debug)]
pub struct ServiceClock {
    /// Service time, in Unix nanoseconds, when the run's clock showed zero.
    zero_ns: i128,
    uncertainty_ns: i128,
    /// False when a fault moved it during the run: then no two of its readings can be compared.
    pub steady: bool,
}

impl ServiceClock {
    /// With the offset of the clock named `service`. Without one the service runs on this machine, whose clock we share.
    pub fn of(anchor: &ClockAnchor) -> Self {
        let (offset_ns, uncertainty_ns) = anchor
            .offset_of("service")
            .map_or((0, 0), |offset| (offset.offset_ns, offset.uncertainty_ns));
        Self {
            zero_ns: i128::from(anchor.unix_ns) + i128::from(offset_ns),
            uncertainty_ns: i128::from(uncertainty_ns),
            steady: true,
        }
    }

    /// The clock of a run in which somebody moved it: every translation is as wide as a century.
    pub fn unsteady(self) -> Self {
        Self {
            uncertainty_ns: self.uncertainty_ns + 3_000_000_000_000_000_000,
            steady: false,
            ..self
        }
    }

    /// Before this moment the service's clock certainly showed less.
    pub fn earliest(&self, service_ms: i64) -> Nanos {
        self.nanos(i128::from(service_ms) * 1_000_000 - self.zero_ns - self.uncertainty_ns)
    }

    /// After this moment the service's clock certainly showed more, at the millisecond that it works with.
    pub fn latest(&self, service_ms: i64) -> Nanos {
        self.nanos((i128::from(service_ms) + 1) * 1_000_000 - self.zero_ns + self.uncertainty_ns)
    }

    /// What the service's clock showed at most.
    pub fn at_most_ms(&self, at: Nanos) -> i64 {
        let ns = self.zero_ns + i128::from(at.0) + self.uncertainty_ns;
        i64::try_from(ns.div_euclid(1_000_000)).unwrap_or(i64::MAX)
    }

    /// What the service's clock showed at least.
    pub fn at_least_ms(&self, at: Nanos) -> i64 {
        let ns = self.zero_ns + i128::from(at.0) - self.uncertainty_ns;
        i64::try_from(ns.div_euclid(1_000_000)).unwrap_or(i64::MIN)
    }

    fn nanos(self, ns: i128) -> Nanos {
        Nanos(u64::try_from(ns.max(0)).unwrap_or(u64::MAX))
    }
}

impl<'a> End<'a> {
    /// Indexes the final state. One that was cut off counts as none.
    pub fn new(
        audit: Option<&'a Audit>,
        names: &'a Names,
        rules: &'a Rules,
        clock: ServiceClock,
        harness: HarnessFacts,
    ) -> Self {
        let audit = audit.filter(|audit| audit.is_whole());
        let reservations = audit
            .map(|audit| audit.reservations.iter().map(|row| (row.reservation, row)).collect())
            .unwrap_or_default();
        Self {
            audit,
            names,
            rules,
            clock,
            harness,
            counted: None,
            reservations,
        }
    }

    /// The same, with what was counted.
    pub fn with_counted(self, counted: Option<Counted<'a>>) -> Self {
        Self { counted, ..self }
    }

    /// A reservation in the final state.
    pub fn reservation(&self, reservation: Uid) -> Option<&'a ReservationRow> {
        self.reservations.get(&reservation).copied()
    }

    /// Why there is no final state to judge by.
    pub(super) fn no_audit(&self) -> String {
        match &self.harness.audit_error {
            Some(error) => format!("the final state could not be read: {error}"),
            None => "the final state was not recorded to its end".to_owned(),
        }
    }

    /// A user, seat or schedule as a person looks for it.
    pub(super) fn text(&self, name: Name) -> String {
        self.names
            .text(name)
            .map_or_else(|| format!("#{}", name.0), str::to_owned)
    }
}
