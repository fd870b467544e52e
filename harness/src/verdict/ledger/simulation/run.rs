//! Clients against the service, and the evidence that remains.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::end::{End, HarnessFacts, ServiceClock};
use super::super::facts::Facts;
use super::client::Client;
use super::service::{Defect, Service};
use crate::recording::audit::Audit;
use crate::recording::history::{Name, Names, Operation};
use crate::recording::model::{ClockAnchor, Rules};
use crate::units::Nanos;

pub(super) const MS: u64 = 1_000_000;
/// Wall time when the run's clock shows zero.
pub(in super::super) const ZERO_MS: i64 = 1_800_000_000_000;

/// Everything that the ledger gets to see.
#[derive(Debug)]
pub(in super::super) struct Evidence {
    pub(in super::super) operations: Vec<Operation>,
    pub(in super::super) audit: Audit,
    pub(in super::super) rules: Rules,
    pub(in super::super) harness: HarnessFacts,
}

impl Evidence {
    /// Shows the projected facts and the end.
    pub(in super::super) fn show<T>(&self, judge: impl FnOnce(&Facts, &End<'_>) -> T) -> T {
        let anchor = ClockAnchor {
            unix_ns: ZERO_MS * 1_000_000,
            offsets: Vec::new(),
        };
        let names = Names::default();
        let clock = ServiceClock::of(&anchor);
        let end = End::new(Some(&self.audit), &names, &self.rules, clock, self.harness.clone());
        judge(&self.operations.iter().copied().collect(), &end)
    }
}

/// How large a simulated run is.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Size {
    pub(in super::super) clients: u32,
    pub(in super::super) seats: u32,
    pub(in super::super) capacity: u32,
    pub(in super::super) steps: u32,
}

/// Runs the service under load.
pub(in super::super) fn simulate(seed: u64, size: Size, defect: Defect) -> Evidence {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut service = Service::new(size, defect);
    let mut clients: Vec<Client> = (1..=size.clients)
        .map(|number| Client {
            user: Name(number),
            process: number,
            free_at: 0,
            token: None,
            reservation: None,
            repeat: None,
        })
        .collect();
    let mut operations = Vec::new();
    let mut t = MS;
    for _ in 0..size.steps {
        t += rng.random_range(MS / 10..4 * MS);
        let client = rng.random_range(0..clients.len());
        let client = &mut clients[client];
        if client.free_at >= t {
            continue;
        }
        service.housekeeping(now_ms(t), &mut rng);
        let invoked = Nanos(client.free_at.max(t.saturating_sub(rng.random_range(1..15 * MS))) + 1);
        let request = client.choose(&service, &mut rng, invoked);
        operations.push(client.perform(request, &mut service, t, &mut rng));
    }
    operations.sort_by_key(|op| op.returned);
    t += 2_000 * MS;
    service.finish(now_ms(t), operations, t)
}

pub(super) fn now_ms(t: u64) -> i64 {
    ZERO_MS + i64::try_from(t / MS).unwrap()
}
