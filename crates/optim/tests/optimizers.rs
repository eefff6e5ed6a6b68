//! Optimisers against PyTorch's (Lion: timm's), step by step, and their state.

mod common;

use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::tensor::TensorData;
use common::{Bare, NAMES, golden_row, metadata};
use libellus_backend::testing::{assert_close, device};
use libellus_optim::{DecayPolicy, LionConfig, OptimError, OptimizerConfig, SgdConfig};
use serde::Deserialize;

const STEPS: usize = 12;

/// Twelve steps round each weight twelve times, f32's 6e-8 each, mostly in the same direction as the reference.
const TOLERANCE: f64 = 3e-7;

#[derive(Deserialize)]
struct Case {
    name: String,
    config: OptimizerConfig,
    lr: f64,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(&metadata("cases")).expect("our configuration reads the reference's keys")
}

fn lr(case: &Case, step: usize) -> f64 {
    case.lr / (1 + step) as f64
}

fn optimizer(config: &OptimizerConfig, policy: DecayPolicy) -> ModuleOptimizer {
    config.init(policy).expect("a valid configuration")
}

#[test]
fn steps_equal_the_reference() {
    for case in cases() {
        let mut model = Bare::golden(&device().autodiff());
        let mut optimizer = optimizer(&case.config, DecayPolicy::All);
        for step in 0..STEPS {
            let gradients = model.gradients(step);
            model = optimizer.step(lr(&case, step), model, gradients);
            for (name, actual) in NAMES.iter().zip(model.values()) {
                let expected = golden_row(&format!("{}.{name}", case.name), step);
                println!("{}: {name} at step {step}", case.name);
                assert_close(&actual, &expected, TOLERANCE);
            }
        }
    }
}

#[test]
fn a_restored_optimizer_takes_the_same_step() {
    for case in cases() {
        let mut model = Bare::golden(&device().autodiff());
        let mut original = optimizer(&case.config, DecayPolicy::All);
        for step in 0..5 {
            let gradients = model.gradients(step);
            model = original.step(lr(&case, step), model, gradients);
        }
        let bytes = original.to_record().into_bytes().expect("a record has bytes");
        let record = OptimizerRecord::from_bytes(bytes).expect("the bytes are a record");
        let restored = optimizer(&case.config, DecayPolicy::All).load_record(record);
        // Saved again before its first step, it still has everything.
        let bytes = restored.to_record().into_bytes().expect("a record has bytes");
        let record = OptimizerRecord::from_bytes(bytes).expect("the bytes are a record");
        let mut restored = optimizer(&case.config, DecayPolicy::All).load_record(record);

        // A new model takes the parameter ids, by which the optimiser knows its state, from the record.
        let mut copy = Bare::golden(&device().autodiff()).load_record(model.clone().into_record());
        for step in 5..STEPS {
            let gradients = model.gradients(step);
            model = original.step(lr(&case, step), model, gradients);
            let gradients = copy.gradients(step);
            copy = restored.step(lr(&case, step), copy, gradients);
            for (a, b) in model.values().iter().zip(copy.values()) {
                assert_eq!(a.as_bytes(), b.as_bytes(), "{} at step {step}", case.name);
            }
        }
    }
}

#[test]
fn a_record_is_not_changed_by_later_steps() {
    let config: OptimizerConfig = "adam".parse().expect("a known name");
    let mut model = Bare::golden(&device().autodiff());
    let mut optimizer = optimizer(&config, DecayPolicy::All);
    let gradients = model.gradients(0);
    model = optimizer.step(0.1, model, gradients);
    let record = optimizer.to_record();
    let at_once = optimizer.to_record().into_bytes().expect("a record has bytes");
    let gradients = model.gradients(1);
    let _ = optimizer.step(0.1, model, gradients);
    let later = record.into_bytes().expect("a record has bytes");
    // Parameters come in any order, so the bytes are compared as sets.
    let sorted = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.sort_unstable();
        bytes
    };
    assert_eq!(sorted(&later), sorted(&at_once));
}

#[test]
fn norms_and_biases_keep_out_of_decay() {
    for name in OptimizerConfig::NAMES {
        let mut config: OptimizerConfig = name.parse().expect("a known name");
        let plain = with_decay(&mut config, 0.0);
        let decayed = with_decay(&mut config, 0.5);
        let after = |config: &OptimizerConfig, policy| {
            let model = Bare::golden(&device().autodiff());
            let gradients = model.gradients(0);
            optimizer(config, policy).step(0.01, model, gradients).values()
        };
        let none = after(&plain, DecayPolicy::All);
        let all = after(&decayed, DecayPolicy::All);
        let matrices = after(&decayed, DecayPolicy::NoNormsAndBiases);
        assert_eq!(matrices[0], none[0], "{name}: the vector doesn't decay");
        assert_eq!(matrices[1..], all[1..], "{name}: the others do");
        if !matches!(config, OptimizerConfig::RmsProp(_) | OptimizerConfig::Adam(_)) {
            assert_ne!(all[0], none[0], "{name}: otherwise the vector would");
        }
    }
}

fn with_decay(config: &mut OptimizerConfig, rate: f64) -> OptimizerConfig {
    match config {
        OptimizerConfig::Sgd(config) => config.weight_decay = rate,
        OptimizerConfig::Adam(config) => config.weight_decay = rate,
        OptimizerConfig::AdamW(config) => config.weight_decay = rate,
        OptimizerConfig::RmsProp(config) => config.weight_decay = rate,
        OptimizerConfig::Lion(config) => config.weight_decay = rate,
    }
    config.clone()
}

#[test]
fn a_centred_variance_below_zero_is_zero() {
    // With a constant gradient the variance goes to zero, and rounding takes it below.
    let json = r#"{ "name": "rmsprop", "centered": true, "alpha": 0.5 }"#;
    let config: OptimizerConfig = serde_json::from_str(json).expect("a valid configuration");
    let mut model = Bare::golden(&device().autodiff());
    let mut optimizer = optimizer(&config, DecayPolicy::All);
    for _ in 0..60 {
        let gradients = model.gradients(0);
        model = optimizer.step(1e-12, model, gradients);
    }
    for values in model.values() {
        assert!(values.iter::<f32>().all(f32::is_finite));
    }
}

#[test]
fn frozen_parameters_stay() {
    let model = Bare::golden(&device().autodiff());
    let before = model.values();
    let mut gradients = model.gradients(0);
    gradients.remove::<2>(model.matrix.id);
    let config: OptimizerConfig = "adamw".parse().expect("a known name");
    let after = optimizer(&config, DecayPolicy::All).step(0.1, model, gradients).values();
    assert_eq!(after[1], before[1]);
    assert_ne!(after[0], before[0]);
}

#[test]
fn files_name_the_optimizer_and_reject_unknown_keys() {
    for name in OptimizerConfig::NAMES {
        let config: OptimizerConfig = name.parse().expect("a known name");
        assert_eq!(config.name(), name);
        assert_eq!(config.validate(), Ok(()));
        let text = serde_json::to_string(&config).expect("a configuration is JSON");
        assert_eq!(serde_json::from_str::<OptimizerConfig>(&text).expect("its own output"), config);
        let short = format!(r#"{{ "name": "{name}" }}"#);
        assert_eq!(serde_json::from_str::<OptimizerConfig>(&short).expect("all have defaults"), config);
        let wrong = format!(r#"{{ "name": "{name}", "learning_speed": 1 }}"#);
        let error = serde_json::from_str::<OptimizerConfig>(&wrong).expect_err("an unknown key");
        assert!(error.to_string().contains("learning_speed"), "{error}");
    }
}

#[test]
fn numbers_outside_their_range_are_errors() {
    let bad = |json: &str| {
        let config: OptimizerConfig = serde_json::from_str(json).expect("valid JSON");
        config.init(DecayPolicy::All).err().expect("a bad configuration").to_string()
    };
    assert!(bad(r#"{ "name": "sgd", "momentum": -0.5 }"#).contains("`momentum` is -0.5"));
    assert!(bad(r#"{ "name": "adam", "betas": [0.9, 1.0] }"#).contains("`betas[1]` is 1"));
    assert!(bad(r#"{ "name": "adamw", "eps": -1.0 }"#).contains("`eps` is -1"));
    assert!(bad(r#"{ "name": "rmsprop", "alpha": 2.0 }"#).contains("`alpha` is 2"));
    assert!(bad(r#"{ "name": "lion", "weight_decay": -3 }"#).contains("`weight_decay` is -3"));

    let nesterov = OptimizerConfig::Sgd(SgdConfig { nesterov: true, ..SgdConfig::default() });
    assert_eq!(nesterov.validate(), Err(OptimError::Nesterov { momentum: 0.0, dampening: 0.0 }));
    let nan = OptimizerConfig::Lion(LionConfig { weight_decay: f64::NAN, ..LionConfig::default() });
    assert!(nan.validate().is_err());
    assert!("sdg".parse::<OptimizerConfig>().expect_err("a typing mistake").to_string().contains("adamw"));
}

#[test]
fn an_empty_parameter_takes_a_step() {
    use burn::module::Param;
    use burn::optim::GradientsParams;
    use burn::tensor::Tensor;

    // On flex, whatever the tests run on: burn's GPU backends (0.22.1) panic on any tensor without elements.
    let device = libellus_backend::testing::reference().autodiff();
    let model = vec![Param::<Tensor<2>>::from_data(TensorData::new(Vec::<f32>::new(), [0, 3]), &device)];
    let mut gradients = GradientsParams::new();
    gradients.register::<2>(model[0].id, Tensor::zeros([0, 3], &device.inner()));
    let config: OptimizerConfig = "sgd".parse().expect("a known name");
    let after = optimizer(&config, DecayPolicy::All).step(0.1, model, gradients);
    assert_eq!(after[0].val().dims(), [0, 3]);
}
