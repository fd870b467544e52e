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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::units::Nanos;

    /// Scrapes at the seconds given, each with the bytes to the service so far; a second without them is a gap.
    fn recorded(scrapes: &[(u64, Option<u64>)]) -> SeriesSet {
        let define = |id: u32, name: &str, labels: &str| {
            format!(
                r#"{{"kind":"define","series":{{"id":{id},"source":"{SOURCE}","name":"{name}","labels":{labels},"kind":"counter"}}}}"#
            )
        };
        let mut lines = vec![
            define(0, CONNECTIONS, r#"{"server":"MySQL"}"#),
            define(1, BYTES, r#"{"server":"MySQL","direction":"to-service"}"#),
        ];
        lines.extend(scrapes.iter().map(|(second, bytes)| {
            let t = second * 1_000_000_000;
            match bytes {
                Some(bytes) => {
                    format!(r#"{{"kind":"scrape","t":{t},"source":"{SOURCE}","changed":[[0,2.0],[1,{bytes}.0]]}}"#)
                }
                None => format!(r#"{{"kind":"gap","t":{t},"source":"{SOURCE}","reason":"late"}}"#),
            }
        }));
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        SeriesSet::parse(Path::new("series.ndjson"), text.as_bytes()).unwrap()
    }

    #[test]
    fn what_went_through_is_told_and_what_is_not_known_is_not() {
        let second = |n: u64| Nanos(n * 1_000_000_000);
        let fault = FaultWindow {
            injected: second(3),
            healed: second(5),
        };
        let seen = [
            (1, Some(100)),
            (2, Some(400)),
            (3, Some(500)),
            (4, Some(505)),
            (5, Some(510)),
            (6, Some(900)),
        ];
        let [way] = &ways(&recorded(&seen), Some(fault))[..] else {
            panic!("one server");
        };
        assert_eq!((way.server.as_str(), way.connections), ("MySQL", Some(2.0)));
        assert_eq!(
            (way.bytes_to_service, way.bytes_to_service_during),
            (Some(900.0), Some(10.0))
        );
        assert_eq!(way.bytes_to_server, None, "nobody counted these");

        let torn = [(1, Some(100)), (3, None), (5, Some(510)), (6, Some(900))];
        assert_eq!(ways(&recorded(&torn), Some(fault))[0].bytes_to_service_during, None);
        assert_eq!(ways(&recorded(&seen), None)[0].bytes_to_service_during, None);
        assert_eq!(ways(&SeriesSet::default(), Some(fault)), []);
    }
}
