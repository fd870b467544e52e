//! I4, planted: backlogs and dead letters.

use super::case::*;
const WHICH: Invariant = Invariant::Outbox;

fn letter(key: &str) -> DeadLetter {
    DeadLetter {
        key: key.to_owned(),
        cause: Some("unreadable".to_owned()),
        attempts: Some(1),
        source: Some("payments/0/17".to_owned()),
    }
}

#[test]
fn it_drains_in_time() {
    let after = |pending, waited| {
        let mut case = Case::booked();
        case.harness.drained = Some(Drained {
            pending,
            waited: ms(waited),
        });
        case
    };
    after(Some(0), 9_000).acquits(WHICH);
    after(Some(2), 3_000).convicts(WHICH, "2 events were still on their way 3000 ms", &[]);
    after(Some(2), 2_999).doubts(WHICH, "nobody saw");
    after(None, 3_000).doubts(WHICH, "nobody saw");
}

#[test]
fn dead_letters_are_the_planted_poison() {
    let with = |planted: &[&str], listed: Vec<DeadLetter>| {
        let mut case = Case::booked();
        case.harness.planted = planted.iter().map(|&key| key.to_owned()).collect();
        case.harness.dead_letters = Some(listed);
        case
    };
    with(&["poison"], vec![letter("poison")]).acquits(WHICH);
    with(&["poison"], vec![]).convicts(WHICH, "not among the dead letters", &[]);
    with(&[], vec![letter("event")]).convicts(WHICH, "nobody made it fail", &[]);
    with(&["poison"], vec![letter("poison"), letter("poison")]).convicts(WHICH, "twice", &[]);
    // After a fault the same record may have been given up twice, and no two records once each.
    let mut shaken = with(&["poison"], vec![letter("poison"), letter("poison")]);
    shaken.harness.faults.push(FaultWindow {
        name: "service-kill".to_owned(),
        target: "service at http://127.0.0.1:1".to_owned(),
        from: ms(0),
        until: Some(ms(10_000)),
    });
    shaken.acquits(WHICH);
    let elsewhere = DeadLetter {
        source: Some("payments/0/18".to_owned()),
        ..letter("poison")
    };
    shaken.harness.dead_letters = Some(vec![letter("poison"), elsewhere]);
    shaken.convicts(WHICH, "twice", &[]);
    let bare = DeadLetter {
        cause: None,
        ..letter("poison")
    };
    with(&["poison"], vec![bare]).convicts(WHICH, "no cause", &[]);
    let mut unlisted = with(&[], vec![]);
    unlisted.harness.dead_letters = None;
    unlisted.doubts(WHICH, "not listed");
    unlisted.harness.drained = None;
    unlisted.doubts(WHICH, "did not wait");
}
