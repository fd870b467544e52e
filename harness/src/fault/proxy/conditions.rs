//! What a direction of a link suffers.

use std::time::Duration;

use crate::units::Bytes;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the one who connected to the server.
    ToServer,
    /// From the server to the one who connected.
    ToClient,
}

impl Direction {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::ToServer, Self::ToClient];
}

/// Whether bytes move at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Flow {
    #[default]
    Pass,
    /// Nothing is read any more, so that the sender's buffers fill up; after the heal everything arrives.
    Stall,
    /// Everything is read and thrown away, so that the sender notices nothing. A stream with a hole cannot go on: at
    /// the heal, links that lost bytes are reset.
    Blackhole,
}

/// One direction of every link, live ones included.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conditions {
    pub flow: Flow,
    /// Added to the way of every byte; bytes sent together arrive together, however many there are.
    pub latency: Duration,
    /// The latency varies by at most this in either direction, evenly; bytes stay in order.
    pub jitter: Duration,
    /// Bytes a second.
    pub bandwidth: Option<Bytes>,
    /// How long the end of the stream is held back after its last byte.
    pub slow_close: Duration,
    /// After so many further bytes the link is reset, in the middle of what was being written.
    pub reset_after: Option<Bytes>,
}

impl Conditions {
    /// When bytes may go on that arrived with `luck` from −1 to 1: this much later.
    pub(super) fn delay(&self, luck: f64) -> Duration {
        let jitter = self.jitter.mul_f64(luck.abs());
        if luck < 0.0 {
            self.latency.saturating_sub(jitter)
        } else {
            self.latency + jitter
        }
    }

    /// How long the line is busy with `n_bytes`.
    pub(super) fn transmission(&self, n_bytes: usize) -> Duration {
        match self.bandwidth {
            Some(Bytes(per_second)) if per_second > 0 => Duration::from_secs_f64(n_bytes as f64 / per_second as f64),
            _ => Duration::ZERO,
        }
    }

    /// The most that is written at once: a slow line must not send in bursts.
    pub(super) fn piece(&self, most: usize) -> usize {
        const PIECES_PER_SECOND: u64 = 50;
        let piece = self
            .bandwidth
            .map_or(u64::MAX, |Bytes(per_second)| (per_second / PIECES_PER_SECOND).max(1));
        most.min(usize::try_from(piece).unwrap_or(usize::MAX))
    }
}

/// How a new connection is met.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reception {
    /// Accepted, and joined to the server.
    #[default]
    Accept,
    /// The port is closed: connecting is refused at once.
    Refuse,
    /// The port is open and full: connecting gets no answer.
    Hang,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_goes_both_ways_and_never_below_zero() {
        let ms = Duration::from_millis;
        let conditions = Conditions {
            latency: ms(10),
            jitter: ms(4),
            ..Conditions::default()
        };
        assert_eq!(conditions.delay(0.0), ms(10));
        assert_eq!(conditions.delay(1.0), ms(14));
        assert_eq!(conditions.delay(-0.5), ms(8));
        let mostly_jitter = Conditions {
            latency: ms(1),
            jitter: ms(4),
            ..Conditions::default()
        };
        assert_eq!(mostly_jitter.delay(-1.0), Duration::ZERO);
    }

    #[test]
    fn a_slow_line_is_busy_longer_and_sends_less_at_once() {
        let slow = Conditions {
            bandwidth: Some(Bytes(1_000)),
            ..Conditions::default()
        };
        assert_eq!(slow.transmission(500), Duration::from_millis(500));
        assert_eq!(slow.piece(16_384), 20);
        let free = Conditions::default();
        assert_eq!(free.transmission(500), Duration::ZERO);
        assert_eq!(free.piece(16_384), 16_384);
        let crawling = Conditions {
            bandwidth: Some(Bytes(3)),
            ..Conditions::default()
        };
        assert_eq!(crawling.piece(16_384), 1);
    }
}
