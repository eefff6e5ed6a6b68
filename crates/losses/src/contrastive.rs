//! Losses that bring vectors together which belong together, and drive the others apart.
//!
//! Shapes: `N` pairs, `M` candidates, `D` width of a vector.

use burn::tensor::{Int, Tensor};
use libellus_kernels::cross_entropy;
use serde::{Deserialize, Serialize};

use crate::error::LossError;

/// Configuration of [`InfoNce`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InfoNceConfig {
    /// What cosines are divided by, above 0: the lower, the more the nearest of the others count. Default 0.05.
    pub temperature: f64,
}

impl Default for InfoNceConfig {
    fn default() -> Self {
        Self { temperature: 0.05 }
    }
}

impl InfoNceConfig {
    /// The loss.
    ///
    /// # Errors
    /// When the temperature is outside its range.
    pub fn init(&self) -> Result<InfoNce, LossError> {
        let value = self.temperature;
        match value > 0.0 && value.is_finite() {
            true => Ok(InfoNce { temperature: value }),
            false => Err(LossError::Temperature { value }),
        }
    }
}

/// For each anchor the cross entropy of telling its own positive among all candidates, by their cosines.
///
/// Oord et al. 2018, *Representation Learning with Contrastive Predictive Coding*, arXiv:1807.03748, equation 4; with the other
/// positives of the batch as negatives: Henderson et al. 2017, arXiv:1705.00652, section 4. Reference:
/// `MultipleNegativesRankingLoss` of sentence-transformers, whose `scale` is `1 / temperature`.
#[derive(Clone, Copy, Debug)]
pub struct InfoNce {
    temperature: f64,
}

impl InfoNce {
    /// The mean over the anchors, in nats. Vectors need no length of 1; one of zeros is as far from all others.
    ///
    /// # Shapes
    /// - `anchors`: `[N, D]`
    /// - `candidates`: `[M, D]`, the positive of each anchor in its place, and behind them negatives for all, if there are any
    /// - output: `[1]`
    ///
    /// # Panics
    /// When there are fewer candidates than anchors, or the widths differ.
    pub fn forward(&self, anchors: Tensor<2>, candidates: Tensor<2>) -> Tensor<1> {
        let ([count, _], [candidate_count, _]) = (anchors.dims(), candidates.dims());
        assert!(candidate_count >= count, "{count} anchors and only {candidate_count} candidates");
        let labels = Tensor::<1, Int>::arange(0..count as i64, &anchors.device());
        let cosines = unit(anchors).matmul(unit(candidates).transpose());
        cross_entropy(cosines / self.temperature, labels, 0.0).mean()
    }
}

/// Configuration of [`Triplet`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TripletConfig {
    /// By how much the negative must be farther away than the positive to cost nothing, from 0 up. Default 1.
    pub margin: f64,
}

impl Default for TripletConfig {
    fn default() -> Self {
        Self { margin: 1.0 }
    }
}

impl TripletConfig {
    /// The loss.
    ///
    /// # Errors
    /// When the margin is outside its range.
    pub fn init(&self) -> Result<Triplet, LossError> {
        let value = self.margin;
        match value >= 0.0 && value.is_finite() {
            true => Ok(Triplet { margin: value }),
            false => Err(LossError::Margin { value }),
        }
    }
}

/// How much nearer than the margin allows a negative is, compared with the positive.
///
/// Schroff et al. 2015, *FaceNet*, arXiv:1503.03832, equation 2, with distances that aren't squared. Reference:
/// `torch.nn.TripletMarginLoss`.
#[derive(Clone, Copy, Debug)]
pub struct Triplet {
    margin: f64,
}

impl Triplet {
    /// The mean over triplets of `max(|a - p| - |a - n| + margin, 0)`.
    ///
    /// # Shapes
    /// - `anchors`, `positives`, `negatives`: `[N, D]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn forward(&self, anchors: Tensor<2>, positives: Tensor<2>, negatives: Tensor<2>) -> Tensor<1> {
        let near = distance(anchors.clone(), positives);
        let far = distance(anchors, negatives);
        (near - far + self.margin).clamp_min(0.0).mean()
    }
}

/// Vectors of length 1.
fn unit(vectors: Tensor<2>) -> Tensor<2> {
    let length = vectors.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
    vectors / length
}

/// The Euclidean distance of rows, `[N, 1]`. As PyTorch's it adds 1e-6 to each difference, so that it has a gradient where they are
/// all 0.
fn distance(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    assert_eq!(a.dims(), b.dims(), "distances are between as many vectors of the same width");
    (a - b + 1e-6).square().sum_dim(1).sqrt()
}
