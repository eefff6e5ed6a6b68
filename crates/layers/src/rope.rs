//! Rotary position embedding.
//!
//! Su et al. 2021, *RoFormer: Enhanced Transformer with Rotary Position Embedding*, arXiv:2104.09864, section 3.2.2.
//! Reference: `transformers`' `LlamaRotaryEmbedding` and `ROPE_INIT_FUNCTIONS["llama3"]`.
//! Shapes: `B` batch, `H` heads, `T` tokens, `D` width of a head.
//!
//! *Differences* to the paper, shared with every published checkpoint of the Llama family: element `i` of a head is
//! rotated together with element `i + D/2` rather than with its neighbour (burn's layer does as the paper; GGUF files
//! have their weights reordered for it).

use std::f64::consts::TAU;

use burn::tensor::{Int, Tensor, TensorData};

use crate::trace;

/// Angular frequencies, from which the rotation at each position follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// In radians per token, one for each pair of elements: `[D/2]`.
    pub frequencies: Vec<f32>,
}

/// How the low frequencies of a model are slowed down, so that it can read longer texts than it was first trained on.
///
/// Llama 3.1 (Meta 2024, *The Llama 3 Herd of Models*, arXiv:2407.21783, section 3.4.2): frequencies that turn less than
/// `low_freq_factor` times in the original context are divided by `factor`, those that turn more than
/// `high_freq_factor` times stay, and those between go over from the one to the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RopeScaling {
    /// What low frequencies are divided by.
    pub factor: f64,
    /// Turns in the original context up to which a frequency counts as low.
    pub low_freq_factor: f64,
    /// Turns in the original context from which on a frequency counts as high.
    pub high_freq_factor: f64,
    /// The original context, in tokens.
    pub original_context: usize,
}

impl Rope {
    /// `theta^(-2i/D)` for `i = 0 .. D/2`, where `D` is `head_dim`.
    ///
    /// # Panics
    /// If `head_dim` is odd.
    pub fn new(head_dim: usize, theta: f64) -> Self {
        Self::from_frequencies(frequencies(head_dim, theta))
    }

    /// The same, scaled.
    ///
    /// # Panics
    /// If `head_dim` is odd.
    pub fn scaled(head_dim: usize, theta: f64, scaling: &RopeScaling) -> Self {
        Self::from_frequencies(frequencies(head_dim, theta).map(|frequency| scaling.apply(frequency)))
    }

    fn from_frequencies(frequencies: impl Iterator<Item = f64>) -> Self {
        Self { frequencies: frequencies.map(|frequency| frequency as f32).collect() }
    }

    /// The rotations at `positions`, to be applied in every layer.
    ///
    /// # Shapes
    /// - `positions`: `[B, T]`, or `[1, T]` for all sequences alike
    pub fn at(&self, positions: Tensor<2, Int>) -> Rotation {
        let device = positions.device();
        let pairs = self.frequencies.len();
        let frequencies = TensorData::new(self.frequencies.clone(), [1, 1, 1, pairs]);
        let positions: Tensor<4> = positions.float().unsqueeze_dims(&[1, 3]);
        let angles = positions * Tensor::<4>::from_data(frequencies, &device);
        Rotation { cos: angles.clone().cos(), sin: angles.sin() }
    }
}

fn frequencies(head_dim: usize, theta: f64) -> impl Iterator<Item = f64> {
    assert!(head_dim.is_multiple_of(2), "a head of odd width {head_dim} can't be rotated in pairs");
    (0..head_dim / 2).map(move |pair| theta.powf(-2.0 * pair as f64 / head_dim as f64))
}

impl RopeScaling {
    fn apply(&self, frequency: f64) -> f64 {
        let turns = self.original_context as f64 * frequency / TAU;
        let kept = (turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor);
        let kept = kept.clamp(0.0, 1.0);
        kept * frequency + (1.0 - kept) * frequency / self.factor
    }
}

/// The rotations at certain positions.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// `[B or 1, 1, T, D/2]`.
    pub cos: Tensor<4>,
    /// `[B or 1, 1, T, D/2]`.
    pub sin: Tensor<4>,
}

impl Rotation {
    /// Rotates queries or keys.
    ///
    /// # Shapes
    /// - `heads`: `[B, H, T, D]`
    /// - output: as `heads`
    ///
    /// # Panics
    /// If `heads` has other positions or another width.
    pub fn apply(&self, heads: Tensor<4>) -> Tensor<4> {
        let half = self.cos.dims()[3];
        let width = heads.dims()[3];
        assert_eq!(width, 2 * half, "heads of another width (actual, expected)");
        if trace::only_shapes() {
            return heads;
        }
        let real = heads.clone().narrow(3, 0, half);
        let imaginary = heads.narrow(3, half, half);
        let [cos, sin] = [self.cos.clone(), self.sin.clone()];
        let rotated = real.clone() * cos.clone() - imaginary.clone() * sin.clone();
        Tensor::cat(vec![rotated, imaginary * cos + real * sin], 3)
    }
}

#[cfg(test)]
mod tests;
