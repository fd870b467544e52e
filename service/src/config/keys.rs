//! Every key, with its default and meaning, and the nearest one to a mistyped key.

use std::fmt::Write as _;

use super::source::Setting;

/// Every key, with its default and meaning; the help text prints this table.
pub const KEYS: &[(&str, &str, &str)] = &[
    (
        "namespace",
        "soundcheck",
        "MySQL schema, Redis prefix, topic prefix and consumer group: [a-z0-9_], at most 48",
    ),
    ("listen", "127.0.0.1:8080", "address and port; port 0 takes a free one"),
    (
        "database.url",
        "",
        "sqlite://PATH or mysql://USER[:PASSWORD]@HOST:PORT (the schema is the namespace); required",
    ),
    (
        "redis.url",
        "",
        "redis://HOST:PORT; without it, cache and queue stay in the process and the database",
    ),
    (
        "kafka.brokers",
        "",
        "HOST:PORT,…; without it, events stay in the outbox",
    ),
    (
        "cache.mode",
        "tiered with redis.url, else local",
        "off | redis | tiered | local",
    ),
    ("cache.ttl", "2s", "how long a seat map may be served"),
    (
        "cache.stampede",
        "single-flight",
        "none | single-flight | early-refresh",
    ),
    (
        "locking",
        "conditional-update",
        "conditional-update | optimistic | pessimistic (MySQL) | redis-lock (Redis) | immediate (SQLite) | none (unsafe)",
    ),
    ("pool.size", "16", "database connections; on SQLite, of readers"),
    ("events.mode", "outbox", "outbox | direct"),
    (
        "events.shards",
        "8",
        "parts of the key space that relays lease; the same for all instances, forever",
    ),
    (
        "events.partitions",
        "6",
        "partitions of the topics, where the service creates them",
    ),
    (
        "events.lease_ttl",
        "5s",
        "after how long a dead relay's shard is taken over",
    ),
    (
        "events.retry_attempts",
        "3",
        "how often a failed event is tried again before the dead letters",
    ),
    (
        "events.retry_backoff",
        "200ms",
        "before the first retry; doubles with each",
    ),
    (
        "queue.mode",
        "zset with redis.url, else sql",
        "zset | list | sql (SQLite)",
    ),
    ("queue.capacity", "100", "tokens that may be active at once"),
    ("queue.active_ttl", "5m", "how long admission lasts"),
    (
        "queue.waiting_ttl",
        "2m",
        "how long a place is kept for somebody who does not ask",
    ),
    ("hold.ttl", "5m", "how long a hold lasts"),
    ("sweep.interval", "1s", "how often expired holds are put back on sale"),
    ("resilience.mode", "on", "on | off: time-outs, breakers, shedding"),
    ("resilience.request_timeout", "2s", "the deadline of a request"),
    (
        "resilience.max_in_flight",
        "512",
        "requests at once, above which new ones are shed",
    ),
    (
        "token.secret",
        "",
        "signs queue tokens: at least 16 characters, the same for all instances; required",
    ),
    (
        "logging.to",
        "stdout",
        "stdout | stderr: where log lines go; the ready line is on stdout in any case",
    ),
    (
        "logging.level",
        "info",
        "a filter such as `info` or `booking_service=debug`",
    ),
    ("logging.headers", "off", "on | off: request headers in the log, masked"),
    ("logging.bodies", "off", "on | off: request bodies in the log, masked"),
    (
        "logging.sample",
        "1",
        "the share of requests that are logged, 0 to 1; those that end in 5xx always are",
    ),
    (
        "tracing.otlp_endpoint",
        "",
        "http://HOST:PORT of an OpenTelemetry collector (OTLP over HTTP); without it, nothing is traced",
    ),
    (
        "tracing.sample_ratio",
        "1",
        "the share of traces that is kept, 0 to 1, where the caller's `traceparent` does not decide",
    ),
    (
        "mutants",
        "",
        "defects to switch on: [D1, …]; needs a build with the feature `mutants`",
    ),
];

/// The key that `key` stands for: a section's name alone means its mode, so that `cache: off` is `cache.mode: off`.
pub(super) fn canonical(key: String) -> String {
    let is_section = SECTIONS.contains(&key.as_str());
    if is_section { format!("{key}.mode") } else { key }
}

/// The other name of a mode, for the message that it is set twice.
pub(super) fn also(key: &str) -> String {
    let section = key.strip_suffix(".mode").unwrap_or_default();
    if SECTIONS.contains(&section) {
        format!("; `{section}` alone stands for it")
    } else {
        String::new()
    }
}

/// Sections with a mode.
const SECTIONS: &[&str] = &["cache", "events", "queue", "resilience"];

/// The message for a key that is not known, naming the nearest that is.
pub(super) fn unknown(key: &str, setting: &Setting) -> String {
    let known = KEYS.iter().map(|(known, _, _)| known).chain(SECTIONS);
    let nearest = known
        .map(|known| (strsim::damerau_levenshtein(key, known), *known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, known)| *distance <= known.len().max(4) / 2)
        .map_or_else(String::new, |(_, known)| format!("; did you mean `{known}`?"));
    format!("{}: unknown key `{key}`{nearest}", setting.origin)
}

/// The table of keys, for the help of the command line.
pub fn help() -> String {
    let mut text =
        "Keys of the configuration (file, SOUNDCHECK_SERVICE_<KEY with __ for dots>, --set; later ones win):\n"
            .to_owned();
    for (key, default, meaning) in KEYS {
        let default = if default.is_empty() {
            String::new()
        } else {
            format!(" [default: {default}]")
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {key}: {meaning}{default}");
    }
    // As above.
    let _ = writeln!(
        text,
        "A section's name alone stands for its mode, for {}: `cache: off` is `cache.mode: off`.",
        SECTIONS.join(", ")
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sections_are_those_with_a_mode() {
        let modes: Vec<_> = KEYS
            .iter()
            .filter_map(|(key, _, _)| key.strip_suffix(".mode"))
            .collect();
        assert_eq!(SECTIONS, modes);
    }
}
