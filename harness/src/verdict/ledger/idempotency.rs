//! I7: the same idempotency key has the same answer, and one effect.

use super::end::End;
use super::facts::Facts;
use super::finding::{Evidence, Judgement};
use crate::recording::history::{IdemKey, Name};

pub(super) fn check(facts: &Facts, end: &End<'_>) -> (Judgement, String) {
    let keyed = &facts.keyed;
    let repeated = keyed
        .chunk_by(|a, b| (a.user, a.key) == (b.user, b.key))
        .filter(|answers| answers.len() > 1)
        .count();
    let basis = format!(
        "{} answers to operations with a key, {repeated} keys used again",
        keyed.len()
    );
    let other_answer = keyed
        .windows(2)
        .find(|pair| (pair[0].user, pair[0].key) == (pair[1].user, pair[1].key) && pair[0].answer != pair[1].answer);
    if let Some(pair) = other_answer {
        let reason = format!(
            "key {} of user {} had two different answers",
            pair[0].key,
            end.text(pair[0].user)
        );
        let evidence = Evidence::new(reason).operations([pair[0].operation, pair[1].operation]);
        return (Judgement::Invalid(evidence), basis);
    }
    let Some(audit) = end.audit else {
        return (Judgement::Unknown(end.no_audit()), basis);
    };
    let effects = |of: &mut dyn Iterator<Item = (Name, Option<IdemKey>)>| {
        let mut effects: Vec<(Name, IdemKey)> = of.filter_map(|(user, key)| Some((user, key?))).collect();
        effects.sort_unstable();
        effects.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    };
    let twice = effects(&mut audit.reservations.iter().map(|row| (row.user, row.key)))
        .map(|who| (who, "reservations"))
        .or_else(|| {
            effects(&mut audit.ledger.iter().map(|row| (row.user, row.key))).map(|who| (who, "ledger entries"))
        });
    if let Some(((user, key), what)) = twice {
        let reason = format!("key {key} of user {} has two {what}", end.text(user));
        let answers = keyed.iter().filter(|answer| (answer.user, answer.key) == (user, key));
        let evidence = Evidence::new(reason).operations(answers.map(|answer| answer.operation).take(2));
        return (Judgement::Invalid(evidence), basis);
    }
    let judgement = if keyed.is_empty() {
        Judgement::Idle("no operation with a key succeeded".to_owned())
    } else {
        Judgement::Valid
    };
    (judgement, basis)
}
