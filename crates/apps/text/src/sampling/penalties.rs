//! Logits of tokens that were there before, made smaller.

use super::options::Sampling;

/// Applies the penalties of `sampling` to the logits, or log-probabilities, of the next token.
///
/// Tokens outside the vocabulary are passed over. `counts` is room to work in, whatever it holds.
pub(super) fn penalise(
    logits: &mut [f32],
    prompt: &[u32],
    generated: &[u32],
    sampling: &Sampling,
    counts: &mut Vec<u32>,
) {
    let repetition = sampling.repetition_penalty as f32;
    let presence = sampling.presence_penalty as f32;
    let frequency = sampling.frequency_penalty as f32;
    if repetition != 1.0 {
        let tokens = prompt.iter().chain(generated);
        each_once(logits, tokens, counts, |logit, _| {
            if *logit < 0.0 { *logit * repetition } else { *logit / repetition }
        });
    }
    if presence != 0.0 || frequency != 0.0 {
        each_once(logits, generated.iter(), counts, |logit, count| {
            *logit - frequency * count as f32 - presence
        });
    }
}

/// Changes the logit of each token in `tokens` once, given how often the token is there.
fn each_once<'a>(
    logits: &mut [f32],
    tokens: impl Iterator<Item = &'a u32> + Clone,
    counts: &mut Vec<u32>,
    change: impl Fn(&f32, u32) -> f32,
) {
    counts.clear();
    counts.resize(logits.len(), 0);
    for &token in tokens.clone() {
        if let Some(count) = counts.get_mut(token as usize) {
            *count += 1;
        }
    }
    for &token in tokens {
        if let Some(count) = counts.get_mut(token as usize)
            && *count > 0
        {
            let logit = &mut logits[token as usize];
            *logit = change(logit, *count);
            *count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn penalised(sampling: Sampling, prompt: &[u32], generated: &[u32]) -> Vec<f32> {
        let mut logits = vec![1.0, -2.0, 3.0, 0.0, f32::NEG_INFINITY];
        penalise(&mut logits, prompt, generated, &sampling, &mut vec![7; 3]);
        logits
    }

    #[test]
    fn repetition_counts_once_in_prompt_and_generated_text() {
        let sampling = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
        let logits = penalised(sampling, &[0, 1, 1, 4], &[3, 0, 99]);
        assert_eq!(logits, [0.5, -4.0, 3.0, 0.0, f32::NEG_INFINITY]);
    }

    #[test]
    fn presence_and_frequency_count_in_generated_text_only() {
        let sampling = Sampling { presence_penalty: 0.5, frequency_penalty: 0.25, ..Sampling::default() };
        let logits = penalised(sampling, &[0, 0], &[2, 1, 2, 2, 99]);
        assert_eq!(logits, [1.0, -2.75, 1.75, 0.0, f32::NEG_INFINITY]);
    }

    #[test]
    fn all_three_are_applied_repetition_first() {
        let sampling = Sampling {
            repetition_penalty: 2.0,
            presence_penalty: 1.0,
            frequency_penalty: -2.0,
            ..Sampling::default()
        };
        let logits = penalised(sampling, &[2], &[0]);
        assert_eq!(logits, [0.5 + 2.0 - 1.0, -2.0, 1.5, 0.0, f32::NEG_INFINITY]);
    }
}
