//! Whether a model is right as often as it says it is.

/// Number of bins that confidences fall into.
pub const N_BINS: usize = 15;

/// Counts for the expected calibration error.
///
/// Guo et al. 2017, *On Calibration of Modern Neural Networks*, arXiv:1706.04599, equation 3. The confidence
/// of a sample is the probability of its predicted class; it falls into one of [`N_BINS`] bins of equal
/// width, `((m - 1) / M, m / M]`. The error is the mean over all samples of `|accuracy - confidence|` of
/// their bin.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CalibrationBins {
    bins: [Bin; N_BINS],
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Bin {
    count: u64,
    correct: u64,
    confidence_sum: f64,
}

impl CalibrationBins {
    /// Without samples.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a sample whose predicted class has probability `confidence`.
    pub fn add(&mut self, confidence: f64, correct: bool) {
        let upper_edge = (confidence * N_BINS as f64).ceil() as usize;
        let bin = &mut self.bins[upper_edge.clamp(1, N_BINS) - 1];
        bin.count += 1;
        bin.correct += u64::from(correct);
        bin.confidence_sum += confidence;
    }

    /// The expected calibration error, from 0 (calibrated) to 1; 0 without samples.
    pub fn expected_error(&self) -> f64 {
        let count: u64 = self.bins.iter().map(|bin| bin.count).sum();
        // count/N * |correct/count - confidence_sum/count| per bin, with the bin's own count cancelled.
        let gaps: f64 = self.bins.iter().map(|bin| (bin.correct as f64 - bin.confidence_sum).abs()).sum();
        if count == 0 { 0.0 } else { gaps / count as f64 }
    }
}
