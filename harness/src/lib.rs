//! Soundcheck: load testing, observability and failure rehearsal for services that must not sell the same seat twice.
//!
//! # Code map (in reading order)
//!
//! The flow of data: YAML → plan (pure) → run → recording (a folder) → analysis (pure) → verdict → report.
//!
//! | module | what lives there |
//! |---|---|
//! | [`units`] | numbers with units in their type |
//! | [`mod@format`] | numbers as people read them |
//! | [`causes`] | an error and what led to it, each cause once |
//! | [`config`] | raw YAML → validated; unknown keys are refused with line and nearest key |
//! | [`plan`] | what will be done, decided before anything starts |
//! | [`chart`] | figures as SVG |
//! | [`monitoring`] | what production loads, from files that people write: Prometheus's rules and their tests, Grafana's pages, pictures |
//! | [`recording`] | the folder of a run: model, writer, tolerant reader, operation history |
//! | [`analysis`] | statistics over recordings; no network, no clock, no environment |
//! | [`objectives`] | what a run is held to: its file, and how it is judged while the run goes on and afterwards |
//! | [`verdict`] | ledger invariants, validity, promises of drills, the linter of claims |
//! | [`report`] | the document model and its renderers |
//! | [`export`] | a recording for other tools: CSV, JUnit, Prometheus remote write |
//! | [`daemon`] | the container daemon: reaching it, stand-in images, whose container is whose |
//! | [`namespace`] | removes from servers what a run left under its name |
//! | [`watchdog`] | undoes what a run did to the machine, when the run dies |
//! | [`spawning`] | keeps the birth of child processes apart from what it would disturb |
//! | [`stack`] | where MySQL, Redis and Kafka come from |
//! | [`target`] | the service under test as a process: launch, commands, usage |
//! | [`fault`] | what can be broken, and guards that heal |
//! | [`load`] | arrivals, the engine that Goose drives, journeys, the recorder of samples |
//! | [`scrape`] | Prometheus text and the dependencies' own statistics into series |
//! | [`run`] | the only place where load, scraping and faults meet; turns a plan into a recording |
//! | [`cli`] | one file a subcommand |
//!
//! **Invariants.** Imports go `units ← config ← plan ← run ← cli` and `recording ← analysis ← verdict ← report, chart`.
//! Load, scraping and faults meet only in `run`. What renders reads a recording and nothing else.

pub mod analysis;
pub mod causes;
pub mod chart;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod export;
pub mod fault;
pub mod format;
pub mod load;
pub mod monitoring;
pub mod namespace;
pub mod objectives;
pub mod plan;
pub mod recording;
pub mod report;
pub mod run;
pub mod scrape;
pub mod spawning;
pub mod stack;
pub mod target;
pub mod units;
pub mod verdict;
pub mod watchdog;
