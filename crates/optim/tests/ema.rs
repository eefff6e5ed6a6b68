//! The moving average of weights.

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use libellus_optim::Ema;

/// One product and one sum in f32 per update.
const TOLERANCE: f64 = 1e-6;

#[derive(Module, Debug)]
struct Net {
    linear: Linear,
    norm: BatchNorm,
}

impl Net {
    fn new(device: &Device) -> Self {
        Self { linear: LinearConfig::new(3, 5).init(device), norm: BatchNormConfig::new(5).init(device) }
    }

    fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        self.norm.forward(self.linear.forward(inputs))
    }

    fn weight(&self) -> TensorData {
        read(self.linear.weight.val())
    }

    fn running_mean(&self) -> TensorData {
        read(self.norm.running_mean.value_sync())
    }
}

fn inputs(device: &Device) -> Tensor<2> {
    let values: Vec<f32> = (0..21).map(|i| (i as f32 * 0.7).sin()).collect();
    Tensor::from_data(TensorData::new(values, [7, 3]), device)
}

fn filled(model: Net, value: f32) -> Net {
    let mut model = model;
    model.linear.weight = model.linear.weight.map(|weight| weight.full_like(value));
    model
}

fn all(value: f32) -> TensorData {
    TensorData::new(vec![value; 15], [3, 5])
}

#[test]
fn follows_the_weights() {
    let model = filled(Net::new(&device().autodiff()), 1.0);
    let mut ema = Ema::new(&model, 0.75).expect("a decay within its range");
    assert_close(&ema.model().weight(), &all(1.0), 0.0);
    let model = filled(model, 3.0);
    ema.update(&model);
    assert_close(&ema.model().weight(), &all(0.75 * 1.0 + 0.25 * 3.0), TOLERANCE);
    ema.update(&model);
    assert_close(&ema.model().weight(), &all(0.75 * 1.5 + 0.25 * 3.0), TOLERANCE);
    assert_eq!(ema.updates(), 2);
    // The model in training is untouched.
    assert_close(&model.weight(), &all(3.0), 0.0);
}

#[test]
fn warm_up_forgets_the_start() {
    let model = filled(Net::new(&device().autodiff()), 1.0);
    let mut ema = Ema::new(&model, 0.15).expect("a decay within its range").with_warmup();
    let model = filled(model, 0.0);
    ema.update(&model);
    assert_close(&ema.model().weight(), &all(0.1), TOLERANCE);
    // (1 + 1) / (10 + 1) is above the decay.
    ema.update(&model);
    assert_close(&ema.model().weight(), &all(0.1 * 0.15), TOLERANCE);
}

#[test]
fn averages_running_statistics_and_shares_none() {
    let device = device().autodiff();
    let model = Net::new(&device);
    let mut ema = Ema::new(&model, 0.5).expect("a decay within its range");
    let start = ema.model().running_mean();

    // Batch norm stores its statistics at the next look, so the average must look.
    let _ = model.forward(inputs(&device));
    ema.update(&model);
    let trained = model.running_mean();
    assert_ne!(trained, start);
    let expected: Vec<f32> =
        start.iter::<f32>().zip(trained.iter::<f32>()).map(|(a, b)| 0.5 * a + 0.5 * b).collect();
    assert_close(&ema.model().running_mean(), &TensorData::new(expected, [5]), TOLERANCE);

    // What the average does leaves the model as it was, and the other way round.
    let averaged = ema.model().running_mean();
    let _ = model.forward(inputs(&device) * 10.0);
    assert_ne!(model.running_mean(), trained);
    assert_eq!(ema.model().running_mean(), averaged);
    let trained = model.running_mean();
    ema.update(&model);
    assert_eq!(model.running_mean(), trained);
}

#[test]
fn is_in_inference_mode() {
    let device = device().autodiff();
    let model = Net::new(&device);
    let ema = Ema::new(&model, 0.5).expect("a decay within its range");
    let inner = libellus_backend::testing::device();
    let one = read(ema.model().forward(inputs(&inner).narrow(0, 0, 1)));
    let whole = read(ema.model().forward(inputs(&inner)).narrow(0, 0, 1));
    assert_close(&one, &whole, TOLERANCE);
    assert!(!ema.model().linear.weight.val().is_autodiff());
}

#[test]
fn goes_on_from_what_was_saved() {
    let device = device().autodiff();
    let model = Net::new(&device);
    let mut ema = Ema::new(&model, 0.99).expect("a decay within its range").with_warmup();
    let step = |model: Net| {
        let _ = model.forward(inputs(&device));
        Net { linear: model.linear.map(&mut Shift), norm: model.norm }
    };
    let mut model = step(model);
    ema.update(&model);

    let mut restored = Ema::new(&model, 0.99).expect("a decay within its range").with_warmup();
    let record = ema.model().clone().into_record();
    restored.restore(model.clone().load_record(record), ema.updates());
    for _ in 0..3 {
        model = step(model);
        ema.update(&model);
        restored.update(&model);
    }
    assert_eq!(restored.model().weight(), ema.model().weight());
    assert_eq!(restored.updates(), 4);
}

struct Shift;

impl burn::module::ModuleMapper for Shift {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        param.map(|tensor| tensor + 0.125)
    }
}

#[test]
fn a_decay_outside_its_range_is_an_error() {
    let model = Net::new(&device());
    for decay in [-0.1, 1.0, f64::NAN] {
        assert!(Ema::new(&model, decay).is_err());
    }
}
