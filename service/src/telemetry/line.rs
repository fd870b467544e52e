//! One event as a line of JSON, in which nothing secret stands.
//!
//! Whoever logs need not think of secrets: every message and every field of text passes here. Spans are not shown, since
//! libraries name what they like in them.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Write as _};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::log::REQUEST;
use super::mask::{MASK, is_secret, mask_text};

/// Fields that are shown as they are: of a request, what was masked by its own rules, which show more than free text
/// may; of a statement, its words, since its values are sent apart and stand as `?`.
const SHOWN: &[(&str, &[&str])] = &[
    (REQUEST, &["headers", "body"]),
    ("sqlx::query", &["summary", "db.statement"]),
];

/// How events become lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct MaskedJson;

impl<S, N> FormatEvent<S, N> for MaskedJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut line = Line::new(metadata.target());
        line.add("timestamp", &timestamp);
        line.add("level", metadata.level().as_str());
        event.record(&mut line);
        line.add("target", metadata.target());
        writeln!(writer, "{}", line.end()?)
    }
}

/// A line under way.
struct Line {
    bytes: Vec<u8>,
    shown: &'static [&'static str],
    /// The names of a request's fields are known, and none is a secret's.
    is_of_request: bool,
}

impl Line {
    fn new(target: &str) -> Self {
        let shown = SHOWN.iter().find(|(known, _)| *known == target);
        Self {
            bytes: Vec::with_capacity(512),
            shown: shown.map_or(&[], |(_, fields)| *fields),
            is_of_request: target == REQUEST,
        }
    }

    fn add<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        self.bytes.push(if self.bytes.is_empty() { b'{' } else { b',' });
        // Text, numbers and truth values always serialise, and memory takes whatever is written.
        let written = serde_json::to_writer(&mut self.bytes, name).and_then(|()| {
            self.bytes.push(b':');
            serde_json::to_writer(&mut self.bytes, value)
        });
        debug_assert!(written.is_ok(), "{name} cannot be logged: {written:?}");
    }

    fn end(mut self) -> Result<String, fmt::Error> {
        self.bytes.push(b'}');
        String::from_utf8(self.bytes).map_err(|_| fmt::Error)
    }

    /// Adds a value of a kind that cannot hold a secret, unless it is one: an amount of money is a number.
    fn add_plain<T: Serialize + ?Sized>(&mut self, field: &Field, value: &T) {
        let name = name_of(field);
        if self.is_hidden(name) {
            self.add(name, MASK);
        } else {
            self.add(name, value);
        }
    }

    fn add_text(&mut self, field: &Field, text: &str) {
        let name = name_of(field);
        let text = if self.shown.contains(&name) {
            Cow::Borrowed(text)
        } else if self.is_hidden(name) {
            Cow::Borrowed(MASK)
        } else {
            mask_text(text)
        };
        self.add(name, &text);
    }

    fn is_hidden(&self, name: &str) -> bool {
        !self.is_of_request && is_secret(name)
    }
}

/// As written in the code: `r#type` is `type`.
fn name_of(field: &Field) -> &'static str {
    let name = field.name();
    name.strip_prefix("r#").unwrap_or(name)
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add_plain(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add_plain(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add_plain(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add_plain(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_text(field, value);
    }

    /// With its causes: what is told of a failure is mostly there.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut next = value.source();
        while let Some(cause) = next {
            // Writing to memory succeeds.
            let _ = write!(text, ": {cause}");
            next = cause.source();
        }
        self.add_text(field, &text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add_text(field, &format!("{value:?}"));
    }
}
