//! The drill of the incident report: bookings at a steady rate, one fault, and time to recover.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::spec::{Dataset, FINAL_STATE, GRACE, HOLD_TTL, Profile};
use crate::config::JourneyKind;
use crate::units::{Nanos, Percent, Ratio};

/// What is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillFault {
    /// MySQL's container is paused: connections stay open, nothing answers.
    MysqlPause,
    /// The connections to MySQL are stalled by a proxy of ours: the same to the service, and the server goes on.
    MysqlStall,
    /// Somebody else holds SQLite's write lock.
    DatabaseLock,
}

impl DrillFault {
    /// Its name in recordings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MysqlPause => "mysql.pause",
            Self::MysqlStall => "mysql.stall",
            Self::DatabaseLock => "database.lock",
        }
    }

    /// What happens, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::MysqlPause => "MySQL paused",
            Self::MysqlStall => "connections to MySQL stalled",
            Self::DatabaseLock => "database lock held",
        }
    }
}

/// What users were promised.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Promise {
    /// At least this share of requests is served.
    pub availability: Ratio,
    /// The p99 of a request is at most this.
    pub p99: Nanos,
    /// After a heal, both hold again within this time.
    #[serde(default = "ten_seconds")]
    pub recover_within: Nanos,
}

/// What every drill was held to before its plan said so.
const fn ten_seconds() -> Nanos {
    Nanos(10_000_000_000)
}

/// A drill, as written to `plan.yaml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct IncidentPlan {
    pub kind: String,
    pub profile: Profile,
    pub seed: u64,
    pub fault: DrillFault,
    pub dataset: Dataset,
    /// Shares of the arrivals; they add up to 100.
    pub mix: BTreeMap<JourneyKind, Percent>,
    /// How long journeys are begun as fast as they end, to find what the machine bears.
    pub probe_ms: u64,
    /// Which share of that is offered.
    pub load: Percent,
    /// At most so many journeys a second, however much the machine bears: a drill is about failure, not speed.
    pub most_per_second: f64,
    /// Until the first connections and caches are warm; not counted.
    pub warm_up_ms: u64,
    pub before_ms: u64,
    pub fault_ms: u64,
    pub after_ms: u64,
    pub promise: Promise,
}

impl IncidentPlan {
    /// From the first arrival to the last.
    pub const fn load_time(&self) -> Duration {
        Duration::from_millis(self.warm_up_ms + self.before_ms + self.fault_ms + self.after_ms)
    }

    /// About how long it takes to create the data and to launch the service.
    pub const fn seeding_estimate(&self) -> Duration {
        Duration::from_secs(3)
    }

    /// From the last arrival until every hold that was left has expired and been swept; the outbox is empty long before.
    pub fn drain_estimate(&self) -> Duration {
        HOLD_TTL + GRACE
    }

    /// Expected time: the steps that a run shows, added up.
    pub fn estimate(&self) -> Duration {
        self.seeding_estimate()
            + Duration::from_millis(self.probe_ms)
            + self.load_time()
            + self.drain_estimate()
            + FINAL_STATE
    }
}

/// The drill with a fault.
pub fn plan(fault: DrillFault, profile: Profile, seed: u64) -> IncidentPlan {
    let (before_ms, after_ms) = match profile {
        Profile::Smoke => (6_000, 12_000),
        Profile::Quick => (12_000, 20_000),
        Profile::Full => (60_000, 60_000),
    };
    IncidentPlan {
        kind: "incident".to_owned(),
        profile,
        seed,
        fault,
        dataset: Dataset {
            seed,
            users: 5_000,
            concerts: 20,
            schedules_per_concert: 5,
            seats_per_schedule: 200,
        },
        mix: BTreeMap::from([
            (JourneyKind::Book, Percent(60.0)),
            (JourneyKind::Browse, Percent(25.0)),
            (JourneyKind::Abandon, Percent(10.0)),
            (JourneyKind::Position, Percent(5.0)),
        ]),
        probe_ms: 1_500,
        load: Percent(30.0),
        most_per_second: 40.0,
        warm_up_ms: 3_000,
        before_ms,
        fault_ms: 10_000,
        after_ms,
        promise: Promise {
            availability: Ratio(0.999),
            p99: Nanos(500_000_000),
            recover_within: ten_seconds(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_from_before_the_promise_to_recover_means_what_its_report_did() {
        let plan = plan(DrillFault::MysqlPause, Profile::Quick, 1);
        let text = serde_yaml::to_string(&plan).unwrap();
        let line = "  recover-within: 10000000000\n";
        assert!(text.contains(line), "{text}");
        let older: IncidentPlan = serde_yaml::from_str(&text.replace(line, "")).unwrap();
        assert_eq!(older, plan);
    }

    #[test]
    fn shares_add_up_and_the_fault_lasts_ten_seconds() {
        let plan = plan(DrillFault::MysqlPause, Profile::Quick, 1);
        assert!((plan.mix.values().map(|share| share.0).sum::<f64>() - 100.0).abs() < 1e-9);
        assert_eq!(plan.fault_ms, 10_000);
    }
}
