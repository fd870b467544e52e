//! Whether containers can be used here, and from which image.
//!
//! A test binary that takes this in has a constant `IN_CONTAINERS` at its root: the modules, or single tests, that need
//! containers. Where there can be none they pass without checking anything, and one line names them.

use std::io::Write as _;
use std::process::Command;
use std::sync::Once;

use soundcheck::daemon::Daemon;
use soundcheck::stack::{Component, images};

use crate::IN_CONTAINERS;

/// An image that is present on this machine.
#[derive(Clone, Debug)]
pub(crate) struct LocalImage {
    pub(crate) name: String,
    pub(crate) tag: String,
}

/// The first present image: the one that SOUNDCHECK_…_IMAGE names, or else the official one, or else its stand-in.
/// `None` when nothing can be run; that has been said then.
pub(crate) async fn local_image(component: Component) -> Option<LocalImage> {
    let daemon = match Daemon::connect().await {
        Ok(daemon) => daemon,
        Err(error) => return skip(&error.to_string()),
    };
    let variable = format!("SOUNDCHECK_{}_IMAGE", component.name().to_uppercase());
    let chosen = std::env::var(&variable).ok();
    let (official, stand_in) = images::defaults(component);
    let candidates = chosen
        .as_deref()
        .map_or_else(|| vec![official, stand_in.image()], |one| vec![one]);
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
        if local_image(component).await.is_none() {
            return false;
        }
    }
    true
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
        let is_named = IN_CONTAINERS
            .iter()
            .any(|group| test == *group || test.starts_with(&format!("{group}::")));
        assert!(
            is_named,
            "{test} needs containers, so IN_CONTAINERS of its binary must name it"
        );
    }
    SAID.call_once(|| {
        // Past the test runner's capture, which would hide it for tests that pass.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED in {}, for want of containers: {} ({why})",
            env!("CARGO_CRATE_NAME"),
            IN_CONTAINERS.join(", ")
        );
    });
    None
}

/// Runs the tests of this binary that need containers, and no other, where no daemon answers.
fn without_a_daemon(required: Option<&str>) -> (bool, String, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(IN_CONTAINERS)
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
    assert!(n_of(&stdout, "passed") >= IN_CONTAINERS.len(), "{stdout}");
    let said: Vec<_> = stderr.lines().filter(|line| line.contains("SKIPPED")).collect();
    assert_eq!(said.len(), 1, "{stderr}");
    for part in IN_CONTAINERS
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
