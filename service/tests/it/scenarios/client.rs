//! A client of the service: a method an endpoint, answers as status and JSON.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// A status with its body; null where there is none.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// The problem's code; empty for a success.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// A text field that must be there.
    #[track_caller]
    pub fn text(&self, field: &str) -> String {
        let value = self.body[field].as_str();
        value
            .unwrap_or_else(|| panic!("no text `{field}` in {self:?}"))
            .to_owned()
    }

    /// A number field that must be there.
    #[track_caller]
    pub fn number(&self, field: &str) -> i64 {
        self.body[field]
            .as_i64()
            .unwrap_or_else(|| panic!("no number `{field}` in {self:?}"))
    }

    #[track_caller]
    pub fn expect(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code()), (status, code), "{self:?}");
        self
    }
}

static KEYS: AtomicU64 = AtomicU64::new(0);

/// An idempotency key that nobody else has.
pub fn fresh_key() -> String {
    let n = KEYS.fetch_add(1, Ordering::Relaxed);
    format!("{}-{n}", std::process::id())
}

#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    /// Of the service at `base`, such as `http://127.0.0.1:1234`.
    pub fn new(base: &str) -> Self {
        Self::sending(base, HeaderMap::new())
    }

    /// The same, whose requests say that they belong to the trace `parent`.
    pub fn traced(&self, parent: &str) -> Self {
        let trace = HeaderValue::from_str(parent).unwrap();
        Self::sending(
            &self.base,
            HeaderMap::from_iter([(HeaderName::from_static("traceparent"), trace)]),
        )
    }

    fn sending(base: &str, headers: HeaderMap) -> Self {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .no_proxy()
            .default_headers(headers)
            .build()
            .unwrap();
        Self {
            base: base.to_owned(),
            http,
        }
    }

    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Answer { status, body }
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(self.http.get(self.url(path)).header("queue-token", token))
            .await
    }

    async fn post(&self, path: &str, token: &str, key: &str, body: Value) -> Answer {
        let request = self.http.post(self.url(path)).header("queue-token", token);
        self.send(request.header("idempotency-key", key).json(&body)).await
    }

    pub async fn enter(&self, user: &str) -> Answer {
        self.send(
            self.http
                .post(self.url("/v1/queue/tokens"))
                .json(&json!({ "user_id": user })),
        )
        .await
    }

    /// Enters and waits until admitted.
    pub async fn admitted(&self, user: &str) -> String {
        let entered = self.enter(user).await.expect(201, "");
        let token = entered.text("token");
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut place = entered;
        while place.text("state") != "active" {
            assert!(Instant::now() < deadline, "not admitted in time: {place:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
            place = self.place(&token).await.expect(200, "");
        }
        token
    }

    pub async fn place(&self, token: &str) -> Answer {
        self.get("/v1/queue/token", token).await
    }

    pub async fn leave(&self, token: &str) -> Answer {
        self.send(
            self.http
                .delete(self.url("/v1/queue/token"))
                .header("queue-token", token),
        )
        .await
    }

    pub async fn schedules(&self, token: &str, concert: &str, query: &str) -> Answer {
        self.get(&format!("/v1/concerts/{concert}/schedules{query}"), token)
            .await
    }

    pub async fn seats(&self, token: &str, schedule: &str) -> Answer {
        self.get(&format!("/v1/schedules/{schedule}/seats"), token).await
    }

    /// Ids of the seats on sale.
    pub async fn free_seats(&self, token: &str, schedule: &str) -> Vec<String> {
        let map = self.seats(token, schedule).await.expect(200, "");
        let seats = map.body["seats"].as_array().unwrap();
        seats
            .iter()
            .map(|seat| seat["seat_id"].as_str().unwrap().to_owned())
            .collect()
    }

    pub async fn hold(&self, token: &str, seat: &str, key: &str) -> Answer {
        self.post("/v1/reservations", token, key, json!({ "seat_id": seat }))
            .await
    }

    pub async fn reservation(&self, token: &str, id: &str) -> Answer {
        self.get(&format!("/v1/reservations/{id}"), token).await
    }

    pub async fn cancel(&self, token: &str, id: &str) -> Answer {
        let url = self.url(&format!("/v1/reservations/{id}"));
        self.send(self.http.delete(url).header("queue-token", token)).await
    }

    pub async fn pay(&self, token: &str, reservation: &str, key: &str) -> Answer {
        self.post("/v1/payments", token, key, json!({ "reservation_id": reservation }))
            .await
    }

    pub async fn balance(&self, user: &str) -> i64 {
        let request = self.http.get(self.url(&format!("/v1/users/{user}/balance")));
        self.send(request).await.expect(200, "").number("balance")
    }

    pub async fn charge(&self, user: &str, amount: i64, key: &str) -> Answer {
        let url = self.url(&format!("/v1/users/{user}/balance/charges"));
        let request = self.http.post(url).header("idempotency-key", key);
        self.send(request.json(&json!({ "amount": amount }))).await
    }

    pub async fn metrics(&self) -> String {
        self.try_metrics().await.unwrap()
    }

    /// For a service that may be gone.
    pub async fn try_metrics(&self) -> reqwest::Result<String> {
        self.http.get(self.url("/metrics")).send().await?.text().await
    }

    /// The sum of all series of `name` whose labels contain `with`; `None` when there is none.
    pub async fn metric(&self, name: &str, with: &str) -> Option<f64> {
        let text = self.metrics().await;
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let is_ours = rest.starts_with('{') || rest.starts_with(' ');
            (is_ours && rest.contains(with)).then(|| rest.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        });
        let values: Vec<f64> = values.collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Moves the clock of this instance by so much against the machine's.
    pub async fn shift_clock(&self, by: Duration) {
        let request = self.http.post(self.url("/test/clock"));
        let body = json!({ "offset_ms": i64::try_from(by.as_millis()).unwrap() });
        self.send(request.json(&body)).await.expect(204, "");
    }

    /// Polls until `condition` holds; fails when it does not in time.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, mut condition: impl FnMut() -> F) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !condition().await {
            assert!(Instant::now() < deadline, "not in time: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
