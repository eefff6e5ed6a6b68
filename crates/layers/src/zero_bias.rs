//! Biases that start at zero.

use burn::module::Param;
use burn::nn::Initializer;
use burn::tensor::Tensor;

use crate::{Conv2d, ConvTranspose2d, Linear};

/// A layer whose bias can start at zero, whatever its weights are drawn from.
///
/// Layers draw both from the same distribution; networks whose paper names one for the weights mean it for these alone.
pub trait ZeroBias {
    /// The same layer with a bias of zeros, if it has any.
    fn with_zero_bias(self) -> Self;
}

fn zeros(bias: Option<Param<Tensor<1>>>) -> Option<Param<Tensor<1>>> {
    bias.map(|bias| Initializer::Zeros.init(bias.lazy_shape(), &bias.lazy_device()))
}

macro_rules! zero_bias {
    ($($layer:ty),+) => {
        $(impl ZeroBias for $layer {
            fn with_zero_bias(mut self) -> Self {
                self.bias = zeros(self.bias);
                self
            }
        })+
    };
}

zero_bias!(Conv2d, ConvTranspose2d, Linear);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinearConfig;
    use libellus_backend::testing::{device, read};

    #[test]
    fn weights_stay_and_biases_are_zero() {
        let device = device();
        let config = LinearConfig::new(3, 2).with_initializer(Initializer::Constant { value: 7.0 });
        let layer = config.init(&device).with_zero_bias();
        assert_eq!(read(layer.weight.val()), Tensor::<2>::full([3, 2], 7.0, &device).into_data());
        let bias = layer.bias.expect("linear layers have one");
        assert_eq!(read(bias.val()), Tensor::<1>::zeros([2], &device).into_data());
        assert!(config.with_bias(false).init(&device).with_zero_bias().bias.is_none());
    }
}
