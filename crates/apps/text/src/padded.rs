//! Texts of different lengths side by side, for encoders.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use libellus_data::{BatchOptions, Tokenizer};

use crate::error::TextError;

/// The tokens of each text, at least one and at most `longest`, with the marks that the tokenizer puts around a text.
pub(crate) fn encode(
    texts: &[&str],
    tokenizer: &Tokenizer,
    longest: usize,
) -> Result<Vec<Vec<u32>>, TextError> {
    let options = BatchOptions { max_len: Some(longest), ..BatchOptions::default() };
    let encodings = tokenizer.encode_batch(texts, &options)?;
    let tokens = encodings.into_iter().map(|encoding| match encoding.ids.is_empty() {
        // An empty text is read as one token.
        true => vec![0],
        false => encoding.ids,
    });
    Ok(tokens.collect())
}

/// Texts in tokens, filled up to the same length, and true for what of that is no padding: both `[B, T]`.
pub(crate) fn padded(texts: &[&[u32]], device: &Device) -> (Tensor<2, Int>, Tensor<2, Bool>) {
    let length = texts.iter().map(|text| text.len()).max().unwrap_or(0).max(1);
    let (mut ids, mut mask) = (Vec::new(), Vec::new());
    for (row, text) in texts.iter().enumerate() {
        ids.extend(text.iter().map(|&id| id as i32));
        mask.resize(ids.len(), true);
        ids.resize((row + 1) * length, 0);
        mask.resize(ids.len(), false);
    }
    let shape = [texts.len(), length];
    (
        Tensor::from_data(TensorData::new(ids, shape), device),
        Tensor::from_data(TensorData::new(mask, shape), device),
    )
}

#[cfg(test)]
mod tests {
    use libellus_backend::testing::device;

    use super::*;

    #[test]
    fn texts_are_filled_up() {
        let (tokens, mask) = padded(&[&[5, 6, 7], &[8]], &device());
        let tokens: Vec<i32> = tokens.into_data().iter::<i32>().collect();
        assert_eq!(tokens, [5, 6, 7, 8, 0, 0]);
        let mask: Vec<bool> = mask.into_data().iter::<bool>().collect();
        assert_eq!(mask, [true, true, true, true, false, false]);
    }
}
