//! A Prometheus that is asked.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use reqwest::{Client, Url};
use serde_json::Value;

use crate::monitoring::Query;
use crate::monitoring::answers::Stretch;
use crate::stack::component::without_password;

const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// Where it is, and the way there.
pub(super) struct Prometheus {
    client: Client,
    instant: Url,
    range: Url,
}

impl Prometheus {
    /// That at `address`, which stands behind `option`.
    pub(super) fn new(option: &str, address: &str) -> anyhow::Result<Self> {
        // The address may hold a password, so that it is not shown where it cannot be read.
        let wrong = |why: &str| anyhow!("the URL after {option} is wrong: {why}; write it as in http://127.0.0.1:9090");
        let mut url = Url::parse(address).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("it does not begin with http:// or https://"));
        }
        // What it ends with is a folder, as in http://example.org/prometheus.
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let below = |path: &str| url.join(path).map_err(|error| wrong(&error.to_string()));
        Ok(Self {
            client: Client::builder().timeout(ANSWERS_WITHIN).no_proxy().build()?,
            instant: below("api/v1/query")?,
            range: below("api/v1/query_range")?,
        })
    }

    /// The `data` of its answer as of now.
    pub(super) async fn now(&self, query: &Query) -> anyhow::Result<Value> {
        self.ask(query, self.instant.clone()).await
    }

    /// The `data` of its answer over `stretch`.
    pub(super) async fn over(&self, query: &Query, stretch: &Stretch) -> anyhow::Result<Value> {
        let mut url = self.range.clone();
        url.query_pairs_mut()
            .append_pair("start", &stretch.from_s().to_string())
            .append_pair("end", &stretch.to_s().to_string())
            .append_pair("step", &stretch.step_s().to_string());
        self.ask(query, url).await
    }

    async fn ask(&self, query: &Query, mut url: Url) -> anyhow::Result<Value> {
        let shown = {
            let mut url = url.clone();
            url.set_query(None);
            without_password(url.as_str())
        };
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
        let mut body: Value = serde_json::from_slice(&body)
            .with_context(|| format!("{shown} answered {status} with what is no JSON; is it a Prometheus?"))?;
        if !matches!(body["status"].as_str(), Some("success" | "error")) {
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
        Ok(body["data"].take())
    }
}
