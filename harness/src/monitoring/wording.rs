//! Sentences with gaps, as `{dependency} is {value} behind`: for Prometheus's templates, and with the gaps filled.

use std::collections::BTreeMap;

use super::objectives::Unit;

const VALUE: &str = "value";

/// As a template of Prometheus.
pub(super) fn template(says: &str, unit: Unit) -> String {
    let value = match unit {
        Unit::Number => "{{ $value | humanize }}",
        Unit::Seconds => "{{ $value | humanizeDuration }}",
        Unit::Ratio => "{{ $value | humanizePercentage }}",
    };
    fill(says, |gap| match gap {
        VALUE => value.to_owned(),
        label => format!("{{{{ $labels.{label} }}}}"),
    })
}

/// As Prometheus fills it; a label that is not there is empty.
pub(super) fn filled(says: &str, value: Option<&str>, labels: &BTreeMap<String, String>) -> String {
    fill(says, |gap| match gap {
        VALUE => value.unwrap_or_default().to_owned(),
        label => labels.get(label).cloned().unwrap_or_default(),
    })
}

/// Whether the sentence tells the value.
pub(super) fn tells_value(says: &str) -> bool {
    gaps(says).contains(&VALUE)
}

/// The labels that the sentence tells.
pub(super) fn labels(says: &str) -> Vec<&str> {
    gaps(says).into_iter().filter(|gap| *gap != VALUE).collect()
}

fn gaps(says: &str) -> Vec<&str> {
    says.split('{')
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('}')?.0))
        .collect()
}

fn fill(says: &str, content: impl Fn(&str) -> String) -> String {
    let mut parts = says.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}') {
            Some((gap, rest)) => {
                text.push_str(&content(gap));
                text.push_str(rest);
            }
            None => {
                text.push('{');
                text.push_str(part);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_templates_in_rules_and_filled_in_their_tests() {
        let says = "{topic} is {value} behind";
        assert_eq!(
            template(says, Unit::Seconds),
            "{{ $labels.topic }} is {{ $value | humanizeDuration }} behind"
        );
        let labels = BTreeMap::from([("topic".to_owned(), "main".to_owned())]);
        assert_eq!(filled(says, Some("1m 0s"), &labels), "main is 1m 0s behind");
        assert!(tells_value(says));
        assert_eq!(super::labels(says), ["topic"]);
        assert_eq!(filled("an open { stays", None, &labels), "an open { stays");
    }
    #[test]
    fn each_unit_has_a_form_of_its_own() {
        for (unit, expected) in [
            (Unit::Number, "{{ $value | humanize }} of it"),
            (Unit::Seconds, "{{ $value | humanizeDuration }} of it"),
            (Unit::Ratio, "{{ $value | humanizePercentage }} of it"),
        ] {
            assert_eq!(template("{value} of it", unit), expected);
        }
    }

    #[test]
    fn what_is_not_told_is_empty_and_braces_alone_stay() {
        let none = BTreeMap::new();
        assert_eq!(filled("{topic} is {value} behind", None, &none), " is  behind");
        for says in ["", "plain", "a } alone", "an open {", "two { open { ones", "ü { ö"] {
            assert_eq!(template(says, Unit::Number), says);
            assert_eq!(filled(says, Some("1"), &none), says);
            assert!(!tells_value(says) && super::labels(says).is_empty(), "{says}");
        }
        assert_eq!(super::labels("{a} and {value} and {b}, {a}"), ["a", "b", "a"]);
    }
}
