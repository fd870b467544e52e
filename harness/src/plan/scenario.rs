//! A run of one scenario: who comes when to do what, and what there is to buy.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::spec::{Dataset, FINAL_STATE, GRACE, HOLD_TTL};
use crate::config::{ConfigError, ScenarioConfig};

/// The name of this kind of recording.
pub const KIND: &str = "run";

/// A run, as written to `plan.yaml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ScenarioPlan {
    pub kind: String,
    pub seed: u64,
    pub dataset: Dataset,
    /// The scenario as it can be read again, every default written out.
    pub scenario: serde_yaml::Value,
    /// What the run is held to, as it can be read again; nothing in plans of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objectives: Option<serde_yaml::Value>,
}

impl ScenarioPlan {
    /// The plan of a scenario, held to the `objectives` of this text.
    ///
    /// # Errors
    /// Never in practice: every part of a scenario and of its objectives has a text.
    pub fn new(scenario: &ScenarioConfig, objectives: Option<&str>, seed: u64) -> Result<Self, serde_yaml::Error> {
        Ok(Self {
            kind: KIND.to_owned(),
            seed,
            dataset: Dataset {
                seed,
                users: scenario.data.users,
                concerts: scenario.data.concerts,
                schedules_per_concert: scenario.data.schedules_per_concert,
                seats_per_schedule: scenario.data.seats_per_schedule,
            },
            scenario: serde_yaml::from_str(&scenario.to_yaml()?)?,
            objectives: objectives.map(serde_yaml::from_str).transpose()?,
        })
    }

    /// The scenario.
    ///
    /// # Errors
    /// The plan was edited, and holds no scenario any more.
    pub fn scenario(&self) -> Result<ScenarioConfig, ConfigError> {
        // What was read as YAML can be written as YAML.
        let text = serde_yaml::to_string(&self.scenario).unwrap_or_default();
        ScenarioConfig::parse("plan.yaml", &text)
    }

    /// The text of the objectives; `None` where there are none.
    pub fn objectives(&self) -> Option<String> {
        // What was read as YAML can be written as YAML.
        let text = |value| serde_yaml::to_string(value).unwrap_or_default();
        self.objectives.as_ref().map(text)
    }

    /// About how long it takes to create the data and to launch the service.
    pub const fn seeding_estimate(&self) -> Duration {
        Duration::from_secs(3)
    }

    /// From the last arrival until every hold that was left has expired and been swept; the outbox is empty long before.
    pub fn drain_estimate(&self) -> Duration {
        HOLD_TTL + GRACE
    }

    /// Expected time: the steps that a run of this `length` shows, added up.
    pub fn estimate(&self, length: Duration) -> Duration {
        self.seeding_estimate() + length + self.drain_estimate() + FINAL_STATE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::shipped;

    #[test]
    fn a_plan_holds_its_scenario_whole() {
        for (name, _) in shipped::SCENARIOS {
            let scenario = shipped::scenario(name).unwrap();
            let text = serde_yaml::to_string(&ScenarioPlan::new(&scenario, None, 7).unwrap()).unwrap();
            let read: ScenarioPlan = serde_yaml::from_str(&text).unwrap();
            assert_eq!((read.seed, read.scenario().unwrap()), (7, scenario), "{text}");
        }
    }
}
