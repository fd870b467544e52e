//! What went from the service to each of its servers and back, by the proxies in between: in the whole drill, and
//! while the fault lasted.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counter::increase_between;
use super::incident::FaultWindow;
use super::series::{Point, read_sum, values};
use crate::recording::SeriesSet;

/// The source of these series in a recording.
pub const SOURCE: &str = "ways";
/// Connections made through a proxy so far.
pub const CONNECTIONS: &str = "soundcheck_way_connections_total";
/// Connections through a proxy now.
pub const OPEN: &str = "soundcheck_way_connections";
/// Bytes moved by a proxy so far, by direction.
pub const BYTES: &str = "soundcheck_way_bytes_total";

/// A scrape from before a moment tells of the moment if it is no older than this.
const FRESH: Duration = Duration::from_millis(2_500);

/// One server, reached through a proxy. A number that was not recorded is `None`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Way {
    /// As in `MySQL`.
    pub server: String,
    pub connections: Option<f64>,
    pub bytes_to_server: Option<f64>,
    pub bytes_to_service: Option<f64>,
    pub bytes_to_server_during: Option<f64>,
    pub bytes_to_service_during: Option<f64>,
}

/// Every way that was recorded, by the name of its server.
pub fn ways(set: &SeriesSet, fault: Option<FaultWindow>) -> Vec<Way> {
    let servers: BTreeSet<&str> = set
        .named(CONNECTIONS)
        .filter_map(|series| series.def.labels.get("server").map(String::as_str))
        .collect();
    servers
        .into_iter()
        .map(|server| {
            let bytes = |direction| read_sum(set, SOURCE, BYTES, &[("server", server), ("direction", direction)]);
            let (to_server, to_service) = (bytes("to-server"), bytes("to-service"));
            let during = |points: &Option<Vec<Point>>| {
                let (points, fault) = (points.as_ref()?, fault?);
                Some(increase_between(points, fault.injected, fault.healed, FRESH)?.amount)
            };
            Way {
                server: server.to_owned(),
                connections: last(read_sum(set, SOURCE, CONNECTIONS, &[("server", server)]).as_ref()),
                bytes_to_server_during: during(&to_server),
                bytes_to_service_during: during(&to_service),
                bytes_to_server: last(to_server.as_ref()),
                bytes_to_service: last(to_service.as_ref()),
            }
        })
        .collect()
}

/// A proxy counts from nothing when it is bound, so that its latest count is all of it.
fn last(points: Option<&Vec<Point>>) -> Option<f64> {
    values(points?).last().copied()
}
