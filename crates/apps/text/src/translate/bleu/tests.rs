//! Scores against those of sacreBLEU, and what must hold of them in any case.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

const GOLDEN: &str = include_str!("../../../tests/golden/translation_metrics.json");

#[derive(Deserialize)]
struct Golden {
    /// Hypotheses and references.
    corpora: BTreeMap<String, Vec<(String, Vec<String>)>>,
    bleu: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    corpus: String,
    options: BleuOptions,
    score: Expected,
    sentences: Vec<f64>,
}

#[derive(Deserialize)]
struct Expected {
    score: f64,
    precisions: [f64; ORDER],
    brevity_penalty: f64,
    hypothesis_length: usize,
    reference_length: usize,
    line: String,
}

/// Asserts that two numbers are the same but for a dozen roundings of a number up to 100.
#[track_caller]
fn assert_same(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 1e-12 * expected.abs().max(1.0), "{what}: {found}, not {expected}");
}

#[test]
fn scores_are_those_of_sacrebleu() {
    let golden: Golden = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(golden.bleu.len(), 4 * golden.corpora.len());
    for Case { corpus, options, score: expected, sentences } in golden.bleu {
        let name = format!("{corpus} with {options:?}");
        let segments = &golden.corpora[&corpus];
        let mut bleu = Bleu::new(options);
        for (hypothesis, references) in segments {
            bleu.add(hypothesis, references);
        }
        let found = bleu.finish();
        assert_eq!(found.hypothesis_length, expected.hypothesis_length, "{name}");
        assert_eq!(found.reference_length, expected.reference_length, "{name}");
        assert_same(found.brevity_penalty, expected.brevity_penalty, &name);
        for (found, expected) in found.precisions.into_iter().zip(expected.precisions) {
            assert_same(found, expected, &name);
        }
        assert_same(found.score, expected.score, &name);
        assert_eq!(found.to_string(), expected.line, "{name}");

        for ((hypothesis, references), expected) in segments.iter().zip(sentences) {
            let found = sentence_bleu(hypothesis, references, options);
            assert_same(found.score, expected, &format!("{hypothesis:?} of {name}"));
        }
    }
}

#[test]
fn tokens_by_hand() {
    let tokens = |tokenizer: BleuTokenizer, segment: &str| {
        words(&tokenizer.tokenize(segment)).collect::<Vec<_>>().join("|")
    };
    let v13a = |segment| tokens(BleuTokenizer::V13a, segment);
    assert_eq!(v13a("He said: 1,234.5 (or so)."), "He|said|:|1,234.5|(|or|so|)|.");
    assert_eq!(v13a("don't re-do 1990-95"), "don't|re-do|1990|-|95");
    assert_eq!(v13a("&quot;a&quot; &amp;lt;"), "\"|a|\"|<");
    assert_eq!(v13a("..."), ".|.|.");
    assert_eq!(tokens(BleuTokenizer::None, "a, b."), "a,|b.");
    assert_eq!(tokens(BleuTokenizer::Char, "猫 a."), "猫|a|.");
}

/// Every part of the formula once.
#[test]
fn a_score_by_hand() {
    let score = sentence_bleu("a b c e", &["a b c d f"], BleuOptions::default());
    assert_eq!(score.precisions, [75.0, 200.0 / 3.0, 50.0, 50.0]);
    assert_same(score.brevity_penalty, (-0.25_f64).exp(), "4 of 5 tokens");
    let mean = (75.0 * 200.0 / 3.0 * 50.0 * 50.0_f64).powf(0.25);
    assert_same(score.score, score.brevity_penalty * mean, "the geometric mean");
}

#[test]
#[should_panic(expected = "a hypothesis without references")]
fn a_hypothesis_has_references() {
    Bleu::new(BleuOptions::default()).add::<&str>("a", &[]);
}

/// A few words, of which some are likely to be in two segments.
fn segment() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-e]|[a-e]{2}|[.,!]|[0-9]", 0..13).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_corpus_of_its_own_references_has_the_highest_score(
        segments in prop::collection::vec(segment(), 1..5),
        other in segment(),
    ) {
        let mut bleu = Bleu::new(BleuOptions::default());
        for segment in &segments {
            bleu.add(segment, &[&other, segment]);
        }
        let score = bleu.finish();
        prop_assert_eq!(score.brevity_penalty, 1.0);
        // With less than four words there are no 4-grams, of which nothing can be right.
        let expected = if bleu.counts.totals[3] > 0 { 100.0 } else { 0.0 };
        prop_assert!((score.score - expected).abs() < 1e-10, "{}", score);
    }

    #[test]
    fn more_references_find_no_less(hypothesis in segment(), references in prop::collection::vec(segment(), 2..4)) {
        let matches = |references: &[String]| {
            let mut bleu = Bleu::new(BleuOptions::default());
            bleu.add(&hypothesis, references);
            bleu.counts.matches
        };
        let (all, first) = (matches(&references), matches(&references[..1]));
        prop_assert!(all.iter().zip(first).all(|(all, first)| *all >= first));
    }

    #[test]
    fn scores_are_in_range(hypothesis in ".*", references in prop::collection::vec(".*", 1..3)) {
        for tokenizer in [BleuTokenizer::V13a, BleuTokenizer::None, BleuTokenizer::Char] {
            let options = BleuOptions { tokenizer, lowercase: true };
            let score = sentence_bleu(&hypothesis, &references, options);
            prop_assert!((0.0..=100.0 + 1e-10).contains(&score.score), "{}", score);
            prop_assert!((0.0..=1.0).contains(&score.brevity_penalty), "{}", score);
        }
    }
}
