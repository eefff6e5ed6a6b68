//! What a person can choose for sampling.

use serde::{Deserialize, Serialize};

use super::error::{SamplingError, check};

/// How the next token is drawn from the model's distribution.
///
/// The default draws from the distribution as it is. Options are applied in the order of the fields below, but the
/// penalties before the temperature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Divides the logits: below 1 the likely tokens get likelier. From 0, which always takes the likeliest token
    /// (greedy), to any finite number.
    pub temperature: f64,
    /// Keep the tokens with the `k` largest logits, and those equal to the last of them (Fan et al. 2018,
    /// arXiv:1805.04833). 0, or more than the vocabulary has, keeps all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// Keep the likeliest tokens that together reach this probability, from 0 to 1 (nucleus sampling, Holtzman et al.
    /// 2020, arXiv:1904.09751). 1 keeps all; of equal tokens the higher ids are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Keep the tokens at least this many times as likely as the likeliest, from 0 to 1 (Nguyen et al. 2024,
    /// arXiv:2407.01082).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// Keep the tokens that are about as surprising as the distribution is on average, until they together reach this
    /// probability, above 0 and up to 1, which keeps all (Meister et al. 2023, arXiv:2202.00666, section 4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typical_p: Option<f64>,
    /// Divides positive logits, and multiplies negative ones, of the tokens in the prompt and the generated text
    /// (Keskar et al. 2019, arXiv:1909.05858, section 4.1). Above 0; 1 is off, more is less repetition.
    pub repetition_penalty: f64,
    /// Taken from the logits of the tokens in the generated text (not the prompt). From -2 to 2; 0 is off.
    pub presence_penalty: f64,
    /// Taken from the logits of the tokens in the generated text (not the prompt), once for each time they are in it.
    /// From -2 to 2; 0 is off.
    pub frequency_penalty: f64,
    /// No filter leaves fewer tokens than this, at least 1.
    pub min_tokens_to_keep: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: None,
            top_p: None,
            min_p: None,
            typical_p: None,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            min_tokens_to_keep: 1,
        }
    }
}

impl Sampling {
    /// The likeliest token, always.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// Whether the likeliest token is always taken.
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0
    }

    /// Looks for options out of range, and for such that contradict each other.
    ///
    /// # Errors
    /// [`SamplingError::Option`] with the first one found.
    pub fn validate(&self) -> Result<(), SamplingError> {
        let temperature = self.temperature;
        check(temperature >= 0.0, "temperature", temperature, "must be at least 0")?;
        check(temperature.is_finite(), "temperature", temperature, "must be finite")?;
        for (option, value) in [("top-p", self.top_p), ("min-p", self.min_p)] {
            if let Some(value) = value {
                check((0.0..=1.0).contains(&value), option, value, "must be from 0 to 1")?;
            }
        }
        if let Some(mass) = self.typical_p {
            check(mass > 0.0 && mass <= 1.0, "typical-p", mass, "must be above 0 and at most 1")?;
        }
        let repetition = self.repetition_penalty;
        check(
            repetition > 0.0 && repetition.is_finite(),
            "repetition-penalty",
            repetition,
            "must be above 0 and finite; 1 is off",
        )?;
        for (option, penalty) in
            [("presence-penalty", self.presence_penalty), ("frequency-penalty", self.frequency_penalty)]
        {
            check((-2.0..=2.0).contains(&penalty), option, penalty, "must be from -2 to 2; 0 is off")?;
        }
        check(
            self.min_tokens_to_keep >= 1,
            "min-tokens-to-keep",
            self.min_tokens_to_keep,
            "must be at least 1",
        )?;
        if self.is_greedy() {
            let reason = "has no effect at --temperature 0, which always takes the likeliest token";
            let top_k = self.top_k.filter(|&k| k > 0);
            check(top_k.is_none(), "top-k", top_k.unwrap_or_default(), reason)?;
            for (option, value) in
                [("top-p", self.top_p), ("min-p", self.min_p), ("typical-p", self.typical_p)]
            {
                check(value.is_none(), option, value.unwrap_or_default(), reason)?;
            }
        }
        Ok(())
    }
}
