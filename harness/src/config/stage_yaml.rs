//! The YAML of a scenario's stages.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::scalars::{Rate, Span};
use super::scenario::Stage;
use super::strict::{Problems, Step};
use crate::units::RatePerSec;

/// Longer is a mistake, and sums of such lengths must not overflow.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// More is beyond any machine that the generator was tried on, and every arrival has to be accounted for.
const MOST_PER_SECOND: f64 = 100_000.0;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawStage {
    name: Option<String>,
    #[serde(rename = "for")]
    length: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_users: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_users_from: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_users_to: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warm_up: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cool_down: Option<bool>,
}

pub(super) fn validate(raw: Vec<RawStage>, problems: &mut Problems) -> Vec<Stage> {
    if raw.is_empty() {
        problems.add(&["stages".into()], "a scenario needs at least one stage");
    }
    let mut stages: Vec<Stage> = Vec::with_capacity(raw.len());
    for (n, stage) in raw.into_iter().enumerate() {
        let path = |name: &str| vec![Step::from("stages"), Step::from(n), Step::from(name)];
        let name = stage.name.unwrap_or_else(|| format!("stage {}", n + 1));
        if stages.iter().any(|earlier| earlier.name == name) {
            problems.add(&path("name"), format!("two stages are called `{name}`"));
        }
        let length = stage.length.map_or(Duration::ZERO, |span| span.0);
        if stage.length.is_none() {
            problems.add(&path("for"), "a stage needs its length, as in `for: 20s`");
        } else if length.is_zero() {
            problems.add(
                &path("for"),
                "a stage of no length offers nothing; for a step, give the next stage its rate",
            );
        }
        let virtual_users = match (stage.virtual_users, stage.virtual_users_from, stage.virtual_users_to) {
            (None, None, None) => None,
            (Some(users), None, None) => Some((users, users)),
            (None, Some(from), Some(to)) => Some((from, to)),
            (Some(_), _, _) => {
                problems.add(
                    &path("virtual-users"),
                    "a stage has either `virtual-users` or a ramp `virtual-users-from` … `virtual-users-to`, not both",
                );
                Some((1, 1))
            }
            (None, from, _) => {
                let missing = if from.is_some() {
                    "virtual-users-to"
                } else {
                    "virtual-users-from"
                };
                problems.add(
                    &path(missing),
                    "a ramp needs both `virtual-users-from` and `virtual-users-to`",
                );
                Some((1, 1))
            }
        };
        if virtual_users == Some((0, 0)) {
            problems.add(&path("virtual-users"), "no users ask for nothing; leave the key out");
        }
        let (from, to) = match (stage.rate, stage.from, stage.to) {
            (Some(rate), None, None) => (rate.0, rate.0),
            (None, Some(from), Some(to)) => (from.0, to.0),
            (None, None, None) => {
                if virtual_users.is_none() {
                    problems.add(
                        &path("rate"),
                        "a stage needs `rate: 300/s`, or `from` and `to` for a ramp, or `virtual-users: 100`",
                    );
                }
                (RatePerSec(0.0), RatePerSec(0.0))
            }
            (Some(_), _, _) => {
                problems.add(
                    &path("rate"),
                    "a stage has either a `rate` or a ramp `from` … `to`, not both",
                );
                (RatePerSec(0.0), RatePerSec(0.0))
            }
            (None, from, _) => {
                let missing = if from.is_some() { "to" } else { "from" };
                problems.add(&path(missing), "a ramp needs both `from` and `to`");
                (RatePerSec(0.0), RatePerSec(0.0))
            }
        };
        if stage.warm_up == Some(true) && stage.cool_down == Some(true) {
            problems.add(
                &path("cool-down"),
                "a stage is the warm-up, the cool-down or neither, not both",
            );
        }
        let is_given = stage.rate.is_some() || (stage.from.is_some() && stage.to.is_some());
        if is_given && from.0 <= 0.0 && to.0 <= 0.0 {
            let name = if stage.rate.is_some() { "rate" } else { "to" };
            problems.add(
                &path(name),
                "a rate of nothing offers nothing; take the stage out, or give it a rate",
            );
        }
        if length > LONGEST {
            problems.add(&path("for"), "a stage may last 31 days at most");
        }
        for (name, rate) in [("rate", stage.rate), ("from", stage.from), ("to", stage.to)] {
            if rate.is_some_and(|rate| rate.0.0 > MOST_PER_SECOND) {
                problems.add(&path(name), "one generator offers 100000/s at most");
            }
        }
        stages.push(Stage {
            name,
            length,
            from,
            to,
            virtual_users: virtual_users.unwrap_or((0, 0)),
            is_warm_up: stage.warm_up.unwrap_or(false),
            is_cool_down: stage.cool_down.unwrap_or(false),
        });
    }
    stages
}

impl From<&Stage> for RawStage {
    fn from(stage: &Stage) -> Self {
        let (from, to) = stage.virtual_users;
        let is_constant = stage.from == stage.to;
        Self {
            name: Some(stage.name.clone()),
            length: Some(Span(stage.length)),
            rate: (stage.has_arrivals() && is_constant).then_some(Rate(stage.from)),
            from: (!is_constant).then_some(Rate(stage.from)),
            to: (!is_constant).then_some(Rate(stage.to)),
            virtual_users: (from == to && from > 0).then_some(from),
            virtual_users_from: (from != to).then_some(from),
            virtual_users_to: (from != to).then_some(to),
            warm_up: stage.is_warm_up.then_some(true),
            cool_down: stage.is_cool_down.then_some(true),
        }
    }
}
