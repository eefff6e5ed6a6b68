use burn::tensor::{Device, Tensor, TensorData};
use libellus_backend::testing::{device, read};
use proptest::prelude::*;

use super::dropout;
use crate::device::is_accelerated;
use crate::testing::{assert_same_on_any_threads, results, scattered};

/// Seeded, which no two tests may do at once: flex has one generator.
fn seeded<R>(seed: u64, device: &Device, run: impl FnOnce() -> R) -> R {
    static GENERATOR: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = GENERATOR.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    device.seed(seed);
    run()
}

/// Whether each of `len` elements is kept.
fn kept(len: usize, probability: f64, seed: u64) -> Vec<bool> {
    let device = device();
    let ones = Tensor::<1>::ones([len], &device);
    let output = seeded(seed, &device, || read(dropout(ones, probability)));
    output.iter::<f32>().map(|x| x != 0.0).collect()
}

fn share(kept: impl Iterator<Item = bool>) -> f64 {
    let (mut count, mut total) = (0, 0);
    for kept in kept {
        total += 1;
        count += usize::from(kept);
    }
    count as f64 / total as f64
}

/// Elements are zero or made up for, in a gradient the same ones; around the length of a line, a block and a piece.
#[test]
fn gradients_go_where_values_went() {
    let device = device().autodiff();
    for len in [1, 15, 16, 17, 511, 512, 513, 1_031, 16_383, 16_384, 16_385, 50_021] {
        let input = scattered([len], &device);
        let weight = scattered([len], &device) + 13.0;
        let results = seeded(3, &device, || results(&input, [], &weight, |x, []| dropout(x, 0.25)));
        let numbers = [read(input.inner()), read(weight.inner()), results.value, results.gradient];
        let [input, weight, value, gradient] = numbers.each_ref().map(TensorData::iter::<f32>);
        for (((x, weight), value), gradient) in input.zip(weight).zip(value).zip(gradient) {
            let scale = if value == 0.0 { 0.0 } else { 1.0 / 0.75 };
            assert!((value - x * scale).abs() <= 1e-6 * x.abs(), "{value} of {x}");
            assert!((gradient - weight * scale).abs() <= 1e-6 * weight, "{gradient} of {weight}");
        }
    }
}

/// Of so many elements, the share that is kept has a deviation of 1e-3: five of them to either side.
#[test]
fn as_many_are_dropped_as_were_asked_for() {
    let len = 200_003;
    for probability in [0.02, 0.1, 0.5, 0.9] {
        let kept = kept(len, probability, 7);
        let deviation = (probability * (1.0 - probability) / len as f64).sqrt();
        let error = share(kept.iter().copied()) - (1.0 - probability);
        assert!(error.abs() < 5.0 * deviation, "{probability}: off by {error}");
    }
}

/// Neighbours in a line, in a lane, in a block and in a piece have nothing to do with each other, nor have two masks.
#[test]
fn elements_are_dropped_on_their_own() {
    let len = 200_003;
    let (one, another) = (kept(len, 0.5, 7), kept(len, 0.5, 8));
    // Each share of equals has a deviation of 1.1e-3.
    for distance in [1, 2, 15, 16, 17, 32, 512, 16_384] {
        if super::is_accelerated(&Tensor::<1>::zeros([1], &device())) {
            let same = share(one.iter().zip(&one[distance..]).map(|(a, b)| a == b));
            assert!((same - 0.5).abs() < 6e-3, "at a distance of {distance}: {same}");
        }
    }
    let same = share(one.iter().zip(&another).map(|(a, b)| a == b));
    assert!((same - 0.5).abs() < 6e-3, "of two masks: {same}");
}

#[test]
fn a_seed_decides_what_is_dropped() {
    let device = device();
    let input = scattered([3, 1_031], &device);
    let run = |seed| seeded(seed, &device, || [0, 1].map(|_| read(dropout(input.clone(), 0.3))));
    let [first, second] = run(11);
    assert_eq!(run(11), [first.clone(), second.clone()]);
    assert_ne!(first, second);
    assert_ne!(run(12)[0], first);
}

#[test]
fn any_number_of_threads_drops_the_same() {
    assert_same_on_any_threads(|| {
        let device = device().autodiff();
        let input = scattered([3, 50_021], &device);
        seeded(5, &device, || results(&input, [], &input, |x, []| dropout(x, 0.1)))
    });
}

/// The mask is that of the order in which a tensor is read, wherever it lies; what somebody else looks at stays.
#[test]
fn turned_tensors_are_read_as_they_look() {
    let device = device();
    let input = scattered([37, 53], &device);
    let turned = input.clone().transpose();
    let whole = Tensor::<2>::from_data(read(turned.clone()), &device);
    let run = |x: Tensor<2>| seeded(2, &device, || read(dropout(x, 0.4)));
    assert_eq!(run(turned), run(whole));
    assert_eq!(read(input), read(scattered([37, 53], &device)));
}

/// As `torch.nn.functional.dropout` does: kept or multiplied by 0.
#[test]
fn infinities_and_nan_are_not_hidden() {
    let device = device();
    for (x, kept_value) in [(f32::INFINITY, f32::INFINITY), (f32::NAN, f32::NAN)] {
        let output = seeded(1, &device, || read(dropout(Tensor::<1>::full([1_031], x, &device), 0.5)));
        let kept = output.iter::<f32>().filter(|y| !y.is_nan()).collect::<Vec<_>>();
        assert!(kept.iter().all(|&y| y == kept_value));
        assert_eq!(kept.is_empty(), x.is_nan());
        assert!(output.iter::<f32>().any(f32::is_nan));
    }
}

#[test]
fn nothing_is_dropped_of_nothing_and_without_a_probability() {
    let device = device();
    let nothing = Tensor::<2>::zeros([0, 3], &device);
    if super::is_accelerated(&nothing) {
        assert_eq!(dropout(nothing, 0.5).dims(), [0, 3]);
    }
    let input = scattered([1_031], &device);
    assert_eq!(read(dropout(input.clone(), 0.0)), read(input));
}

#[test]
#[should_panic(expected = "a dropout probability is in [0, 1), not 1")]
fn all_can_not_be_dropped() {
    dropout(Tensor::<1>::zeros([1], &device()), 1.0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// In any shape, what is dropped follows from the place in memory. There, some backends start each vector at a place of its own.
    #[test]
    fn any_shape(a in 1usize..6, b in 1usize..40, c in 1usize..70, probability in 0.0..0.99) {
        let device = device();
        let run = |x: Tensor<3>| seeded(9, &device, || read(dropout(x, probability)));
        let input = scattered([a, b, c], &device);
        let flat = if is_accelerated(&input) { [1, 1, a * b * c] } else { [1, a * b, c] };
        let flat = run(input.clone().reshape(flat));
        prop_assert_eq!(
            run(input).iter::<f32>().collect::<Vec<_>>(),
            flat.iter::<f32>().collect::<Vec<_>>()
        );
    }
}
