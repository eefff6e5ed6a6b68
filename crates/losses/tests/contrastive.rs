//! Contrastive losses against PyTorch's, and their properties.

use burn::tensor::{Tensor, TensorData};
use libellus_backend::testing::{assert_close, device, read};
use libellus_losses::{InfoNceConfig, LossError, TripletConfig};
use safetensors::SafeTensors;

const GOLDEN: &[u8] = include_bytes!("golden/contrastive.safetensors");

/// Sums over a handful of numbers, of which the sharpest is multiplied by 20: a few tens of units of f32's 6e-8 rounding.
const TOLERANCE: f64 = 4e-6;

fn golden(name: &str) -> TensorData {
    let file = SafeTensors::deserialize(GOLDEN).expect("the golden file is whole");
    let view = file.tensor(name).expect("the golden file has this tensor");
    let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("four bytes"));
    TensorData::new(view.data().chunks_exact(4).map(number).collect::<Vec<f32>>(), view.shape())
}

fn leaf(name: &str) -> Tensor<2> {
    Tensor::from_data(golden(name), &device().autodiff()).require_grad()
}

#[test]
fn info_nce_and_its_gradients_equal_pytorch() {
    for temperature in [0.05, 0.5] {
        let [anchors, candidates] = ["anchors", "candidates"].map(leaf);
        let loss = InfoNceConfig { temperature }.init().expect("in range");
        let value = loss.forward(anchors.clone(), candidates.clone());
        let gradients = value.backward();
        let name = format!("info_nce.{temperature}");
        assert_close(&read(value), &golden(&format!("{name}.loss")), TOLERANCE);
        for (leaf, part) in [(anchors, "anchors"), (candidates, "candidates")] {
            let gradient = read(leaf.grad(&gradients).expect("it has one"));
            assert_close(&gradient, &golden(&format!("{name}.{part}")), TOLERANCE);
        }
    }
}

#[test]
fn the_triplet_loss_and_its_gradients_equal_pytorch() {
    for margin in [0.25, 1.0] {
        let [anchors, positives, negatives] = ["anchors", "positives", "negatives"].map(leaf);
        let loss = TripletConfig { margin }.init().expect("in range");
        let value = loss.forward(anchors.clone(), positives, negatives.clone());
        let gradients = value.backward();
        let name = format!("triplet.{margin:?}");
        assert_close(&read(value), &golden(&format!("{name}.loss")), TOLERANCE);
        for (leaf, part) in [(anchors, "anchors"), (negatives, "negatives")] {
            let gradient = read(leaf.grad(&gradients).expect("it has one"));
            assert_close(&gradient, &golden(&format!("{name}.{part}")), TOLERANCE);
        }
    }
}

#[test]
fn vectors_at_their_positives_cost_little_and_have_finite_gradients() {
    let vectors = Tensor::<2>::eye(4, &device().autodiff()).require_grad();
    let info = InfoNceConfig::default().init().expect("in range").forward(vectors.clone(), vectors.clone());
    // Cosines of 1 and 0, times 20: ln(1 + 3 exp(-20)).
    assert!(read(info.clone()).iter::<f32>().all(|value| value < 1e-8));
    let same = TripletConfig { margin: 0.5 }.init().expect("in range");
    let same = same.forward(vectors.clone(), vectors.clone(), vectors.clone());
    assert_close(&read(same.clone()), &TensorData::new(vec![0.5_f32], [1]), 1e-6);
    for loss in [info, same] {
        let gradient = read(vectors.grad(&loss.backward()).expect("it has one"));
        assert!(gradient.iter::<f32>().all(f32::is_finite));
    }
}

#[test]
fn what_is_out_of_range_is_refused() {
    for value in [0.0, -1.0, f64::INFINITY] {
        let error = InfoNceConfig { temperature: value }.init().map(|_| ());
        assert_eq!(error, Err(LossError::Temperature { value }));
    }
    assert_eq!(TripletConfig { margin: -0.5 }.init().map(|_| ()), Err(LossError::Margin { value: -0.5 }));
    assert!(TripletConfig { margin: f64::NAN }.init().is_err());
}
