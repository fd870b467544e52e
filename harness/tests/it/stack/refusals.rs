//! What is not available says what was tried and what to do, and the tool ends with 6.

use std::net::TcpListener;
use std::process::Command;

use soundcheck::stack::error::ProbeFailure;
use soundcheck::stack::{self, Component, StackChoice, StackError, ports};

use crate::options;

async fn refusal(component: Component, address: &str) -> StackError {
    let mut options = options(StackChoice::External, &[component]);
    options.external.mysql = Some(address.to_owned());
    options.external.redis = Some(address.to_owned());
    options.external.kafka = Some(address.to_owned());
    stack::open(&options).await.unwrap_err()
}

fn address(component: Component, port: u16) -> String {
    match component {
        Component::Database => format!("mysql://root:geheim@127.0.0.1:{port}"),
        Component::Redis => format!("redis://:geheim@127.0.0.1:{port}"),
        Component::Kafka => format!("127.0.0.1:{port}"),
    }
}

#[tokio::test]
async fn nothing_listens() {
    for component in Component::ALL {
        let reserved = ports::reserve().unwrap();
        let port = reserved.address().port();
        let error = refusal(component, &address(component, port)).await;
        assert!(
            matches!(
                &error,
                StackError::Probe {
                    what: ProbeFailure::Refused,
                    ..
                }
            ),
            "{error:?}"
        );
        let text = error.to_string();
        assert!(text.contains(&port.to_string()) && !text.contains("geheim"), "{text}");
    }
}

/// A server that greets everybody as no database does, and hangs up.
fn other_server() -> u16 {
    use std::io::Write;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _client_may_be_gone = connection.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
        }
    });
    port
}

#[tokio::test]
async fn something_else_answers() {
    for component in Component::ALL {
        let error = refusal(component, &address(component, other_server())).await;
        let StackError::Probe { what, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(*what, ProbeFailure::OtherProtocol, "{component}: {error:?}");
    }
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    for component in Component::ALL {
        let error = refusal(component, "http://example.org").await;
        assert!(matches!(error, StackError::BadUrl { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_missing_url_names_its_option() {
    let mut options = options(StackChoice::External, &Component::ALL);
    options.external = soundcheck::stack::options::ExternalUrls::default();
    let error = stack::open(&options).await.unwrap_err().to_string();
    assert!(
        error.contains("--mysql") && error.contains("SOUNDCHECK_MYSQL_URL"),
        "{error}"
    );
}

#[track_caller]
fn check_exit_6(arguments: &[&str], docker_host: &str, expected: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_soundcheck"))
        .args(arguments)
        .env("DOCKER_HOST", docker_host)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
    for words in expected {
        assert!(said.contains(words), "`{words}` is missing from: {said}");
    }
}

#[test]
fn no_daemon_ends_with_6_and_says_what_to_do() {
    let nowhere = "unix:///nowhere/docker.sock";
    check_exit_6(
        &["up", "--stack", "containers", "--no-service"],
        nowhere,
        &["/nowhere/docker.sock"],
    );
    let silent = "tcp://127.0.0.1:9";
    check_exit_6(
        &["images", "build"],
        silent,
        &["127.0.0.1:9", "DOCKER_HOST", "--stack embedded"],
    );
}

#[test]
fn no_server_ends_with_6() {
    let reserved = ports::reserve().unwrap();
    let url = format!("redis://{}", reserved.address());
    let arguments = [
        "up",
        "--stack",
        "external",
        "--no-service",
        "--only",
        "redis",
        "--redis",
        &url,
    ];
    check_exit_6(&arguments, "", &[&url, "nothing listens there"]);
}
