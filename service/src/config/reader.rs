//! Reads the text of one key after the other into values, and collects what is wrong instead of stopping at it. What the
//! keys mean is in [`super::read`].

use std::time::Duration;

use super::keys::{KEYS, unknown};
use super::source::Source;

/// Reads settings by key, and collects what is wrong instead of stopping at it.
pub(super) struct Reader {
    source: Source,
    pub(super) errors: Vec<String>,
}

impl Reader {
    pub(super) fn new(mut source: Source) -> Self {
        let mut errors = std::mem::take(&mut source.errors);
        for (key, setting) in &source.settings {
            if !KEYS.iter().any(|(known, _, _)| known == key) {
                errors.push(unknown(key, setting));
            }
        }
        Self { source, errors }
    }

    pub(super) fn origin(&self, key: &str) -> String {
        let setting = self.source.settings.get(key);
        setting.map_or_else(|| "default".to_owned(), |setting| setting.origin.clone())
    }

    fn parse<T>(&mut self, key: &str, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let setting = self.source.settings.get(key)?;
        let parsed = parse(&setting.text);
        if parsed.is_none() {
            // A secret that is malformed must not reach a log by way of its error.
            let shown = match key {
                "token.secret" | "database.url" | "redis.url" | "tracing.otlp_endpoint" => String::new(),
                _ => format!(", not `{}`", setting.text),
            };
            self.errors
                .push(format!("{}: `{key}` must be {expected}{shown}", setting.origin));
        }
        parsed
    }

    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.parse(key, expected, parse)
    }

    pub(super) fn required<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if !self.source.settings.contains_key(key) {
            self.errors.push(format!("`{key}` is missing: set it to {expected}"));
            return None;
        }
        self.parse(key, expected, parse)
    }

    pub(super) fn with_default<T>(
        &mut self,
        key: &str,
        default: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if self.source.settings.contains_key(key) {
            // The first error does not hide the next: the caller goes on with nothing only at the end.
            return self.parse(key, expected, parse);
        }
        parse(default)
    }

    pub(super) fn switch<T: Copy>(
        &mut self,
        key: &str,
        default: &str,
        all: &[T],
        parse: fn(&str) -> Option<T>,
        name: fn(T) -> &'static str,
    ) -> Option<T> {
        let expected = all.iter().map(|value| name(*value)).collect::<Vec<_>>().join(" | ");
        // After an error the default stands in, so that the remaining keys are still checked.
        self.with_default(key, default, &expected, parse)
            .or_else(|| parse(default))
    }

    pub(super) fn flag(&mut self, key: &str, default: &str) -> Option<bool> {
        let parse = |text: &str| match text {
            "on" | "true" => Some(true),
            "off" | "false" => Some(false),
            _ => None,
        };
        self.with_default(key, default, "on | off", parse)
            .or_else(|| parse(default))
    }

    pub(super) fn duration(&mut self, key: &str, default: &str) -> Option<Duration> {
        let parse = |text: &str| {
            let duration = humantime::parse_duration(text).ok()?;
            (Duration::from_millis(1)..=Duration::from_hours(24 * 365))
                .contains(&duration)
                .then_some(duration)
        };
        let expected = "a duration with a unit such as 200ms, 2s or 5m";
        self.with_default(key, default, expected, parse)
            .or_else(|| parse(default))
    }

    pub(super) fn share(&mut self, key: &str, default: &str) -> Option<f64> {
        let parse = |text: &str| text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        self.with_default(key, default, "a share from 0 to 1", parse)
            .or_else(|| parse(default))
    }

    pub(super) fn integer(&mut self, key: &str, default: &str, least: u32, most: u32) -> Option<u32> {
        let parse = |text: &str| text.parse().ok().filter(|number| (least..=most).contains(number));
        let expected = format!("a whole number from {least} to {most}");
        self.with_default(key, default, &expected, parse)
            .or_else(|| parse(default))
    }

    pub(super) fn refuse(&mut self, key: &str, value: &str, circumstance: &str, alternatives: &str) {
        let origin = self.origin(key);
        self.errors.push(format!(
            "{origin}: `{key}: {value}` cannot be honoured {circumstance}; use {alternatives}"
        ));
    }
}
