//! Fixtures: for each rule a sound claim, and the change that makes it unsound.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::analysis::effect::{Block, Decision, Effect, NoiseFloor, SIGNIFICANCE, Scale, effect};
use crate::analysis::quantile::Value;
use crate::analysis::steady::Steadiness;
use crate::analysis::trend::mann_kendall;
use crate::recording::Outcome;
use crate::units::{RatePerSec, Ratio};

/// Twelve blocks on three launches that took half as long.
fn halved() -> Effect {
    let blocks: Vec<Block> = (0..12)
        .map(|i| Block {
            launch: i / 4,
            value: 0.5_f64.ln() + 0.01 * f64::from(i * 5 % 12),
        })
        .collect();
    effect(
        Scale::Ratio,
        &blocks,
        Some(NoiseFloor { size: 0.02, blocks: 12 }),
        SIGNIFICANCE,
        1,
    )
}

/// A claim that passes every rule.
fn sound(subject: Subject) -> Claim {
    Claim {
        subject,
        effect: Some(halved()),
        factors: Some(BTreeSet::from(["cache.mode".to_owned()])),
        arrivals: Some(Arrivals {
            intended: 10_000,
            dropped: 50,
            late: 50,
            said: false,
        }),
        successes: Some(9_900),
        generator: Some(Generator {
            cpu: Some(Ratio(0.4)),
            lag_p99: Some(Value::Finite(2_000_000)),
            response_p99: Some(Value::Finite(80_000_000)),
        }),
        steadiness: Some(Steadiness::Steady { warm_up: 5 }),
        throughput: Some(Throughput {
            claimed: RatePerSec(50.0),
            users: Some(50),
            mean_response: Duration::from_millis(200),
            mean_think: Duration::from_millis(800),
        }),
        counting: Some(Counting {
            as_success: BTreeSet::from([Outcome::Ok, Outcome::Won, Outcome::Conflict]),
            are_failures: BTreeSet::from([Outcome::Refused]),
        }),
        hits_from: Some(HitsFrom::Counters),
        quantiles_from: Some(QuantilesFrom::Histograms),
        pool: Some(Pool {
            connections: 32,
            max_connections: Some(151),
        }),
        plan: Some(PlanEvidence {
            is_executed_digest: Some(true),
            is_folded: false,
        }),
        caches: Some((Caches::Warm, Caches::Warm)),
    }
}

const SUBJECTS: [Subject; 7] = [
    Subject::Latency,
    Subject::ServiceTime,
    Subject::Throughput,
    Subject::FailureRatio,
    Subject::HitRatio,
    Subject::Work,
    Subject::Plan,
];

#[test]
fn sound_claims_are_printed() {
    for subject in SUBJECTS {
        assert_eq!(lint(&sound(subject)), [], "{subject:?}");
    }
    // A claim about one variant needs no comparison.
    let alone = Claim {
        effect: None,
        factors: None,
        caches: None,
        ..sound(Subject::Latency)
    };
    assert_eq!(lint(&alone), []);
}

/// The sound claim, changed, fails this rule alone, with this text.
#[track_caller]
fn unsound(subject: Subject, rule: Rule, text: &str, change: impl FnOnce(&mut Claim)) {
    let mut claim = sound(subject);
    change(&mut claim);
    let expected = [Missing {
        rule,
        text: text.to_owned(),
    }];
    assert_eq!(lint(&claim), expected);
}

#[test]
fn littles_law() {
    let text = "a throughput that is possible: 50 users can ask for 50.0/s at most, not 500.0/s";
    unsound(Subject::Throughput, Rule::LittlesLaw, text, |c| {
        c.throughput.as_mut().unwrap().claimed = RatePerSec(500.0)
    });
    let text = "the mean times that the throughput would have to agree with";
    unsound(Subject::Throughput, Rule::LittlesLaw, text, |c| c.throughput = None);
    // Arrivals that do not wait for each other have no such limit.
    let mut open = sound(Subject::Throughput);
    open.throughput = Some(Throughput {
        users: None,
        claimed: RatePerSec(1e6),
        ..open.throughput.unwrap()
    });
    assert_eq!(lint(&open), []);
}

#[test]
fn lost_arrivals() {
    let rule = Rule::LostArrivals;
    let text = "a word on the 1.5 % of arrivals that were dropped or late";
    unsound(Subject::Latency, rule, text, |c| {
        c.arrivals.as_mut().unwrap().dropped = 100
    });
    unsound(Subject::Latency, rule, "an account of every arrival", |c| {
        c.arrivals = None
    });
    unsound(Subject::Latency, rule, "any arrival at all", |c| {
        c.arrivals.as_mut().unwrap().intended = 0
    });
    let mut said = sound(Subject::Latency);
    said.arrivals = Some(Arrivals {
        intended: 100,
        dropped: 54,
        late: 0,
        said: true,
    });
    assert_eq!(lint(&said), []);
}

#[test]
fn no_success() {
    let text = "a single success of the operation under study";
    unsound(Subject::Throughput, Rule::NoSuccess, text, |c| c.successes = Some(0));
    unsound(
        Subject::Work,
        Rule::NoSuccess,
        "the number of operations that succeeded",
        |c| c.successes = None,
    );
}

#[test]
fn failures_as_success() {
    let rule = Rule::FailuresAsSuccess;
    let text = "an error rate that counts refused, time-out as failures";
    unsound(Subject::FailureRatio, rule, text, |c| {
        c.counting
            .as_mut()
            .unwrap()
            .as_success
            .extend([Outcome::Refused, Outcome::TimeOut]);
    });
    unsound(Subject::FailureRatio, rule, "which outcomes count as failures", |c| {
        c.counting = None
    });
}

#[test]
fn hits_from_latency() {
    let text = "hits counted by the cache: fast answers are not evidence of hits";
    unsound(Subject::HitRatio, Rule::HitsFromLatency, text, |c| {
        c.hits_from = Some(HitsFrom::Latency)
    });
    unsound(
        Subject::HitRatio,
        Rule::HitsFromLatency,
        "where the hits were counted",
        |c| c.hits_from = None,
    );
}

#[test]
fn averaged_quantiles() {
    let rule = Rule::AveragedQuantiles;
    let text = "quantiles of merged histograms: averages of quantiles are quantiles of nothing";
    unsound(Subject::Latency, rule, text, |c| {
        c.quantiles_from = Some(QuantilesFrom::Averages)
    });
    let text = "how the quantiles of several slices were joined";
    unsound(Subject::Latency, rule, text, |c| c.quantiles_from = None);
}

#[test]
fn two_factors() {
    let text = "a comparison that changes one thing: here cache.mode, pool.size differ";
    unsound(Subject::Latency, Rule::TwoFactors, text, |c| {
        c.factors.as_mut().unwrap().insert("pool.size".to_owned());
    });
    let text = "which setting differs between the variants";
    unsound(Subject::Latency, Rule::TwoFactors, text, |c| c.factors = None);
    let text = "a setting that differs between the variants";
    unsound(Subject::Latency, Rule::TwoFactors, text, |c| {
        c.factors = Some(BTreeSet::new())
    });
}

#[test]
fn too_few_blocks() {
    let text = "12 blocks over 3 launches of each variant: there are 11 over 3";
    unsound(Subject::Latency, Rule::TooFewBlocks, text, |c| {
        c.effect.as_mut().unwrap().blocks = 11
    });
    let text = "12 blocks over 3 launches of each variant: there are 12 over 1";
    unsound(Subject::Work, Rule::TooFewBlocks, text, |c| {
        c.effect.as_mut().unwrap().launches = 1
    });
}

#[test]
fn chance_and_noise() {
    unsound(
        Subject::Latency,
        Rule::Chance,
        "an effect beyond chance: p = 0.3000, where at most 0.0100 would show one",
        |c| {
            let effect = c.effect.as_mut().unwrap();
            (effect.decision, effect.p_value) = (Decision::NotShown, Some(0.3));
        },
    );
    let text = "an effect larger than what rerunning the same build shows";
    unsound(Subject::Latency, Rule::NoiseFloor, text, |c| {
        c.effect.as_mut().unwrap().decision = Decision::InsideNoiseFloor;
    });
    let text = "blocks of one variant against itself, to know the noise floor";
    unsound(Subject::Latency, Rule::NoiseFloor, text, |c| {
        c.effect.as_mut().unwrap().noise_floor = None
    });
}

#[test]
fn generator() {
    let rule = Rule::Generator;
    let with = |cpu, lag_p99| {
        move |c: &mut Claim| {
            c.generator = Some(Generator {
                cpu,
                lag_p99,
                ..c.generator.unwrap()
            })
        }
    };
    let (idle, prompt) = (Some(Ratio(0.1)), Some(Value::Finite(1)));
    let text = "a load generator with time to spare: it was busy for 97 %";
    unsound(Subject::Latency, rule, text, with(Some(Ratio(0.97)), prompt));
    let text = "a load generator on time: its lag was 4.5 ms at p99, for response times of 80.0 ms";
    unsound(Subject::Latency, rule, text, with(idle, Some(Value::Finite(4_500_000))));
    let text = "a load generator on time: more than 1 % of its requests were never sent";
    unsound(Subject::Latency, rule, text, with(idle, Some(Value::Infinite)));
    unsound(
        Subject::Latency,
        rule,
        "how busy the load generator was",
        with(None, prompt),
    );
    unsound(
        Subject::Latency,
        rule,
        "how late the load generator was",
        with(idle, None),
    );
    unsound(
        Subject::Latency,
        rule,
        "how busy and how late the load generator was",
        |c| c.generator = None,
    );
}

#[test]
fn a_late_generator_leaves_service_times_alone_and_a_busy_one_does_not() {
    let mut claim = sound(Subject::ServiceTime);
    claim.generator = Some(Generator {
        cpu: Some(Ratio(0.4)),
        lag_p99: None,
        response_p99: None,
    });
    assert_eq!(lint(&claim), []);
    let text = "a load generator with time to spare: it was busy for 97 %";
    unsound(Subject::ServiceTime, Rule::Generator, text, |c| {
        c.generator = Some(Generator {
            cpu: Some(Ratio(0.97)),
            lag_p99: None,
            response_p99: None,
        })
    });
    let text = "quantiles of merged histograms: averages of quantiles are quantiles of nothing";
    unsound(Subject::ServiceTime, Rule::AveragedQuantiles, text, |c| {
        c.quantiles_from = Some(QuantilesFrom::Averages)
    });
}

#[test]
fn steady_state() {
    let rule = Rule::SteadyState;
    let text = "a steady state: the second half of a slice differs from its first by -39 %";
    unsound(Subject::ServiceTime, rule, text, |c| {
        c.steadiness = Some(Steadiness::Settling {
            drift: -0.39,
            p_value: 0.0005,
        });
    });
    let trend = mann_kendall(&[1.0, 2.0, 3.0, 4.0]).unwrap();
    let text = "a steady state: the series still moved by +35 %";
    unsound(Subject::Latency, rule, text, |c| {
        c.steadiness = Some(Steadiness::Drifting {
            warm_up: 0,
            drift: 0.35,
            trend,
        });
    });
    let text = "a run long enough to tell a steady state";
    unsound(Subject::Latency, rule, text, |c| {
        c.steadiness = Some(Steadiness::TooShort)
    });
    unsound(Subject::Latency, rule, "a test for a steady state", |c| {
        c.steadiness = None
    });
}

#[test]
fn pool() {
    let text = "a pool that the server can serve: 200 connections, max_connections 151";
    unsound(Subject::Throughput, Rule::Pool, text, |c| {
        c.pool.as_mut().unwrap().connections = 200
    });
    let text = "the server's max_connections";
    unsound(Subject::Throughput, Rule::Pool, text, |c| {
        c.pool.as_mut().unwrap().max_connections = None
    });
    let text = "the size of the pool and the server's max_connections";
    unsound(Subject::Throughput, Rule::Pool, text, |c| {
        (c.pool, c.factors) = (None, Some(BTreeSet::from(["pool.size".to_owned()])));
    });
}

#[test]
fn plans() {
    let text = "a plan of the statement that the service executes: the explained one has another digest";
    unsound(Subject::Plan, Rule::OtherStatement, text, |c| {
        c.plan.as_mut().unwrap().is_executed_digest = Some(false)
    });
    let text = "a check that the explained statement is the executed one";
    unsound(Subject::Plan, Rule::OtherStatement, text, |c| {
        c.plan.as_mut().unwrap().is_executed_digest = None
    });
    unsound(Subject::Plan, Rule::OtherStatement, "a plan", |c| c.plan = None);
    let text = "a plan that reads: this one was answered while planning";
    unsound(Subject::Plan, Rule::FoldedPlan, text, |c| {
        c.plan.as_mut().unwrap().is_folded = true
    });
}

#[test]
fn cold_against_warm() {
    let rule = Rule::ColdAgainstWarm;
    let text = "equal caches: the baseline ran cold and the candidate warm";
    unsound(Subject::Latency, rule, text, |c| {
        c.caches = Some((Caches::Cold, Caches::Warm))
    });
    unsound(Subject::Latency, rule, "whether caches were cold or warm", |c| {
        c.caches = None
    });
}

#[test]
fn hidden_trend() {
    let drifting: Vec<Block> = (0..12)
        .map(|i| Block {
            launch: i / 4,
            value: -0.05 - 0.03 * f64::from(i),
        })
        .collect();
    let found = effect(
        Scale::Ratio,
        &drifting,
        Some(NoiseFloor { size: 0.02, blocks: 12 }),
        SIGNIFICANCE,
        1,
    );
    assert_eq!(found.decision, Decision::Lower);
    let text = "rounds that agree: the effect drifts over them (Kendall's tau -1.00)";
    unsound(Subject::Latency, Rule::HiddenTrend, text, |c| c.effect = Some(found));
    // A large effect that creeps is a large effect.
    let creeping: Vec<Block> = (0..12)
        .map(|i| Block {
            launch: i / 4,
            value: -2.0 - 0.01 * f64::from(i),
        })
        .collect();
    let mut claim = sound(Subject::Latency);
    claim.effect = Some(effect(
        Scale::Ratio,
        &creeping,
        claim.effect.unwrap().noise_floor,
        SIGNIFICANCE,
        1,
    ));
    assert_eq!(lint(&claim), []);
}

#[test]
fn nothing_known_is_nothing_claimed() {
    for subject in SUBJECTS {
        assert!(!lint(&Claim::about(subject)).is_empty(), "{subject:?}");
    }
}
