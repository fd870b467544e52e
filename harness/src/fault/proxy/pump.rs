//! Moves one direction of one link.
//!
//! One loop reads, waits and writes at the same time: every chunk has its own due time in a queue, so that latency
//! delays bytes without thinning them out. The queue is bounded; when it is full nothing more is read, and the sender
//! feels it as it would feel a slow receiver.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes as Chunk};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::conditions::{Conditions, Flow};
use crate::units::Bytes;

/// What waits inside the proxy, a direction of a link.
pub(super) const QUEUE_LIMIT_BYTES: usize = 1024 * 1024;
const READ_BYTES: usize = 16 * 1024;

/// Why a pump ends before both ends have closed: the link must be reset.
#[derive(Debug)]
pub(super) struct Abort;

/// Bytes on their way, and what decides when they arrive.
struct Held {
    bytes: Chunk,
    arrived: Instant,
    luck: f64,
}

/// One direction of one link.
pub(super) struct Pump<'a> {
    conditions: watch::Receiver<Conditions>,
    now: Conditions,
    queue: VecDeque<Held>,
    n_queued_bytes: usize,
    /// When the sender closed its side.
    ended: Option<Instant>,
    /// The line is busy until then.
    free_at: Instant,
    /// A stream with a hole must not go on.
    has_lost_bytes: bool,
    reset_budget: Option<u64>,
    luck: ChaCha8Rng,
    n_forwarded: &'a AtomicU64,
}

impl<'a> Pump<'a> {
    /// With the same `seed`, the same jitter.
    pub(super) fn new(mut conditions: watch::Receiver<Conditions>, seed: u64, n_forwarded: &'a AtomicU64) -> Self {
        let now = conditions.borrow_and_update().clone();
        Self {
            conditions,
            reset_budget: now.reset_after.map(|Bytes(budget)| budget),
            now,
            queue: VecDeque::new(),
            n_queued_bytes: 0,
            ended: None,
            free_at: Instant::now(),
            has_lost_bytes: false,
            luck: ChaCha8Rng::seed_from_u64(seed),
            n_forwarded,
        }
    }

    /// Runs until the end of the stream was passed on.
    ///
    /// # Errors
    /// [`Abort`] when the link must be reset: a side broke, bytes were lost, or the conditions ask for it.
    pub(super) async fn run(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> Result<(), Abort> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let may_read = self.may_read();
            let next = self.next_write_at();
            let ready = next.is_some_and(|at| at <= Instant::now());
            if ready && self.queue.is_empty() {
                return to.shutdown().await.map_err(|_broken| Abort);
            }
            let piece = self.piece();
            tokio::select! {
                biased;
                changed = self.conditions.changed() => {
                    // Without a proxy there is no link.
                    changed.map_err(|_gone| Abort)?;
                    self.adopt()?;
                }
                written = to.write(&piece), if ready => {
                    let n_bytes = written.map_err(|_broken| Abort)?;
                    self.wrote(n_bytes)?;
                }
                read = from.read(&mut buffer), if may_read => {
                    let n_bytes = read.map_err(|_broken| Abort)?;
                    self.read(&buffer[..n_bytes]);
                }
                () = wait_until(next), if !ready => {}
            }
        }
    }

    fn may_read(&self) -> bool {
        self.ended.is_none()
            && match self.now.flow {
                Flow::Pass => self.n_queued_bytes < QUEUE_LIMIT_BYTES,
                Flow::Stall => false,
                Flow::Blackhole => true,
            }
    }

    fn read(&mut self, bytes: &[u8]) {
        let arrived = Instant::now();
        if bytes.is_empty() {
            self.ended = Some(arrived);
        } else if self.now.flow == Flow::Blackhole {
            self.has_lost_bytes = true;
        } else {
            self.n_queued_bytes += bytes.len();
            let luck = self.luck.random_range(-1.0..=1.0);
            self.queue.push_back(Held {
                bytes: Chunk::copy_from_slice(bytes),
                arrived,
                luck,
            });
        }
    }

    /// When the next piece, or after the last the end of the stream, may go on; `None` while there is nothing, or
    /// nothing may.
    fn next_write_at(&self) -> Option<Instant> {
        if self.now.flow != Flow::Pass {
            return None;
        }
        match self.queue.front() {
            // Judged by the conditions of now, so that a change reaches what is under way; a queue keeps the order.
            Some(held) => Some((held.arrived + self.now.delay(held.luck)).max(self.free_at)),
            None => {
                let ended = self.ended?;
                Some((ended + self.now.latency).max(self.free_at) + self.now.slow_close)
            }
        }
    }

    /// The bytes to write next.
    fn piece(&self) -> Chunk {
        let Some(held) = self.queue.front() else {
            return Chunk::new();
        };
        let budget = self
            .reset_budget
            .map_or(usize::MAX, |budget| usize::try_from(budget).unwrap_or(usize::MAX));
        held.bytes
            .slice(..held.bytes.len().min(self.now.piece(READ_BYTES)).min(budget))
    }

    fn wrote(&mut self, n_bytes: usize) -> Result<(), Abort> {
        self.n_forwarded.fetch_add(n_bytes as u64, Ordering::Relaxed);
        self.free_at = self.free_at.max(Instant::now()) + self.now.transmission(n_bytes);
        self.n_queued_bytes -= n_bytes;
        if let Some(held) = self.queue.front_mut() {
            held.bytes.advance(n_bytes);
            if held.bytes.is_empty() {
                self.queue.pop_front();
            }
        }
        if let Some(budget) = &mut self.reset_budget {
            *budget = budget.saturating_sub(n_bytes as u64);
            if *budget == 0 {
                return Err(Abort);
            }
        }
        Ok(())
    }

    /// Takes over changed conditions.
    fn adopt(&mut self) -> Result<(), Abort> {
        let before = std::mem::replace(&mut self.now, self.conditions.borrow_and_update().clone());
        if self.has_lost_bytes && self.now.flow != Flow::Blackhole {
            return Err(Abort);
        }
        if self.now.flow == Flow::Blackhole && before.flow != Flow::Blackhole && !self.queue.is_empty() {
            // What was on its way is lost with the rest.
            self.queue.clear();
            self.n_queued_bytes = 0;
            self.has_lost_bytes = true;
        }
        if before.bandwidth != self.now.bandwidth {
            // The old line's backlog does not hold up the new one.
            self.free_at = Instant::now();
        }
        if before.reset_after != self.now.reset_after {
            self.reset_budget = self.now.reset_after.map(|Bytes(budget)| budget);
            if self.reset_budget == Some(0) {
                return Err(Abort);
            }
        }
        Ok(())
    }
}

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
