//! `service dlt list | replay`: what the consumer gave up, for a person or a script.
//!
//! One JSON object a line, and a summary last. Needs the broker alone.

use std::io::Write;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::ConfigArgs;
use crate::config::{Config, ConfigError};
use crate::messaging::dead_letter::{self, DeadLetter};
use crate::messaging::topics::Topics;

/// Arguments of `dlt`.
#[derive(Debug, Args)]
pub struct DltArgs {
    #[command(subcommand)]
    action: Action,
}

/// What to do with the dead letters.
#[derive(Debug, Subcommand)]
enum Action {
    /// Show every dead letter, with its cause, attempts, source and text.
    List(ConfigArgs),
    /// Send every dead letter that was not sent again yet to the main topic. The inbox keeps an event from having its
    /// effect twice; what cannot be parsed comes back as another dead letter.
    Replay(ConfigArgs),
}

impl DltArgs {
    /// Reads and validates the configuration.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(&self) -> Result<Config, ConfigError> {
        match &self.action {
            Action::List(args) | Action::Replay(args) => args.load(),
        }
    }
}

/// Lists or replays, and writes what it found or sent.
///
/// # Errors
/// When there is no broker, it does not answer, or the output cannot be written.
pub async fn run(args: &DltArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let Some(brokers) = config.kafka_brokers.as_deref() else {
        let missing = "`kafka.brokers` is missing: there are no dead letters without a broker".to_owned();
        return Err(ConfigError(vec![missing]).into());
    };
    let topics = Topics::new(&config.namespace);
    let (summary, letters) = match args.action {
        Action::List(_) => ("listed", dead_letter::list(brokers, &topics).await?),
        Action::Replay(_) => ("replayed", dead_letter::replay(brokers, &topics).await?),
    };
    write(out, &letters, summary).context("cannot write the dead letters")
}

fn write(out: &mut impl Write, letters: &[DeadLetter], summary: &str) -> std::io::Result<()> {
    for letter in letters {
        serde_json::to_writer(&mut *out, letter)?;
        out.write_all(b"\n")?;
    }
    writeln!(out, "{}", json!({ "summary": summary, "dead_letters": letters.len() }))
}
