//! What may have held the generator up: its own use of the processors, that of others, and what the host took.

use std::fmt;

use crate::analysis::counter::rate;
use crate::analysis::series::{Point, read_sum, values};
use crate::recording::SeriesSet;

/// Each at the second in which it was the highest, in per cent of the machine's processors; `None` where nobody knows.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Suspects {
    pub generator: Option<f64>,
    /// The generator included.
    pub busy: Option<f64>,
    /// Kept back by the host of a virtual machine.
    pub stolen: Option<f64>,
}

const MACHINE: &str = "machine";
const CPU: &str = "node_cpu_seconds_total";

impl Suspects {
    /// As the series of a run tell.
    pub fn of(series: &SeriesSet) -> Self {
        let machine = |modes: &[&str]| {
            let of_mode = |mode: &&str| read_sum(series, MACHINE, CPU, &[("mode", mode)]);
            let all: Option<Vec<Vec<Point>>> = modes.iter().map(of_mode).collect();
            crate::analysis::series::sum(&all?).map(|sum| rate(&sum))
        };
        let Some(all) = read_sum(series, MACHINE, CPU, &[]).map(|sum| rate(&sum)) else {
            return Self::default();
        };
        // Seconds of all processors that pass in a second: how many there are.
        let processors = highest(&all).filter(|processors| *processors > 0.0);
        let share = |points: Vec<Point>| Some(highest(&points)? / processors? * 100.0);
        let own = read_sum(series, "generator", "process_cpu_seconds_total", &[]);
        Self {
            generator: own.and_then(|own| share(rate(&own))),
            busy: machine(&["user", "nice", "system", "irq", "softirq", "steal"]).and_then(share),
            stolen: machine(&["steal"]).and_then(share),
        }
    }
}

fn highest(points: &[Point]) -> Option<f64> {
    values(points).into_iter().reduce(f64::max)
}

/// The end of a sentence about a generator that was late; empty where nothing is known.
impl fmt::Display for Suspects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.generator, "the generator used"),
            (self.busy, "all together used"),
            (self.stolen, "the host took"),
        ];
        let known = parts
            .into_iter()
            .filter_map(|(share, who)| Some(format!("{who} {:.0} %", share?.min(100.0))));
        let known: Vec<String> = known.collect();
        if known.is_empty() {
            return Ok(());
        }
        write!(
            f,
            "; in the busiest second, {} of the machine's processors",
            known.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::model::{Environment, Tool};
    use crate::recording::{Manifest, Recording, RecordingWriter, RunClock, SeriesKind};
    use crate::units::Nanos;

    /// The series of two processors, of which these seconds were used by the second: idle, user, stolen; and by the
    /// generator.
    fn read(seconds: &[[f64; 4]]) -> Suspects {
        let dir = tempfile::tempdir().unwrap();
        let tool = Tool {
            version: "0".to_owned(),
            commit: None,
        };
        let manifest = Manifest::new("run", tool, 7, Environment::default(), RunClock::start().anchor());
        let writer = RecordingWriter::create(dir.path(), &manifest).unwrap();
        let mut series = writer.series();
        let mut define = |source: &str, name: &str, labels: &[(&str, &str)]| {
            let labels = labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            series.define(source, name, &labels, SeriesKind::Counter).unwrap()
        };
        let modes = ["idle", "user", "steal"].map(|mode| define(MACHINE, CPU, &[("mode", mode)]));
        let others = ["nice", "system", "irq", "softirq"].map(|mode| define(MACHINE, CPU, &[("mode", mode)]));
        let own = define("generator", "process_cpu_seconds_total", &[]);
        let mut counted = [1000.0; 4];
        for (n, second) in seconds.iter().enumerate() {
            for (counted, more) in counted.iter_mut().zip(second) {
                *counted += more;
            }
            let at = Nanos(n as u64 * 1_000_000_000);
            let machine = modes.iter().copied().zip(counted);
            let machine: Vec<_> = machine.chain(others.iter().map(|id| (*id, 7.0))).collect();
            series.sample(at, MACHINE, &machine).unwrap();
            series.sample(at, "generator", &[(own, counted[3])]).unwrap();
        }
        drop(series);
        writer.flush().unwrap();
        Suspects::of(&Recording::open(dir.path()).unwrap().series().unwrap())
    }

    #[test]
    fn each_suspect_is_told_at_its_worst() {
        let still = [2.0, 0.0, 0.0, 0.0];
        let suspects = read(&[still, still, [0.5, 1.0, 0.5, 0.8], [1.0, 1.0, 0.0, 1.0], still]);
        let near = |got: Option<f64>, wanted: f64| got.is_some_and(|got| (got - wanted).abs() < 0.01);
        assert!(near(suspects.generator, 50.0), "{suspects:?}");
        assert!(near(suspects.busy, 75.0) && near(suspects.stolen, 25.0), "{suspects:?}");
        assert_eq!(
            read(&[still, still]).stolen,
            Some(0.0),
            "nothing stolen is known, and not unknown"
        );
        assert_eq!(
            suspects.to_string(),
            "; in the busiest second, the generator used 50 %, all together used 75 %, the host took 25 % of the machine's \
             processors"
        );
    }

    #[test]
    fn what_nobody_measured_is_not_told() {
        assert_eq!(
            Suspects::of(&crate::recording::SeriesSet::default()),
            Suspects::default()
        );
        assert_eq!(
            read(&[[1.0; 4]]),
            Suspects::default(),
            "one scrape says nothing of time"
        );
        assert_eq!(Suspects::default().to_string(), "");
    }
}
