//! `soundcheck doctor` tells what is there and what is not, and what to do about it.

use std::process::Command;

use serde_json::{Value, json};
use soundcheck::daemon::Daemon;
use soundcheck::stack::Component;

use crate::containers::{can_open_a_stack, image_of};

const NOWHERE: (&str, &str) = ("DOCKER_HOST", "unix:///nowhere/docker.sock");

fn output(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_soundcheck"))
        .arg("doctor")
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "something missing is no failure of the doctor: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn diagnosis(variables: &[(&str, &str)]) -> Value {
    serde_json::from_str(&output(&["--json"], variables)).unwrap()
}

#[track_caller]
fn finding<'a>(diagnosis: &'a Value, subject: &str) -> &'a Value {
    let findings = diagnosis["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["subject"] == subject);
    found.unwrap_or_else(|| panic!("nothing about the {subject} in {diagnosis:#}"))
}

/// What does not depend on a daemon is looked at in any case.
#[track_caller]
fn check_machine(diagnosis: &Value) {
    for subject in [
        "open files",
        "ports on 127.0.0.1",
        "processors, memory",
        "disk for temporary",
    ] {
        let finding = finding(diagnosis, subject);
        assert!(
            finding["found"].as_str().is_some_and(|found| !found.is_empty()),
            "{finding}"
        );
        assert_eq!(finding["remedy"].is_string(), finding["state"] != "ok", "{finding}");
    }
}

#[test]
fn without_any_daemon_the_embedded_stack_is_left() {
    let diagnosis = diagnosis(&[NOWHERE]);
    assert_eq!(diagnosis["stacks"], json!(["embedded"]));
    let daemon = finding(&diagnosis, "container daemon");
    assert_eq!(daemon["state"], "missing");
    let words = daemon["found"].as_str().unwrap();
    assert!(words.contains("/nowhere/docker.sock"), "{words}");
    let remedy = daemon["remedy"].as_str().unwrap();
    assert!(
        remedy.contains("--stack embedded") || remedy.contains("DOCKER_HOST"),
        "{remedy}"
    );
    let findings = diagnosis["findings"].as_array().unwrap();
    let about_images = findings
        .iter()
        .filter(|finding| finding["subject"].as_str().unwrap().starts_with("image for"));
    assert_eq!(about_images.count(), 0, "nobody can tell which images there are");
    check_machine(&diagnosis);
}

#[test]
fn its_lines_hold_each_remedy() {
    let text = output(&[], &[NOWHERE]);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("missing  container daemon"), "{text}");
    assert!(lines[1].trim_start().starts_with("→ "), "{text}");
    let last = lines.last().unwrap();
    assert_eq!(*last, "stacks that can run: embedded (and external, with URLs)");
}

#[tokio::test]
async fn with_daemon_and_images_it_names_them() {
    if !can_open_a_stack().await {
        return;
    }
    let diagnosis = diagnosis(&[]);
    assert_eq!(diagnosis["stacks"], json!(["containers", "embedded"]));
    let daemon = finding(&diagnosis, "container daemon");
    assert_eq!(daemon["state"], "ok");
    let version = Daemon::connect().await.unwrap().version().to_owned();
    assert!(daemon["found"].as_str().unwrap().contains(&version), "{daemon}");
    for component in Component::ALL {
        let image = image_of(component).await.unwrap();
        let finding = finding(&diagnosis, &format!("image for {component}"));
        let expected = format!("{}:{}", image.name, image.tag);
        assert_eq!((&finding["state"], &finding["found"]), (&json!("ok"), &json!(expected)));
        assert_eq!(finding["remedy"], Value::Null);
    }
    // It is no dependency of any stack.
    let prometheus = finding(&diagnosis, "image for prometheus");
    assert_ne!(prometheus["state"], "missing");
    check_machine(&diagnosis);
}

#[tokio::test]
async fn with_a_daemon_and_without_an_image_it_says_how_to_get_it() {
    if !can_open_a_stack().await {
        return;
    }
    let image = "soundcheck/of-no-registry:0";
    let diagnosis = diagnosis(&[("SOUNDCHECK_REDIS_IMAGE", image)]);
    assert_eq!(diagnosis["stacks"], json!(["embedded"]));
    let redis = finding(&diagnosis, "image for redis");
    assert_eq!(redis["state"], "missing");
    assert_eq!(redis["found"], format!("{image} not local"));
    assert_eq!(redis["remedy"], format!("pull it: docker pull {image}"));
    assert_eq!(finding(&diagnosis, "image for mysql")["state"], "ok");
    assert_eq!(finding(&diagnosis, "image for kafka")["state"], "ok");
}
