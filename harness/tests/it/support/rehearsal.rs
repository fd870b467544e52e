//! A short run of the real service under load on either stack: recorded, drained, audited and judged.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use soundcheck::config::{JourneyKind, ScenarioConfig};
use soundcheck::load::{Catalogue, Keep, LoadHandle, LoadPlan, Recorder, Selector, Target, drive};
use soundcheck::recording::event::{DeadLetter, What};
use soundcheck::recording::model::{Environment, Manifest, Rules, Variant};
use soundcheck::recording::{Recording, RecordingWriter, RunClock, environment};
use soundcheck::stack::{Stack, StackChoice};
use soundcheck::target::{Program, Restartable, RunningService, SeedSpec, ServiceConfig};
use soundcheck::units::{Nanos, Percent, RatePerSec};
use soundcheck::verdict::ledger::{self, Invariant, LedgerReport, Verdict};
use soundcheck::watchdog::Watchdog;

use super::stage::{Place, tool};

const HOLD_TTL: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_millis(1_500);
/// A consumer that was killed is missed by its group after six seconds, its relay's leases lapse after five.
const DRAIN_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A service with data, and the recording of what happens to it.
pub(crate) struct Rehearsal {
    pub(crate) catalogue: Catalogue,
    pub(crate) clock: RunClock,
    pub(crate) recording: RecordingWriter,
    pub(crate) service: Arc<Restartable>,
    pub(crate) watchdog: Watchdog,
    pub(crate) namespace: String,
    drain_within: Duration,
    /// The instance that has taken over.
    second: Option<RunningService>,
    place: Place,
    config: ServiceConfig,
    program: Program,
    folder: tempfile::TempDir,
}

/// How large the house is, and what differs from the service's defaults.
pub(crate) struct House<'a> {
    pub(crate) n_schedules: u64,
    pub(crate) seats_per_schedule: u64,
    pub(crate) capacity: u32,
    pub(crate) active_ttl: Duration,
    /// How long events may take to have their effects.
    pub(crate) drain_within: Duration,
    pub(crate) settings: &'a [(&'a str, &'a str)],
}

impl Default for House<'_> {
    fn default() -> Self {
        Self {
            n_schedules: 2,
            seats_per_schedule: 40,
            capacity: 12,
            active_ttl: Duration::from_secs(30),
            drain_within: DRAIN_WITHIN,
            settings: &[],
        }
    }
}

impl Rehearsal {
    /// `None` when this stack cannot be had here, which has been said then.
    pub(crate) async fn start(choice: StackChoice, house: House<'_>) -> Option<Self> {
        static NAMESPACES: AtomicU32 = AtomicU32::new(0);
        let place = Place::open(choice).await?;
        let namespace = format!("rehearsal_{}", NAMESPACES.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::tempdir().unwrap();
        let program = Program::tool(tool());
        let watchdog = Watchdog::start(&tool()).unwrap();
        let mut config = ServiceConfig::new(&namespace, &place.stack().service_endpoints(&namespace));
        config
            .set("hold.ttl", "1s")
            .set(
                "queue.active_ttl",
                humantime::format_duration(house.active_ttl).to_string(),
            )
            .set("queue.capacity", house.capacity.to_string())
            .set("sweep.interval", "200ms");
        for (key, value) in house.settings {
            config.set(key, *value);
        }
        let config_path = folder.path().join("commands.yaml");
        config.write(&config_path).unwrap();
        program.migrate(&config_path).await.unwrap();
        let spec = SeedSpec {
            seed: 7,
            n_users: 500,
            n_concerts: 1,
            n_schedules_per_concert: house.n_schedules,
            n_seats_per_schedule: house.seats_per_schedule,
            skew: None,
        };
        let catalogue_path = folder.path().join("catalogue.json");
        program.seed(&config_path, &spec, &catalogue_path).await.unwrap();
        let root = folder.path().to_owned();
        let launched = Restartable::launch(program.clone(), config.clone(), root, "service", watchdog.clone());
        let service = Arc::new(launched.await.unwrap());

        let clock = RunClock::start();
        let mut manifest = Manifest::new("run", environment::tool(), 7, Environment::default(), clock.anchor());
        let ms = |length: Duration| u64::try_from(length.as_millis()).ok();
        manifest.variants.push(Variant {
            rules: Rules {
                queue_capacity: Some(house.capacity),
                hold_ttl_ms: ms(HOLD_TTL),
                active_ttl_ms: ms(house.active_ttl),
                grace_ms: ms(GRACE),
                drain_ms: ms(house.drain_within),
                staleness_ms: None,
                outbox: Some(true),
            },
            ..Variant::named("service")
        });
        let recording = RecordingWriter::create(&folder.path().join("run"), &manifest).unwrap();
        Some(Self {
            catalogue: Catalogue::load(&catalogue_path).unwrap(),
            clock,
            recording,
            service,
            watchdog,
            namespace,
            drain_within: house.drain_within,
            second: None,
            place,
            config,
            program,
            folder,
        })
    }

    /// Journeys of these kinds, in equal shares.
    pub(crate) fn scenario(kinds: &[JourneyKind], rate: f64, length: Duration) -> ScenarioConfig {
        let share = Percent(100.0 / kinds.len() as f64);
        let shares: Vec<(JourneyKind, Percent)> = kinds.iter().map(|&kind| (kind, share)).collect();
        let mut scenario = ScenarioConfig::constant("rehearsal", RatePerSec(rate), length, &shares);
        scenario.poll = Duration::from_millis(50);
        scenario.timeouts.admission = Duration::from_secs(5);
        scenario.tops_up = true;
        scenario
    }

    pub(crate) fn stack(&self) -> &dyn Stack {
        self.place.stack()
    }

    /// Where the service listens.
    pub(crate) fn base_url(&self) -> String {
        let second = self.second.as_ref().map(RunningService::base_url);
        second.unwrap_or_else(|| self.service.base_url().to_owned())
    }

    /// Sends the load, and waits for the last answer. `handle` watches it and may end it. Returns what went wrong, and how
    /// often.
    pub(crate) async fn load(&self, scenario: ScenarioConfig, nonce: u64, handle: LoadHandle) -> Vec<String> {
        let selector = Arc::new(Selector::new(0));
        let variants = vec!["service".to_owned()];
        let recorder = Arc::new(Recorder::new(
            variants,
            Arc::clone(&selector),
            Keep::Everything,
            self.clock,
        ));
        let target = Target {
            address: self.base_url(),
            part: self.catalogue.whole(),
        };
        let plan = LoadPlan {
            scenario,
            seed: nonce,
            nonce,
            first_variant: 0,
        };
        let history = Some(self.recording.history());
        drive(plan, &[target], selector, Arc::clone(&recorder), history, handle)
            .await
            .unwrap();
        let causes = recorder
            .causes()
            .into_iter()
            .filter(|(cause, _)| !cause.outcome.is_served());
        causes
            .map(|(cause, count)| format!("{} {}: {} ({count} times)", cause.endpoint, cause.outcome, cause.text))
            .collect()
    }

    /// Sends the consumer a message that it cannot read, as somebody else's producer would.
    pub(crate) async fn plant(&self, text: &str) {
        let brokers = self.stack().direct_endpoints(&self.namespace).kafka_brokers.unwrap();
        let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
        let topic = format!("{}.payments", self.namespace);
        let record = FutureRecord::to(&topic).key("anything").payload(text);
        producer.send(record, STOP_WITHIN).await.unwrap();
        self.event(What::Planted {
            variant: 0,
            key: text.to_owned(),
        });
    }

    /// Starts a second instance of the service and stops the first one in the orderly way: a rolling restart.
    pub(crate) async fn roll(&mut self) {
        let (folder, watchdog) = (self.folder.path(), Some(&self.watchdog));
        let next = RunningService::launch(&self.program, &self.config, folder, "second", watchdog);
        self.second = Some(next.await.unwrap());
        self.service.stop(STOP_WITHIN).await.unwrap();
    }

    /// Writes an event that the ledger needs to know of.
    pub(crate) fn event(&self, what: What) {
        self.recording.event(self.clock.now(), what).unwrap();
    }

    /// Waits for the events, lists the dead letters, reads the final state, closes the recording and judges it.
    pub(crate) async fn judge(self) -> LedgerReport {
        let (recording, _folder) = self.close().await;
        ledger::verify(&recording).unwrap()
    }

    /// The same without the judgement. The recording is gone with its folder.
    pub(crate) async fn close(self) -> (Recording, tempfile::TempDir) {
        self.drain().await;
        let listed = self.dead_letters().await;
        self.event(What::DeadLetters { variant: 0, listed });
        let out = self.folder.path().join("audit.ndjson");
        self.program
            .audit(&self.folder.path().join("commands.yaml"), &out)
            .await
            .unwrap();
        self.recording
            .audit(0, &mut std::fs::File::open(&out).unwrap())
            .unwrap();
        self.event(What::FinalAudit {
            variant: 0,
            error: None,
        });
        self.recording.close().unwrap();
        if let Some(second) = self.second {
            second.stop(STOP_WITHIN).await.unwrap();
        }
        self.service.stop(STOP_WITHIN).await.unwrap();
        self.place.leave(&self.namespace).await;
        (Recording::open(&self.folder.path().join("run")).unwrap(), self.folder)
    }

    /// Until every payment has its ticket, or the time for it is over; and until every hold has expired and was swept.
    async fn drain(&self) {
        let began = self.clock.now();
        let swept = HOLD_TTL + GRACE + Duration::from_millis(200);
        let pending = loop {
            let pending = self.without_ticket().await;
            let waited = self.clock.now().since(began);
            if (pending == 0 && waited >= swept) || waited > self.drain_within {
                break pending;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        self.event(What::Drained {
            variant: 0,
            pending: Some(pending),
            waited: Nanos::from_duration(self.clock.now().since(began)),
        });
    }

    async fn without_ticket(&self) -> u64 {
        let out = self.folder.path().join("pending.ndjson");
        self.program
            .audit(&self.folder.path().join("commands.yaml"), &out)
            .await
            .unwrap();
        let text = std::fs::read_to_string(out).unwrap();
        let count = |part: &str| text.lines().filter(|line| line.contains(part)).count() as u64;
        count("\"kind\":\"outbox\"").saturating_sub(count("\"kind\":\"ticket\""))
    }

    async fn dead_letters(&self) -> Vec<DeadLetter> {
        let output = tokio::process::Command::new(&self.program.path)
            .args(["service", "dlt", "list", "--config"])
            .arg(self.folder.path().join("commands.yaml"))
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let letters = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        letters
            .filter(|line| line.get("payload").is_some())
            .map(|line| DeadLetter {
                key: line["event_id"]
                    .as_str()
                    .or(line["payload"].as_str())
                    .unwrap()
                    .to_owned(),
                cause: line["cause"].as_str().map(str::to_owned),
                attempts: line["attempts"]
                    .as_u64()
                    .and_then(|attempts| u32::try_from(attempts).ok()),
                source: (!line["source"].is_null()).then(|| line["source"].to_string()),
            })
            .collect()
    }
}

/// The broken invariants, with their reasons.
pub(crate) fn broken(report: &LedgerReport) -> Vec<(Invariant, String)> {
    let reason = |verdict: &Verdict| match verdict {
        Verdict::Invalid { reason, witness } => format!("{reason}: {witness:#?}"),
        other => format!("{other:?}"),
    };
    report
        .broken()
        .map(|(_, finding)| (finding.invariant, reason(&finding.verdict)))
        .collect()
}

/// These invariants were put to the test and held, and no other was broken.
pub(crate) fn assert_held(report: &LedgerReport, invariants: &[Invariant]) {
    assert_eq!(broken(report), [], "{report:#?}");
    for variant in &report.variants {
        for invariant in invariants {
            let mut findings = variant.findings.iter();
            let finding = findings.find(|finding| finding.invariant == *invariant).unwrap();
            assert_eq!(finding.verdict, Verdict::Valid, "{finding:?}");
        }
        assert_eq!(variant.doubts, [] as [String; 0]);
    }
}
