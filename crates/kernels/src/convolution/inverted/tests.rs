use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use libellus_backend::testing::{assert_close, device, read};
use proptest::prelude::*;

use super::inverted_residual;
use crate::device::is_accelerated;
use crate::testing::{assert_same_on_any_threads, fractions};
use crate::{ChannelNorm, Epilogue, FusedConv, Nonlinearity};

/// A block to try.
#[derive(Debug, Clone, Copy)]
struct Case {
    batch: usize,
    /// Of the input, between, and of the output.
    channels: [usize; 3],
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    nonlinearity: Nonlinearity,
    /// Without, the input has the channels between.
    expands: bool,
    adds: bool,
}

impl Case {
    fn input(&self, device: &Device) -> Tensor<4> {
        let channels = self.channels[usize::from(!self.expands)];
        fractions([self.batch, channels, self.size[0], self.size[1]], 1, device)
    }

    fn convolutions(&self, device: &Device) -> (Option<FusedConv>, FusedConv, FusedConv) {
        let [channels_in, between, channels_out] = self.channels;
        let conv = |shape: [usize; 4], options, nonlinearity, seed| {
            let of_channels = |step| fractions([shape[0]], seed + step, device);
            let norm = ChannelNorm {
                gamma: of_channels(1),
                beta: of_channels(2),
                mean: of_channels(3),
                variance: of_channels(4) + 1.25,
                epsilon: 1e-3,
            };
            let weight = fractions(shape, seed, device);
            let epilogue = Epilogue { bias: None, norm: Some(norm), residual: None, nonlinearity };
            FusedConv { weight, options, epilogue }
        };
        let pointwise = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
        let options = ConvOptions::new(self.stride, self.padding, [1, 1], between);
        let expand = conv([between, channels_in, 1, 1], pointwise.clone(), self.nonlinearity, 10);
        let depthwise = conv([between, 1, self.kernel[0], self.kernel[1]], options, self.nonlinearity, 20);
        let mut project = conv([channels_out, between, 1, 1], pointwise, Nonlinearity::Identity, 30);
        if self.adds {
            let size = [0, 1].map(|axis| {
                (self.size[axis] + 2 * self.padding[axis] - self.kernel[axis]) / self.stride[axis] + 1
            });
            let residual = fractions([self.batch, channels_out, size[0], size[1]], 40, device);
            project.epilogue.residual = Some(residual);
        }
        (self.expands.then_some(expand), depthwise, project)
    }

    fn at_once(&self, device: &Device) -> Tensor<4> {
        let (expand, depthwise, project) = self.convolutions(device);
        inverted_residual(self.input(device), expand, depthwise, project)
    }

    fn one_by_one(&self, device: &Device) -> Tensor<4> {
        let (expand, depthwise, project) = self.convolutions(device);
        let input = self.input(device);
        let input = match expand {
            Some(expand) => expand.apply(input),
            None => input,
        };
        project.apply(depthwise.apply(input))
    }

    /// Whether the convolutions are computed together.
    #[cfg(feature = "flex")]
    fn is_together(&self) -> bool {
        let device = &device();
        let (expand, depthwise, project) = self.convolutions(device);
        let input = self.input(device);
        crate::device::is_plain(&input)
            && on_two_threads(|| super::shapes(input.dims(), expand.as_ref(), &depthwise, &project).is_some())
    }

    #[track_caller]
    fn check(&self) {
        println!("{self:?}");
        let device = device();
        let [at_once, one_by_one] =
            on_two_threads(|| [self.at_once(&device), self.one_by_one(&device)].map(read));
        // Sums of up to a few hundred products, in three layers.
        assert_close(&at_once, &one_by_one, 4e-6);
    }
}

/// With many threads, an image is cut so finely that convolutions are computed one by one.
fn on_two_threads<T: Send>(compute: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool");
    pool.install(compute)
}

/// As MobileNetV2 has them, with 16,000 numbers between.
const BLOCK: Case = Case {
    batch: 1,
    channels: [24, 48, 24],
    size: [18, 19],
    kernel: [3, 3],
    stride: [1, 1],
    padding: [1, 1],
    nonlinearity: Nonlinearity::Relu6,
    expands: true,
    adds: true,
};

#[test]
fn blocks_of_all_kinds() {
    let cases = [
        BLOCK,
        Case { stride: [2, 2], adds: false, ..BLOCK },
        Case { kernel: [5, 5], padding: [2, 2], nonlinearity: Nonlinearity::Silu, ..BLOCK },
        Case { size: [30, 19], kernel: [7, 7], padding: [3, 3], stride: [2, 2], adds: false, ..BLOCK },
        Case { kernel: [5, 5], stride: [2, 2], padding: [2, 2], adds: false, ..BLOCK },
        Case { expands: false, ..BLOCK },
        // Fewer columns than are computed side by side.
        Case { size: [20, 3], ..BLOCK },
        Case { batch: 3, channels: [17, 53, 19], size: [11, 13], ..BLOCK },
        // A row at a time, and rows too wide to be computed together.
        Case { channels: [5, 90, 33], size: [13, 30], ..BLOCK },
        Case { channels: [3, 64, 16], size: [6, 70], ..BLOCK },
        // Rows that meet nothing but padding, and rows that none meets.
        Case { padding: [5, 4], ..BLOCK },
        Case { stride: [4, 3], padding: [0, 0], ..BLOCK },
        Case { kernel: [1, 1], padding: [0, 0], ..BLOCK },
        Case { kernel: [1, 3], padding: [2, 1], ..BLOCK },
    ];
    for case in cases {
        #[cfg(feature = "flex")]
        if crate::device::is_plain(&case.input(&device())) {
            assert_eq!(case.is_together(), case.size[1] < 70, "{case:?}");
        }
        case.check();
    }
}

/// Few rows would be expanded again and again; what is added within the block comes from memory; nothing has no rows.
#[test]
fn what_is_computed_one_by_one() {
    let low = Case { size: [7, 30], ..BLOCK };
    let empty = Case { batch: 0, ..BLOCK };
    let few = Case { channels: [24, 48, 15], ..BLOCK };
    for case in [low, few] {
        #[cfg(feature = "flex")]
        assert!(!case.is_together(), "{case:?}");
        case.check();
    }
    // burn's own convolution panics on wgpu.
    if is_accelerated(&empty.input(&device())) {
        assert_eq!(empty.at_once(&device()).dims(), [0, 24, 18, 19]);
    }

    let device = device();
    let (expand, mut depthwise, project) = BLOCK.convolutions(&device);
    depthwise.epilogue.residual = Some(fractions([1, 48, 18, 19], 50, &device));
    let between = expand.clone().expect("it expands").apply(BLOCK.input(&device));
    let expected = project.clone().apply(depthwise.clone().apply(between));
    let actual = inverted_residual(BLOCK.input(&device), expand, depthwise, project);
    assert_close(&read(actual), &read(expected), 4e-6);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let cases = [
        BLOCK,
        Case { batch: 3, stride: [2, 2], adds: false, ..BLOCK },
        // One by one where there are more threads.
        Case { size: [9, 30], ..BLOCK },
    ];
    assert_same_on_any_threads(|| cases.map(|case| [("output", read(case.at_once(&device())))]));
}

/// In bfloat16 too, where the weights of a model are prepared: the inputs of products are rounded as one by one.
#[cfg(feature = "flex")]
#[test]
fn prepared_weights_are_read() {
    use burn::module::{Module, Param};

    use crate::{Precision, PrepareInference};

    #[derive(Module, Debug)]
    struct Conv2d {
        weight: Param<Tensor<4>>,
    }

    let device = device();
    for precision in [Precision::F32, Precision::Bf16] {
        let (expand, depthwise, project) = BLOCK.convolutions(&device);
        let layers = [expand.expect("it expands"), depthwise, project].map(|conv| {
            let layer = Conv2d { weight: Param::from_tensor(conv.weight) };
            let layer = layer.prepare_inference_in(precision);
            let conv =
                FusedConv { weight: layer.weight.val(), options: conv.options, epilogue: conv.epilogue };
            (layer, conv)
        });
        let [expand, depthwise, project] = layers.each_ref().map(|(_, conv)| conv.clone());
        let input = BLOCK.input(&device);
        let expected = project.clone().apply(depthwise.clone().apply(expand.clone().apply(input.clone())));
        let actual = inverted_residual(input, Some(expand), depthwise, project);
        assert_close(&read(actual), &read(expected), 4e-6);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_block(
        batch in 1usize..4,
        channels in [1usize..40, 16usize..60, 16usize..50],
        width in 5usize..40,
        more in 0usize..9,
        kernel in [1usize..6, 1usize..6],
        stride in [1usize..4, 1usize..4],
        padding in [0usize..4, 0usize..4],
        expands: bool,
        adds: bool,
    ) {
        let height = 2 * (padding[0] + kernel[0]) + 8 + more;
        prop_assume!(height + 2 * padding[0] >= kernel[0]);
        let size = [height, width];
        let nonlinearity = Nonlinearity::HardSwish;
        let case = Case { batch, channels, size, kernel, stride, padding, nonlinearity, expands, adds };
        #[cfg(feature = "flex")]
        if crate::device::is_plain(&case.input(&device())) {
            prop_assume!(case.is_together());
        }
        case.check();
    }
}
