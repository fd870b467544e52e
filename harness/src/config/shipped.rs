//! The scenarios that ship inside the binary; `soundcheck run --list` names them.

use super::scenario::ScenarioConfig;
use super::strict::ConfigError;

/// Name and text of each shipped scenario.
pub const SCENARIOS: &[(&str, &str)] = &[
    ("smoke", include_str!("../../scenarios/smoke.yaml")),
    ("gentle", include_str!("../../scenarios/gentle.yaml")),
    ("browse-heavy", include_str!("../../scenarios/browse-heavy.yaml")),
    ("onsale-burst", include_str!("../../scenarios/onsale-burst.yaml")),
    ("sold-out", include_str!("../../scenarios/sold-out.yaml")),
    ("steady-day", include_str!("../../scenarios/steady-day.yaml")),
    ("breakpoint", include_str!("../../scenarios/breakpoint.yaml")),
    ("soak", include_str!("../../scenarios/soak.yaml")),
    ("seed-peak", include_str!("../../scenarios/seed-peak.yaml")),
];

/// The text of the objectives to which the shipped scenario called `name` is held when nobody says otherwise.
pub fn objectives(name: &str) -> Option<&'static str> {
    (name == "breakpoint").then_some(include_str!("../../scenarios/breakpoint.objectives.yaml"))
}

/// The shipped scenario called `name`.
///
/// # Errors
/// When there is none of this name; the error names the nearest and all that there are.
pub fn scenario(name: &str) -> Result<ScenarioConfig, UnknownScenario> {
    let (name, text) = SCENARIOS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| UnknownScenario::new(name))?;
    ScenarioConfig::parse(&format!("scenarios/{name}.yaml"), text).map_err(UnknownScenario::Broken)
}

/// Why there is no such scenario.
#[derive(Debug, thiserror::Error)]
pub enum UnknownScenario {
    /// Not a name of a shipped one.
    #[error("{0}")]
    Name(String),
    /// A shipped one that does not parse: a bug, which a test guards against.
    #[error(transparent)]
    Broken(ConfigError),
}

impl UnknownScenario {
    fn new(name: &str) -> Self {
        let known: Vec<String> = SCENARIOS.iter().map(|(known, _)| (*known).to_owned()).collect();
        Self::Name(format!(
            "no scenario ships under this name, and no file has it: {}",
            super::strict::unknown_message(name, &known)
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_shipped_scenario_is_sound_and_bears_its_name() {
        for (name, _) in SCENARIOS {
            let shipped = scenario(name).unwrap();
            assert_eq!(shipped.name, *name);
            assert!(!shipped.about.is_empty());
            let written = shipped.to_yaml().unwrap();
            assert_eq!(ScenarioConfig::parse(name, &written).unwrap(), shipped, "{written}");
        }
    }

    /// Its name and every text about it promise these numbers.
    #[test]
    fn the_original_peak_test_has_its_users_its_minute_and_its_hundred_seats() {
        let peak = scenario("seed-peak").unwrap();
        let users: Vec<(u32, u32)> = peak.stages.iter().map(|stage| stage.virtual_users).collect();
        assert_eq!(users, [(100, 100), (50, 50), (10, 10)]);
        assert!(!peak.has_arrivals(), "nobody comes beside them");
        assert_eq!(peak.length(), Duration::from_secs(60));
        let data = &peak.data;
        assert_eq!(
            data.concerts * data.schedules_per_concert * data.seats_per_schedule,
            100
        );
    }

    #[test]
    fn an_unknown_scenario_names_the_nearest() {
        let error = scenario("smok").expect_err("should be unknown").to_string();
        assert!(error.contains("did you mean `smoke`?"), "{error}");
    }
}
