use libellus_backend::testing::device;

use super::*;
use crate::{Mismatch, ShapeMismatch};

fn mismatch(result: Result<Net, WeightsError>) -> Mismatch {
    match result {
        Err(WeightsError::Mismatch(mismatch)) => *mismatch,
        other => panic!("expected a mismatch, got {other:?}"),
    }
}

#[test]
fn every_difference_is_listed_by_name_with_both_shapes() {
    let device = device();
    let mut other = net_with_classes(13, &device);
    other.blocks.push(LinearConfig::new(2, 2).init(&device));
    let mut target = net(&device);
    target.blocks[1] = LinearConfig::new(11, 7).init(&device);

    let found = mismatch(load_bytes(target, saved_bytes(&other)));
    assert_eq!(found.missing, ["blocks.1.bias"]);
    assert_eq!(found.unexpected, ["blocks.2.bias", "blocks.2.weight"]);
    let shape = |name: &str, expected: &[usize], found: &[usize]| ShapeMismatch {
        name: name.into(),
        expected: expected.to_vec(),
        found: found.to_vec(),
    };
    assert_eq!(found.misshaped, [shape("head.weight", &[7, 5], &[7, 13]), shape("head.bias", &[5], &[13])]);
    assert_eq!(
        found.to_string(),
        "net.safetensors does not fit the model: 1 missing (blocks.1.bias); \
         2 unexpected (blocks.2.bias, blocks.2.weight); \
         2 with another shape (head.weight: model [7, 5], file [7, 13], head.bias: model [5], file [13])"
    );
}

#[test]
fn a_long_list_is_cut_in_the_message_only() {
    let device = device();
    let empty = raw("{}", &[]);
    let found = mismatch(load_bytes(net(&device), empty));
    assert_eq!(found.missing, NAMES);
    assert_eq!(
        found.to_string(),
        "net.safetensors does not fit the model: 11 missing (stem.weight, stem.bias, blocks.0.weight, \
         blocks.0.bias, blocks.1.weight and 6 more)"
    );
}

#[test]
fn another_number_of_classes_can_be_told_from_another_model() {
    let device = device();
    let bytes = saved_bytes(&net_with_classes(2, &device));
    let found = mismatch(load_bytes(net(&device), bytes));
    assert!(found.is_only_shape_of("head.**"));
    assert!(!found.is_only_shape_of("stem.**"));
}

#[test]
fn ignored_parameters_keep_their_values() {
    let device = device();
    let pretrained = net_with_classes(2, &device);
    let target = net(&device);
    let head = floats(&target.head.weight.val().into_data());
    let checkpoint = Checkpoint::from_bytes("net", saved_bytes(&pretrained)).unwrap();
    let options = LoadOptions { ignore: vec!["head.**".into()] };
    let loaded = load(target, &checkpoint, &Layout::NATIVE, &options).unwrap();
    assert_eq!(floats(&loaded.head.weight.val().into_data()), head);
    assert_eq!(
        floats(&loaded.blocks[0].weight.val().into_data()),
        floats(&pretrained.blocks[0].weight.val().into_data())
    );
}

#[test]
fn a_pattern_that_fits_nothing_is_an_error() {
    let device = device();
    let checkpoint = Checkpoint::from_bytes("net", saved_bytes(&net(&device))).unwrap();
    let options = LoadOptions { ignore: vec!["fc.**".into()] };
    let error = load(net(&device), &checkpoint, &Layout::NATIVE, &options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no parameter of the model fits the pattern `fc.**` of those to leave as they are"
    );
}

#[test]
fn integers_cannot_fill_a_weight() {
    let bytes = raw(r#"{"weight":{"dtype":"I32","shape":[1,1],"data_offsets":[0,4]}}"#, &[0; 4]);
    let checkpoint = Checkpoint::from_bytes("ints", bytes).unwrap();
    let linear = LinearConfig::new(1, 1).with_bias(false).init(&device());
    let error = load(linear, &checkpoint, &Layout::NATIVE, &LoadOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ints: tensor `weight` holds I32 elements, which can't be loaded as floating-point numbers"
    );
}
