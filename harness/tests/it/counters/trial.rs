//! One short recorded run: a service on real parts, load on it, its counters, its final state, and the verdict.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use soundcheck::analysis::experiment::service_source;
use soundcheck::config::{JourneyKind, ScenarioConfig};
use soundcheck::load::{Catalogue, Keep, LoadHandle, LoadPlan, Recorder, Selector, Target, drive, read_settled};
use soundcheck::recording::event::What;
use soundcheck::recording::model::{Environment, Manifest, Rules, Variant};
use soundcheck::recording::{Recording, RecordingWriter, RunClock, environment};
use soundcheck::scrape::Poller;
use soundcheck::scrape::mysql::MySqlSource;
use soundcheck::scrape::poll::Schedule;
use soundcheck::scrape::redis::RedisSource;
use soundcheck::scrape::service::ServiceSource;
use soundcheck::stack::Endpoints;
use soundcheck::target::{Program, RunningService, SeedSpec, ServiceConfig};
use soundcheck::units::{Percent, RatePerSec};
use soundcheck::verdict::ledger::{self, Invariant, LedgerReport, Verdict};

use crate::support::mysql_server::MySqlServer;
use crate::support::redis_server::RedisServer;

/// The variant.
const NAME: &str = "service";
/// Every test asks when it wants to know; nothing is scraped in between.
const WHEN_ASKED: Schedule = Schedule {
    period: Duration::from_secs(24 * 60 * 60),
    deadline: Duration::from_secs(20),
};
static NAMESPACES: AtomicU32 = AtomicU32::new(0);

/// The servers that a service stands on.
#[derive(Clone, Copy, Default)]
pub(crate) struct Parts<'a> {
    /// SQLite without it.
    pub(crate) mysql: Option<&'a MySqlServer>,
    pub(crate) redis: Option<&'a RedisServer>,
}

/// What there is to ask for, and how the service is set up.
#[derive(Clone, Copy)]
pub(crate) struct House<'a> {
    pub(crate) parts: Parts<'a>,
    pub(crate) users: u64,
    pub(crate) dates: u64,
    pub(crate) seats_per_date: u64,
    pub(crate) settings: &'a [(&'a str, &'a str)],
}

impl Default for House<'_> {
    fn default() -> Self {
        Self {
            parts: Parts::default(),
            users: 300,
            dates: 2,
            seats_per_date: 60,
            settings: &[],
        }
    }
}

/// A run.
pub(crate) struct Trial {
    pub(crate) service: RunningService,
    pub(crate) catalogue: Catalogue,
    clock: RunClock,
    recording: RecordingWriter,
    poller: Poller,
    program: Program,
    config_path: PathBuf,
    folder: tempfile::TempDir,
}

impl Trial {
    /// Starts a service, with this defect or without any.
    pub(crate) async fn start(house: House<'_>, defect: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = Program::tool(env!("CARGO_BIN_EXE_soundcheck"));
        let namespace = format!("counters_{}", NAMESPACES.fetch_add(1, Ordering::Relaxed));
        let sqlite = format!("sqlite://{}", folder.path().join("service.db").display());
        let endpoints = Endpoints {
            database_url: house.parts.mysql.map_or(sqlite, MySqlServer::url),
            redis_url: house.parts.redis.map(RedisServer::url),
            kafka_brokers: None,
        };
        let mut config = ServiceConfig::new(&namespace, &endpoints);
        // Patient: a container on a shared machine may pause for longer than a person would wait.
        config.set("resilience.request_timeout", "15s");
        for (key, value) in house.settings {
            config.set(key, *value);
        }
        if let Some(defect) = defect {
            config.set("mutants", defect);
        }
        let config_path = folder.path().join("commands.yaml");
        config.write(&config_path).unwrap();
        program.migrate(&config_path).await.unwrap();
        let spec = SeedSpec {
            seed: 7,
            n_users: house.users,
            n_concerts: 1,
            n_schedules_per_concert: house.dates,
            n_seats_per_schedule: house.seats_per_date,
            skew: None,
        };
        let catalogue_path = folder.path().join("catalogue.json");
        program.seed(&config_path, &spec, &catalogue_path).await.unwrap();
        let service = RunningService::launch(&program, &config, folder.path(), NAME, None)
            .await
            .unwrap();

        let clock = RunClock::start();
        let mut manifest = Manifest::new("run", environment::tool(), 7, Environment::default(), clock.anchor());
        manifest.variants.push(Variant {
            rules: Rules {
                hold_ttl_ms: Some(300_000),
                grace_ms: Some(5_000),
                staleness_ms: Some(500),
                ..Rules::default()
            },
            ..Variant::named(NAME)
        });
        let recording = RecordingWriter::create(&folder.path().join("run"), &manifest).unwrap();
        let mut poller = Poller::new(recording.clone(), clock, WHEN_ASKED);
        let page = ServiceSource::new(&format!("{}/metrics", service.base_url())).unwrap();
        poller.watch(&service_source(NAME), page);
        if let Some(redis) = house.parts.redis {
            poller.watch("redis", RedisSource::new(&redis.url()).unwrap());
        }
        if let Some(mysql) = house.parts.mysql {
            poller.watch("mysql", MySqlSource::new(&mysql.url(), &[&namespace]).unwrap());
        }
        poller.scrape_now().await.unwrap();
        Self {
            service,
            catalogue: Catalogue::load(&catalogue_path).unwrap(),
            clock,
            recording,
            poller,
            program,
            config_path,
            folder,
        }
    }

    fn target(&self) -> Target {
        Target {
            address: self.service.base_url(),
            part: self.catalogue.whole(),
        }
    }

    /// Sends load, waits for the last answer, and looks at the counters.
    pub(crate) async fn load(&mut self, scenario: ScenarioConfig, nonce: u64) {
        self.drive(scenario, nonce).await;
        self.look().await;
    }

    /// Sends load and waits for the last answer.
    pub(crate) async fn drive(&self, scenario: ScenarioConfig, nonce: u64) {
        let selector = Arc::new(Selector::new(0));
        let recorder = Arc::new(Recorder::new(
            vec![NAME.to_owned()],
            Arc::clone(&selector),
            Keep::Everything,
            self.clock,
        ));
        let plan = LoadPlan {
            scenario,
            seed: nonce,
            nonce,
            first_variant: 0,
        };
        let history = Some(self.recording.history());
        let outcome = drive(plan, &[self.target()], selector, recorder, history, LoadHandle::new()).await;
        assert!(outcome.unwrap().total.ok > 0, "nothing succeeded");
    }

    /// Scrapes everything.
    pub(crate) async fn look(&mut self) {
        self.poller.scrape_now().await.unwrap();
    }

    /// Reads the seat maps once more, now that nothing changes.
    pub(crate) async fn read_settled(&self) {
        let history = self.recording.history();
        let n_maps = read_settled(&self.target(), 0, &history, self.clock).await.unwrap();
        assert!(n_maps > 0);
    }

    /// Reads the final state, closes the recording and judges it from its files, as `soundcheck verify` does.
    pub(crate) async fn judge(mut self) -> LedgerReport {
        self.look().await;
        self.poller.stop().await.unwrap();
        let out = self.folder.path().join("audit.ndjson");
        self.program.audit(&self.config_path, &out).await.unwrap();
        self.recording
            .audit(0, &mut std::fs::File::open(&out).unwrap())
            .unwrap();
        let audited = What::FinalAudit {
            variant: 0,
            error: None,
        };
        self.recording.event(self.clock.now(), audited).unwrap();
        self.recording.close().unwrap();
        self.service.stop(Duration::from_secs(10)).await.unwrap();
        ledger::verify(&Recording::open(&self.folder.path().join("run")).unwrap()).unwrap()
    }
}

/// Journeys in these shares, at a rate. However slow the machine is, none is left out.
pub(crate) fn constant(rate: f64, length: Duration, shares: &[(JourneyKind, f64)]) -> ScenarioConfig {
    let shares: Vec<_> = shares.iter().map(|&(kind, share)| (kind, Percent(share))).collect();
    let mut scenario = ScenarioConfig::constant("trial", RatePerSec(rate), length, &shares);
    scenario.admitted = if scenario.needs_admitted() { 8 } else { 0 };
    scenario.poll = Duration::from_millis(50);
    scenario
}

/// Expects that this invariant is broken, for this reason.
#[track_caller]
pub(crate) fn is_caught(report: &LedgerReport, expected: Invariant, because: &str) {
    let reasons: Vec<&str> = report
        .broken()
        .filter(|(_, finding)| finding.invariant == expected)
        .map(|(_, finding)| match &finding.verdict {
            Verdict::Invalid { reason, .. } => reason.as_str(),
            _ => "",
        })
        .collect();
    assert!(
        reasons.iter().any(|reason| reason.contains(because)),
        "{expected:?} because of `{because}`: {report:#?}"
    );
}

/// Expects that nothing is broken, and that this invariant was put to the test.
#[track_caller]
pub(crate) fn is_clean(report: &LedgerReport, tested: Invariant) {
    assert_eq!(report.broken().count(), 0, "{report:#?}");
    let is_valid = report.variants[0]
        .findings
        .iter()
        .any(|finding| finding.invariant == tested && finding.verdict == Verdict::Valid);
    assert!(is_valid, "{tested:?} was not put to the test: {report:#?}");
}
