//! One variant as a live process with data of its own.

use std::path::PathBuf;
use std::time::Duration;

use super::bench::Bench;
use super::error::RunError;
use super::plans;
use crate::causes;
use crate::load::{Catalogue, Target};
use crate::plan::Dataset;
use crate::recording::event::{DeadLetter, NoteLevel, What};
use crate::recording::{RecordingWriter, RunClock};
use crate::stack::{Endpoints, NamespaceGuard};
use crate::target::{RunningService, SeedSpec, ServiceConfig, TargetError};
use crate::units::Nanos;

/// How long a seat map may show a seat that is gone: as far as the layers of the cache lag each other by design.
pub(super) const STALENESS: Duration = Duration::from_millis(500);
/// How long a service may take to finish its requests.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// A variant with its data, running or not.
#[derive(Debug)]
pub(super) struct LiveArm {
    pub(super) name: String,
    pub(super) place: u16,
    namespace: NamespaceGuard,
    config: ServiceConfig,
    config_path: PathBuf,
    catalogue: Catalogue,
    service: Option<RunningService>,
}

impl LiveArm {
    /// Creates the variant's data: schema, seed and, where one is asked for, the index. The process will use `endpoints`,
    /// or else the stack's own without a broker; commands go to the servers themselves.
    ///
    /// # Errors
    /// When a command of the service fails.
    pub(super) async fn prepare(
        bench: &Bench<'_>,
        clock: RunClock,
        (name, place): (&str, u16),
        settings: impl IntoIterator<Item = (&str, &str)>,
        endpoints: Option<&Endpoints>,
        index: Option<&str>,
        dataset: &Dataset,
    ) -> Result<Self, RunError> {
        let failed = |source: TargetError| RunError::Target {
            variant: name.to_owned(),
            source,
        };
        let namespace = bench.namespace(clock, place);
        let namespace = NamespaceGuard::new(bench.stack, &namespace, bench.watchdog)?;
        let mut direct = bench.stack.direct_endpoints(namespace.name());
        if endpoints.is_none() {
            direct.kafka_brokers = None;
        }
        let mut config = ServiceConfig::new(namespace.name(), endpoints.unwrap_or(&direct));
        let mut commands = ServiceConfig::new(namespace.name(), &direct);
        for (key, value) in settings {
            config.set(key, value);
            commands.set(key, value);
        }
        let config_path = bench.scratch_file(&format!("{name}.commands.yaml"));
        commands.write(&config_path).map_err(failed)?;
        bench.program.migrate(&config_path).await.map_err(failed)?;
        let catalogue_path = bench.scratch_file(&format!("{name}.catalogue.json"));
        let spec = SeedSpec {
            seed: dataset.seed,
            n_users: dataset.users.into(),
            n_concerts: dataset.concerts.into(),
            n_schedules_per_concert: dataset.schedules_per_concert.into(),
            n_seats_per_schedule: dataset.seats_per_schedule.into(),
            skew: None,
        };
        bench
            .program
            .seed(&config_path, &spec, &catalogue_path)
            .await
            .map_err(failed)?;
        if let Some(index) = index {
            bench.program.index(&config_path, index).await.map_err(failed)?;
        }
        let catalogue = Catalogue::load(&catalogue_path).map_err(|source| RunError::Catalogue {
            variant: name.to_owned(),
            source,
        })?;
        Ok(Self {
            name: name.to_owned(),
            place,
            namespace,
            config,
            config_path,
            catalogue,
            service: None,
        })
    }

    /// Starts the process, and says so in the recording.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(super) async fn launch(
        &mut self,
        bench: &Bench<'_>,
        recording: &RecordingWriter,
        clock: RunClock,
        launch: u32,
    ) -> Result<(), RunError> {
        let name = format!("{}.{launch}", self.name);
        let service = self.start(bench, &self.config, &name).await?;
        recording.event(
            clock.now(),
            What::Launch {
                launch,
                variant: self.place,
                pid: Some(service.ready().pid),
                version: Some(service.ready().version.clone()),
                ready_after: Some(Nanos::from_duration(service.start_took())),
            },
        )?;
        self.service = Some(service);
        Ok(())
    }

    /// Starts the process with every statement in its log. Nothing of this launch is measured.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(super) async fn launch_telling(&mut self, bench: &Bench<'_>) -> Result<(), RunError> {
        let mut config = self.config.clone();
        config.set("logging.level", plans::TELLING);
        let name = format!("{}.statements", self.name);
        self.service = Some(self.start(bench, &config, &name).await?);
        Ok(())
    }

    async fn start(&self, bench: &Bench<'_>, config: &ServiceConfig, name: &str) -> Result<RunningService, RunError> {
        RunningService::launch(bench.program, config, bench.scratch, name, Some(bench.watchdog))
            .await
            .map_err(|source| self.failed(source))
    }

    /// Ends the process in the orderly way.
    ///
    /// # Errors
    /// When the kernel does not let us.
    pub(super) async fn stop(&mut self) -> Result<(), RunError> {
        match self.service.take() {
            Some(service) => service
                .stop(DRAIN_WITHIN)
                .await
                .map(drop)
                .map_err(|source| self.failed(source)),
            None => Ok(()),
        }
    }

    /// The schema, and the prefix of keys and topics, that it uses.
    pub(super) fn namespace(&self) -> &str {
        self.namespace.name()
    }

    /// Removes its data, which has been read.
    ///
    /// # Errors
    /// When a server refuses.
    pub(super) async fn remove(self, bench: &Bench<'_>) -> Result<(), RunError> {
        Ok(self.namespace.remove(bench.stack).await?)
    }

    /// Where it listens; `None` while it does not run.
    pub(super) fn base_url(&self) -> Option<String> {
        self.service.as_ref().map(RunningService::base_url)
    }

    /// Where it logs.
    pub(super) fn log(&self) -> PathBuf {
        self.service
            .as_ref()
            .map_or_else(PathBuf::new, |service| service.log_path().to_owned())
    }

    /// What the load asks.
    pub(super) fn target(&self) -> Target {
        Target {
            address: self.base_url().unwrap_or_default(),
            part: self.catalogue.whole(),
        }
    }

    /// What is on sale.
    pub(super) const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Writes the final state into the recording. A failure is an event of its own: a run whose state is unknown has
    /// still measured something.
    ///
    /// # Errors
    /// When the recording cannot be written.
    pub(super) async fn audit(
        &self,
        bench: &Bench<'_>,
        recording: &RecordingWriter,
        clock: RunClock,
    ) -> Result<(), RunError> {
        let path = bench.scratch_file(&format!("{}.audit.ndjson", self.name));
        let error = match bench.program.audit(&self.config_path, &path).await {
            Ok(()) => {
                let mut file = std::fs::File::open(&path).map_err(|source| RunError::File { path, source })?;
                recording.audit(self.place, &mut file)?;
                None
            }
            Err(error) => Some(causes::chain(&error)),
        };
        recording.event(
            clock.now(),
            What::FinalAudit {
                variant: self.place,
                error,
            },
        )?;
        Ok(())
    }

    /// Lists what the consumer gave up. What cannot be listed stays unknown, and the ledger says so.
    ///
    /// # Errors
    /// When the recording cannot be written.
    pub(super) async fn list_dead_letters(
        &self,
        bench: &Bench<'_>,
        recording: &RecordingWriter,
        clock: RunClock,
    ) -> Result<(), RunError> {
        let path = bench.scratch_file(&format!("{}.dead.ndjson", self.name));
        let listed = match bench.program.dead_letters(&self.config_path, &path).await {
            Ok(()) => {
                let text = std::fs::read_to_string(&path).map_err(|source| RunError::File { path, source })?;
                dead_letters(&text)
            }
            Err(error) => Err(causes::chain(&error)),
        };
        match listed {
            Ok(listed) => recording.event(
                clock.now(),
                What::DeadLetters {
                    variant: self.place,
                    listed,
                },
            )?,
            Err(reason) => recording.note(
                clock.now(),
                NoteLevel::Warning,
                format!("{}: the dead letters could not be listed: {reason}", self.name),
            )?,
        }
        Ok(())
    }

    fn failed(&self, source: TargetError) -> RunError {
        RunError::Target {
            variant: self.name.clone(),
            source,
        }
    }
}

/// Reads the lines that `dlt list` prints; the last one is a summary.
fn dead_letters(text: &str) -> Result<Vec<DeadLetter>, String> {
    let mut listed = Vec::new();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if value.get("summary").is_some() {
            continue;
        }
        let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        listed.push(DeadLetter {
            // Planted poison has no event id; it is told by its text.
            key: text("event_id").or_else(|| text("payload")).unwrap_or_default(),
            cause: text("cause"),
            attempts: value
                .get("attempts")
                .and_then(serde_json::Value::as_u64)
                .and_then(|n| u32::try_from(n).ok()),
            source: value
                .get("source")
                .filter(|source| !source.is_null())
                .map(ToString::to_string),
        });
    }
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_are_read_and_the_summary_is_not_one() {
        let text = "{\"event_id\":\"7\",\"cause\":\"unparsable\",\"attempts\":1,\"source\":{\"offset\":3}}\n{\"summary\":\"list\",\"dead_letters\":1}\n";
        let listed = dead_letters(text).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].key.as_str(), listed[0].attempts), ("7", Some(1)));
        assert!(dead_letters("no json").is_err());
    }
}
