//! The document itself, judged by the rules.

use serde_json::{Value, json};

use super::rules::violations;
use crate::app::TestApp;

async fn document() -> Value {
    let app = TestApp::small(&[]).await;
    let client = &app.client;
    let answer = client.send(client.http().get(client.url("/openapi.json"))).await;
    answer.expect(200, "").body
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_rules_of_openapi_3_1() {
    let violations = violations(&document().await);
    assert!(violations.is_empty(), "{violations:#?}");
}

/// What may happen to any request under `/v1`, beside its own refusals.
#[tokio::test(flavor = "multi_thread")]
async fn overload_and_deadline_are_described_where_they_may_happen() {
    let document = document().await;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for status in ["503", "504"] {
                let is_described = operation["responses"][status].is_object();
                // Readiness has a 503 of its own.
                let is_expected = path.starts_with("/v1/") || (path == "/health/ready" && status == "503");
                assert_eq!(is_described, is_expected, "{method} {path} {status}");
            }
        }
    }
}

/// The rules find what they are there for.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_breaks_a_rule_is_found() {
    let good = document().await;
    let operation = "/paths/~1v1~1reservations~1{id}/get";
    let at = |rest: &str| format!("{operation}{rest}");
    let cases = [
        ("/openapi".to_owned(), json!("3.0.3"), "3.1"),
        ("/info/title".to_owned(), Value::Null, "title"),
        (at("/responses"), json!({}), "no response"),
        (at("/responses/200/description"), Value::Null, "description"),
        (at("/responses/20x"), json!({ "description": "x" }), "20x"),
        (at("/operationId"), json!("hold"), "operationId"),
        (at("/parameters/0/required"), json!(false), "required"),
        (at("/parameters/0/name"), json!("other"), "{id}"),
        (at("/parameters/0/in"), json!("body"), "in"),
        (at("/parameters/0/schema"), Value::Null, "schema"),
        (at("/consumes"), json!(["application/json"]), "consumes"),
        (
            at("/responses/200/content/application~1json/schema/$ref"),
            json!("#/components/schemas/Nothing"),
            "Nothing",
        ),
        (
            "/components/schemas/ProblemBody/nullable".to_owned(),
            json!(true),
            "nullable",
        ),
        (
            "/components/schemas/ProblemBody/type".to_owned(),
            json!("record"),
            "record",
        ),
        (
            "/components/schemas/ProblemBody/properties/code/exclusiveMinimum".to_owned(),
            json!(true),
            "exclusiveMinimum",
        ),
        (
            "/components/schemas/ProblemBody/required".to_owned(),
            json!(["code", "code"]),
            "required",
        ),
        ("/definitions".to_owned(), json!({}), "definitions"),
        ("/paths/v1".to_owned(), json!({}), "v1"),
    ];
    for (pointer, value, word) in cases {
        let mut bad = good.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/");
        let place = bad.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
        match place {
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
            Value::Object(fields) if value.is_null() => {
                assert!(fields.remove(&key).is_some(), "no {pointer} to remove");
            }
            Value::Object(fields) => {
                fields.insert(key, value);
            }
            other => panic!("{other} at {parent}"),
        }
        let found = violations(&bad);
        assert!(found.iter().any(|text| text.contains(word)), "{pointer}: {found:?}");
    }
}
