//! Mixup and CutMix over a batch, with soft targets.
//!
//! - Zhang et al. 2017, *mixup: Beyond Empirical Risk Minimization*, arXiv:1710.09412.
//! - Yun et al. 2019, *CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features*,
//!   arXiv:1905.04899.
//!
//! Reference: timm's `Mixup` in its `batch` mode: one `lambda` for a batch, image `i` is mixed with image `N - 1 - i`.
//! *Differences*: a batch may be odd (its middle image stays as it is), and labels are smoothed by the loss, not here.

use crate::{
    ImageBatch, SampleRng, TransformError,
    transform::{Region, check_probability, check_within},
};
use rand::RngExt;
use rand_distr::{Beta, Distribution};
use serde::{Deserialize, Serialize};

/// Mixes each image of a batch, and its target, with another one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mix {
    /// Mixup draws its `lambda` from Beta(alpha, alpha); 0 turns mixup off.
    pub mixup_alpha: f64,
    /// CutMix draws the kept area from Beta(alpha, alpha); 0 turns CutMix off.
    pub cutmix_alpha: f64,
    /// How often a batch is mixed at all, from 0 to 1.
    pub probability: f64,
    /// When both are on, how often it is CutMix, from 0 to 1.
    pub switch_probability: f64,
}

impl Default for Mix {
    /// Both off.
    fn default() -> Self {
        Self { mixup_alpha: 0.0, cutmix_alpha: 0.0, probability: 1.0, switch_probability: 0.5 }
    }
}

/// What is done to one batch.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Plan {
    Nothing,
    Mixup { lambda: f64 },
    CutMix { region: Region },
}

impl Mix {
    /// Whether a batch is ever mixed.
    pub fn is_on(&self) -> bool {
        self.probability > 0.0 && (self.mixup_alpha > 0.0 || self.cutmix_alpha > 0.0)
    }

    /// Checks that every value is in its range.
    ///
    /// # Errors
    /// [`TransformError::Value`] for the first that is not.
    pub fn validate(&self) -> Result<(), TransformError> {
        const NAME: &str = "mix";
        for (key, alpha) in [("mixup_alpha", self.mixup_alpha), ("cutmix_alpha", self.cutmix_alpha)] {
            check_within(NAME, key, alpha, 0.0..=1000.0, "a number from 0 to 1000")?;
        }
        check_probability(NAME, "probability", self.probability)?;
        check_probability(NAME, "switch_probability", self.switch_probability)
    }

    /// Mixes a batch in place.
    ///
    /// Unless mixing is off altogether, the batch has soft targets afterwards, even if this batch was not mixed: so all
    /// batches of a run are alike.
    ///
    /// # Panics
    /// If a label is not below the number of classes, or a value of `self` is out of its range.
    pub fn apply(&self, batch: &mut ImageBatch, rng: &mut SampleRng) {
        if !self.is_on() {
            return;
        }
        let [_, _, height, width] = batch.shape;
        match self.draw(width, height, rng) {
            Plan::Nothing => mix_targets(batch, 1.0),
            Plan::Mixup { lambda } => mixup(batch, lambda),
            Plan::CutMix { region } => cutmix(batch, region),
        }
    }

    fn draw(&self, width: usize, height: usize, rng: &mut SampleRng) -> Plan {
        if !rng.random_bool(self.probability) {
            return Plan::Nothing;
        }
        let cut =
            self.cutmix_alpha > 0.0 && (self.mixup_alpha == 0.0 || rng.random_bool(self.switch_probability));
        let alpha = if cut { self.cutmix_alpha } else { self.mixup_alpha };
        let lambda = Beta::new(alpha, alpha)
            .expect("alpha is positive and finite: validate() has seen it")
            .sample(rng);
        if cut {
            Plan::CutMix { region: draw_region(lambda, width, height, rng) }
        } else {
            Plan::Mixup { lambda }
        }
    }
}

/// A rectangle with the image's aspect ratio and `1 - lambda` of its area, centred anywhere, cut at the borders.
fn draw_region(lambda: f64, width: usize, height: usize, rng: &mut SampleRng) -> Region {
    let part = (1.0 - lambda).sqrt();
    let mut side = |available: usize| {
        let length = (available as f64 * part) as usize;
        let centre = rng.random_range(0..available);
        let start = centre.saturating_sub(length / 2);
        let end = (centre + length.div_ceil(2)).min(available);
        (start, end - start)
    };
    let (top, height) = side(height);
    let (left, width) = side(width);
    Region { left: left as i64, top: top as i64, width, height }
}

/// Blends image `i` with image `N - 1 - i`: `lambda` of the first, the rest of the second, and so their targets.
///
/// # Panics
/// If a label is not below the number of classes.
pub fn mixup(batch: &mut ImageBatch, lambda: f64) {
    let (own, other) = (lambda as f32, (1.0 - lambda) as f32);
    for_each_pair(&mut batch.pixels, batch.shape[0], |first, second| {
        for (a, b) in first.iter_mut().zip(second) {
            (*a, *b) = (*a * own + *b * other, *b * own + *a * other);
        }
    });
    mix_targets(batch, lambda);
}

/// Exchanges a region between image `i` and image `N - 1 - i`; their targets are mixed by its part of the area.
///
/// # Panics
/// If the region reaches beyond the images, or a label is not below the number of classes.
pub fn cutmix(batch: &mut ImageBatch, region: Region) {
    let [images, _, height, width] = batch.shape;
    let inside = |start: i64, length: usize, available: usize| {
        usize::try_from(start).is_ok_and(|start| start + length <= available)
    };
    assert!(
        inside(region.left, region.width, width) && inside(region.top, region.height, height),
        "{region:?} reaches beyond images of {width} x {height} pixels"
    );
    let rows = region.top as usize..region.top as usize + region.height;
    let columns = region.left as usize..region.left as usize + region.width;
    for_each_pair(&mut batch.pixels, images, |first, second| {
        let planes = first.chunks_exact_mut(height * width).zip(second.chunks_exact_mut(height * width));
        for (first, second) in planes {
            for row in rows.clone() {
                let span = row * width + columns.start..row * width + columns.end;
                first[span.clone()].swap_with_slice(&mut second[span]);
            }
        }
    });
    mix_targets(batch, 1.0 - (region.width * region.height) as f64 / (width * height) as f64);
}

/// Calls `work` on the values of row `i` and of row `N - 1 - i`, for each pair once, of `rows` rows.
fn for_each_pair(values: &mut [f32], rows: usize, mut work: impl FnMut(&mut [f32], &mut [f32])) {
    if rows < 2 || values.is_empty() {
        return;
    }
    let length = values.len() / rows;
    let (front, back) = values.split_at_mut(rows.div_ceil(2) * length);
    for (first, second) in front.chunks_exact_mut(length).zip(back.chunks_exact_mut(length).rev()) {
        work(first, second);
    }
}

/// `lambda` of each image's own target and the rest of its partner's; of labels, if there are no targets yet.
fn mix_targets(batch: &mut ImageBatch, lambda: f64) {
    let (rows, classes) = (batch.labels.len(), batch.num_classes);
    let targets = batch.targets.get_or_insert_with(|| {
        let mut targets = vec![0.0; rows * classes];
        for (row, &label) in batch.labels.iter().enumerate() {
            assert!(label < classes, "label {label} is not one of {classes} classes");
            targets[row * classes + label] = 1.0;
        }
        targets
    });
    let (own, other) = (lambda as f32, (1.0 - lambda) as f32);
    for_each_pair(targets, rows, |first, second| {
        for (a, b) in first.iter_mut().zip(second) {
            (*a, *b) = (*a * own + *b * other, *b * own + *a * other);
        }
    });
}

#[cfg(test)]
mod tests;
