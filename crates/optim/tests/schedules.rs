//! Schedules against PyTorch's, and their edges.

use libellus_optim::{OptimError, ScheduleConfig};
use serde::Deserialize;

const GOLDEN: &str = include_str!("golden/schedules.json");

#[derive(Deserialize)]
struct Case {
    config: ScheduleConfig,
    total_steps: u64,
    peak: f64,
    rates: Vec<f64>,
}

#[test]
fn rates_equal_pytorch() {
    let cases: Vec<Case> =
        serde_json::from_str(GOLDEN).expect("our configuration reads the reference's keys");
    for case in cases {
        let schedule = case.config.init(case.total_steps, case.peak).expect("a valid configuration");
        for (step, expected) in case.rates.iter().enumerate() {
            // PyTorch updates most schedules from the step before, which adds up the rounding of f64.
            let error = (schedule.lr(step as u64) - expected).abs();
            assert!(error <= 1e-13 * case.peak, "{:?} at step {step}: off by {error:e}", case.config);
        }
    }
}

#[test]
fn a_rate_depends_on_nothing_but_the_step() {
    let schedule = ScheduleConfig::one_cycle().init(37, 0.1).expect("a valid configuration");
    let forwards: Vec<f64> = (0..37).map(|step| schedule.lr(step)).collect();
    let mut backwards: Vec<f64> = (0..37).rev().map(|step| schedule.lr(step)).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
}

#[test]
fn rates_stay_where_the_schedule_ended() {
    let cosine = ScheduleConfig::WarmupCosine { warmup: 3, final_factor: 0.25 };
    let schedule = cosine.init(11, 2.0).expect("a valid configuration");
    assert_eq!(schedule.lr(11), 0.5);
    assert_eq!(schedule.lr(u64::MAX), 0.5);
    let schedule = ScheduleConfig::one_cycle().init(11, 2.0).expect("a valid configuration");
    assert_eq!(schedule.lr(u64::MAX), schedule.lr(10));
}

#[test]
fn every_run_length_gives_numbers() {
    let configs = [
        ScheduleConfig::Constant {},
        ScheduleConfig::WarmupCosine { warmup: 0, final_factor: 0.0 },
        ScheduleConfig::WarmupCosine { warmup: 5, final_factor: 0.1 },
        ScheduleConfig::Noam { warmup: 1 },
        ScheduleConfig::Noam { warmup: 3 },
        ScheduleConfig::Step { every: 2, gamma: 0.1 },
        ScheduleConfig::Milestones { at: vec![2, 3], gamma: 0.1 },
        ScheduleConfig::Milestones { at: vec![], gamma: 0.1 },
        ScheduleConfig::one_cycle(),
        ScheduleConfig::OneCycle { pct_start: 0.5, div_factor: 1.0, final_div_factor: 1.0 },
        ScheduleConfig::OneCycle { pct_start: 0.0, div_factor: 1.0, final_div_factor: 1.0 },
        ScheduleConfig::OneCycle { pct_start: 1.0, div_factor: 25.0, final_div_factor: 1.0 },
    ];
    for config in configs {
        for total in 0..8 {
            let schedule = config.init(total, 0.5).expect("a valid configuration");
            for step in 0..10 {
                let lr = schedule.lr(step);
                assert!((0.0..=0.5).contains(&lr), "{config:?}: {lr} at step {step} of {total}");
            }
        }
    }
}

#[test]
fn files_reject_unknown_keys_and_bad_numbers() {
    let parse = |json: &str| serde_json::from_str::<ScheduleConfig>(json);
    assert_eq!(parse(r#"{ "name": "constant" }"#).expect("valid"), ScheduleConfig::Constant {});
    assert_eq!(parse(r#"{ "name": "one_cycle" }"#).expect("valid"), ScheduleConfig::one_cycle());
    assert!(parse(r#"{ "name": "constant", "warmup": 3 }"#).is_err());
    assert!(parse(r#"{ "name": "warmup_cosine", "warm_up": 3 }"#).is_err());
    assert!(parse(r#"{ "name": "warmup_cosine", "warmup": -3 }"#).is_err());
    assert!(parse(r#"{ "name": "step" }"#).is_err());

    let bad = |config: ScheduleConfig| config.init(10, 0.1).expect_err("a bad configuration").to_string();
    assert!(bad(ScheduleConfig::Step { every: 0, gamma: 0.1 }).contains("`every`"));
    assert!(
        bad(ScheduleConfig::WarmupCosine { warmup: 0, final_factor: 2.0 }).contains("`final_factor` is 2")
    );
    assert!(
        bad(ScheduleConfig::OneCycle { pct_start: 0.3, div_factor: 0.0, final_div_factor: 1.0 })
            .contains("`div_factor`")
    );
    let order = ScheduleConfig::Milestones { at: vec![3, 2], gamma: 0.1 };
    assert_eq!(order.validate(), Err(OptimError::MilestoneOrder { earlier: 3, later: 2 }));
    assert!(ScheduleConfig::Constant {}.init(10, f64::NAN).is_err());
    assert!(ScheduleConfig::Constant {}.init(10, -1.0).is_err());
}
