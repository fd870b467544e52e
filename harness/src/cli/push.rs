//! Sends what remote write makes of a recording.

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode, Url};

use super::exit::{Exit, Failure};
use super::export;
use crate::export::remote_write::{Outgoing, body};
use crate::stack::component::without_password;

/// Small enough for any server's limit, large enough that their number does not matter.
const SAMPLES_A_REQUEST: usize = 5_000;
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// More of a server's words is a page.
const MOST_WORDS: usize = 300;

/// What was typed for [`Target`] or [`Header`], which may hold a secret. Parsed by the command: of a value that is wrong,
/// clap's own error would show all.
#[derive(Clone)]
pub(super) struct Typed(String);

impl From<String> for Typed {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed(***)")
    }
}

/// What is wrong with what was typed, and never what it was: where a colon is missing, a secret may stand anywhere.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum TypedError {
    #[error(
        "the URL after --remote-write is wrong: {0}; write the whole of it, as in http://127.0.0.1:9090/api/v1/write, \
         and of a password the characters `/`, `?`, `#` and `@` as %2F, %3F, %23 and %40"
    )]
    Target(String),
    #[error("header {nth} of --header is wrong: {why}; write it as `NAME: VALUE`, for instance `X-Scope-OrgID: 1`")]
    Header { nth: usize, why: &'static str },
}

/// Where to send it. The password of the URL is sent and never shown, and neither are the values of its query.
#[derive(Clone)]
pub(super) struct Target(Url);

impl TryFrom<&Typed> for Target {
    type Error = TypedError;

    fn try_from(Typed(text): &Typed) -> Result<Self, TypedError> {
        match Url::parse(text) {
            Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => Ok(Self(url)),
            Ok(_) => Err(TypedError::Target("it is of neither http nor https".to_owned())),
            // Its kinds are told by fixed words.
            Err(error) => Err(TypedError::Target(error.to_string())),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        url.set_fragment(None);
        let query = url.query().map(|query| {
            let parts = query.split('&').map(|part| match part.split_once('=') {
                Some((name, _)) => format!("{name}=***"),
                None => "***".to_owned(),
            });
            parts.collect::<Vec<_>>().join("&")
        });
        url.set_query(query.as_deref());
        f.write_str(&without_password(url.as_str()))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

/// A header of the user's.
#[derive(Clone, Debug)]
pub(super) struct Header(HeaderName, HeaderValue);

impl Header {
    /// All that were typed.
    pub(super) fn all(typed: &[Typed]) -> Result<Vec<Self>, TypedError> {
        let headers = typed
            .iter()
            .enumerate()
            .map(|(number, Typed(text))| Self::parse(text).map_err(|why| TypedError::Header { nth: number + 1, why }));
        headers.collect()
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let (name, value) = text.split_once(':').ok_or("it has no colon after the name")?;
        let name = name
            .trim()
            .parse()
            .map_err(|_| "what stands before the colon is no name of a header")?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| "its value has a control character")?;
        // Often a token.
        value.set_sensitive(true);
        Ok(Self(name, value))
    }
}

/// Why a server did not take it.
#[derive(Debug, thiserror::Error)]
enum PushError {
    #[error("cannot reach {target}; is something listening there that takes Prometheus' remote write?")]
    Unreachable {
        target: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{target} took {n_taken} of {of} samples: {refusal}")]
    Refused {
        target: String,
        n_taken: usize,
        of: usize,
        refusal: Refusal,
    },
}

/// What a server said when it refused all that was to come, or else what it said first, of all the samples that it refused.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    words: String,
    remedy: &'static str,
    n_refused: usize,
    /// Those behind a refusal that goes for them as well.
    n_unsent: usize,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            status,
            words,
            remedy,
            n_refused,
            n_unsent,
        } = self;
        if *n_unsent == 0 {
            write!(f, "it refused {n_refused} with {status} ({words}); {remedy}")
        } else {
            write!(
                f,
                "it refused {n_refused}, at last with {status} ({words}), and the other {n_unsent} were not sent; {remedy}"
            )
        }
    }
}

impl Target {
    /// Sends everything, request after request.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses some of it; what it took stays there.
    pub(super) async fn push(&self, outgoing: &Outgoing, headers: &[Header]) -> Result<(), Failure> {
        let client = Client::builder()
            .timeout(ANSWERS_WITHIN)
            .user_agent(concat!("soundcheck/", env!("CARGO_PKG_VERSION")))
            .default_headers(protocol())
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let mut own = HeaderMap::new();
        for Header(name, value) in headers {
            own.append(name, value.clone());
        }
        let mut refused: Option<Refusal> = None;
        let (mut n_taken, of) = (0, outgoing.n_samples());
        for request in outgoing.requests(SAMPLES_A_REQUEST) {
            let n_samples: usize = request.timeseries.iter().map(|series| series.samples.len()).sum();
            let body = body(request).map_err(export::failure)?;
            let sent = client.post(self.0.clone()).headers(own.clone()).body(body).send().await;
            let answer = sent.map_err(|error| self.unreachable(error))?;
            let status = answer.status();
            if status.is_success() {
                n_taken += n_samples;
                continue;
            }
            let words = answer.text().await.map_err(|error| self.unreachable(error))?;
            let n_refused = n_samples + refused.as_ref().map_or(0, |refusal| refusal.n_refused);
            // These samples alone are bad, as those that an earlier call has sent already.
            if status == StatusCode::BAD_REQUEST {
                let refusal = refused.get_or_insert_with(|| Refusal::new(status, words.trim()));
                refusal.n_refused = n_refused;
                continue;
            }
            refused = Some(Refusal {
                n_refused,
                n_unsent: of.saturating_sub(n_taken + n_refused),
                ..Refusal::new(status, words.trim())
            });
            break;
        }
        match refused {
            None => Ok(()),
            Some(refusal) => Err(Failure::new(
                Exit::Usage,
                PushError::Refused {
                    target: self.to_string(),
                    n_taken,
                    of,
                    refusal,
                },
            )),
        }
    }

    fn unreachable(&self, source: reqwest::Error) -> Failure {
        let error = PushError::Unreachable {
            target: self.to_string(),
            // With its URL it would show the password.
            source: source.without_url(),
        };
        Failure::new(Exit::Usage, error)
    }
}

impl Refusal {
    fn new(status: StatusCode, words: &str) -> Self {
        let remedy = if words.contains("out of bounds") || words.contains("too old") {
            "the run is older than what the server still takes, so set `storage.tsdb.out_of_order_time_window` in its \
             configuration, or send a run sooner"
        } else if words.contains("out of order") || words.contains("duplicate sample") {
            "the server has these series up to a later moment, as after an earlier call, and keeps what it has"
        } else if status == StatusCode::NOT_FOUND || status == StatusCode::METHOD_NOT_ALLOWED {
            "a Prometheus takes them at /api/v1/write, when it was started with --web.enable-remote-write-receiver"
        } else {
            "its own log may say more"
        };
        Self {
            status,
            words: words.chars().take(MOST_WORDS).collect(),
            remedy,
            n_refused: 0,
            n_unsent: 0,
        }
    }
}

/// What version 1.0 of the protocol asks for.
fn protocol() -> HeaderMap {
    const VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");
    HeaderMap::from_iter([
        (
            CONTENT_TYPE,
            HeaderValue::from_static(prometheus_remote_write::CONTENT_TYPE),
        ),
        (CONTENT_ENCODING, HeaderValue::from_static("snappy")),
        (
            VERSION,
            HeaderValue::from_static(prometheus_remote_write::REMOTE_WRITE_VERSION_01),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<Target, TypedError> {
        Target::try_from(&Typed(text.to_owned()))
    }

    #[test]
    fn a_target_is_a_whole_url() {
        for wrong in ["localhost:9090", "ftp://h/x", "9090", "http://", "http://h:x/w"] {
            let error = target(wrong).unwrap_err().to_string();
            assert!(error.contains("http://127.0.0.1:9090/api/v1/write"), "{error}");
        }
    }

    #[track_caller]
    fn check_shown(url: &str, shown: &str) {
        let target = target(url).unwrap();
        assert_eq!(target.to_string(), shown);
        assert_eq!(format!("{target:?}"), format!("Target({shown})"));
    }

    #[test]
    fn of_a_target_no_secret_is_shown() {
        check_shown("https://1:secret@h/api/prom/push", "https://1:***@h/api/prom/push");
        check_shown(
            "https://h/w?token=secret&org=1&secret#secret",
            "https://h/w?token=***&org=***&***",
        );
        check_shown("http://h:9090/api/v1/write", "http://h:9090/api/v1/write");
        assert_eq!(format!("{:?}", Typed("secret".to_owned())), "Typed(***)");
    }

    #[test]
    fn a_header_has_a_name_and_a_value() {
        let Header(name, value) = Header::parse("X-Scope-OrgID: 1").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-scope-orgid", "1"));
        assert!(value.is_sensitive());
        for wrong in ["X-Scope-OrgID", "a b: c", "a: \u{1}"] {
            Header::parse(wrong).unwrap_err();
        }
        let typed = ["a: b", "no colon"].map(|text| Typed(text.to_owned()));
        let why = "it has no colon after the name";
        assert_eq!(Header::all(&typed).unwrap_err(), TypedError::Header { nth: 2, why });
    }

    #[test]
    fn a_refusal_says_what_to_do_about_it() {
        let remedy = |status, words| Refusal::new(status, words).remedy;
        let old = remedy(StatusCode::BAD_REQUEST, "out of bounds");
        assert!(old.contains("out_of_order_time_window"), "{old}");
        let again = remedy(StatusCode::BAD_REQUEST, "out of order sample");
        assert!(again.contains("keeps what it has"), "{again}");
        let elsewhere = remedy(StatusCode::NOT_FOUND, "");
        assert!(elsewhere.contains("--web.enable-remote-write-receiver"), "{elsewhere}");
    }

    #[test]
    fn a_refusal_tells_what_was_taken_refused_and_not_sent() {
        let told = |n_taken, n_refused, n_unsent, status| {
            let error = PushError::Refused {
                target: "http://h/w".to_owned(),
                n_taken,
                of: 9,
                refusal: Refusal {
                    n_refused,
                    n_unsent,
                    ..Refusal::new(status, "on fire")
                },
            };
            error.to_string()
        };
        assert_eq!(
            told(2, 7, 0, StatusCode::BAD_REQUEST),
            "http://h/w took 2 of 9 samples: it refused 7 with 400 Bad Request (on fire); its own log may say more"
        );
        assert_eq!(
            told(2, 3, 4, StatusCode::INTERNAL_SERVER_ERROR),
            "http://h/w took 2 of 9 samples: it refused 3, at last with 500 Internal Server Error (on fire), and the \
             other 4 were not sent; its own log may say more"
        );
    }
}
