//! The linear layer.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use libellus_kernels::linear;

use crate::{Lora, trace};

/// `x W + b` over the last dimension.
///
/// The same as burn's layer, which can't be looked on from outside (see [`trace`]).
#[derive(Module, Debug)]
pub struct Linear {
    /// `[d_input, d_output]`.
    pub weight: Param<Tensor<2>>,
    /// `[d_output]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// A low-rank change, which has parameters of its own.
    pub lora: Option<Lora>,
}

impl Linear {
    /// The layer's output.
    ///
    /// # Shapes
    /// - `input`: `[..., d_input]`
    /// - output: `[..., d_output]`
    ///
    /// # Panics
    /// If the last dimension of `input` isn't `d_input`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let [d_input, d_output] = self.weight.lazy_shape().dims();
        let mut shape = input.dims();
        assert_eq!(shape[D - 1], d_input, "a linear layer of {d_input} inputs got {:?}", input.dims());
        let macs = (input.shape().num_elements() * d_output) as u64;
        shape[D - 1] = d_output;
        trace::layer("Linear", &self.weight, input, shape, macs, |input| {
            let change = self.lora.as_ref().map(|lora| lora.forward(input.clone()));
            let output = linear(input, self.weight.val(), self.bias.as_ref().map(|bias| bias.val()));
            match change {
                Some(change) => output + change,
                None => output,
            }
        })
    }
}

/// Configuration of [`Linear`].
#[derive(Config, Debug)]
pub struct LinearConfig {
    /// Size of the last dimension of the input.
    pub d_input: usize,
    /// Size of the last dimension of the output.
    pub d_output: usize,
    /// Whether a bias is added.
    #[config(default = true)]
    pub bias: bool,
    /// What weight and bias start with; by default `U(-1/sqrt(d_input), 1/sqrt(d_input))`, as in PyTorch.
    #[config(default = "fan_in()")]
    pub initializer: Initializer,
}

impl LinearConfig {
    /// The layer.
    pub fn init(&self, device: &Device) -> Linear {
        let init = &self.initializer;
        let fans = [Some(self.d_input), Some(self.d_output)];
        Linear {
            weight: init.init_with([self.d_input, self.d_output], fans[0], fans[1], device),
            bias: self.bias.then(|| init.init_with([self.d_output], fans[0], fans[1], device)),
            lora: None,
        }
    }
}

/// `U(-1/sqrt(fan_in), 1/sqrt(fan_in))`: what PyTorch's `kaiming_uniform_(a=sqrt(5))` comes to, and its bound of biases.
pub(crate) fn fan_in() -> Initializer {
    Initializer::KaimingUniform { gain: 1.0 / 3.0_f64.sqrt(), fan_out_only: false }
}
