//! Reading sequences of different lengths from their ends.

use burn::tensor::{Bool, Int, Tensor};

/// Each sequence from its last token to its first. Padding stays behind them, so that what reads the result from left to right has
/// read all tokens before it comes to padding. Turned twice, a sequence is what it was.
///
/// # Shapes
/// - `sequence`: `[B, T, D]`
/// - `mask`: true for tokens, false for the padding behind them, `[B, T]`
/// - output: `[B, T, D]`
///
/// # Panics
/// If the shapes don't fit.
pub fn reverse_padded(sequence: Tensor<3>, mask: &Tensor<2, Bool>) -> Tensor<3> {
    let [batch, length, width] = sequence.dims();
    assert_eq!(mask.dims(), [batch, length], "a mask of another shape than the sequence");
    let device = mask.device();
    let range = |count: usize| Tensor::<1, Int>::arange(0..count as i64, &device);
    let place = range(length).unsqueeze_dim::<2>(0).expand([batch, length]);
    let turned = mask.clone().int().sum_dim(1) - 1 - place.clone();
    let is_padding = turned.clone().lower_elem(0);
    let within = turned.mask_where(is_padding, place);
    let order = (within + range(batch).unsqueeze_dim::<2>(1) * length as i64).reshape([batch * length]);
    sequence.reshape([batch * length, width]).select(0, order).reshape([batch, length, width])
}

#[cfg(test)]
mod tests {
    use libellus_backend::testing::{device, read};

    use super::*;

    #[test]
    fn tokens_turn_and_padding_stays() {
        let device = device();
        let sequence = Tensor::<1, Int>::arange(1..7, &device).float().reshape([2, 3, 1]);
        let mask = Tensor::<2, Bool>::from_data([[true, true, true], [true, true, false]], &device);
        let turned = reverse_padded(sequence.clone(), &mask);
        let values: Vec<f32> = read(turned.clone()).iter::<f32>().collect();
        assert_eq!(values, [3.0, 2.0, 1.0, 5.0, 4.0, 6.0]);
        assert_eq!(read(reverse_padded(turned, &mask)), read(sequence));
    }
}
