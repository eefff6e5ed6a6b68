//! Choices against those of `transformers`, and what must hold of them in any case.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde::Deserialize;

use super::*;

const GOLDEN: &str = include_str!("../../tests/golden/sampling.json");

#[derive(Deserialize)]
struct Golden {
    prompt: Vec<u32>,
    /// `None` is minus infinity.
    logits: BTreeMap<String, Vec<Option<f32>>>,
    filters: Vec<FilterCase>,
    tables: BTreeMap<String, Table>,
    beams: Vec<BeamCase>,
}

#[derive(Deserialize)]
struct FilterCase {
    logits: String,
    sampling: Sampling,
    tokens: Vec<u32>,
    probabilities: Vec<f32>,
}

/// A model whose logits depend on the last token and the length.
#[derive(Clone, Deserialize)]
struct Table {
    logits: Vec<f32>,
    prompt: Vec<u32>,
    end_tokens: Vec<u32>,
}

#[derive(Deserialize)]
struct BeamCase {
    table: String,
    search: BeamSearch,
    max_new_tokens: usize,
    repetition_penalty: f64,
    hypotheses: Vec<GoldenHypothesis>,
}

#[derive(Deserialize)]
struct GoldenHypothesis {
    tokens: Vec<u32>,
    score: f32,
}

impl Table {
    fn logits(&self, tokens: &[u32]) -> impl Iterator<Item = f32> {
        let size = self.logits.len().isqrt();
        let row = &self.logits[*tokens.last().unwrap() as usize * size..][..size];
        let factor = 1.0 + tokens.len() as f32 / 32.0;
        row.iter().map(move |logit| logit * factor)
    }

    fn search(&self, search: BeamSearch, sampling: Sampling, max_new_tokens: usize) -> Vec<Hypothesis> {
        let mut beams = Beams::new(search, sampling, &self.prompt, &self.end_tokens, max_new_tokens).unwrap();
        let mut sequences = vec![self.prompt.clone()];
        loop {
            assert_eq!(sequences.len(), beams.rows());
            let logits: Vec<f32> = sequences.iter().flat_map(|tokens| self.logits(tokens)).collect();
            let Some(step) = beams.advance(&logits).unwrap() else {
                assert_eq!(beams.rows(), 0);
                return beams.finish();
            };
            sequences = step
                .parents
                .iter()
                .zip(&step.tokens)
                .map(|(&parent, &token)| [sequences[parent].as_slice(), &[token]].concat())
                .collect();
        }
    }
}

#[test]
fn distributions_are_those_of_transformers() {
    let golden: Golden = serde_json::from_str(GOLDEN).unwrap();
    for case in golden.filters {
        let logits: Vec<f32> =
            golden.logits[&case.logits].iter().map(|logit| logit.unwrap_or(f32::NEG_INFINITY)).collect();
        let name = format!("{} {:?}", case.logits, case.sampling);
        let mut sampler = Sampler::new(case.sampling).unwrap();
        let found = sampler.distribution(&logits, &golden.prompt, &[]).unwrap();
        let tokens: Vec<u32> = found.iter().map(|next| next.token).collect();
        assert_eq!(tokens, case.tokens, "{name}");
        for (next, expected) in found.iter().zip(case.probabilities) {
            // An ulp of a logit of 8 is 5e-7, and a probability changes by at most a quarter of its logit's change,
            // before temperature.
            assert!((next.probability - expected).abs() < 1e-6, "{name}: {next:?}, not {expected}");
        }
    }
}

#[test]
fn beams_are_those_of_transformers() {
    let golden: Golden = serde_json::from_str(GOLDEN).unwrap();
    for case in golden.beams {
        let sampling = Sampling { repetition_penalty: case.repetition_penalty, ..Sampling::greedy() };
        let name = format!("{} {:?} {} {sampling:?}", case.table, case.search, case.max_new_tokens);
        let found = golden.tables[&case.table].search(case.search, sampling, case.max_new_tokens);
        let tokens = |hypotheses: &[Hypothesis]| -> Vec<Vec<u32>> {
            hypotheses.iter().map(|hypothesis| hypothesis.tokens.clone()).collect()
        };
        let expected: Vec<Hypothesis> = case
            .hypotheses
            .into_iter()
            .map(|GoldenHypothesis { tokens, score }| Hypothesis { tokens, score })
            .collect();
        assert_eq!(tokens(&found), tokens(&expected), "{name}");
        for (found, expected) in found.iter().zip(expected) {
            // Torch rounds the logarithm of the denominator, about 4, to 2e-7; up to 13 sums are rounded to 6e-8 of
            // the score.
            let tolerance = 1e-6 * expected.score.abs().max(1.0);
            assert!((found.score - expected.score).abs() <= tolerance, "{name}: {found:?}, not {expected:?}");
        }
    }
}

#[test]
fn drawn_tokens_follow_the_distribution() {
    let logits = [0.3, -1.0, 2.0, 1.1, 0.0, f32::NEG_INFINITY, 1.9, -0.4, -6.0];
    // Pearson's statistic stays below these with probability 0.999, for one degree of freedom less than tokens are
    // kept. The seed is fixed, so that the test gives the same each time.
    for (sampling, bound) in [
        (Sampling::default(), 24.32),
        (Sampling { temperature: 0.8, top_k: Some(5), ..Sampling::default() }, 18.47),
        (Sampling { temperature: 2.0, top_p: Some(0.6), ..Sampling::default() }, 13.82),
    ] {
        let mut sampler = Sampler::new(sampling).unwrap();
        let expected = sampler.distribution(&logits, &[], &[]).unwrap().to_vec();
        let mut rng = sequence_rng(11, 0);
        let draws = 100_000;
        let mut counts = [0_u32; 9];
        for _ in 0..draws {
            counts[sampler.choose(&logits, &[], &[], &mut rng).unwrap().token as usize] += 1;
        }
        let statistic: f64 = expected
            .iter()
            .map(|next| {
                let mean = f64::from(next.probability) * f64::from(draws);
                (f64::from(counts[next.token as usize]) - mean).powi(2) / mean
            })
            .sum();
        assert!(statistic < bound, "{statistic} for {} tokens: {counts:?}", expected.len());
        let kept: u32 = expected.iter().map(|next| counts[next.token as usize]).sum();
        assert_eq!(kept, draws, "a token that was filtered out was drawn");
    }
}

#[test]
fn a_sequence_does_not_depend_on_the_others_of_its_batch() {
    let logits = [0.1, 0.2, 0.3, 0.0, -0.1, 0.2, 0.1];
    let mut sampler = Sampler::new(Sampling::default()).unwrap();
    let mut tokens = |seed, index| -> Vec<u32> {
        let mut rng = sequence_rng(seed, index);
        (0..31).map(|_| sampler.choose(&logits, &[], &[], &mut rng).unwrap().token).collect()
    };
    let alone = tokens(5, 1);
    let (first, second) = (tokens(5, 0), tokens(5, 1));
    assert_eq!(alone, second);
    assert_ne!(first, second);
    assert_ne!(alone, tokens(6, 1));
}

#[test]
fn the_probability_is_that_of_the_model() {
    // e^1 : e^1 : e^0, moved far from zero.
    let logits = [1001.0, 1000.0, 1001.0, f32::NEG_INFINITY];
    let e = std::f32::consts::E;
    let sampling =
        Sampling { temperature: 0.5, top_k: Some(1), presence_penalty: 2.0, ..Sampling::default() };
    let mut sampler = Sampler::new(sampling).unwrap();
    let choice = sampler.choose(&logits, &[], &[0], &mut sequence_rng(0, 0)).unwrap();
    assert_eq!(choice.token, 2);
    // Two roundings of a number near 1.
    assert!((choice.log_probability - (e / (2.0 * e + 1.0)).ln()).abs() < 2e-7);

    let top = top_log_probabilities(&logits, 2).unwrap();
    assert_eq!(top.iter().map(|choice| choice.token).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(top[1], choice);
    assert_eq!(top_log_probabilities(&logits, 99).unwrap().len(), 3);
    assert!(top_log_probabilities(&logits, 0).unwrap().is_empty());
}

#[test]
fn greedy_takes_the_first_of_the_likeliest_and_no_random_number() {
    let mut sampler = Sampler::new(Sampling::greedy()).unwrap();
    let mut rng = sequence_rng(3, 0);
    let token = sampler.choose(&[0.5, 2.0, 2.0, -1.0, 2.0], &[1], &[], &mut rng).unwrap().token;
    assert_eq!(token, 1);
    assert_eq!(rng, sequence_rng(3, 0));
    let penalty = Sampling { repetition_penalty: 1.5, ..Sampling::greedy() };
    let token = Sampler::new(penalty).unwrap().choose(&[0.5, 2.0, 2.0], &[1], &[], &mut rng).unwrap().token;
    assert_eq!(token, 2);
}

#[test]
fn a_nucleus_may_reach_its_mass_exactly() {
    for (tokens, top_p, kept) in [(4, 0.5, 2..4), (10, 0.9, 1..10), (10, 0.1, 9..10)] {
        let mut sampler = Sampler::new(Sampling { top_p: Some(top_p), ..Sampling::default() }).unwrap();
        let found = sampler.distribution(&vec![-3.0; tokens], &[], &[]).unwrap();
        assert!(found.iter().map(|next| next.token).eq(kept.clone()), "{top_p}: {found:?}");
    }
}

#[test]
fn a_temperature_near_zero_is_greedy() {
    for temperature in [1e-3, 1e-30, 1e-300, f64::MIN_POSITIVE] {
        let sampling =
            Sampling { temperature, top_p: Some(0.9), typical_p: Some(0.9), ..Sampling::default() };
        let mut sampler = Sampler::new(sampling).unwrap();
        let found = sampler.distribution(&[3.0, 70.0, 5.0, 69.0], &[], &[]).unwrap();
        assert_eq!(found, [TokenProbability { token: 1, probability: 1.0 }]);
    }
}

#[test]
fn logits_that_are_no_distribution_are_errors() {
    let mut rng = sequence_rng(0, 0);
    for sampling in [Sampling::default(), Sampling::greedy()] {
        let mut sampler = Sampler::new(sampling).unwrap();
        let mut error = |logits: &[f32]| sampler.choose(logits, &[], &[], &mut rng).unwrap_err().to_string();
        assert!(error(&[f32::NAN; 3]).contains("the logit NaN to token 0"));
        assert!(error(&[1.0, 2.0, f32::INFINITY]).contains("the logit inf to token 2"));
        assert!(error(&[f32::NEG_INFINITY; 3]).contains("none of the model's 3 tokens"));
        assert!(error(&[]).contains("none of the model's 0 tokens"));
    }
}

#[test]
fn wrong_options_are_named_with_their_value() {
    let default = Sampling::default;
    for (sampling, message) in [
        (Sampling { temperature: -1.0, ..default() }, "--temperature -1: must be at least 0"),
        (Sampling { temperature: f64::NAN, ..default() }, "--temperature NaN: must be at least 0"),
        (Sampling { temperature: f64::INFINITY, ..default() }, "--temperature inf: must be finite"),
        (Sampling { top_p: Some(1.5), ..default() }, "--top-p 1.5: must be from 0 to 1"),
        (Sampling { min_p: Some(f64::NAN), ..default() }, "--min-p NaN: must be from 0 to 1"),
        (Sampling { typical_p: Some(0.0), ..default() }, "--typical-p 0: must be above 0 and at most 1"),
        (
            Sampling { repetition_penalty: 0.0, ..default() },
            "--repetition-penalty 0: must be above 0 and finite; 1 is off",
        ),
        (
            Sampling { presence_penalty: 3.0, ..default() },
            "--presence-penalty 3: must be from -2 to 2; 0 is off",
        ),
        (
            Sampling { frequency_penalty: -2.5, ..default() },
            "--frequency-penalty -2.5: must be from -2 to 2; 0 is off",
        ),
        (Sampling { min_tokens_to_keep: 0, ..default() }, "--min-tokens-to-keep 0: must be at least 1"),
        (
            Sampling { top_k: Some(5), ..Sampling::greedy() },
            "--top-k 5: has no effect at --temperature 0, which always takes the likeliest token",
        ),
        (
            Sampling { typical_p: Some(0.5), ..Sampling::greedy() },
            "--typical-p 0.5: has no effect at --temperature 0, which always takes the likeliest token",
        ),
    ] {
        let error = sampling.validate().unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(error.is_wrong_arguments());
    }
    Sampling { top_k: Some(0), ..Sampling::greedy() }.validate().unwrap();

    let search = BeamSearch::default;
    for (search, sampling, message) in [
        (
            BeamSearch { num_beams: 1, ..search() },
            Sampling::greedy(),
            "--beams 1: must be at least 2; one beam is --temperature 0",
        ),
        (BeamSearch { num_return: 0, ..search() }, Sampling::greedy(), "--n 0: must be at least 1"),
        (BeamSearch { num_return: 5, ..search() }, Sampling::greedy(), "--n 5: must be at most --beams 4"),
        (
            BeamSearch { length_penalty: f64::NAN, ..search() },
            Sampling::greedy(),
            "--length-penalty NaN: must be finite",
        ),
        (
            search(),
            Sampling { temperature: 0.5, ..default() },
            "--beams 4: needs --temperature 0 instead of 0.5: beams are not drawn",
        ),
        (search(), Sampling { top_p: Some(-1.0), ..default() }, "--top-p -1: must be from 0 to 1"),
    ] {
        assert_eq!(search.validate(&sampling).unwrap_err().to_string(), message);
    }
    let error = Beams::new(search(), Sampling::greedy(), &[], &[], 0).unwrap_err();
    assert_eq!(error.to_string(), "--max-tokens 0: must be at least 1");
}

#[test]
fn options_are_plain_data() {
    let sampling: Sampling = serde_json::from_str(r#"{"top_k": 5, "temperature": 0.5}"#).unwrap();
    assert_eq!(sampling, Sampling { top_k: Some(5), temperature: 0.5, ..Sampling::default() });
    let again = serde_json::from_str(&serde_json::to_string(&sampling).unwrap()).unwrap();
    assert_eq!(sampling, again);
    assert!(serde_json::from_str::<Sampling>(r#"{"topk": 5}"#).is_err());
    let search: BeamSearch = serde_json::from_str(r#"{"early_stopping": "when-full"}"#).unwrap();
    assert_eq!(search.early_stopping, EarlyStopping::WhenFull);
}

/// A table of which all sequences of some tokens have different probabilities.
fn table(size: usize) -> Table {
    let logits = (0..size * size).map(|at| (at * at * at * 31 % 10_007) as f32 / 4000.0).collect();
    Table { logits, prompt: vec![1], end_tokens: vec![0] }
}

#[test]
fn enough_beams_find_the_likeliest_sequence() {
    let (size, length) = (5, 3);
    let table = table(size);
    // Every sequence that ends, or has three tokens.
    let mut open = vec![(vec![1], 0.0)];
    let mut ended: Vec<(Vec<u32>, f32)> = Vec::new();
    while let Some((tokens, score)) = open.pop() {
        let logits: Vec<f32> = table.logits(&tokens).collect();
        for choice in top_log_probabilities(&logits, size).unwrap() {
            let next = ([tokens.as_slice(), &[choice.token]].concat(), score + choice.log_probability);
            if choice.token == 0 || next.0.len() == 1 + length { ended.push(next) } else { open.push(next) }
        }
    }
    ended.sort_by(|a, b| b.1.total_cmp(&a.1));
    let search = BeamSearch {
        num_beams: 100,
        num_return: 31,
        length_penalty: 0.0,
        early_stopping: EarlyStopping::Never,
    };
    let found = table.search(search, Sampling::greedy(), length);
    assert_eq!(found.len(), 31);
    for (found, (tokens, score)) in found.iter().zip(ended) {
        assert_eq!(found.tokens, tokens[1..]);
        // Three sums in the same order; only division by 1 lies between.
        assert_eq!(found.score, score);
    }
}

#[test]
fn beams_that_do_not_exist_are_not_returned() {
    let search = BeamSearch { num_beams: 5, num_return: 5, ..BeamSearch::default() };
    assert_eq!(table(2).search(search, Sampling::greedy(), 2).len(), 3);
}

#[test]
fn beams_end_where_the_caller_says() {
    let search = BeamSearch { num_beams: 3, num_return: 3, ..BeamSearch::default() };
    let table = table(7);
    let mut beams = Beams::new(search, Sampling::greedy(), &[1], &[], 9).unwrap();
    let logits: Vec<f32> = table.logits(&[1]).collect();
    assert!(beams.advance_until(&logits, |tokens| tokens.len() == 2).unwrap().is_some());
    assert_eq!(beams.advance_until(&logits.repeat(3), |tokens| tokens.len() == 2), Ok(None));
    assert_eq!(beams.advance(&[]), Ok(None));
    let found = beams.finish();
    assert!(found.len() == 3 && found.iter().all(|found| found.tokens.len() == 2));
    assert!(found.is_sorted_by(|a, b| a.score >= b.score));
}

#[test]
fn a_search_that_is_cut_off_gives_what_is_running() {
    let search = BeamSearch { num_beams: 3, num_return: 2, ..BeamSearch::default() };
    let mut beams = Beams::new(search, Sampling::greedy(), &[1], &[0], 9).unwrap();
    assert_eq!(beams.clone().finish(), []);
    let step = beams.advance(&table(7).logits(&[1]).collect::<Vec<_>>()).unwrap().unwrap();
    assert_eq!(step.parents, [0; 3]);
    let found = beams.finish();
    assert_eq!([found[0].tokens[0], found[1].tokens[0]], step.tokens[..2]);
}

#[test]
#[should_panic(expected = "5 logits are no 3 rows")]
fn rows_of_different_lengths_panic() {
    let search = BeamSearch { num_beams: 3, ..BeamSearch::default() };
    let mut beams = Beams::new(search, Sampling::greedy(), &[1], &[0], 9).unwrap();
    beams.advance(&table(7).logits(&[1]).collect::<Vec<_>>()).unwrap();
    let _ = beams.advance(&[0.0; 5]);
}

/// What [`Sampler::distribution`] keeps, by sorting everything. `logits` differ from each other.
fn kept_by_sorting(logits: &[f32], sampling: &Sampling) -> Vec<u32> {
    let mut kept: Vec<(u32, f64)> = (0..).zip(logits.iter().map(|&logit| f64::from(logit))).collect();
    let normalise = |kept: &mut Vec<(u32, f64)>| {
        let sum: f64 = kept.iter().map(|(_, logit)| logit.exp()).sum();
        kept.iter_mut().for_each(|(_, logit)| *logit -= sum.ln());
    };
    let first = |kept: &mut Vec<(u32, f64)>, mass: f64| {
        let mut sum = 0.0;
        kept.retain(|(_, logit)| {
            let before = sum;
            sum += logit.exp();
            before < mass
        });
    };
    kept.sort_by(|a, b| b.1.total_cmp(&a.1));
    kept.truncate(sampling.top_k.unwrap());
    normalise(&mut kept);
    first(&mut kept, sampling.top_p.unwrap());
    let floor = kept[0].1 + sampling.min_p.unwrap().ln();
    kept.retain(|(_, logit)| *logit >= floor);
    normalise(&mut kept);
    let entropy: f64 = kept.iter().map(|(_, logit)| -logit * logit.exp()).sum();
    kept.sort_by(|a, b| (a.1 + entropy).abs().total_cmp(&(b.1 + entropy).abs()));
    first(&mut kept, sampling.typical_p.unwrap());
    let mut tokens: Vec<u32> = kept.into_iter().map(|(token, _)| token).collect();
    tokens.sort_unstable();
    tokens
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        // Tokens as near to the entropy as each other, up to rounding, would be kept or not by chance.
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn filters_keep_what_sorting_everything_keeps(
        order in Just((0..1009).collect::<Vec<u32>>()).prop_shuffle(),
        spread in 10.0_f32..1000.0,
        top_k in 1_usize..1009,
        top_p in 0.05..0.99,
        min_p in 1e-4..0.3,
        typical_p in 0.05..0.99,
    ) {
        let logits: Vec<f32> = order.iter().map(|&place| place as f32 / spread).collect();
        let sampling = Sampling {
            top_k: Some(top_k),
            top_p: Some(top_p),
            min_p: Some(min_p),
            typical_p: Some(typical_p),
            ..Sampling::default()
        };
        let expected = kept_by_sorting(&logits, &sampling);
        let mut sampler = Sampler::new(sampling).unwrap();
        let found = sampler.distribution(&logits, &[], &[]).unwrap();
        prop_assert_eq!(found.iter().map(|next| next.token).collect::<Vec<_>>(), expected);
        let sum: f32 = found.iter().map(|next| next.probability).sum();
        prop_assert!((sum - 1.0).abs() < 1e-5);
    }
}
