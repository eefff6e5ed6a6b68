use burn::tensor::{Bool, Tensor, TensorData};
use libellus_backend::testing::{device, read};

use super::{KvCache, Span};

const GROUPS: usize = 2;
const WIDTH: usize = 3;

/// Heads whose values say which sequence and which token they belong to: `100 row + token`.
fn heads(rows: &[usize], tokens: std::ops::Range<usize>) -> Tensor<4> {
    let length = tokens.len();
    let values: Vec<f32> = rows
        .iter()
        .flat_map(|row| (0..GROUPS).map(move |_| row))
        .flat_map(|row| tokens.clone().flat_map(move |token| [(100 * row + token) as f32; WIDTH]))
        .collect();
    Tensor::from_data(TensorData::new(values, [rows.len(), GROUPS, length, WIDTH]), &device())
}

fn mask<const B: usize, const T: usize>(real: [[bool; T]; B]) -> Tensor<2, Bool> {
    Tensor::from_data(TensorData::from(real), &device())
}

fn positions(span: &Span) -> Vec<i64> {
    read(span.positions.clone()).iter::<i64>().collect()
}

fn hidden(span: &Span) -> Vec<bool> {
    read(span.hidden.clone().expect("there is padding")).iter::<bool>().collect()
}

fn append(cache: &mut KvCache, rows: &[usize], tokens: std::ops::Range<usize>) -> Tensor<4> {
    let new = heads(rows, tokens);
    let kept = cache.append(0, new.clone(), -new);
    assert_eq!(read(-kept.values), read(kept.keys.clone()));
    kept.keys
}

#[test]
fn everything_that_was_appended_is_seen() {
    let mut cache = KvCache::new(1, 2, 7);
    for (tokens, len) in [(0..3, 3), (3..4, 4), (4..7, 7)] {
        let span = cache.advance(tokens.len(), None, &device());
        assert_eq!(positions(&span), tokens.clone().map(|token| token as i64).collect::<Vec<_>>());
        assert!(span.hidden.is_none());
        assert_eq!(read(append(&mut cache, &[0, 1], tokens)), read(heads(&[0, 1], 0..len)));
    }
    assert_eq!([cache.len(), cache.remaining()], [7, 0]);
}

#[test]
fn padding_on_either_side_is_hidden_and_has_no_position() {
    let mut cache = KvCache::new(1, 2, 7);
    let span = cache.advance(3, Some(mask([[false, true, true], [true, false, false]])), &device());
    assert_eq!(positions(&span), [0, 0, 1, 0, 0, 0]);
    assert_eq!(hidden(&span), [true, false, false, false, true, true]);
    let span = cache.advance(1, None, &device());
    assert_eq!(positions(&span), [2, 1]);
    assert_eq!(hidden(&span), [true, false, false, false, false, true, true, false]);
    let span = cache.advance(2, Some(mask([[true, true], [true, false]])), &device());
    assert_eq!(positions(&span), [3, 4, 2, 2]);
    assert_eq!(hidden(&span)[..6], [true, false, false, false, false, false]);
    assert_eq!(hidden(&span)[6..], [false, true, true, false, false, true]);
}

#[test]
fn padding_may_begin_late() {
    let mut cache = KvCache::new(1, 2, 5);
    cache.advance(2, None, &device());
    let span = cache.advance(1, Some(mask([[false], [true]])), &device());
    assert_eq!(positions(&span), [1, 2]);
    assert_eq!(hidden(&span), [false, false, true, false, false, false]);
}

#[test]
fn a_first_span_is_that_of_an_empty_cache() {
    for real in [None, Some(mask([[false, true, true], [true, true, false]]))] {
        let first = Span::first(3, real.clone(), &device());
        let cached = KvCache::new(1, 2, 5).advance(3, real, &device());
        assert_eq!(read(first.positions), read(cached.positions));
        assert_eq!(first.hidden.map(read), cached.hidden.map(read));
    }
}

#[test]
fn rows_move_repeat_and_vanish() {
    let mut cache = KvCache::new(1, 3, 5);
    let real = [[true, true], [false, true], [true, true]];
    cache.advance(2, Some(mask(real)), &device());
    append(&mut cache, &[0, 1, 2], 0..2);

    let rows = [2, 1, 1, 2, 2];
    cache.select(&rows);
    assert_eq!(cache.batch(), 5);
    let span = cache.advance(1, None, &device());
    assert_eq!(positions(&span), [2, 1, 1, 2, 2]);
    assert_eq!(read(append(&mut cache, &rows, 2..3)), read(heads(&rows, 0..3)));
    // The same rows are no change at all.
    cache.select(&[0, 1, 2, 3, 4]);
    cache.advance(1, None, &device());
    assert_eq!(read(append(&mut cache, &rows, 3..4)), read(heads(&rows, 0..4)));
}

#[test]
fn rows_of_nothing_can_be_chosen() {
    let mut cache = KvCache::new(1, 2, 3);
    cache.advance(2, None, &device());
    append(&mut cache, &[0, 1], 0..2);
    cache.truncate(0);
    cache.select(&[1, 0, 1]);
    cache.advance(1, None, &device());
    assert_eq!(read(append(&mut cache, &[5, 6, 7], 0..1)), read(heads(&[5, 6, 7], 0..1)));
}

#[test]
fn what_is_cut_off_is_written_over() {
    let mut cache = KvCache::new(1, 2, 5);
    cache.advance(4, Some(mask([[true; 4], [true, true, true, false]])), &device());
    append(&mut cache, &[7, 8], 0..4);
    cache.truncate(9);
    assert_eq!(cache.len(), 4);
    cache.truncate(1);
    let span = cache.advance(3, None, &device());
    assert_eq!(positions(&span), [1, 2, 3, 1, 2, 3]);
    assert!(!hidden(&span).contains(&true));
    let kept = append(&mut cache, &[1, 2], 1..4);
    let expected = Tensor::cat(vec![heads(&[7, 8], 0..1), heads(&[1, 2], 1..4)], 2);
    assert_eq!(read(kept), read(expected));
}

#[test]
fn a_copy_has_a_life_of_its_own() {
    let mut cache = KvCache::new(1, 1, 3);
    cache.advance(1, None, &device());
    append(&mut cache, &[1], 0..1);
    let mut copy = cache.clone();
    copy.advance(1, None, &device());
    append(&mut copy, &[2], 1..2);
    cache.advance(1, None, &device());
    assert_eq!(read(append(&mut cache, &[1], 1..2)), read(heads(&[1], 0..2)));
}

#[test]
#[should_panic(expected = "the cache is full: it has 3 of 4 tokens, 2 more don't fit")]
fn no_more_than_fits() {
    let mut cache = KvCache::new(1, 1, 4);
    cache.advance(3, None, &device());
    cache.advance(2, None, &device());
}

#[test]
#[should_panic(expected = "rows [0, 2] of a cache with 2 sequences")]
fn no_rows_that_are_not_there() {
    KvCache::new(1, 2, 4).select(&[0, 2]);
}

#[test]
#[should_panic(expected = "than announced")]
fn no_keys_that_were_not_announced() {
    let mut cache = KvCache::new(1, 2, 4);
    cache.advance(1, None, &device());
    append(&mut cache, &[0, 1], 0..2);
}
