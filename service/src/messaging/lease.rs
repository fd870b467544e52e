//! Which shards an instance should hold: a fair share of the key space, decided alike by everyone from the same rows.
//!
//! Pure. The rows are read and written by the store; safety does not rest on anything here, but on the fence.

use crate::domain::Timestamp;
use crate::store::outbox::ShardLease;

/// What to change, by shard.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// Free shards to take, with the fence under which they were seen.
    pub take: Vec<(u32, i64)>,
    /// Own shards to give back, since others are short of theirs.
    pub give: Vec<u32>,
}

/// What `me` should change at `now`, given every shard and the live instances. Instances are ranked by name; the
/// first ones take what does not divide evenly, so that the shares add up and nobody takes and gives in turns.
pub fn plan(leases: &[ShardLease], members: &[String], me: &str, now: Timestamp) -> Changes {
    let mut ranked: Vec<&str> = members.iter().map(String::as_str).collect();
    if !ranked.contains(&me) {
        ranked.push(me);
    }
    ranked.sort_unstable();
    ranked.dedup();
    let rank = ranked.iter().position(|name| *name == me).unwrap_or(0);
    let share = leases.len() / ranked.len() + usize::from(rank < leases.len() % ranked.len());

    let mine: Vec<u32> = leases
        .iter()
        .filter(|lease| lease.owner.as_deref() == Some(me) && !lease.is_free(now))
        .map(|lease| lease.shard)
        .collect();
    let mut free: Vec<(u32, i64)> = leases
        .iter()
        .filter(|lease| lease.is_free(now))
        .map(|lease| (lease.shard, lease.fence))
        .collect();
    // Instances that start together begin at different places, so that they seldom reach for the same shard.
    if !free.is_empty() {
        let start = rank * free.len() / ranked.len();
        free.rotate_left(start);
    }
    Changes {
        give: mine.iter().skip(share).copied().collect(),
        take: free.into_iter().take(share.saturating_sub(mine.len())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_000);

    fn lease(shard: u32, owner: Option<&str>, until_ms: i64) -> ShardLease {
        ShardLease {
            shard,
            owner: owner.map(str::to_owned),
            fence: 1,
            until: Timestamp::from_unix_ms(until_ms),
            published_seq: 0,
        }
    }

    fn names(members: &[&str]) -> Vec<String> {
        members.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn one_instance_takes_all() {
        let leases: Vec<ShardLease> = (0..4).map(|shard| lease(shard, None, 0)).collect();
        assert_eq!(plan(&leases, &names(&["a"]), "a", NOW).take.len(), 4);
    }

    #[test]
    fn a_newcomer_is_given_its_share() {
        let leases: Vec<ShardLease> = (0..5).map(|shard| lease(shard, Some("a"), 2_000)).collect();
        let changes = plan(&leases, &names(&["a", "b"]), "a", NOW);
        assert_eq!(changes.give, [3, 4]);
        assert_eq!(plan(&leases, &names(&["a", "b"]), "b", NOW), Changes::default());
    }

    #[test]
    fn a_dead_owner_s_shards_are_taken_when_its_lease_lapses() {
        let mut leases: Vec<ShardLease> = (0..4).map(|shard| lease(shard, Some("dead"), 1_001)).collect();
        assert_eq!(plan(&leases, &names(&["b"]), "b", NOW).take, []);
        for lease in &mut leases {
            lease.until = NOW;
        }
        assert_eq!(plan(&leases, &names(&["b"]), "b", NOW).take.len(), 4);
    }

    proptest! {
        #[test]
        fn shares_settle_evenly_and_stay(shards in 1_u32..40, n_members in 1_usize..7) {
            let members: Vec<String> = (0..n_members).map(|n| format!("m{n}")).collect();
            let mut leases: Vec<ShardLease> = (0..shards).map(|shard| lease(shard, Some("m0"), 2_000)).collect();
            for _round in 0..3 {
                for me in &members {
                    let changes = plan(&leases, &members, me, NOW);
                    for lease in &mut leases {
                        if changes.give.contains(&lease.shard) {
                            lease.owner = None;
                        } else if changes.take.iter().any(|(shard, _)| *shard == lease.shard) {
                            *lease = ShardLease { owner: Some(me.clone()), ..lease.clone() };
                            lease.until = Timestamp::from_unix_ms(2_000);
                        }
                    }
                }
            }
            let held = |me: &String| leases.iter().filter(|lease| lease.owner.as_ref() == Some(me)).count();
            let counts: Vec<usize> = members.iter().map(held).collect();
            prop_assert_eq!(counts.iter().sum::<usize>(), leases.len());
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{:?}", counts);
            for me in &members {
                prop_assert_eq!(plan(&leases, &members, me, NOW), Changes::default());
            }
        }
    }
}
