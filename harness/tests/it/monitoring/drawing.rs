//! Dashboards drawn from what a real Prometheus answers, and what is said where there is none.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::prometheus_server::PrometheusServer;

/// The project's own sources, with these panels in place of its dashboards.
fn folder(panels: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards");
    std::fs::copy(sources.join("objectives.yaml"), folder.path().join("objectives.yaml")).unwrap();
    std::fs::create_dir(folder.path().join("runbooks")).unwrap();
    for entry in std::fs::read_dir(sources.join("runbooks")).unwrap() {
        let path = entry.unwrap().path();
        // Without the stars, between which they name dashboards that are not there.
        let text = std::fs::read_to_string(&path).unwrap().replace('*', "");
        std::fs::write(folder.path().join("runbooks").join(path.file_name().unwrap()), text).unwrap();
    }
    let text =
        format!("- uid: tried\n  title: Tried\n  answers: Is it drawn?\n  runbook: redis\n  panels:\n{panels}\n");
    std::fs::write(folder.path().join("dashboards.yaml"), text).unwrap();
    folder
}

fn draw(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_soundcheck"))
        .arg("dashboards")
        .arg(folder)
        .arg("--draw")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, said: &str) {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    assert!(
        stdout.contains(said) || stderr.contains(said),
        "{said} is not in {stdout}{stderr}"
    );
}

const ONE: &str =
    "    - {title: One, says: It is 1., unit: short, no-threshold: n, queries: [{expr: vector(1), legend: one}]}";

#[tokio::test]
async fn what_a_prometheus_answers_is_drawn_and_what_it_does_not_is_said() {
    let Some(prometheus) = PrometheusServer::start().await else {
        return;
    };
    let url = &prometheus.url;
    let picture = |folder: &TempDir| std::fs::read_to_string(folder.path().join("pictures/tried.svg")).unwrap();

    let many = (0..10).map(|n| format!("label_replace(vector({n}), \"n\", \"n{n}\", \"\", \"\")"));
    let many = many.collect::<Vec<_>>().join(" or ");
    let whole = folder(&format!(
        "{ONE}
    - {{title: Many, says: Ten., unit: s, no-threshold: n, queries: [{{expr: '{many}', legend: 'of {{{{n}}}}'}}]}}
    - {{title: Nothing, says: So far., unit: s, no-threshold: n, queries: [{{expr: nothing_at_all, legend: x, empty: it has not happened}}]}}
    - {{title: Infinite, says: No number., unit: s, no-threshold: n, queries: [{{expr: vector(1) / 0, legend: x}}]}}"
    ));
    let output = draw(whole.path(), &[url, "--last", "5m"]);
    check(&output, 0, "3 of 4 queries have an answer, and 0 should have one");
    check(&output, 0, "“Nothing”, x: it has not happened");
    let svg = picture(&whole);
    for said in [
        ">one<",
        ">of n9<",
        "the 8 highest of 10 series are shown",
        "no data: it has not happened",
        "no data: no series had a number",
        "5 min from ",
    ] {
        assert!(svg.contains(said), "{said} is not in {svg}");
    }
    assert!(!svg.contains(">of n1<"), "the lowest are left out: {svg}");

    // No answer and no reason for that: drawn, and said.
    let lacking = folder(
        "    - {title: Nothing, says: So., unit: s, no-threshold: n, queries: [{expr: nothing_at_all, legend: x}]}",
    );
    check(
        &draw(lacking.path(), &[url]),
        4,
        "NOTHING: Tried, “Nothing”, x: nothing_at_all",
    );
    assert!(picture(&lacking).contains("no data: Prometheus returned nothing"));

    let wrong =
        folder("    - {title: Wrong, says: So., unit: s, no-threshold: n, queries: [{expr: rate(x), legend: x}]}");
    check(
        &draw(wrong.path(), &[url]),
        2,
        "Tried, “Wrong”, x is refused by Prometheus",
    );

    let in_the_way = folder(ONE);
    std::fs::write(in_the_way.path().join("pictures"), "").unwrap();
    check(&draw(in_the_way.path(), &[url]), 2, "tried.svg cannot be written");
}

#[test]
fn where_there_is_no_prometheus_the_address_is_named() {
    let folder = folder(ONE);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://user:secret@{}", listener.local_addr().unwrap());
    let stranger = std::thread::spawn(move || {
        let (mut caller, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = caller.read(&mut request).unwrap();
        caller
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            .unwrap();
    });
    let output = draw(folder.path(), &[&url]);
    // Before the stranger, who waits for a caller until one comes.
    check(
        &output,
        2,
        "api/v1/query_range answered 200 OK with what is no JSON; is it a Prometheus?",
    );
    stranger.join().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("secret"));
    // Its port is closed now.
    let output = draw(folder.path(), &[&url]);
    check(&output, 2, "api/v1/query_range; is a Prometheus listening there?");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("secret"));

    check(
        &draw(folder.path(), &["localhost:9090"]),
        2,
        "the URL after --draw is wrong",
    );
    check(
        &draw(folder.path(), &[&url, "--last", "0s"]),
        2,
        "a picture is of a second at least",
    );
    check(&draw(folder.path(), &[&url, "--check"]), 2, "--check");
    assert!(!folder.path().join("pictures").exists());
}
