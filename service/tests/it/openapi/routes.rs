//! What is described is what is routed: every path, every method, and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::app::TestApp;

/// A path and a method.
type Route = (String, String);

/// As promised to clients.
const PROMISED: &[(&str, &str)] = &[
    ("/health/live", "get"),
    ("/health/ready", "get"),
    ("/metrics", "get"),
    ("/openapi.json", "get"),
    ("/v1/concerts/{id}/schedules", "get"),
    ("/v1/payments", "post"),
    ("/v1/queue/token", "delete"),
    ("/v1/queue/token", "get"),
    ("/v1/queue/tokens", "post"),
    ("/v1/reservations", "post"),
    ("/v1/reservations/{id}", "delete"),
    ("/v1/reservations/{id}", "get"),
    ("/v1/schedules/{id}/seats", "get"),
    ("/v1/users/{id}/balance", "get"),
    ("/v1/users/{id}/balance/charges", "post"),
];

/// Exists in builds for tests alone, and is described nowhere.
const FOR_TESTS: (&str, &str) = ("/test/clock", "post");

const METHODS: &[&str] = &["get", "put", "post", "delete", "options", "patch", "trace"];

fn described(document: &Value) -> BTreeSet<Route> {
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| METHODS.contains(&key.as_str()))
        {
            routes.insert((path.clone(), method.clone()));
        }
    }
    routes
}

/// Every `.route("PATH", get(…).delete(…))` in the router's source.
fn routed(source: &str) -> BTreeSet<Route> {
    let mut routes = BTreeSet::new();
    for call in source.split(".route(").skip(1) {
        let mut depth = 1_u32;
        let end = call
            .find(|c| {
                match c {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => {}
                }
                depth == 0
            })
            .unwrap();
        let (path, methods) = call[..end].split_once(',').unwrap();
        let path = path.trim().trim_matches('"');
        let words = methods.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '('));
        for method in words.filter_map(|word| word.split_once('(')).map(|(method, _)| method) {
            assert!(
                METHODS.contains(&method),
                "{path} has a method `{method}`, which is not looked for"
            );
            routes.insert((path.to_owned(), method.to_owned()));
        }
    }
    routes
}

fn promised() -> BTreeSet<Route> {
    let owned = |(path, method): &(&str, &str)| ((*path).to_owned(), (*method).to_owned());
    PROMISED.iter().map(owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn described_routed_and_promised_are_the_same() {
    let app = TestApp::small(&[]).await;
    let client = &app.client;
    let document = client.send(client.http().get(client.url("/openapi.json"))).await;
    assert_eq!(described(&document.expect(200, "").body), promised());
    let mut routed = routed(include_str!("../../../src/http/router.rs"));
    assert!(routed.remove(&(FOR_TESTS.0.to_owned(), FOR_TESTS.1.to_owned())));
    assert_eq!(routed, promised());
}

/// The running service agrees: a method that is not described is refused as such, whatever else is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn each_path_has_the_methods_that_are_described_and_no_other() {
    let app = TestApp::small(&[]).await;
    let client = &app.client;
    let promised = promised();
    let paths: BTreeSet<&str> = promised.iter().map(|(path, _)| path.as_str()).collect();
    for path in paths {
        for method in METHODS {
            let url = client.url(&path.replace("{id}", "0190163d-8694-739b-aea5-966c26f8ad91"));
            let verb = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = client.send(client.http().request(verb, url)).await;
            let is_refused = answer.status == 405 && answer.code() == "method-not-allowed";
            let is_promised = promised.contains(&(path.to_owned(), (*method).to_owned()));
            assert_eq!(is_refused, !is_promised, "{method} {path}: {answer:?}");
        }
    }
}

#[test]
fn routes_are_found_in_the_source() {
    let found = routed(
        r#"Router::new().route("/a", get(a::b).delete(a::c)).route_layer(from_fn(guard))
            .route(
                "/b/{id}",
                post(d),
            )"#,
    );
    let route = |path: &str, method: &str| (path.to_owned(), method.to_owned());
    assert_eq!(
        found,
        BTreeSet::from([route("/a", "get"), route("/a", "delete"), route("/b/{id}", "post")])
    );
}
