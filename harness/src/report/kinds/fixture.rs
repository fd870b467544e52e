//! Recordings for the tests of reports and exports, written as a run writes them.

use std::time::Duration;

use tempfile::TempDir;

use crate::config::{JourneyKind, ScenarioConfig};
use crate::plan::ScenarioPlan;
use crate::recording::event::{Accounting, Edge};
use crate::recording::model::{ClockAnchor, Environment, Tool};
use crate::recording::store::PLAN_FILE;
use crate::recording::{
    Clock, Endpoint, Manifest, Outcome, Recording, RecordingWriter, Tag, Variant, What, empty_histogram,
};
use crate::report::kinds::judgement::Judgement;
use crate::units::{Nanos, Percent, RatePerSec};
use crate::verdict::ledger::{Finding, Invariant, LedgerReport, VariantLedger, Verdict};

/// Unix time of the recordings' zero: 2026-11-27T10:00:00Z.
pub(crate) const UNIX_S: i64 = 1_795_773_600;
pub(crate) const VARIANT: &str = "run";
const MS: u64 = 1_000_000;

/// A recording under way.
pub(crate) struct Fixture {
    folder: TempDir,
    pub(crate) writer: RecordingWriter,
}

pub(crate) const fn ms(ms: u64) -> Nanos {
    Nanos(ms * MS)
}

impl Fixture {
    /// A run of a scenario with one stage of ten arrivals a second, `steady`, held to `objectives`.
    pub(crate) fn run(objectives: Option<&str>) -> Self {
        let mut scenario = ScenarioConfig::constant(
            "smoke",
            RatePerSec(10.0),
            Duration::from_secs(4),
            &[(JourneyKind::Book, Percent(100.0))],
        );
        "steady".clone_into(&mut scenario.stages[0].name);
        Self::of(&scenario, objectives)
    }

    /// A run of `scenario`, held to `objectives`.
    pub(crate) fn of(scenario: &ScenarioConfig, objectives: Option<&str>) -> Self {
        let fixture = Self::of_kind("run");
        let plan = ScenarioPlan::new(scenario, objectives, 7).unwrap();
        let plan = serde_yaml::to_string(&plan).unwrap();
        fixture.writer.put(PLAN_FILE, plan.as_bytes()).unwrap();
        fixture
    }

    pub(crate) fn of_kind(kind: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tool = Tool {
            version: "0.1.0".to_owned(),
            commit: None,
        };
        let clock = ClockAnchor {
            unix_ns: UNIX_S * 1_000_000_000,
            offsets: Vec::new(),
        };
        let mut manifest = Manifest::new(kind, tool, 7, Environment::default(), clock);
        manifest.variants = vec![Variant::named(VARIANT)];
        manifest.command = vec!["soundcheck".to_owned(), "run".to_owned(), "smoke".to_owned()];
        let writer = RecordingWriter::create(&folder.path().join("run"), &manifest).unwrap();
        Self { folder, writer }
    }

    pub(crate) fn stage(&self, at: Nanos, edge: Edge) {
        self.phase("steady", at, edge);
    }

    pub(crate) fn phase(&self, name: &str, at: Nanos, edge: Edge) {
        let name = name.to_owned();
        self.writer.event(at, What::Phase { name, edge }).unwrap();
    }

    pub(crate) fn account(&self, at: Nanos, counts: Accounting) {
        let what = What::Accounting {
            variant: 0,
            slice: None,
            counts,
        };
        self.writer.event(at, what).unwrap();
    }

    /// A second from `start` on in which so many ended so, each after as many milliseconds by this clock.
    pub(crate) fn second(
        &self,
        start: Nanos,
        endpoint: Endpoint,
        outcome: Outcome,
        clock: Clock,
        n: u64,
        took_ms: u64,
    ) {
        let tag = Tag {
            variant: VARIANT.to_owned(),
            endpoint,
            outcome,
            clock,
        };
        let mut histogram = empty_histogram();
        histogram.record_n(took_ms * MS, n).unwrap();
        let second = Duration::from_secs(1);
        self.writer.interval(start, second, &tag, &histogram).unwrap();
    }

    /// Closes it and reads it back.
    pub(crate) fn read(&self) -> Recording {
        self.writer.close().unwrap();
        Recording::open(&self.folder.path().join("run")).unwrap()
    }
}

/// 160 of 160 arrivals ended well in 20 ms, or as many as started.
pub(crate) fn judged(counts: Accounting, objectives: &str) -> (Fixture, Judgement) {
    let fixture = Fixture::run(Some(objectives));
    fixture.stage(ms(1_000), Edge::Begin);
    for second in 1..=4 {
        for (clock, took_ms) in [(Clock::Response, 20), (Clock::Service, 19)] {
            fixture.second(
                ms(second * 1_000),
                Endpoint::JourneyBook,
                Outcome::Won,
                clock,
                40,
                took_ms,
            );
        }
    }
    fixture.stage(ms(5_000), Edge::End);
    fixture.account(ms(5_000), counts);
    let judgement = Judgement::of(&fixture.read()).unwrap();
    (fixture, judgement)
}

pub(crate) fn whole() -> Accounting {
    Accounting {
        scheduled: 160,
        started: 160,
        ok: 160,
        ..Accounting::default()
    }
}

/// Of a service that kept its promises.
pub(crate) fn valid_ledger() -> LedgerReport {
    let finding = Finding {
        invariant: Invariant::SeatSoldOnce,
        verdict: Verdict::Valid,
        basis: "160 holds of 120 seats".to_owned(),
    };
    let variant = VariantLedger {
        variant: 0,
        name: VARIANT.to_owned(),
        operations: 160,
        unsettled: 0,
        findings: vec![finding],
        doubts: Vec::new(),
    };
    LedgerReport {
        variants: vec![variant],
    }
}
