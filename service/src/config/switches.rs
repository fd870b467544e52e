//! The values that a switch can take, with the names that the configuration, `/metrics` and the reports share.

macro_rules! switch {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in configuration, metrics and reports.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }

            pub(crate) fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

switch!(/// Where seat maps are cached.
CacheMode {
    /// Every read goes to the database.
    Off = "off",
    /// Shared by all instances.
    Redis = "redis",
    /// In the process, in front of Redis.
    Tiered = "tiered",
    /// In the process alone; other instances' changes show after `cache.ttl`.
    Local = "local",
});

switch!(/// What happens when many readers miss the same key at once.
Stampede {
    /// Each reader loads for itself.
    None = "none",
    /// One reader of an instance loads, the others wait for it.
    SingleFlight = "single-flight",
    /// Single flight, and one reader refreshes shortly before the entry expires.
    EarlyRefresh = "early-refresh",
});

switch!(/// How two holds on one seat are kept apart.
Locking {
    /// One `UPDATE` whose condition holds for a free seat alone.
    ConditionalUpdate = "conditional-update",
    /// Read a version, write only if it is unchanged, retry a few times.
    Optimistic = "optimistic",
    /// `SELECT … FOR UPDATE` before the write.
    Pessimistic = "pessimistic",
    /// A lock in Redis around the transaction, and the conditional update as the fence behind it.
    RedisLock = "redis-lock",
    /// SQLite's `BEGIN IMMEDIATE`: one writer from the first statement on.
    Immediate = "immediate",
    /// Read, then write without a condition: sells twice under contention. For demonstrations only.
    None = "none",
});

switch!(/// How a committed payment becomes an event.
EventsMode {
    /// A row in the payment's transaction, published by a relay.
    Outbox = "outbox",
    /// Sent after the commit: a crash in between loses it. For comparison.
    Direct = "direct",
});

switch!(/// What keeps the waiting room.
QueueMode {
    /// Redis sorted sets: a position costs O(log n).
    Zset = "zset",
    /// A Redis list: a position costs O(n). For comparison.
    List = "list",
    /// Tables of the embedded database.
    Sql = "sql",
});

switch!(/// Where log lines go.
LogTarget {
    /// To standard output, where containers' logs are looked for; the ready line is one of the lines.
    Stdout = "stdout",
    /// To standard error, so that standard output has the ready line alone: for whoever waits for it.
    Stderr = "stderr",
});

switch!(/// The seventeen defects, as switches. README says which invariant exposes each.
Mutant {
    /// No free slot admits the whole queue.
    D1 = "D1",
    /// Expired tokens are never removed.
    D2 = "D2",
    /// Releasing a seat fails silently.
    D3 = "D3",
    /// Cancelling a payment marks it completed.
    D4 = "D4",
    /// Two payments at once both debit.
    D5 = "D5",
    /// A payment races expiry, and a paid seat returns to sale.
    D6 = "D6",
    /// A cache fill without re-check appends twice.
    D7 = "D7",
    /// Sold out is taken for missing: every read queries.
    D8 = "D8",
    /// The cache is changed before the commit.
    D9 = "D9",
    /// Rank by linear search.
    D10 = "D10",
    /// Range and trim are not atomic: a person is lost.
    D11 = "D11",
    /// The cache is never filled.
    D12 = "D12",
    /// A cast in the predicate makes the index unusable.
    D13 = "D13",
    /// A lock failure or version conflict becomes a 500.
    D14 = "D14",
    /// Stopping one instance wipes queue, tokens and locks.
    D15 = "D15",
    /// The consumer swallows errors.
    D16 = "D16",
    /// Checks that need only Redis hold a database connection.
    D17 = "D17",
});

/// The mutants that are switched on; always empty in a build without the feature `mutants`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mutants(u32);

impl Mutants {
    /// Whether `mutant` is on. Constant false without the feature, so that the defects are compiled out.
    pub const fn has(self, mutant: Mutant) -> bool {
        cfg!(feature = "mutants") && self.0 & (1 << mutant as u32) != 0
    }

    /// The ones that are on.
    pub fn iter(self) -> impl Iterator<Item = Mutant> {
        Mutant::ALL.iter().copied().filter(move |mutant| self.has(*mutant))
    }
}

impl FromIterator<Mutant> for Mutants {
    fn from_iter<I: IntoIterator<Item = Mutant>>(mutants: I) -> Self {
        Self(mutants.into_iter().fold(0, |bits, mutant| bits | 1 << mutant as u32))
    }
}
