//! The shipped journeys against the real service on SQLite, started as the tool starts it.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use soundcheck::config::{JourneyKind, ScenarioConfig, shipped};
use soundcheck::load::{Catalogue, Keep, LoadHandle, LoadPlan, Recorder, Selector, Target, drive};
use soundcheck::recording::{Endpoint, Outcome, RunClock};
use soundcheck::units::{Percent, RatePerSec};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::run::{Run, TURN};

struct Service {
    address: String,
    catalogue: Catalogue,
    _process: Child,
    _folder: tempfile::TempDir,
}

fn soundcheck(arguments: &[&str], config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soundcheck"));
    command
        .arg("service")
        .args(arguments)
        .arg("--config")
        .arg(config)
        .kill_on_drop(true);
    command
}

impl Service {
    async fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("service.yaml");
        let catalogue = folder.path().join("catalogue.json");
        let database = folder.path().join("test.db");
        let text = format!(
            "namespace: load\nlisten: 127.0.0.1:0\ndatabase: {{url: 'sqlite://{}'}}\n\
             token: {{secret: 0123456789abcdef0123456789abcdef}}\nlogging: {{level: warn, to: stderr}}\n{settings}",
            database.display()
        );
        std::fs::write(&config, text).unwrap();
        assert!(soundcheck(&["migrate"], &config).status().await.unwrap().success());
        let seed = ["seed", "--seed", "7", "--users", "2000", "--concerts", "3"];
        let size = ["--schedules-per-concert", "4", "--seats-per-schedule", "200"];
        let mut command = soundcheck(&[&seed[..], &size[..]].concat(), &config);
        assert!(
            command
                .arg("--catalogue")
                .arg(&catalogue)
                .status()
                .await
                .unwrap()
                .success()
        );
        let mut process = soundcheck(&["serve", "--stdin-guard"], &config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        Self {
            address: format!("http://{}", ready["address"].as_str().unwrap()),
            catalogue: Catalogue::load(&catalogue).unwrap(),
            _process: process,
            _folder: folder,
        }
    }

    async fn run(&self, scenario: ScenarioConfig, nonce: u64) -> Run {
        let _turn = TURN.read().await;
        let clock = RunClock::start();
        let selector = Arc::new(Selector::new(0));
        let variants = vec!["service".to_owned()];
        let recorder = Arc::new(Recorder::new(variants, Arc::clone(&selector), Keep::Everything, clock));
        let targets = [Target {
            address: self.address.clone(),
            part: self.catalogue.whole(),
        }];
        let plan = LoadPlan {
            scenario,
            seed: 7,
            nonce,
            first_variant: 0,
        };
        let outcome = drive(plan, &targets, selector, Arc::clone(&recorder), None, LoadHandle::new())
            .await
            .unwrap();
        Run {
            outcome,
            cuts: recorder.cut(),
            recorder,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_smoke_scenario_books_seats_and_nothing_fails() {
    let service = Service::start("").await;
    let mut scenario = shipped::scenario("smoke").unwrap();
    scenario.stages.retain(|stage| !stage.is_warm_up);
    scenario.stages[0].length = Duration::from_secs(4);
    let run = service.run(scenario, 1).await;
    let causes = run.recorder.causes();
    assert_eq!(
        (run.outcome.total.scheduled, run.outcome.total.ok),
        (160, 160),
        "{causes:?}"
    );
    assert!(run.count(Endpoint::JourneyBook, Outcome::Won) > 20, "{causes:?}");
    assert!(run.count(Endpoint::JourneyBrowse, Outcome::Ok) > 20);
    assert!(run.count(Endpoint::JourneyAbandon, Outcome::Ok) > 2);
    assert!(run.count(Endpoint::JourneyPosition, Outcome::Ok) > 2);
    assert!(
        causes.keys().all(|cause| cause.outcome == Outcome::Refused),
        "{causes:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_let_through_in_turn() {
    let service = Service::start("queue: {capacity: 2}\n").await;
    let shares = [(JourneyKind::Browse, Percent(100.0))];
    let mut scenario = ScenarioConfig::constant("narrow", RatePerSec(40.0), Duration::from_secs(2), &shares);
    scenario.poll = Duration::from_millis(50);
    scenario.think.from = Duration::from_millis(30);
    scenario.think.to = Duration::from_millis(30);
    let run = service.run(scenario, 2).await;
    assert_eq!(
        run.outcome.total.ok,
        run.outcome.total.scheduled,
        "{:?}",
        run.recorder.causes()
    );
    assert_eq!(run.count(Endpoint::JourneyBrowse, Outcome::Ok), run.outcome.total.ok);
    assert!(
        run.count(Endpoint::QueuePosition, Outcome::Ok) > 0,
        "two at once cannot serve all without a queue"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admitted_users_drive_seat_maps_and_holds_directly() {
    let service = Service::start("queue: {capacity: 500}\n").await;
    let shares = [
        (JourneyKind::SeatMap, Percent(80.0)),
        (JourneyKind::HoldCycle, Percent(20.0)),
    ];
    let mut scenario = ScenarioConfig::constant("direct", RatePerSec(100.0), Duration::from_secs(2), &shares);
    scenario.skew.seats = 0.0;
    for nonce in 3..5 {
        let run = service.run(scenario.clone(), nonce).await;
        let (total, causes) = (run.outcome.total, run.recorder.causes());
        assert_eq!(total.ok, total.started, "{causes:?}");
        assert!(run.count(Endpoint::JourneyHoldCycle, Outcome::Won) > 10, "{causes:?}");
        assert_eq!(
            run.count(Endpoint::Cancel, Outcome::Ok),
            run.count(Endpoint::Hold, Outcome::Won)
        );
        assert_eq!(
            run.count(Endpoint::QueueEnter, Outcome::Ok),
            0,
            "admission is no part of the run"
        );
    }
}
