//! The steps that a run shows are the steps that were promised: their estimates add up to the plan's.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use soundcheck::fault::{Edges, drill};
use soundcheck::plan::spec::Engine;
use soundcheck::plan::{Profile, incident, spec};
use soundcheck::run::{self, Bench, Moment, Observer};
use soundcheck::stack::{self, StackChoice, StackOptions};
use soundcheck::target::Program;
use soundcheck::watchdog::Watchdog;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::MEASURING;
use crate::contents::{self, check_cache};
use crate::evidence::{check_again, soundcheck};

const RECORDING: &str = "recording";

type Steps = Vec<(String, Duration)>;

/// Runs something on an embedded stack, and returns the steps that it showed and the folder with its recording.
async fn shown(run: impl AsyncFnOnce(&Bench<'_>, &Path)) -> (Steps, TempDir) {
    let _alone = MEASURING.lock().await;
    let program = PathBuf::from(env!("CARGO_BIN_EXE_soundcheck"));
    let options = StackOptions {
        program: program.clone(),
        ..StackOptions::from_env(StackChoice::Embedded).unwrap()
    };
    let stack = stack::open(&options).await.unwrap();
    let (watchdog, folder) = (Watchdog::start(&program).unwrap(), tempfile::tempdir().unwrap());
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let steps: Arc<Mutex<Steps>> = Arc::default();
    let told = Arc::clone(&steps);
    let observer = Observer::new(move |moment| {
        if let Moment::Step { label, estimate } = moment {
            told.lock().unwrap().push((label, estimate));
        }
    });
    let program = Program::tool(&program);
    let bench = Bench {
        stack: stack.as_ref(),
        stack_reason: None,
        program: &program,
        watchdog: &watchdog,
        scratch: &scratch,
        observer,
        stop: CancellationToken::new(),
        command: Vec::new(),
        typed: Vec::new(),
        profile: None,
        traces: None,
    };
    run(&bench, &folder.path().join(RECORDING)).await;
    drop(bench);
    stack.close().await.unwrap();
    let steps = steps.lock().unwrap().clone();
    (steps, folder)
}

#[track_caller]
fn check(steps: &Steps, estimate: Duration) {
    let sum: Duration = steps.iter().map(|(_, estimate)| *estimate).sum();
    assert_eq!(sum, estimate, "{steps:#?}");
    for (label, estimate) in steps {
        assert!(!estimate.is_zero(), "`{label}` takes no time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_shows_the_steps_that_it_was_estimated_by() {
    let plan = spec::cache(Engine::Sqlite, Profile::Smoke, 1);
    let (steps, folder) = shown(async |bench, dir| {
        run::experiment(bench, &plan, dir).await.unwrap();
    })
    .await;
    check(&steps, plan.estimate());

    let recording = folder.path().join(RECORDING);
    let rendered = soundcheck(&["render", recording.to_str().unwrap()]);
    assert_eq!(rendered.status.code(), Some(0), "{rendered:?}");
    check_cache(&recording, contents::Engine::Sqlite);
    check_again(&recording, "cache");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_shows_the_steps_that_it_was_estimated_by() {
    let mut edges = Edges::default();
    let mut expected = Duration::ZERO;
    let (steps, _folder) = shown(async |bench, dir| {
        let mut plan = incident::plan(drill::usual(bench.stack), Profile::Smoke, 1);
        (plan.before_ms, plan.fault_ms, plan.after_ms) = (1_000, 1_000, 2_000);
        expected = plan.estimate();
        run::incident(bench, &plan, &mut edges, dir).await.unwrap();
    })
    .await;
    check(&steps, expected);
}
