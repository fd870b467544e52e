//! Loads that were not the ones that were meant, since something ran out: a feeder's rows, or the machine's sockets.

use crate::recording::Event;
use crate::recording::event::{Edge, What};

/// Whether a feeder had too few rows for the schedule, so that the load is not the one that was meant.
pub(super) fn ran_dry(events: &[Event]) -> Option<String> {
    let began = events.iter().find_map(|event| match &event.what {
        What::Phase { edge: Edge::Begin, .. } => Some(event.t),
        _ => None,
    });
    events.iter().find_map(|event| match &event.what {
        What::RanDry { feeder, rows } => {
            let after = began.map_or_else(String::new, |began| {
                format!(" {:.1} s after the load began", event.t.since(began).as_secs_f64())
            });
            Some(format!(
                "the feeder `{feeder}` ran dry after {rows} rows{after}, which ended the load before its schedule was over"
            ))
        }
        _ => None,
    })
}

/// Whether requests were never sent, which is the generator's own fault.
pub(super) fn out_of_sockets(events: &[Event]) -> Option<String> {
    let mut all: Option<(u64, &str)> = None;
    // Each group of an experiment has its own.
    for event in events {
        if let What::OutOfSockets { requests, reason } = &event.what {
            let (sum, _) = all.get_or_insert((0, reason));
            *sum = sum.saturating_add(*requests);
        }
    }
    all.map(|(requests, reason)| {
        format!(
            "{requests} requests were never sent, since the generator's machine had no socket left ({reason}); take fewer \
             users, or raise `ulimit -n` and net.ipv4.ip_local_port_range"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Nanos;

    fn at(seconds: f64, what: What) -> Event {
        Event {
            t: Nanos((seconds * 1e9) as u64),
            what,
        }
    }

    #[test]
    fn what_ran_out_is_told_with_its_numbers() {
        let begin = What::Phase {
            name: "warm-up".to_owned(),
            edge: Edge::Begin,
        };
        let dry = What::RanDry {
            feeder: "fans".to_owned(),
            rows: 8,
        };
        let unsent = What::OutOfSockets {
            requests: 3,
            reason: "too many open files".to_owned(),
        };
        let more = What::OutOfSockets {
            requests: 2,
            reason: "no port left".to_owned(),
        };
        assert_eq!((ran_dry(&[]), out_of_sockets(&[])), (None, None));
        let events = [at(2.0, begin), at(3.5, dry), at(9.0, unsent), at(11.0, more)];
        let (dry, unsent) = (ran_dry(&events).unwrap(), out_of_sockets(&events).unwrap());
        assert!(
            dry.contains("`fans` ran dry after 8 rows 1.5 s after the load began"),
            "{dry}"
        );
        assert!(
            unsent.contains("5 requests were never sent") && unsent.contains("(too many open files)"),
            "{unsent}"
        );
        let without_a_beginning = ran_dry(&events[1..]).unwrap();
        assert!(
            without_a_beginning.contains("after 8 rows, which ended the load"),
            "{without_a_beginning}"
        );
    }
}
