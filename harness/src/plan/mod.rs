//! What will be done, before anything is: pure, seeded, written to `plan.yaml`.

pub mod design;
pub mod incident;
pub mod scenario;
pub mod spec;

pub use design::{Design, PlannedSlice};
pub use incident::{DrillFault, IncidentPlan};
pub use scenario::ScenarioPlan;
pub use spec::{Arm, Dataset, ExperimentPlan, Group, INDEXES, Profile, offered_fact};
