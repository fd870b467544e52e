//! A metric and the labels by which its series are chosen, as PromQL writes it.

use std::fmt;

/// `metric{label="value"}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selector {
    metric: String,
    /// What stands between the braces.
    matchers: String,
}

impl Selector {
    /// `None` when `text` is more than one metric with its labels, or less.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (metric, matchers) = match text.split_once('{') {
            Some((metric, rest)) => (metric, rest.strip_suffix('}')?),
            None => (text, ""),
        };
        let is_name = metric.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && metric
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        // Braces may stand inside of a value alone.
        let is_plain = matchers
            .split('"')
            .step_by(2)
            .all(|outside| !outside.contains(['{', '}']));
        let is_closed = matchers.matches('"').count() % 2 == 0;
        (is_name && is_plain && is_closed).then(|| Self {
            metric: metric.to_owned(),
            matchers: matchers.trim().trim_end_matches(',').to_owned(),
        })
    }

    /// The counter of a histogram's samples.
    pub fn count(&self) -> Self {
        self.with_suffix("_count")
    }

    /// The counter of a histogram's samples that were at most `bound` seconds.
    ///
    /// Prometheus 3 writes a whole bound as `1.0`, and earlier ones as the service does, as `1`: either is chosen.
    pub fn bucket(&self, bound: f64) -> Self {
        let bucket = self.with_suffix("_bucket");
        match bound.fract() == 0.0 {
            true => bucket.with_matcher(&format!(r#"le=~"{bound}|{bound}[.]0""#)),
            false => bucket.with_matcher(&format!(r#"le="{bound}""#)),
        }
    }

    /// The series of such a bucket, as the service writes it.
    pub fn sample_bucket(&self, bound: f64) -> Self {
        self.with_suffix("_bucket").with_matcher(&format!(r#"le="{bound}""#))
    }

    /// The name of the metric.
    pub fn metric(&self) -> &str {
        &self.metric
    }

    fn with_suffix(&self, suffix: &str) -> Self {
        Self {
            metric: format!("{}{suffix}", self.metric),
            matchers: self.matchers.clone(),
        }
    }

    /// One more matcher, as in `le="0.1"`.
    pub fn with_matcher(mut self, matcher: &str) -> Self {
        if !self.matchers.is_empty() {
            self.matchers.push(',');
        }
        self.matchers.push_str(matcher);
        self
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        if self.matchers.is_empty() {
            return Ok(());
        }
        write!(f, "{{{}}}", self.matchers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_has_a_count_and_buckets() {
        let times = Selector::parse(r#"took_seconds{route="/seats/{id}",outcome!="gone"}"#).unwrap();
        assert_eq!(
            times.count().to_string(),
            r#"took_seconds_count{route="/seats/{id}",outcome!="gone"}"#
        );
        assert_eq!(
            times.bucket(0.1).to_string(),
            r#"took_seconds_bucket{route="/seats/{id}",outcome!="gone",le="0.1"}"#
        );
        let bare = Selector::parse("took_seconds").unwrap();
        assert_eq!(bare.bucket(10.0).to_string(), r#"took_seconds_bucket{le=~"10|10[.]0"}"#);
        assert_eq!(bare.to_string(), "took_seconds");
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in [
            "",
            "sum(a)",
            "a + b",
            "a{",
            "a}",
            r#"a{b="c}"#,
            r#"a{b="c"}[5m]"#,
            r#"a{b="c"} + d{e="f"}"#,
            "1a",
        ] {
            assert_eq!(Selector::parse(text), None, "{text}");
        }
    }
}
