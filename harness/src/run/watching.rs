//! What is scraped while one service is under load: itself, its servers, the generator and the machine.

use super::arm::LiveArm;
use super::bench::Bench;
use super::error::RunError;
use crate::analysis::experiment::service_source;
use crate::recording::{RecordingWriter, RunClock};
use crate::scrape::Poller;
use crate::scrape::kafka::KafkaSource;
use crate::scrape::mysql::MySqlSource;
use crate::scrape::poll::{Latest, Schedule};
use crate::scrape::process::{MachineSource, ProcessSource};
use crate::scrape::redis::RedisSource;
use crate::scrape::service::ServiceSource;

/// Begins to scrape everything that `arm` stands on; also what the service says last, for those who watch.
pub(super) fn poller(
    bench: &Bench<'_>,
    recording: &RecordingWriter,
    clock: RunClock,
    arm: &LiveArm,
) -> Result<(Poller, Latest), RunError> {
    let mut poller = Poller::new(recording.clone(), clock, Schedule::default());
    poller.watch("generator", ProcessSource::own());
    poller.watch("machine", MachineSource);
    let base = arm.base_url().unwrap_or_default();
    let latest = poller.watch(
        &service_source(&arm.name),
        ServiceSource::new(&format!("{base}/metrics"))?,
    );
    let direct = bench.stack.direct_endpoints(arm.namespace());
    if let Some(url) = &direct.redis_url {
        poller.watch("redis", RedisSource::new(url)?);
    }
    if !direct.is_sqlite() {
        poller.watch("mysql", MySqlSource::new(&direct.database_url, &[arm.namespace()])?);
    }
    if let Some(brokers) = &direct.kafka_brokers {
        let topic = format!("{}.payments", arm.namespace());
        let group = format!("{}.tickets", arm.namespace());
        poller.watch("kafka", KafkaSource::new(brokers, &group, &[&topic])?);
    }
    Ok((poller, latest))
}
