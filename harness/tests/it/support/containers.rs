//! Whether containers can be used here, and from which image.
//!
//! Where there can be none, tests that need them pass without checking anything, and one line a binary names them.

use std::collections::HashMap;
use std::io::Write as _;
use std::process::Command;
use std::sync::Once;

use soundcheck::daemon::{Daemon, sweep};
use soundcheck::stack::{Component, images};
use testcontainers::bollard::query_parameters::ListContainersOptions;

/// What needs containers, by test binary: modules, or single tests.
const IN_CONTAINERS: &[(&str, &[&str])] = &[
    (
        "it_bad_input",
        &[
            "servers::an_image_that_is_not_to_be_had_is_named",
            "space::containers_are_removed_when_the_disk_of_their_recording_is_full",
        ],
    ),
    (
        "it_counters",
        &[
            "cache::d17_a_check_that_borrows_a_connection",
            "index::d13_a_cast_that_no_index_serves",
            "queue::d10_a_rank_by_reading_the_whole_line",
        ],
    ),
    ("it_drill", &["external", "own_containers", "readiness"]),
    (
        "it_ledger",
        &[
            "clean::ten_runs_without_a_defect_raise_no_alarm_on_containers",
            "defects::on_containers",
        ],
    ),
    (
        "it_losses",
        &[
            "broker::ten_seconds_without_the_broker_lose_nothing_on_containers",
            "kills::ten_kills_under_load_lose_nothing_on_containers",
        ],
    ),
    (
        "it_monitoring",
        &[
            "drawing::what_a_prometheus_answers_is_drawn_and_what_it_does_not_is_said",
            "rules",
        ],
    ),
    (
        "it_report",
        &["evidence::every_report_on_containers_holds_its_evidence"],
    ),
    (
        "it_cleanup",
        &[
            "a_panic_leaves_no_containers",
            "ctrl_c_in_the_middle_of_the_start_removes_everything_before_the_end",
            "ctrl_c_removes_everything_before_the_end",
            "measuring",
            "sigkill_in_the_middle_of_the_start_leaves_no_containers",
            "sigkill_leaves_no_containers",
            "the_sweep_takes_what_dead_owners_left_and_nothing_else",
        ],
    ),
    ("it_faults", &["servers"]),
    ("it_kafka", &["dead_letters", "outage", "sharing"]),
    ("it_redis", &["cache", "lock", "queue", "queue_defects", "queue_model"]),
    (
        "it_redis_outage",
        &[
            "a_paused_redis_is_unavailable_in_time_and_usable_after",
            "a_restarted_redis_is_refused_at_once_and_found_again",
            "behind_the_breaker_an_outage_costs_little_and_no_change_is_lost",
        ],
    ),
    ("it_scrape", &["mysql", "redis", "remote_write"]),
    ("it_service", &["booking", "data", "queue"]),
    (
        "it_stack",
        &[
            "doctor::with_a_daemon_and_without_an_image_it_says_how_to_get_it",
            "doctor::with_daemon_and_images_it_names_them",
            "ports_in_use",
            "pulls",
            "servers",
            "stand_ins",
        ],
    ),
    (
        "it_up",
        &["external", "on_containers_each_part_is_told_of_and_down_removes_it"],
    ),
];

/// This binary's part of the table; empty for a benchmark.
fn in_containers() -> &'static [&'static str] {
    let row = IN_CONTAINERS
        .iter()
        .find(|(binary, _)| *binary == env!("CARGO_CRATE_NAME"));
    row.map_or(&[], |(_, names)| names)
}

/// An image that is present on this machine.
#[derive(Clone, Debug)]
pub(crate) struct LocalImage {
    pub(crate) name: String,
    pub(crate) tag: String,
}

/// The image of `component` that is present: the one that SOUNDCHECK_…_IMAGE names, or else the official one, or else
/// its stand-in. `None` when nothing can be run; that has been said then.
pub(crate) async fn image_of(component: Component) -> Option<LocalImage> {
    let (official, stand_in) = images::defaults(component);
    let variable = format!("SOUNDCHECK_{}_IMAGE", component.name().to_uppercase());
    local_image(&variable, &[official, stand_in.image()]).await
}

/// The first present image: the one that the environment variable `variable` names, or else of `candidates`.
/// `None` when nothing can be run; that has been said then.
pub(crate) async fn local_image(variable: &str, candidates: &[&str]) -> Option<LocalImage> {
    let daemon = match Daemon::connect().await {
        Ok(daemon) => daemon,
        Err(error) => return skip(&error.to_string()),
    };
    let chosen = std::env::var(variable).ok();
    let candidates = chosen.as_deref().map_or_else(|| candidates.to_vec(), |one| vec![one]);
    for image in &candidates {
        if daemon.api().inspect_image(image).await.is_ok() {
            let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
            return Some(LocalImage {
                name: name.to_owned(),
                tag: tag.to_owned(),
            });
        }
    }
    skip(&format!(
        "no image {} is present; build it with `soundcheck images build`, or name one in {variable}",
        candidates.join(" or ")
    ))
}

/// Whether a whole stack of containers can be opened; if not, that has been said.
#[allow(dead_code, reason = "each binary uses what it needs")]
pub(crate) async fn can_open_a_stack() -> bool {
    for component in Component::ALL {
        if image_of(component).await.is_none() {
            return false;
        }
    }
    true
}

/// The names of the containers that carry our label and belong to a process.
#[allow(dead_code, reason = "each binary uses what it needs")]
pub(crate) async fn containers_of(pid: u32) -> Vec<String> {
    let options = ListContainersOptions {
        all: true,
        filters: Some(HashMap::from([(
            "label".to_owned(),
            vec![sweep::LABEL_OWNER.to_owned()],
        )])),
        ..ListContainersOptions::default()
    };
    let daemon = Daemon::connect().await.unwrap();
    let containers = daemon.api().list_containers(Some(options)).await.unwrap();
    let is_its = |labels: &HashMap<String, String>| labels[sweep::LABEL_OWNER].starts_with(&format!("{pid}:"));
    let its = containers
        .into_iter()
        .filter(|one| one.labels.as_ref().is_some_and(is_its));
    its.flat_map(|container| container.names.unwrap_or_default()).collect()
}

/// Says once that nothing is checked, and why; a failure where containers are required.
pub(crate) fn skip<T>(why: &str) -> Option<T> {
    static SAID: Once = Once::new();
    let is_required =
        std::env::var("SOUNDCHECK_REQUIRE").is_ok_and(|list| list.split(',').any(|it| it == "containers"));
    assert!(!is_required, "SOUNDCHECK_REQUIRE=containers, but {why}");
    // The test runner names each test's thread after it; those of a runtime have names of their own.
    let thread = std::thread::current();
    let test = thread
        .name()
        .filter(|name| *name != "main" && !name.starts_with("tokio"));
    if let Some(test) = test {
        let is_named = in_containers()
            .iter()
            .any(|group| test == *group || test.starts_with(&format!("{group}::")));
        assert!(is_named, "{test} needs containers, so IN_CONTAINERS must name it");
    }
    SAID.call_once(|| {
        let names = match in_containers() {
            [] => "everything".to_owned(),
            names => names.join(", "),
        };
        // Past the test runner's capture, which would hide it for tests that pass.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED in {}, for want of containers: {} ({why})",
            env!("CARGO_CRATE_NAME"),
            names
        );
    });
    None
}

/// Runs the tests of this binary that need containers, and no other, where no daemon answers.
fn without_a_daemon(required: Option<&str>) -> (bool, String, String) {
    assert!(
        !in_containers().is_empty(),
        "IN_CONTAINERS does not name {}",
        env!("CARGO_CRATE_NAME")
    );
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(in_containers())
        .args(["--skip", "without_a_daemon"])
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .env_remove("SOUNDCHECK_REQUIRE");
    if let Some(required) = required {
        command.env("SOUNDCHECK_REQUIRE", required);
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// `12 passed; 0 failed` of the runner's last line.
#[track_caller]
fn n_of(stdout: &str, outcome: &str) -> usize {
    let result = stdout.lines().find(|line| line.starts_with("test result: "));
    let found = result.and_then(|line| {
        line.split([';', '.'])
            .find_map(|part| part.trim().strip_suffix(outcome))
    });
    found
        .and_then(|n| n.trim().parse().ok())
        .unwrap_or_else(|| panic!("no number of {outcome} in {stdout}"))
}

#[test]
fn without_a_daemon_one_line_names_what_is_skipped() {
    let (has_passed, stdout, stderr) = without_a_daemon(None);
    assert!(has_passed, "{stdout}{stderr}");
    assert!(n_of(&stdout, "passed") >= in_containers().len(), "{stdout}");
    let said: Vec<_> = stderr.lines().filter(|line| line.contains("SKIPPED")).collect();
    assert_eq!(said.len(), 1, "{stderr}");
    for part in in_containers()
        .iter()
        .chain(&[env!("CARGO_CRATE_NAME"), "/nowhere/docker.sock"])
    {
        assert!(said[0].contains(part), "no {part} in {}", said[0]);
    }
}

#[test]
fn without_a_daemon_that_is_required_each_of_them_fails() {
    let n_tests = n_of(&without_a_daemon(None).1, "passed");
    let (has_passed, stdout, stderr) = without_a_daemon(Some("servers,containers"));
    assert!(!has_passed);
    assert_eq!(
        (n_of(&stdout, "passed"), n_of(&stdout, "failed")),
        (0, n_tests),
        "{stdout}"
    );
    let n_said = stdout
        .matches("SOUNDCHECK_REQUIRE=containers, but no container daemon")
        .count();
    assert!(n_said >= n_tests && !stderr.contains("SKIPPED"), "{stdout}{stderr}");
}
