//! The far end: an OpenTelemetry collector that takes spans by OTLP, as protobuf over HTTP.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{StatusCode, Url};

/// Where a collector takes spans, below its address.
const PATH: &str = "v1/traces";
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// The configuration has checked it.
    #[error("`tracing.otlp_endpoint` is no address")]
    Address,
    /// The library refused.
    #[error("cannot set up a client for `tracing.otlp_endpoint`")]
    Client(#[source] reqwest::Error),
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// No answer, or none in time.
    #[error("the collector did not answer")]
    Away(#[source] reqwest::Error),
    /// It has an answer, but not a good one.
    #[error("the collector answered {0}")]
    Status(StatusCode),
}

impl Refusal {
    /// Whether the same batch may be taken in a moment, as OTLP has it.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Away(_) => true,
            Self::Status(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
        }
    }
}

/// Sends batches of spans.
#[derive(Debug)]
pub(super) struct Collector {
    client: reqwest::Client,
    url: Url,
    resource: ResourceAttributesWithSchema,
}

impl Collector {
    /// Of the collector at `address`, for the service that `resource` describes.
    pub(super) fn new(address: &str, resource: &Resource) -> Result<Self, CollectorError> {
        let url = Url::parse(&format!("{}/{PATH}", address.trim_end_matches('/')));
        let client = reqwest::Client::builder()
            .user_agent(concat!("booking-service/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .timeout(ANSWERS_WITHIN)
            .build()
            .map_err(CollectorError::Client)?;
        Ok(Self {
            client,
            url: url.map_err(|_| CollectorError::Address)?,
            resource: resource.into(),
        })
    }

    /// Where it is, without what may be secret of it.
    pub(super) fn place(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url
            .port_or_known_default()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// A batch as it is sent.
    pub(super) fn encode(&self, batch: Vec<SpanData>) -> Bytes {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
    }

    /// Sends a batch, and returns how many of its spans were thrown away there.
    pub(super) async fn send(&self, batch: Bytes) -> Result<u64, Refusal> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, PROTOBUF);
        // The address may hold a password.
        let away = |error: reqwest::Error| Refusal::Away(error.without_url());
        let response = request.body(batch).send().await.map_err(away)?;
        if !response.status().is_success() {
            return Err(Refusal::Status(response.status()));
        }
        let body = response.bytes().await.map_err(away)?;
        // Whatever it says beside its status: the spans are there.
        let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
        let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
        Ok(u64::try_from(rejected).unwrap_or(0))
    }
}
