use burn::module::Module;
use libellus_backend::testing::device;

use super::{MlpConfig, PYTORCH};
use crate::ConfigError;
use crate::testing::Golden;

#[test]
fn agrees_with_pytorch() {
    let golden = Golden::open("mlp");
    let plain = device();
    let config = MlpConfig { dropout: 0.0, ..MlpConfig::tiny() };
    let model = golden.load(config.init(&plain).expect("valid"), &PYTORCH);
    let images = golden.tensor::<4>("images", &plain);
    golden.check("eval.logits", model.forward(images.clone()));
    golden.check(
        "eval.hidden.1",
        model.hidden[1].forward(model.activation.forward(model.hidden[0].forward(images.flatten::<2>(1, 3)))),
    );

    let device = plain.autodiff();
    let model = golden.load(config.init(&device).expect("valid"), &PYTORCH);
    let images = golden.tensor::<4>("images", &device).require_grad();
    let logits = model.forward(images.clone());
    golden.check("train.logits", logits.clone());
    let gradients = (logits * golden.tensor("coefficients", &device)).sum().backward();
    golden.check("gradient.images", images.grad(&gradients).expect("required"));
    golden.check("gradient.hidden.0.weight", model.hidden[0].weight.grad(&gradients).expect("required"));
    golden.check("gradient.head.weight", model.head.weight.grad(&gradients).expect("required"));
}

#[test]
fn parameters() {
    let device = device();
    let count = |config: MlpConfig| config.init(&device).expect("valid").num_params();
    assert_eq!(count(MlpConfig::digits(10)), 64 * 128 + 128 + 128 * 128 + 128 + 128 * 10 + 10);
    // Without hidden layers, a linear classifier.
    assert_eq!(count(MlpConfig { hidden: Vec::new(), ..MlpConfig::digits(10) }), 64 * 10 + 10);
}

#[test]
fn what_is_wrong_is_named() {
    let error = |config: MlpConfig| config.init(&device()).expect_err("a wrong configuration").to_string();
    assert_eq!(
        error(MlpConfig { hidden: vec![13, 0], ..MlpConfig::tiny() }),
        "`hidden` must be between 1 and 131072, not 0"
    );
    assert_eq!(
        error(MlpConfig { num_classes: 0, ..MlpConfig::tiny() }),
        "`num_classes` must be between 1 and 131072, not 0"
    );
    assert_eq!(
        error(MlpConfig { dropout: 1.0, ..MlpConfig::tiny() }),
        "`dropout` must be at least 0 and less than 1, not 1"
    );
    assert!(matches!(
        MlpConfig { dropout: f64::NAN, ..MlpConfig::tiny() }.validate(),
        Err(ConfigError::NotAProbability { .. })
    ));
    assert_eq!(
        error(MlpConfig { input_size: [5, usize::MAX], ..MlpConfig::tiny() }),
        format!("`input_size` must be between 1 and 16384, not {}", usize::MAX)
    );
}
