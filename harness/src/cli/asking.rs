//! Puts queries to a Prometheus, and tells which of them have no answer.

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use reqwest::{Client, Url};
use serde_json::Value;

use super::exit::{Exit, Failure, OrExit as _};
use super::stdout;
use crate::monitoring::Query;
use crate::stack::component::without_password;

const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What came of a question.
enum Answer {
    Something,
    Nothing,
}

/// Puts `queries` to the Prometheus at `address`; those without an answer and without a reason again for `within`.
///
/// # Errors
/// When it does not answer, or refuses a query.
pub(super) async fn all(address: &str, queries: &[Query], within: Duration) -> Result<Exit, Failure> {
    let server = Server::new(address).or_exit(Exit::Usage)?;
    let deadline = Instant::now() + within;
    let (mut n_answered, mut without_reason) = (0, queries.iter().collect::<Vec<_>>());
    let mut with_reason = Vec::new();
    loop {
        let mut left = Vec::new();
        for query in without_reason {
            match server.ask(query).await.or_exit(Exit::Usage)? {
                Answer::Something => n_answered += 1,
                Answer::Nothing if query.empty.is_some() => with_reason.push(query),
                Answer::Nothing => left.push(query),
            }
        }
        without_reason = left;
        if without_reason.is_empty() || Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
    for query in with_reason {
        let reason = query.empty.as_deref().unwrap_or_default();
        stdout::line(&format!("nothing, as it may be: {}: {reason}", query.place))?;
    }
    for query in &without_reason {
        stdout::line(&format!("NOTHING: {}: {}", query.place, query.expr))?;
    }
    stdout::line(&format!(
        "{n_answered} of {} queries have an answer, and {} should have one and do not",
        queries.len(),
        without_reason.len()
    ))?;
    Ok(match without_reason.is_empty() {
        true => Exit::Pass,
        false => Exit::Unknown,
    })
}

/// A Prometheus.
struct Server {
    client: Client,
    url: Url,
}

impl Server {
    fn new(address: &str) -> anyhow::Result<Self> {
        // The address may hold a password, so that it is not shown where it cannot be read.
        let wrong = |why: &str| anyhow!("the URL after --ask is wrong: {why}; write it as in http://127.0.0.1:9090");
        let mut url = Url::parse(address).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("it does not begin with http:// or https://"));
        }
        // What it ends with is a folder, as in http://example.org/prometheus.
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let url = url.join("api/v1/query").map_err(|error| wrong(&error.to_string()))?;
        let client = Client::builder().timeout(ANSWERS_WITHIN).no_proxy().build()?;
        Ok(Self { client, url })
    }

    async fn ask(&self, query: &Query) -> anyhow::Result<Answer> {
        let shown = without_password(self.url.as_str());
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("query", &query.expr);
        let away = || format!("no answer from {shown}; is a Prometheus listening there?");
        let sent = self.client.get(url).send().await.map_err(reqwest::Error::without_url);
        let answer = sent.with_context(away)?;
        let status = answer.status();
        let body = answer
            .bytes()
            .await
            .map_err(reqwest::Error::without_url)
            .with_context(away)?;
        let body: Value = serde_json::from_slice(&body)
            .with_context(|| format!("{shown} answered {status} with what is no JSON; is it a Prometheus?"))?;
        let is_answer = matches!(body["status"].as_str(), Some("success" | "error"));
        if !is_answer {
            return Err(anyhow!(
                "{shown} answered {status} with what Prometheus would not say; is it one?"
            ));
        }
        if body["status"] != "success" {
            let why = body["error"].as_str().unwrap_or("it does not say why");
            return Err(anyhow!(
                "the query of {} is refused by Prometheus: {why}: {}",
                query.place,
                query.expr
            ));
        }
        let is_empty = body["data"]["result"].as_array().is_none_or(Vec::is_empty);
        Ok(if is_empty { Answer::Nothing } else { Answer::Something })
    }
}
