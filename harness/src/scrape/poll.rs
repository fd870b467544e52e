//! Asks every source once a second, on an absolute schedule and within a deadline, and writes what it says.
//!
//! Each source has a task of its own: one that hangs makes gaps in its own series and in no other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Sample, ScrapeError};
use crate::recording::{RecordError, RecordingWriter, RunClock};
use crate::units::Nanos;

/// Something that can be asked for its present values.
pub trait Source: Send + 'static {
    /// All values that the source shows now. May be dropped half way when the deadline is reached, and must then be able
    /// to start afresh.
    fn scrape(&mut self) -> impl Future<Output = Result<Vec<Sample>, ScrapeError>> + Send;
}

/// What a source said last, for those who watch; copies belong to the same source.
#[derive(Clone, Debug, Default)]
pub struct Latest(Arc<Mutex<Option<Vec<Sample>>>>);

impl Latest {
    /// The sum of all values of `name` that have these labels; `None` when there is none, and after a scrape that failed.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        super::sum(samples.as_deref()?, name, labels)
    }

    pub(crate) fn set(&self, samples: Option<Vec<Sample>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = samples;
    }
}

/// How often, and for how long, a source is asked.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    pub period: Duration,
    /// Shorter than the period, so that no scrape runs into the next.
    pub deadline: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(1),
            deadline: Duration::from_millis(800),
        }
    }
}

/// Why the poller could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    #[error("writing the series of `{source_name}`")]
    Record {
        source_name: String,
        #[source]
        source: RecordError,
    },
    #[error("the task that scrapes `{source_name}` ended by itself")]
    Ended { source_name: String },
}

/// Scrapes until it is stopped.
#[derive(Debug)]
pub struct Poller {
    recording: RecordingWriter,
    clock: RunClock,
    schedule: Schedule,
    sources: BTreeMap<String, Watched>,
}

#[derive(Debug)]
struct Watched {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<Result<(), RecordError>>,
}

/// What a task can be told; dropping the sender tells it to end.
#[derive(Debug)]
enum Command {
    ScrapeNow(oneshot::Sender<()>),
}

impl Poller {
    /// A poller without sources.
    pub const fn new(recording: RecordingWriter, clock: RunClock, schedule: Schedule) -> Self {
        Self {
            recording,
            clock,
            schedule,
            sources: BTreeMap::new(),
        }
    }

    /// Starts to scrape `source` under `name`, at once and then at every period. A name may be used again after
    /// [`Poller::unwatch`], as for the next launch of a variant. Returns what the source said last, for those who watch.
    pub fn watch(&mut self, name: &str, source: impl Source) -> Latest {
        let (commands, received) = mpsc::channel(1);
        let latest = Latest::default();
        let scraper = Scraper {
            recording: self.recording.clone(),
            clock: self.clock,
            schedule: self.schedule,
            name: name.to_owned(),
            source,
            latest: latest.clone(),
        };
        let watched = Watched {
            commands,
            task: tokio::spawn(scraper.run(received)),
        };
        if let Some(replaced) = self.sources.insert(name.to_owned(), watched) {
            // Two tasks that write the same series would each take the other's values for resets.
            replaced.task.abort();
        }
        latest
    }

    /// Scrapes every source now, besides the schedule, and waits until all have answered or reached the deadline: for
    /// the edges of a slice.
    ///
    /// # Errors
    /// When what a source said could not be written.
    pub async fn scrape_now(&mut self) -> Result<(), PollError> {
        let mut answers = Vec::new();
        for (name, watched) in &self.sources {
            let (done, answer) = oneshot::channel();
            let sent = watched.commands.send(Command::ScrapeNow(done)).await;
            answers.push((name.clone(), sent.is_ok(), answer));
        }
        for (name, sent, answer) in answers {
            if !sent || answer.await.is_err() {
                self.unwatch(&name).await?;
                return Err(PollError::Ended { source_name: name });
            }
        }
        Ok(())
    }

    /// Stops scraping one source, after the scrape under way. An unknown name is no error: it is not scraped.
    ///
    /// # Errors
    /// When what it said could not be written.
    pub async fn unwatch(&mut self, name: &str) -> Result<(), PollError> {
        let Some(Watched { commands, task }) = self.sources.remove(name) else {
            return Ok(());
        };
        drop(commands);
        let source_name = name.to_owned();
        match task.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(PollError::Record { source_name, source }),
            Err(_panicked) => Err(PollError::Ended { source_name }),
        }
    }

    /// Stops scraping.
    ///
    /// # Errors
    /// The first source whose values could not be written; all are stopped.
    pub async fn stop(mut self) -> Result<(), PollError> {
        let mut first = Ok(());
        while let Some(name) = self.sources.keys().next().cloned() {
            let stopped = self.unwatch(&name).await;
            first = first.and(stopped);
        }
        first
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        for watched in self.sources.values() {
            watched.task.abort();
        }
    }
}

struct Scraper<S> {
    recording: RecordingWriter,
    clock: RunClock,
    schedule: Schedule,
    name: String,
    source: S,
    latest: Latest,
}

impl<S: Source> Scraper<S> {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) -> Result<(), RecordError> {
        let mut due = Instant::now();
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::ScrapeNow(done)) => {
                        self.scrape().await?;
                        // Whoever asked may have stopped waiting; the scrape is written all the same.
                        let _ = done.send(());
                    }
                    None => return Ok(()),
                },
                () = tokio::time::sleep_until(due.into()) => {
                    let late = due.elapsed();
                    if late >= self.schedule.period {
                        // A stalled machine, or a long stop of this process: what was not asked is not known.
                        self.gap(self.clock.at(due), &ScrapeError::Late(late))?;
                        let missed = late.as_nanos() / self.schedule.period.as_nanos().max(1);
                        due += self.schedule.period * u32::try_from(missed).unwrap_or(u32::MAX);
                    }
                    self.scrape().await?;
                    due += self.schedule.period;
                }
            }
        }
    }

    /// A scrape is dated by its answer, when all that it says has happened. Dated by the question, one that is under way
    /// at the edge of a slice would bring counts of the slice before it. A gap is dated by the question that failed.
    async fn scrape(&mut self) -> Result<(), RecordError> {
        let asked = self.clock.now();
        let error = match tokio::time::timeout(self.schedule.deadline, self.source.scrape()).await {
            Ok(Ok(samples)) => {
                self.write(self.clock.now(), &samples)?;
                self.latest.set(Some(samples));
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(_elapsed) => ScrapeError::Deadline(self.schedule.deadline),
        };
        self.latest.set(None);
        self.gap(asked, &error)
    }

    fn write(&self, at: Nanos, samples: &[Sample]) -> Result<(), RecordError> {
        let mut series = self.recording.series();
        let mut values = Vec::with_capacity(samples.len());
        for sample in samples {
            values.push((
                series.define(&self.name, &sample.name, &sample.labels, sample.kind)?,
                sample.value,
            ));
        }
        series.sample(at, &self.name, &values)
    }

    fn gap(&self, at: Nanos, error: &ScrapeError) -> Result<(), RecordError> {
        let reason = error.chain();
        tracing::debug!(source = self.name, reason, "scrape of {} failed: {reason}", self.name);
        self.recording.series().gap(at, &self.name, &reason)
    }
}
