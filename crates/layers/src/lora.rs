//! A low-rank change of a linear layer.
//!
//! Hu et al. 2022, *LoRA: Low-Rank Adaptation of Large Language Models*, arXiv:2106.09685, section 4.1; the scale by the root of
//! the rank: Kalajdzievski 2023, *A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA*, arXiv:2312.03732.
//! Reference: PEFT's `lora.Linear`.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::linear::fan_in;
use crate::{Dropout, DropoutConfig, Initializer, Linear};

/// What is added to a linear layer: `dropout(x) A B`, times a scale.
#[derive(Module, Debug)]
pub struct Lora {
    /// `A`, `[d_input, r]`.
    pub a: Param<Tensor<2>>,
    /// `B`, `[r, d_output]`.
    pub b: Param<Tensor<2>>,
    /// Of the input.
    pub dropout: Dropout,
    /// What the change is multiplied by.
    pub scale: f64,
}

/// Configuration of [`Lora`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoraConfig {
    /// The rank `r`, at least 1.
    pub rank: usize,
    /// What the change is multiplied by.
    pub scale: f64,
    /// Probability of an input being dropped in training, in `[0, 1)`.
    pub dropout: f64,
}

impl Lora {
    /// What is added to the layer's output.
    ///
    /// # Shapes
    /// - `input`: `[..., d_input]`
    /// - output: `[..., d_output]`
    pub(crate) fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let narrow = libellus_kernels::linear(self.dropout.forward(input), self.a.val(), None);
        libellus_kernels::linear(narrow, self.b.val(), None) * self.scale
    }
}

impl Linear {
    /// The layer with a change that is nothing yet: `A` is drawn as the weights of a linear layer are, `B` is 0.
    pub fn with_lora(mut self, config: &LoraConfig, device: &Device) -> Self {
        let [d_input, d_output] = self.weight.lazy_shape().dims();
        let rank = config.rank;
        self.lora = Some(Lora {
            a: fan_in().init_with([d_input, rank], Some(d_input), Some(rank), device),
            b: Initializer::Zeros.init([rank, d_output], device),
            dropout: DropoutConfig::new(config.dropout).init(),
            scale: config.scale,
        });
        self
    }

    /// The layer with its change in the weight, if it has one.
    pub fn merge_lora(mut self) -> Self {
        if let Some(lora) = self.lora.take() {
            let change = lora.a.val().matmul(lora.b.val()) * lora.scale;
            self.weight = self.weight.map(|weight| (weight + change).detach());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use libellus_backend::testing::{assert_close, device, read};

    use super::LoraConfig;
    use crate::{Linear, LinearConfig};

    fn layer(scale: f64) -> Linear {
        let device = device();
        let config = LoraConfig { rank: 3, scale, dropout: 0.0 };
        LinearConfig::new(5, 7).init(&device).with_lora(&config, &device)
    }

    fn input() -> Tensor<3> {
        Tensor::arange(0..22, &device()).float().reshape([2, 11]).slice([0..2, 0..10]).reshape([2, 2, 5])
            / 11.0
    }

    #[test]
    fn a_new_change_is_none() {
        let layer = layer(2.0);
        let plain = Linear { lora: None, ..layer.clone() };
        assert_eq!(read(layer.forward(input())), read(plain.forward(input())));
    }

    #[test]
    fn the_merged_layer_gives_the_same() {
        let mut layer = layer(0.5);
        let lora = layer.lora.as_mut().expect("it has one");
        lora.b = lora.b.clone().map(|b| b + 0.25);
        let changed = read(layer.forward(input()));
        let plain = Linear { lora: None, ..layer.clone() };
        let difference = read(layer.forward(input()) - plain.forward(input()));
        assert!(difference.iter::<f32>().any(|number| number.abs() > 1e-2), "{difference}");
        let merged = layer.merge_lora();
        assert!(merged.lora.is_none());
        // Other sums of the same numbers, all below 4.
        assert_close(&read(merged.forward(input())), &changed, 1e-6);
    }
}
