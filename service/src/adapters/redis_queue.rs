//! The waiting queue in Redis, shared by any number of service instances.
//!
//! Each operation is one Lua script, which first expires and admits, so that no two instances can see a state in
//! between. The rules are in `scripts/queue_*.lua`; here, scripts are put together and answers are read. The moment
//! is an argument of every script: Redis is never asked for the time.
//!
//! The line is a sorted set (a position costs O(log n)), or, for comparison, a list (a position costs O(n)).

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use redis::{Script, ScriptInvocation};

use super::redis_connection::{RedisConnection, key, unavailable};
use crate::config::{Mutant, Mutants};
use crate::domain::{QueueToken, Timestamp, TokenId, UserId};
use crate::ports::{QueueCounts, QueueTotals, Standing, Unavailable, WaitingQueue};

/// The most tokens of a kind that one request's call moves. A request pays for others' expiry, so this is small.
const REQUEST_BATCH: usize = 64;
/// The same for the background tick, which has the time.
const TICK_BATCH: usize = 1024;

/// How the line is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineKind {
    /// A sorted set by arrival number.
    SortedSet,
    /// A list, whose rank is a linear search.
    List,
}

/// The capacity and the lifetimes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueLimits {
    /// The most tokens that are active at once.
    pub capacity: u32,
    /// How long an admitted token lives.
    pub active_ttl: Duration,
    /// How long a waiting place is kept when nobody asks for it.
    pub waiting_ttl: Duration,
}

#[derive(Debug)]
struct Scripts {
    enter: Script,
    standing: Script,
    leave: Script,
    tick: Script,
    #[cfg(feature = "mutants")]
    two_step_admission: Option<[Script; 2]>,
}

impl Scripts {
    fn new(kind: LineKind, mutants: Mutants) -> Self {
        let line = match kind {
            LineKind::SortedSet => include_str!("scripts/queue_line_zset.lua"),
            LineKind::List => include_str!("scripts/queue_line_list.lua"),
        };
        let mut common = vec![
            include_str!("scripts/queue_prelude.lua"),
            line,
            include_str!("scripts/queue_rules.lua"),
        ];
        // The defects are those of a queue in a sorted set; the list has its linear rank by nature.
        let mutants = match kind {
            LineKind::SortedSet => mutants,
            LineKind::List => Mutants::default(),
        };
        for (mutant, overrides) in [
            (Mutant::D1, include_str!("scripts/mutants/queue_d1.lua")),
            (Mutant::D2, include_str!("scripts/mutants/queue_d2.lua")),
            (Mutant::D10, include_str!("scripts/mutants/queue_d10.lua")),
            (Mutant::D11, include_str!("scripts/mutants/queue_d11.lua")),
        ] {
            if mutants.has(mutant) {
                common.push(overrides);
            }
        }
        let script = |operation: &str| Script::new(&[common.concat().as_str(), operation].concat());
        Self {
            enter: script(include_str!("scripts/queue_enter.lua")),
            standing: script(include_str!("scripts/queue_standing.lua")),
            leave: script(include_str!("scripts/queue_leave.lua")),
            tick: script(include_str!("scripts/queue_tick.lua")),
            #[cfg(feature = "mutants")]
            two_step_admission: mutants.has(Mutant::D11).then(|| {
                [
                    script(include_str!("scripts/mutants/queue_d11_range.lua")),
                    script(include_str!("scripts/mutants/queue_d11_trim.lua")),
                ]
            }),
        }
    }
}

/// An answer that no script of ours gives.
#[derive(Debug, thiserror::Error)]
#[error("the queue script answered {0}, which this version does not know")]
struct UnknownAnswer(String);

/// The queue of one namespace.
#[derive(Debug)]
pub struct RedisQueue {
    connection: RedisConnection,
    scripts: Scripts,
    keys: [String; 6],
    limits: QueueLimits,
}

impl RedisQueue {
    /// The queue of `namespace`; all its instances must have the same limits and kind of line.
    pub fn new(
        connection: RedisConnection,
        namespace: &str,
        kind: LineKind,
        limits: QueueLimits,
        mutants: Mutants,
    ) -> Self {
        let line = match kind {
            LineKind::SortedSet => "queue:line",
            LineKind::List => "queue:list",
        };
        let names = [
            line,
            "queue:active",
            "queue:deadlines",
            "queue:tokens",
            "queue:sequence",
            "queue:totals",
        ];
        Self {
            connection,
            scripts: Scripts::new(kind, mutants),
            keys: names.map(|name| key(namespace, name)),
            limits,
        }
    }

    fn call<'a>(&self, script: &'a Script, now: Timestamp, batch: usize) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        for key in &self.keys {
            call.key(key);
        }
        call.arg(now.unix_ms())
            .arg(self.limits.capacity)
            .arg(millis(self.limits.active_ttl))
            .arg(millis(self.limits.waiting_ttl))
            .arg(batch);
        call
    }

    #[cfg(feature = "mutants")]
    async fn admit_in_two_steps(&self, now: Timestamp) -> Result<(), Unavailable> {
        let Some([range, trim]) = &self.scripts.two_step_admission else {
            return Ok(());
        };
        let users: Vec<i64> = self
            .connection
            .run("queue admit", &self.call(range, now, REQUEST_BATCH))
            .await?;
        if users.is_empty() {
            return Ok(());
        }
        let mut call = self.call(trim, now, REQUEST_BATCH);
        call.arg(users);
        self.connection.run("queue admit", &call).await
    }

    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_async, reason = "the same signature as with the defect compiled in")]
    async fn admit_in_two_steps(&self, _now: Timestamp) -> Result<(), Unavailable> {
        Ok(())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn standing(state: u8, ahead: u64, moment_ms: i64) -> Result<Standing, Unavailable> {
    let expires_at = Timestamp::from_unix_ms(moment_ms);
    match state {
        0 => Ok(Standing::Gone),
        1 => Ok(Standing::Waiting { ahead, expires_at }),
        2 => Ok(Standing::Active { expires_at }),
        other => Err(unavailable(UnknownAnswer(format!("state {other}")))),
    }
}

impl WaitingQueue for RedisQueue {
    fn enter(
        &self,
        user: UserId,
        candidate: TokenId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(TokenId, Standing), Unavailable>> {
        async move {
            let mut call = self.call(&self.scripts.enter, now, REQUEST_BATCH);
            call.arg(user.raw()).arg(candidate.to_string());
            let (visit, state, ahead, moment_ms): (String, u8, u64, i64) =
                self.connection.run("queue enter", &call).await?;
            let id =
                u64::from_str_radix(&visit, 16).map_err(|_| unavailable(UnknownAnswer(format!("visit {visit}"))))?;
            self.admit_in_two_steps(now).await?;
            Ok((TokenId(id), standing(state, ahead, moment_ms)?))
        }
        .boxed()
    }

    fn standing(&self, token: QueueToken, now: Timestamp) -> BoxFuture<'_, Result<Standing, Unavailable>> {
        async move {
            self.admit_in_two_steps(now).await?;
            let mut call = self.call(&self.scripts.standing, now, REQUEST_BATCH);
            call.arg(token.user.raw()).arg(token.id.to_string());
            let (state, ahead, moment_ms): (u8, u64, i64) = self.connection.run("queue standing", &call).await?;
            standing(state, ahead, moment_ms)
        }
        .boxed()
    }

    fn leave(&self, token: QueueToken, now: Timestamp) -> BoxFuture<'_, Result<bool, Unavailable>> {
        async move {
            let mut call = self.call(&self.scripts.leave, now, REQUEST_BATCH);
            call.arg(token.user.raw()).arg(token.id.to_string());
            self.connection.run("queue leave", &call).await
        }
        .boxed()
    }

    fn tick(&self, now: Timestamp) -> BoxFuture<'_, Result<QueueCounts, Unavailable>> {
        async move {
            self.admit_in_two_steps(now).await?;
            let call = self.call(&self.scripts.tick, now, TICK_BATCH);
            let (waiting, active, admitted, expired): (u64, u64, u64, u64) =
                self.connection.run("queue tick", &call).await?;
            Ok(QueueCounts {
                waiting,
                active,
                admitted,
                expired,
            })
        }
        .boxed()
    }

    fn totals(&self) -> BoxFuture<'_, Result<QueueTotals, Unavailable>> {
        async move {
            let [.., totals] = &self.keys;
            let mut command = redis::cmd("HMGET");
            command.arg(totals).arg(&["entered", "admitted", "left", "expired"]);
            let [entered, admitted, left, expired]: [Option<u64>; 4] =
                self.connection.query("queue totals", &command).await?;
            Ok(QueueTotals {
                entered: entered.unwrap_or(0),
                admitted: admitted.unwrap_or(0),
                left: left.unwrap_or(0),
                expired: expired.unwrap_or(0),
            })
        }
        .boxed()
    }
}
