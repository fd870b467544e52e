//! Prometheus's own tool reads the rules and runs their tests.

use std::path::Path;
use std::time::Duration;

use serde_yaml::Value;
use testcontainers::core::wait::ExitWaitStrategy;
use testcontainers::core::{Mount, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{GenericImage, ImageExt as _};

use crate::support::prometheus_server;

/// All tests take some tens of seconds.
const ENDS_WITHIN: Duration = Duration::from_secs(300);

/// What promtool said, and whether it was content; `None` where there can be no containers, which has been said then.
async fn promtool(folder: &Path, arguments: &[&str]) -> Option<(bool, String)> {
    let image = prometheus_server::image().await?;
    let container = GenericImage::new(image.name, image.tag)
        .with_entrypoint("promtool")
        .with_wait_for(WaitFor::Exit(ExitWaitStrategy::new()))
        .with_startup_timeout(ENDS_WITHIN)
        .with_mount(Mount::bind_mount(
            folder.canonicalize().unwrap().display().to_string(),
            "/checked",
        ))
        .with_cmd(arguments.iter().copied())
        .start()
        .await
        .unwrap();
    let stdout = container.stdout_to_vec().await.unwrap();
    let stderr = container.stderr_to_vec().await.unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
    let code = container.exit_code().await.unwrap();
    Some((code == Some(0), said))
}

fn dashboards() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

#[tokio::test]
async fn every_alert_fires_when_it_should_and_is_silent_otherwise() {
    let folder = dashboards().join("prometheus");
    let Some((is_content, said)) = promtool(&folder, &["check", "rules", "/checked/rules/booking.yml"]).await else {
        return;
    };
    assert!(is_content, "{said}");
    let tested = promtool(&folder, &["test", "rules", "/checked/tests/booking.yml"]).await;
    let (is_content, said) = tested.unwrap();
    assert!(is_content, "{said}");
}

/// A test that could not fail would prove nothing.
#[tokio::test]
async fn a_rule_that_is_wrong_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let read = |path: &str| -> Value {
        serde_yaml::from_str(&std::fs::read_to_string(dashboards().join("prometheus").join(path)).unwrap()).unwrap()
    };
    let write = |path: &str, content: &Value| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, serde_yaml::to_string(content).unwrap()).unwrap();
    };
    // One test is enough.
    let mut tests = read("tests/booking.yml");
    let all = tests["tests"].as_sequence_mut().unwrap();
    all.retain(|test| test["name"] == "Oversold fires");
    assert_eq!(all.len(), 1);
    write("tests/booking.yml", &tests);
    let mut rules = read("rules/booking.yml");
    write("rules/booking.yml", &rules);
    let arguments = ["test", "rules", "/checked/tests/booking.yml"];
    let Some((is_content, said)) = promtool(folder.path(), &arguments).await else {
        return;
    };
    assert!(is_content, "{said}");
    let groups = rules["groups"].as_sequence_mut().unwrap().iter_mut();
    let mut all = groups.flat_map(|group| group["rules"].as_sequence_mut().unwrap());
    let oversold = all.find(|rule| rule["alert"] == "Oversold").unwrap();
    oversold["expr"] = "sum(booking_seats_oversold_total) > 2".into();
    write("rules/booking.yml", &rules);
    let (is_content, said) = promtool(folder.path(), &arguments).await.unwrap();
    assert!(!is_content && said.contains("Oversold"), "{said}");
}
