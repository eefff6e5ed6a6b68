use proptest::prelude::*;

use super::*;

fn letters(hypothesis: &str, reference: &str) -> Edits {
    let [hypothesis, reference] = [hypothesis, reference].map(|word| word.chars().collect::<Vec<_>>());
    edits(&hypothesis, &reference)
}

#[test]
fn edits_by_hand() {
    let edits = |substitutions, insertions, deletions| Edits { substitutions, insertions, deletions };
    for (hypothesis, reference, expected) in [
        ("", "", edits(0, 0, 0)),
        ("abc", "abc", edits(0, 0, 0)),
        ("abc", "", edits(0, 3, 0)),
        ("", "abc", edits(0, 0, 3)),
        ("sitting", "kitten", edits(2, 1, 0)),
        ("kitten", "sitting", edits(2, 0, 1)),
        ("saturday", "sunday", edits(1, 2, 0)),
        // Two substitutions rather than an insertion and a deletion.
        ("ab", "ba", edits(2, 0, 0)),
        ("bcx", "abc", edits(0, 1, 1)),
        ("xbcdy", "abcd", edits(1, 1, 0)),
    ] {
        assert_eq!(letters(hypothesis, reference), expected, "{hypothesis} for {reference}");
    }
}

#[test]
fn rates_are_divided_once() {
    let mut rate = ErrorRate::default();
    assert_eq!((rate.rate(), rate.wrong_share()), (0.0, 0.0));
    rate.add(&[1, 2, 3], &[vec![1, 2, 3]]);
    rate.add(&[1, 9, 3, 4], &[vec![1, 2, 3]]);
    rate.add(&[5], &[vec![5, 6, 7, 8, 9]]);
    let edits = Edits { substitutions: 1, insertions: 1, deletions: 4 };
    assert_eq!(rate, ErrorRate { edits, reference_length: 11, sequences: 3, wrong: 2 });
    assert_eq!((rate.rate(), rate.wrong_share()), (6.0 / 11.0, 2.0 / 3.0));
}

#[test]
fn the_nearest_reference_counts() {
    let mut rate = ErrorRate::default();
    rate.add(&[1, 2, 3], &[vec![4, 5], vec![1, 2, 3, 4, 5], vec![1, 2, 9, 3], vec![1, 2]]);
    let edits = Edits { deletions: 1, ..Edits::default() };
    assert_eq!(rate, ErrorRate { edits, reference_length: 4, sequences: 1, wrong: 1 });
}

#[test]
fn errors_without_references_tokens_are_infinite() {
    let mut rate = ErrorRate::default();
    rate.add::<u8, _>(&[], &[[]]);
    assert_eq!((rate.rate(), rate.wrong_share()), (0.0, 0.0));
    rate.add(&[1], &[[]]);
    assert_eq!((rate.rate(), rate.wrong_share()), (f64::INFINITY, 0.5));
}

#[test]
#[should_panic(expected = "a hypothesis without references")]
fn a_hypothesis_has_references() {
    ErrorRate::default().add(&[1], &[] as &[[i32; 1]]);
}

/// The distance by its definition, which takes exponential time.
fn distance(a: &[u8], b: &[u8]) -> usize {
    match (a, b) {
        ([], rest) | (rest, []) => rest.len(),
        ([x, a_rest @ ..], [y, b_rest @ ..]) => (distance(a_rest, b_rest) + usize::from(x != y))
            .min(distance(a_rest, b) + 1)
            .min(distance(a, b_rest) + 1),
    }
}

fn sequence(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0_u8..3, 0..=longest)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_distance_is_that_of_the_definition(a in sequence(6), b in sequence(6)) {
        prop_assert_eq!(edits(&a, &b).total(), distance(&a, &b));
    }

    #[test]
    fn the_distance_is_a_metric(a in sequence(19), b in sequence(19), c in sequence(19)) {
        let total = |a: &[u8], b: &[u8]| edits(a, b).total();
        prop_assert_eq!(total(&a, &b) == 0, a == b);
        prop_assert!(total(&a, &c) <= total(&a, &b) + total(&b, &c));
        let (there, back) = (edits(&a, &b), edits(&b, &a));
        prop_assert_eq!(there.substitutions, back.substitutions);
        prop_assert_eq!((there.insertions, there.deletions), (back.deletions, back.insertions));
    }

    #[test]
    fn lengths_follow_from_the_edits(a in sequence(19), b in sequence(19)) {
        let Edits { insertions, deletions, .. } = edits(&a, &b);
        prop_assert_eq!(b.len() + insertions - deletions, a.len());
    }
}
