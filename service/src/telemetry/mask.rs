//! Takes secrets out of what is logged.
//!
//! Of headers and bodies only what is known to be harmless is shown, since nobody can list what is not: a client may put
//! a password under any name. Free text is the words of drivers and libraries, of which most are needed; there, what is
//! known to be secret goes.

use std::borrow::Cow;

use axum::http::HeaderMap;
use serde_json::{Map, Value};
use uuid::Uuid;

pub(super) const MASK: &str = "***";
/// Headers whose values are shown.
const SHOWN_HEADERS: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "traceparent",
    "transfer-encoding",
    "user-agent",
    "x-request-id",
];
/// Fields of bodies of which a value is shown that is an id and nothing else.
const SHOWN_FIELDS: &[&str] = &[
    "concertid",
    "paymentid",
    "reservationid",
    "scheduleid",
    "seatid",
    "userid",
];
/// Further fields of our bodies, whose names may be shown. All other names are a client's own.
const KNOWN_FIELDS: &[&str] = &["amount", "balance", "idempotencykey", "queuetoken", "token"];
/// What a name has in it whose value is secret.
const SECRET_WORDS: &[&str] = &[
    "amount",
    "auth",
    "balance",
    "cookie",
    "credential",
    "key",
    "passwd",
    "password",
    "pwd",
    "secret",
    "session",
    "signature",
    "token",
];
/// What MySQL says before the value that is there already.
const DUPLICATE: &str = "Duplicate entry '";
/// Words between a header's name and its secret.
const SCHEMES: &[&str] = &["basic", "bearer", "digest"];

/// All headers on one line, secrets masked.
pub fn mask_headers(headers: &HeaderMap) -> String {
    let shown = headers.iter().map(|(name, value)| {
        let is_shown = SHOWN_HEADERS.contains(&name.as_str());
        match value.to_str() {
            Ok(value) if is_shown => format!("{name}: {}", mask_text(value)),
            Err(_) if is_shown => format!("{name}: [not text]"),
            _ => format!("{name}: {MASK}"),
        }
    });
    shown.collect::<Vec<_>>().join("; ")
}

/// A body for the log: secrets masked, at most `max_bytes`. What is not JSON is not shown, since nothing in it could
/// be masked.
pub fn mask_body(bytes: &[u8], max_bytes: usize) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return format!("[not JSON, {} bytes]", bytes.len());
    };
    let mut text = mask_value(value).to_string();
    if text.len() > max_bytes {
        let mut end = max_bytes;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The shape of a value, and the ids in it.
fn mask_value(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut masked = Map::new();
            for (name, field) in fields {
                // A name with anything else in it is not one of ours, whatever its letters spell.
                let is_plain = name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
                let plain = if is_plain { plain(&name) } else { String::new() };
                let is_shown = SHOWN_FIELDS.contains(&plain.as_str());
                let field = match field {
                    Value::String(text) if is_shown && is_id(&text) => Value::String(text),
                    other => mask_value(other),
                };
                let is_known = is_shown || KNOWN_FIELDS.contains(&plain.as_str());
                // Names that nobody knows are one, which is enough to see that they are there.
                masked.insert(if is_known { name } else { MASK.to_owned() }, field);
            }
            Value::Object(masked)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(mask_value).collect()),
        Value::Null => Value::Null,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Value::String(MASK.to_owned()),
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

/// A name as it is compared: `Seat-ID`, `seat_id` and `seatId` are one.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Whether a name tells that its value is secret.
pub(super) fn is_secret(name: &str) -> bool {
    let plain = plain(name);
    SECRET_WORDS.iter().any(|word| plain.contains(word))
}

/// Free text without the passwords of addresses, what stands behind a secret's name (`password=…`, `"token": "…"`,
/// `Authorization: Bearer …`), and the values that databases quote when they are there already.
pub fn mask_text(text: &str) -> Cow<'_, str> {
    // Most of what is logged has none of the signs that the rules below look for.
    if !text.contains(['=', ':']) && !text.contains(DUPLICATE) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(mask_pairs(&mask_duplicates(&mask_addresses(text))))
}

/// `scheme://user:password@host` as `scheme://***@host`.
fn mask_addresses(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        masked.push_str(before);
        // To the end of the word: a password that was not escaped may hold whatever else ends an authority.
        let end = after.find(is_end_of_address).unwrap_or(after.len());
        let (address, behind) = after.split_at(end);
        match address.rsplit_once('@') {
            Some((_, host)) => {
                masked.push_str(MASK);
                masked.push('@');
                masked.push_str(host);
            }
            None => masked.push_str(address),
        }
        rest = behind;
    }
    masked.push_str(rest);
    masked
}

fn is_end_of_address(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')
}

/// `Duplicate entry 'value' for key …` without the value.
fn mask_duplicates(text: &str) -> String {
    const END: &str = "' for key";
    match text.split_once(DUPLICATE) {
        Some((before, after)) => {
            let behind = after.find(END).map_or("", |at| &after[at..]);
            format!("{before}{DUPLICATE}{MASK}{}", mask_duplicates(behind))
        }
        None => text.to_owned(),
    }
}

/// `name=value` and `name: value` without the value, where the name is a secret's.
fn mask_pairs(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['=', ':']) {
        let (before, after) = rest.split_at(at + 1);
        masked.push_str(before);
        rest = after;
        if is_secret(name_before(&before[..at])) {
            rest = skip_value(after, &mut masked);
        }
    }
    masked.push_str(rest);
    masked
}

/// The name that ends with `text`, perhaps in quotes.
fn name_before(text: &str) -> &str {
    let text = text.trim_end_matches(['"', '\'', '\\', ' ']);
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']');
    let n_bytes: usize = text
        .chars()
        .rev()
        .take_while(|c| is_of_name(*c))
        .map(char::len_utf8)
        .sum();
    &text[text.len() - n_bytes..]
}

/// Writes the mask for the value that `text` begins with, and returns what follows it.
fn skip_value<'a>(text: &'a str, masked: &mut String) -> &'a str {
    let value = text.trim_start();
    masked.push_str(&text[..text.len() - value.len()]);
    masked.push_str(MASK);
    if value.starts_with(['{', '[']) {
        // Where it ends is not worth a parser.
        return "";
    }
    let quote = value
        .trim_start_matches('\\')
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\''));
    if let Some(quote) = quote {
        let inner = value.find(quote).map_or("", |at| &value[at + 1..]);
        // A quote that is escaped ends nothing; what follows it may be the rest of the secret.
        let mut is_escaped = false;
        let end = inner.find(|c| {
            let ends = c == quote && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        return end.map_or("", |at| &inner[at + 1..]);
    }
    let end_of = |text: &str| {
        let is_end = |c: char| c.is_whitespace() || matches!(c, '&' | ',' | ';' | ')' | '}' | ']' | '"' | '\'');
        text.find(is_end).unwrap_or(text.len())
    };
    let mut rest = &value[end_of(value)..];
    let first = &value[..end_of(value)];
    if SCHEMES.iter().any(|scheme| first.eq_ignore_ascii_case(scheme)) {
        let secret = rest.trim_start();
        rest = &secret[end_of(secret)..];
    }
    rest
}
