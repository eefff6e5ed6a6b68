//! GGUF files that lie.

use super::golden::golden_bytes;
use super::*;
use crate::Rule;
use crate::testing::gguf::{file, pair, tensor, text};

fn open(bytes: Vec<u8>) -> Result<Checkpoint, WeightsError> {
    Checkpoint::from_bytes("m.gguf", bytes)
}

fn error(bytes: Vec<u8>) -> String {
    let error = open(bytes).expect_err("it should be refused").to_string();
    assert!(error.contains("m.gguf") && !error.contains('\n'), "{error}");
    error
}

#[test]
fn dimensions_are_turned_round() {
    let data: Vec<u8> = (0..6_u8).flat_map(|value| f32::from(value).to_le_bytes()).collect();
    let checkpoint = open(file(&[], &[tensor("w", &[3, 2], 0, 0)], &data)).unwrap();
    assert_eq!(checkpoint.info("w").unwrap().shape, [2, 3]);
    assert_eq!(floats(&checkpoint.tensor("w").unwrap()), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn the_alignment_is_the_files() {
    let aligned = pair("general.alignment", 4, &8_u32.to_le_bytes());
    let tensors = [tensor("a", &[1], 0, 0), tensor("b", &[1], 0, 8)];
    let mut bytes = file(&[aligned], &tensors, &[]);
    // The end of the header, rounded to 8 rather than 32.
    let header = 24 + (8 + 17 + 4 + 4) + 2 * (8 + 1 + 4 + 8 + 4 + 8);
    bytes.truncate(header);
    bytes.resize(header.next_multiple_of(8), 0);
    bytes.extend([1.0_f32, 0.0, 2.0].map(f32::to_le_bytes).concat());
    let checkpoint = open(bytes).unwrap();
    assert_eq!(floats(&checkpoint.tensor("b").unwrap()), [2.0]);
    let odd = pair("general.alignment", 4, &24_u32.to_le_bytes());
    assert!(error(file(&[odd], &[], &[])).contains("alignment, 24, is no power of two"));
    let zero = pair("general.alignment", 4, &0_u32.to_le_bytes());
    assert!(error(file(&[zero], &[], &[])).contains("alignment, 0,"));
    let huge = pair("general.alignment", 10, &(1_u64 << 63).to_le_bytes());
    assert!(error(file(&[huge], &[tensor("w", &[1], 0, 1 << 63)], &[])).contains("tensor `w`: its offset"));
}

#[test]
fn claims_are_compared_with_the_file() {
    let mut bytes = file(&[], &[], &[]);
    bytes[8..16].copy_from_slice(&(1_u64 << 60).to_le_bytes());
    assert!(matches!(open(bytes), Err(WeightsError::TooLarge { claimed, .. }) if claimed == 1 << 60));
    let mut bytes = file(&[], &[], &[]);
    bytes[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(open(bytes), Err(WeightsError::TooLarge { claimed: u64::MAX, .. })));
    for kind in [4_u32, 8, 9, 12] {
        let array = [&kind.to_le_bytes()[..], &(1_u64 << 60).to_le_bytes()].concat();
        assert!(error(file(&[pair("k", 9, &array)], &[], &[])).contains("values in an array"));
    }
    let claims_text = pair("k", 8, &(1_u64 << 60).to_le_bytes());
    assert!(error(file(&[claims_text], &[], &[])).contains("the length of a text"));
    let one =
        |lengths: &[u64], kind, offset| error(file(&[], &[tensor("w", lengths, kind, offset)], &[0; 64]));
    assert!(one(&[1 << 60], 0, 0).contains("too large"));
    assert!(one(&[1 << 32, 1 << 32, 1 << 32], 0, 0).contains("too large"));
    assert!(one(&[1 << 40], 0, 0).contains("cut off"));
    assert!(one(&[1], 0, 1 << 40).contains("cut off"));
    assert!(one(&[1], 0, u64::MAX - 31).contains("its offset"));
    assert!(one(&[1], 0, 7).contains("no multiple of 32"));
    assert!(one(&[1], 99, 0).contains("type 99 isn't known"));
    assert!(one(&[33], 8, 0).contains("aren't whole blocks of 32 Q8_0"));
    assert!(one(&[1; 9], 0, 0).contains("9 dimensions"));
}

#[test]
fn repetitions_overlaps_and_other_versions_are_refused() {
    let twice = [tensor("w", &[1], 0, 0), tensor("w", &[1], 0, 32)];
    assert!(error(file(&[], &twice, &[0; 64])).contains("tensor `w`: it occurs twice"));
    let overlap = [tensor("a", &[16], 0, 0), tensor("b", &[8], 0, 32)];
    assert!(error(file(&[], &overlap, &[0; 64])).contains("tensor `b`: its bytes overlap those of `a`"));
    let key = || pair("k", 7, &[1]);
    assert!(error(file(&[key(), key()], &[], &[])).contains("key `k` occurs twice"));
    assert!(error(file(&[pair("k", 7, &[2])], &[], &[])).contains("2 is no truth value"));
    assert!(error(file(&[pair("k", 13, &[])], &[], &[])).contains("type 13 of a value"));
    let array = [&9_u32.to_le_bytes()[..], &1_u64.to_le_bytes()].concat();
    assert!(error(file(&[pair("k", 9, &array.repeat(9))], &[], &[])).contains("nested more than 4 deep"));
    let mut old = file(&[], &[], &[]);
    old[4] = 1;
    assert!(error(old).contains("version 1 isn't read"));
    let mut big = file(&[], &[], &[]);
    big[4..8].copy_from_slice(&[0, 0, 0, 3]);
    assert!(error(big).contains("big-endian"));
}

#[test]
fn lists_are_read_whole() {
    let list = |kind: u32, count: usize, values: &[u8]| {
        [&kind.to_le_bytes()[..], &(count as u64).to_le_bytes(), values].concat()
    };
    let tokens: Vec<String> = (0..11).map(|index| format!("töken {index}")).collect();
    let spelt: Vec<u8> = tokens.iter().flat_map(|token| text(token)).collect();
    let scores: Vec<u8> = (0..11_i16).flat_map(|index| (f32::from(index) * -0.5).to_le_bytes()).collect();
    let checkpoint = open(file(
        &[
            pair("general.name", 8, &text("m")),
            pair("tokens", 9, &list(8, 11, &spelt)),
            pair("scores", 9, &list(6, 11, &scores)),
            pair("types", 9, &list(5, 2, &[1, 0, 0, 0, 255, 255, 255, 255])),
            pair("wide", 9, &list(10, 1, &7_u64.to_le_bytes())),
            pair("flags", 9, &list(7, 1, &[1])),
        ],
        &[],
        &[],
    ))
    .unwrap();
    assert_eq!(checkpoint.texts("tokens").unwrap().unwrap(), tokens);
    let expected: Vec<f64> = (0..11).map(|index| f64::from(index) * -0.5).collect();
    assert_eq!(checkpoint.numbers("scores").unwrap().unwrap(), expected);
    assert_eq!(checkpoint.numbers("types").unwrap().unwrap(), [1.0, -1.0]);
    assert_eq!(checkpoint.numbers("wide").unwrap().unwrap(), [7.0]);
    assert!(checkpoint.texts("absent").unwrap().is_none());
    assert!(checkpoint.texts("general.name").unwrap().is_none());
    for error in [
        checkpoint.texts("scores").unwrap_err(),
        checkpoint.numbers("tokens").unwrap_err(),
        checkpoint.numbers("flags").unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("m.gguf") && error.to_string().contains("is no list of"),
            "{error}"
        );
    }
}

/// llama.cpp's quantiser rounds an output to more bits than the embedding that it is a copy of.
#[test]
fn what_was_rounded_in_two_ways_is_one_tensor() {
    const TIED: Layout = Layout::table("tied", &[Rule::UnwrittenAlias { ours: "weight", theirs: "output" }]);
    let numbers: Vec<i8> = (0..32_i16).map(|index| (index * 7 - 110) as i8).collect();
    let rounded: Vec<u8> =
        [0, 0x3c].into_iter().chain(numbers.iter().map(|number| number.to_le_bytes()[0])).collect();
    let floats_of = |change: f32| -> Vec<u8> {
        numbers.iter().flat_map(|&number| (f32::from(number) * change).to_le_bytes()).collect()
    };
    let loaded = |weight: (u32, Vec<u8>), output: Vec<u8>| {
        let mut data = weight.1;
        let offset = data.len().next_multiple_of(32);
        data.resize(offset, 0);
        data.extend(output);
        let tensors = [tensor("weight", &[32, 1], weight.0, 0), tensor("output", &[32, 1], 0, offset as u64)];
        let linear = LinearConfig::new(1, 32).with_bias(false).init(&Device::flex());
        load(linear, &open(file(&[], &tensors, &data)).unwrap(), &TIED, &LoadOptions::default())
    };
    let near = loaded((8, rounded.clone()), floats_of(1.1)).unwrap();
    let expected: Vec<f32> = numbers.iter().map(|&number| number.into()).collect();
    assert_eq!(floats(&near.weight.val().into_data()), expected);
    for (weight, output) in [
        ((8, rounded.clone()), floats_of(-1.0)),
        ((8, rounded), floats_of(f32::NAN)),
        ((0, floats_of(1.0)), floats_of(1.1)),
    ] {
        assert!(matches!(loaded(weight, output), Err(WeightsError::NotTied { .. })));
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = golden_bytes("formats_model.gguf");
    let last = Checkpoint::from_bytes("m.gguf", whole.clone()).unwrap();
    // The file is padded after its last tensor.
    let padding = 32;
    assert!(last.names().len() > 10);
    for length in 0..whole.len() - padding {
        error(whole[..length].to_vec());
    }
}
