//! The records that were fetched and are not settled yet, by partition. Pure: tells what to pause and what to start.
//!
//! A lane hands out one record at a time, so that a partition keeps its order, while lanes run side by side. A lane
//! that must wait (for a retry's moment, or for the database) never sleeps in the poll. What is fetched meanwhile waits
//! here, and only a lane that has become long is paused: a pause makes the client drop what it has fetched for the
//! partition, and each one may meet a rebalance.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

/// A topic's partition.
pub(super) type Place = (String, i32);

/// Records of one partition that may be waiting in memory, before the broker is asked to pause.
const PAUSE_ABOVE: usize = 512;
const RESUME_BELOW: usize = 128;

/// One assignment of a partition to this process. A later one is another lane, so that the end of work begun under
/// the earlier is not mistaken for its own.
#[derive(Debug)]
struct Lane<M> {
    generation: u64,
    waiting: VecDeque<Arc<M>>,
    /// The record that is being handled.
    busy: Option<Arc<M>>,
    is_paused: bool,
    /// Before when the first waiting record must not be tried.
    not_before: Option<Instant>,
}

/// A record to handle now.
#[derive(Debug)]
pub(super) struct Job<M> {
    pub(super) place: Place,
    pub(super) generation: u64,
    pub(super) record: Arc<M>,
}

/// What the broker must be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    Pause,
    Resume,
}

#[derive(Debug)]
pub(super) struct Lanes<M> {
    /// Few, so that a search costs less than a hash.
    lanes: Vec<(Place, Lane<M>)>,
    /// Where the search for work begins, so that none of many busy lanes starves.
    turn: usize,
    next_generation: u64,
    /// Before when nothing at all is tried: the database is away.
    suspended_until: Option<Instant>,
}

impl<M> Lanes<M> {
    pub(super) fn new() -> Self {
        Self {
            lanes: Vec::new(),
            turn: 0,
            next_generation: 0,
            suspended_until: None,
        }
    }

    /// Adds a fetched record.
    pub(super) fn push(&mut self, place: Place, record: M) {
        let record = Arc::new(record);
        if let Some(lane) = self.lane(&place) {
            lane.waiting.push_back(record);
            return;
        }
        self.next_generation += 1;
        let lane = Lane {
            generation: self.next_generation,
            waiting: VecDeque::from([record]),
            busy: None,
            is_paused: false,
            not_before: None,
        };
        self.lanes.push((place, lane));
    }

    fn lane(&mut self, place: &Place) -> Option<&mut Lane<M>> {
        let found = self.lanes.iter_mut().find(|(other, _)| other == place);
        found.map(|(_, lane)| lane)
    }

    /// Forgets a partition that is no longer ours. What it held is delivered to its next owner.
    pub(super) fn revoke(&mut self, place: &Place) {
        self.lanes.retain(|(other, _)| other != place);
    }

    /// Suspends everything until `until`.
    pub(super) fn suspend(&mut self, until: Instant) {
        self.suspended_until = Some(self.suspended_until.map_or(until, |known| known.max(until)));
    }

    /// The next record that may be tried at `now`, if any. `wait` tells how long a record must still wait, counted
    /// from `now`, and is asked each time the record comes up.
    pub(super) fn start(&mut self, now: Instant, wait: impl Fn(&M) -> std::time::Duration) -> Option<Job<M>> {
        if self.suspended_until.is_some_and(|until| until > now) {
            return None;
        }
        self.suspended_until = None;
        for step in 0..self.lanes.len() {
            let at = (self.turn + step) % self.lanes.len();
            let (place, lane) = &mut self.lanes[at];
            if lane.busy.is_some() || lane.not_before.is_some_and(|until| until > now) {
                continue;
            }
            lane.not_before = None;
            let Some(record) = lane.waiting.pop_front() else {
                continue;
            };
            let pause = wait(&record);
            if !pause.is_zero() {
                lane.not_before = Some(now + pause);
                lane.waiting.push_front(record);
                continue;
            }
            lane.busy = Some(record.clone());
            self.turn = at + 1;
            return Some(Job {
                place: place.clone(),
                generation: lane.generation,
                record,
            });
        }
        None
    }

    /// Ends a job; true when its partition is still the same assignment, so that its offset may be stored.
    pub(super) fn end(&mut self, place: &Place, generation: u64) -> bool {
        match self.lane(place) {
            Some(lane) if lane.generation == generation => {
                lane.busy = None;
                true
            }
            _ => false,
        }
    }

    /// Takes a record back, to be tried first.
    pub(super) fn put_back(&mut self, job: Job<M>) {
        if let Some(lane) = self.lane(&job.place)
            && lane.generation == job.generation
        {
            lane.busy = None;
            lane.waiting.push_front(job.record);
        }
    }

    /// When to look again, if nothing else happens before. A lane that could go on at `now`, but found too many others
    /// under way, needs no moment: the end of one of those is looked at anyway.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let idle = self.lanes.iter().filter(|(_, lane)| lane.busy.is_none());
        let waits = idle.filter_map(|(_, lane)| lane.not_before.filter(|until| *until > now));
        let earliest = waits.min();
        match self.suspended_until.filter(|until| *until > now) {
            Some(until) => Some(earliest.map_or(until, |due| due.max(until))),
            None => earliest,
        }
    }

    /// Which partitions to pause or resume. A paused partition is not fetched, while the poll goes on for the others.
    pub(super) fn flows(&mut self) -> Vec<(Place, Flow)> {
        let mut flows = Vec::new();
        for (place, lane) in &mut self.lanes {
            let limit = if lane.is_paused { RESUME_BELOW } else { PAUSE_ABOVE };
            let should_pause = lane.waiting.len() > limit;
            if should_pause != lane.is_paused {
                lane.is_paused = should_pause;
                flows.push((place.clone(), if should_pause { Flow::Pause } else { Flow::Resume }));
            }
        }
        flows
    }

    /// The first record of each partition that is not settled: the one that is being handled, or else the first that
    /// waits.
    pub(super) fn fronts(&self) -> impl Iterator<Item = (&Place, &M)> {
        self.lanes
            .iter()
            .filter_map(|(place, lane)| Some((place, &**lane.busy.as_ref().or_else(|| lane.waiting.front())?)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn place(partition: i32) -> Place {
        ("t".to_owned(), partition)
    }

    fn at_once(_: &u32) -> Duration {
        Duration::ZERO
    }

    #[test]
    fn one_record_of_a_partition_at_a_time_and_partitions_side_by_side() {
        let now = Instant::now();
        let mut lanes = Lanes::new();
        for (partition, record) in [(0, 1_u32), (0, 2), (1, 11)] {
            lanes.push(place(partition), record);
        }
        let first = lanes.start(now, at_once).unwrap();
        let second = lanes.start(now, at_once).unwrap();
        assert_ne!(first.place, second.place);
        assert!(lanes.start(now, at_once).is_none());
        let zero = if first.place == place(0) { first } else { second };
        assert_eq!(*zero.record, 1);
        assert!(lanes.end(&zero.place, zero.generation));
        assert_eq!(*lanes.start(now, at_once).unwrap().record, 2);
    }

    #[test]
    fn a_record_is_at_the_front_until_it_is_settled() {
        let now = Instant::now();
        let mut lanes = Lanes::new();
        lanes.push(place(0), 1_u32);
        lanes.push(place(0), 2);
        let fronts = |lanes: &Lanes<u32>| lanes.fronts().map(|(_, record)| *record).collect::<Vec<_>>();
        assert_eq!(fronts(&lanes), [1]);
        let job = lanes.start(now, at_once).unwrap();
        assert_eq!(fronts(&lanes), [1], "it is being handled");
        lanes.put_back(job);
        assert_eq!(fronts(&lanes), [1]);
        for (n, left) in [(1, vec![2]), (2, vec![])] {
            let job = lanes.start(now, at_once).unwrap();
            assert_eq!(*job.record, n);
            lanes.end(&job.place, job.generation);
            assert_eq!(fronts(&lanes), left);
        }
    }

    #[test]
    fn a_retry_waits_for_its_moment_while_others_flow() {
        let now = Instant::now();
        let wait = |record: &u32| Duration::from_secs(u64::from(*record / 10));
        let mut lanes = Lanes::new();
        lanes.push(place(0), 30);
        lanes.push(place(1), 1);
        let job = lanes.start(now, wait).unwrap();
        assert_eq!(*job.record, 1);
        assert!(lanes.start(now, wait).is_none());
        let due = lanes.next_due(now).unwrap();
        assert_eq!(due, now + Duration::from_secs(3));
        assert_eq!(lanes.next_due(due), None, "nothing to wait for: it can be started");
        assert_eq!(*lanes.start(due, |_| Duration::ZERO).unwrap().record, 30);
    }

    #[test]
    fn a_suspension_holds_everything_and_the_record_comes_first_after_it() {
        let now = Instant::now();
        let mut lanes = Lanes::new();
        lanes.push(place(0), 1_u32);
        lanes.push(place(0), 2);
        let job = lanes.start(now, at_once).unwrap();
        lanes.put_back(job);
        let until = now + Duration::from_secs(1);
        lanes.suspend(until);
        assert!(lanes.start(now, at_once).is_none());
        assert_eq!(lanes.next_due(now), Some(until));
        assert_eq!(*lanes.start(until, at_once).unwrap().record, 1);
    }

    #[test]
    fn work_of_an_earlier_assignment_stores_no_offset() {
        let now = Instant::now();
        let mut lanes = Lanes::new();
        lanes.push(place(0), 1_u32);
        let job = lanes.start(now, at_once).unwrap();
        lanes.revoke(&place(0));
        assert!(!lanes.end(&job.place, job.generation));
        lanes.push(place(0), 1);
        assert!(!lanes.end(&job.place, job.generation));
        assert_eq!(*lanes.start(now, at_once).unwrap().record, 1);
    }

    #[test]
    fn a_long_lane_is_paused_and_resumes_when_it_is_short() {
        let now = Instant::now();
        let mut lanes = Lanes::new();
        for record in 0..=u32::try_from(PAUSE_ABOVE).unwrap() {
            lanes.push(place(0), record);
        }
        assert_eq!(lanes.flows(), [(place(0), Flow::Pause)]);
        assert_eq!(lanes.flows(), [], "it is told once");
        while let Some(job) = lanes.start(now, at_once) {
            lanes.end(&job.place, job.generation);
            let flows = lanes.flows();
            if *job.record as usize == PAUSE_ABOVE - RESUME_BELOW {
                assert_eq!(flows, [(place(0), Flow::Resume)]);
            } else {
                assert_eq!(flows, [], "after {}", job.record);
            }
        }
    }
}
