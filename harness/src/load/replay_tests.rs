//! One seed gives one schedule, one choice of journeys and one choice of data, byte for byte.

use std::fmt::Write as _;
use std::time::Duration;

use super::feed::Feeds;
use super::ground::{Ground, Target};
use super::journeys;
use super::schedule::Schedule;
use super::session::{Dice, pick};
use super::{Catalogue, RanDry};
use crate::config::{ArrivalKind, JourneyKind, ScenarioConfig};
use crate::recording::RunClock;
use crate::units::Nanos;

const SCENARIO: &str = "name: a\nstages: [{for: 4s, from: 10/s, to: 90/s}, {for: 2s, rate: 50/s}]\n\
    journeys: {book: 50%, browse: 30%, abandon: 20%}\nskew: {users: 0.7}\n\
    data: {users: 40, concerts: 5, schedules-per-concert: 4, seats-per-schedule: 30}\n\
    feeders:\n\
    - {name: fans, rows: \"user\\n1\\n2\\n3\\n4\\n5\\n6\\n7\\n8\\n9\\n\", order: shuffled, again: true, journeys: [book]}\n\
    - {name: places, rows: \"concert,schedule\\n1,1\\n2,2\\n3,3\\n4,4\\n\", order: random, journeys: [book, browse]}\n\
    - {name: steep, generated: {seats: 2}, journeys: [abandon]}\n";

fn scenario(arrivals: ArrivalKind) -> ScenarioConfig {
    ScenarioConfig {
        arrivals,
        ..ScenarioConfig::parse("s.yaml", SCENARIO).unwrap()
    }
}

fn catalogue() -> Catalogue {
    let id = |kind: u128, n: u128| uuid::Uuid::from_u128(kind << 64 | n);
    let concert = |n| {
        let dates = (0..4).map(|date| serde_json::json!({"schedule_id": id(3, n * 10 + date), "seats": 30}));
        serde_json::json!({"concert_id": id(2, n), "schedules": dates.collect::<Vec<_>>()})
    };
    let users: Vec<_> = (0..40).map(|n| id(1, n)).collect();
    let concerts: Vec<_> = (0..5).map(concert).collect();
    serde_json::from_value(serde_json::json!({"seed": 1, "data_hash": "", "users": users, "concerts": concerts}))
        .unwrap()
}

/// Everything that is decided before anybody answers, as text: for each arrival of the schedule and for the visits of two
/// virtual users, the journey and what it asks for. Of dates and seats, the place in an answer of a known length.
async fn decided(scenario: &ScenarioConfig, seed: u64) -> String {
    let (clock, dice) = (RunClock::start(), Dice::new(seed, 1));
    let target = Target {
        address: "http://127.0.0.1:1".to_owned(),
        part: catalogue().whole(),
    };
    let ground = Ground::prepare(0, &target, scenario, clock).await.unwrap();
    let feeds = Feeds::new(scenario, dice.clone(), seed);
    let mut text = String::new();
    let arrivals: Vec<_> = Schedule::new(&scenario.stages, scenario.arrivals, seed).collect();
    assert!(arrivals.len() > 200, "{}", arrivals.len());
    let visits = (0..2).flat_map(|user: u64| (0..20).map(move |visit: u64| 1 << 63 | user << 32 | visit));
    let times = arrivals.iter().map(|slot| (slot.number, slot.due.0, slot.stage));
    for (number, due, stage) in times.chain(visits.map(|number| (number, 0, 0))) {
        let mut choices = dice.choices(number);
        let kind = journeys::choose(scenario, &mut choices);
        let row = feeds.next(kind, number, Nanos(0)).unwrap();
        let skew = scenario.skew_of(kind);
        let user = ground.choose_user(number, &mut choices, skew.users, row.user);
        let concert = ground.choose_concert(&mut choices, skew.concerts, row.concert).unwrap();
        let date = row
            .schedule
            .map_or_else(|| pick(&mut choices, 4, skew.schedules).unwrap(), |n| n.get() as usize);
        let seat = pick(&mut choices, 30, skew.seats).unwrap();
        let concert = concert.concert_id;
        writeln!(
            text,
            "{number} {due} {stage} {kind:?} {row:?} {user} {concert} {date} {seat}"
        )
        .unwrap();
    }
    text
}

#[tokio::test]
async fn one_seed_decides_the_schedule_the_journeys_and_the_data_byte_for_byte() {
    for arrivals in [ArrivalKind::Poisson, ArrivalKind::Even] {
        let scenario = scenario(arrivals);
        let (once, again) = (decided(&scenario, 7).await, decided(&scenario, 7).await);
        assert!(once == again, "{arrivals:?} differs from itself");
        // What is recorded decides the same.
        let recorded = ScenarioConfig::parse("plan.yaml", &scenario.to_yaml().unwrap()).unwrap();
        assert!(
            once == decided(&recorded, 7).await,
            "{arrivals:?} differs from its recording"
        );
        let other = decided(&scenario, 8).await;
        let same = once
            .lines()
            .zip(other.lines())
            .filter(|(one, other)| one == other)
            .count();
        // Of 300 lines, a few may agree where arrivals are even.
        assert!(same < 10, "{arrivals:?}: {same} lines of two seeds agree");
    }
}

fn turns(order: &str, again: bool, seed: u64, n: u64) -> Vec<Result<u32, RanDry>> {
    let again = if again { ", again: true" } else { "" };
    let text = format!(
        "name: a\nstages: [{{for: 1s, rate: 1/s}}]\njourneys: {{book: 100%}}\n\
         feeders: [{{name: fans, rows: \"user\\n1\\n2\\n3\\n4\\n5\\n6\\n7\\n8\\n\", order: {order}{again}}}]\n"
    );
    let scenario = ScenarioConfig::parse("s.yaml", &text).unwrap();
    let feeds = Feeds::new(&scenario, Dice::new(seed, 1), seed);
    let next = |number| feeds.next(JourneyKind::Book, number, Nanos(9));
    (0..n)
        .map(|number| next(number).map(|row| row.user.unwrap().get()))
        .collect()
}

#[test]
fn a_row_is_used_once_until_there_is_none_left() {
    let well = |turns: Vec<Result<u32, RanDry>>| turns.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    let rows: Vec<u32> = (1..=8).collect();
    assert_eq!(well(turns("in-turn", false, 1, 8)), rows);
    assert_eq!(
        well(turns("in-turn", true, 1, 16)),
        [rows.clone(), rows.clone()].concat()
    );
    let shuffled = well(turns("shuffled", true, 1, 16));
    assert_eq!(shuffled[..8], shuffled[8..], "the same order again");
    let mut sorted = shuffled[..8].to_vec();
    assert!(sorted != rows, "{sorted:?}");
    sorted.sort_unstable();
    assert_eq!(sorted, rows);
    assert_ne!(shuffled[..8], well(turns("shuffled", false, 2, 8))[..]);
    let random = well(turns("random", false, 1, 400));
    for row in rows {
        // Binomial(400, 1/8): six standard deviations are 40.
        let times = random.iter().filter(|drawn| **drawn == row).count();
        assert!((10..=90).contains(&times), "{row}: {times}");
    }
    for order in ["in-turn", "shuffled"] {
        let last = turns(order, false, 1, 9).pop().unwrap();
        let dry = RanDry {
            feeder: "fans".to_owned(),
            rows: 8,
            at: Nanos(9),
        };
        assert_eq!(last, Err(dry));
    }
}

#[test]
fn rows_that_will_not_suffice_are_told_with_both_numbers() {
    let mut scenario = scenario(ArrivalKind::Even);
    assert_eq!(super::shortages(&scenario), [], "they come again, or at random");
    scenario = ScenarioConfig::parse("s.yaml", &SCENARIO.replace("shuffled, again: true", "shuffled")).unwrap();
    let [short] = &super::shortages(&scenario)[..] else {
        panic!("one feeder is too short");
    };
    // 4 s at 50/s on average and 2 s at 50/s, of which half book.
    assert_eq!((short.rows, short.needed), (9, 150));
    assert!(
        short.to_string().contains("`fans` has 9 rows, and about 150 arrivals"),
        "{short}"
    );
    scenario
        .stages
        .iter_mut()
        .for_each(|stage| stage.length = Duration::from_millis(50));
    assert_eq!(super::shortages(&scenario), []);
}
