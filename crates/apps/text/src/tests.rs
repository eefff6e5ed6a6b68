use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use libellus_backend::testing::device;
use libellus_data::{Scheme, TokenWriter, Tokenizer, Tokens};
use libellus_models::rnn::RecurrentCell;
use libellus_models::{
    Gpt2Config, LanguageModel, LanguageModelConfig, LlamaConfig, Precision, PrepareInference, RnnLmConfig,
};
use libellus_train::{Interrupt, Place, RunDir};

use crate::sampling::{BeamSearch, EarlyStopping, Sampling};
use crate::saved::{Description, TASK};
use crate::*;

/// All 29 characters of the tiny models' vocabulary.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz .\n";

fn tokenizer() -> Tokenizer {
    Tokenizer::train(Scheme::Char, [Ok(LETTERS.to_owned())]).expect("letters")
}

/// One of each kind, all for 29 tokens; the first two read up to 17.
fn configs() -> [LanguageModelConfig; 3] {
    [
        Gpt2Config::tiny().into(),
        LlamaConfig::tiny().into(),
        RnnLmConfig { cell: RecurrentCell::Gru, ..RnnLmConfig::tiny() }.into(),
    ]
}

/// With weights large enough that its logits differ.
fn model(config: &LanguageModelConfig) -> LanguageModel {
    let device = device();
    device.seed(7);
    let model = config.init(&device).expect("a tiny model").materialize();
    struct Louder;
    impl burn::module::ModuleMapper for Louder {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<burn::tensor::Tensor<D>>,
        ) -> burn::module::Param<burn::tensor::Tensor<D>> {
            param.map(|tensor| if D == 2 { tensor * 6.0 } else { tensor })
        }
    }
    model.map(&mut Louder)
}

fn trained(config: &LanguageModelConfig) -> Trained {
    Trained {
        model: model(config).prepare_generation_in(Precision::F32),
        tokenizer: tokenizer(),
        chat: None,
        description: None,
        path: "tiny".into(),
        device: device(),
    }
}

fn continued(model: &LanguageModel, prompt: &str, options: &Generation) -> Vec<Generated> {
    generate(model, &tokenizer(), prompt, options, &device(), &mut |_, _| {}).expect("a fine prompt")
}

fn greedy(max_tokens: usize) -> Generation {
    Generation { max_tokens, sampling: Sampling::greedy(), ..Generation::default() }
}

/// The logits after some tokens, all of which are read at once.
fn logits(model: &LanguageModel, tokens: &[u32], device: &Device) -> Vec<f32> {
    use burn::tensor::{Int, Tensor, TensorData};
    let ids: Vec<i32> = tokens.iter().map(|&id| id as i32).collect();
    let length = ids.len();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, length]), device);
    model.forward(tokens).narrow(1, length - 1, 1).into_data().iter::<f32>().collect()
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
    logits.iter().map(|&logit| f64::from(logit) - sum.ln()).collect()
}

fn tokens_file(folder: &Path, ids: &[u32]) -> Arc<Tokens> {
    let mut writer = TokenWriter::create(folder.join("tokens.bin"), 29).expect("a writable folder");
    writer.write(ids).expect("a writable folder");
    Arc::new(writer.finish().expect("a writable folder"))
}

#[test]
fn pieces_in_order_have_each_token_as_a_target_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ids: Vec<u32> = (0..101).map(|token| token % 29).collect();
    let [all, _] = tokens_file(folder.path(), &ids).split(1.0);
    for length in [1, 7, 10, 99, 100] {
        let windows = Windows::new(all.clone(), length, 3, "test").expect("long enough");
        let batches: Vec<TokenBatch> = windows.in_order(None).collect::<Result<_, _>>().expect("readable");
        let targets: Vec<u32> =
            batches.iter().flat_map(|batch| &batch.targets).map(|&target| target as u32).collect();
        assert_eq!(targets, ids[1..], "pieces of {length}");
        let inputs: Vec<u32> = batches.iter().flat_map(|batch| &batch.inputs).map(|&id| id as u32).collect();
        assert_eq!(inputs, ids[..100], "pieces of {length}");
    }
    let some = Windows::new(all.clone(), 7, 3, "test").expect("long enough");
    let some: usize = some.in_order(Some(20)).map(|batch| batch.expect("readable").targets.len()).sum();
    assert_eq!(some, 21);
    let error = Windows::new(all, 101, 3, "held back").expect_err("too long").to_string();
    assert_eq!(
        error,
        "the held back text has 101 tokens, a piece takes 101 and the one after it: take more text or a smaller \
         --context"
    );
}

#[test]
fn random_pieces_depend_on_seed_and_number_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ids: Vec<u32> = (0..29).collect();
    let [all, _] = tokens_file(folder.path(), &ids).split(1.0);
    let windows = Windows::new(all, 27, 5, "test").expect("long enough");
    let batch = |seed, index| windows.random(seed, index).expect("readable");
    assert_eq!(batch(3, 11), batch(3, 11));
    assert_ne!(batch(3, 11), batch(3, 12));
    assert_ne!(batch(3, 11), batch(4, 11));
    // Both places where a piece can begin come up, and no other.
    let begins: std::collections::BTreeSet<i32> = (0..9)
        .flat_map(|index| {
            let batch = batch(5, index);
            assert_eq!(batch.shape, [5, 27]);
            batch.inputs.chunks(27).map(|piece| piece[0]).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(begins.into_iter().collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn greedy_text_is_that_of_reading_everything_anew() {
    for config in configs() {
        let model = model(&config);
        let made = continued(&model, "to be", &greedy(11)).remove(0);
        assert_eq!(made.ending, Ending::Length);
        let mut tokens = tokenizer().encode("to be").expect("known letters");
        for (&token, &log_probability) in made.tokens.iter().zip(&made.log_probabilities) {
            let expected = log_softmax(&logits(&model, &tokens, &device()));
            let best = (0..29).max_by(|&a, &b| expected[a].total_cmp(&expected[b])).expect("some");
            assert_eq!(token, best as u32, "{config:?}");
            assert!((f64::from(log_probability) - expected[best]).abs() < 1e-5);
            tokens.push(token);
        }
        assert_eq!(made.text, tokenizer().decode(&made.tokens).expect("own tokens"));
    }
}

#[test]
fn a_batch_of_texts_is_what_each_is_alone() {
    for config in configs() {
        let model = model(&config);
        let options =
            Generation { max_tokens: 9, n: 3, seed: 5, stop: vec!["e".to_owned()], ..Generation::default() };
        let together = continued(&model, "x", &options);
        assert_ne!(together[0].text, together[1].text);
        // The first text has the same random numbers with and without the others.
        let alone = continued(&model, "x", &Generation { n: 1, ..options.clone() });
        assert_eq!((&alone[0].text, &alone[0].tokens), (&together[0].text, &together[0].tokens));
        let pair = continued(&model, "x", &Generation { n: 2, ..options });
        assert_eq!(pair[1].tokens, together[1].tokens);
        for made in together {
            assert!(!made.text.contains('e'));
            assert_eq!(made.ending == Ending::Stop, made.tokens.len() < 9 || made.text.len() < 9);
        }
    }
}

#[test]
fn pieces_that_are_heard_make_the_text() {
    let model = model(&configs()[0]);
    let options = Generation { max_tokens: 12, n: 2, stop: vec!["zz".to_owned()], ..Generation::default() };
    let mut heard = [String::new(), String::new()];
    let made = generate(&model, &tokenizer(), "a", &options, &device(), &mut |index, piece| {
        heard[index].push_str(piece);
    })
    .expect("a fine prompt");
    assert_eq!(heard.to_vec(), made.into_iter().map(|made| made.text).collect::<Vec<_>>());
}

#[test]
fn a_full_context_ends_the_text_or_slides() {
    for config in &configs()[..2] {
        let model = model(config);
        // 17 tokens are read: 5 of the prompt and 12 of the text, after which one more comes.
        let made = continued(&model, "to be", &greedy(40)).remove(0);
        assert_eq!((made.ending, made.tokens.len()), (Ending::Context, 13));
        let long = continued(&model, "to be", &Generation { slide: true, ..greedy(40) }).remove(0);
        assert_eq!((long.ending, long.tokens.len()), (Ending::Length, 40));
        assert_eq!(long.tokens[..13], made.tokens[..]);
        // After that, the last nine tokens are what the model goes on from.
        let all = [tokenizer().encode("to be").expect("known"), long.tokens.clone()].concat();
        let next = logits(&model, &all[18 - 9..18], &device());
        let best = (0..29).max_by(|&a, &b| next[a].total_cmp(&next[b])).expect("some");
        assert_eq!(all[18], best as u32);
    }
}

#[test]
fn prompts_that_do_not_fit_are_refused_or_cut() {
    let model = model(&configs()[0]);
    let long = "abcdefghijklmnopqr";
    let generate = |prompt: &str, options: &Generation| {
        generate(&model, &tokenizer(), prompt, options, &device(), &mut |_, _| {})
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        generate(long, &greedy(3)).expect_err("too long"),
        "the prompt has 18 tokens, the model reads 17: shorten it, or give --slide to read its end only"
    );
    let slid = generate(long, &Generation { slide: true, ..greedy(3) }).expect("cut");
    let end = generate(&long[9..], &greedy(3)).expect("short");
    assert_eq!(slid[0].tokens, end[0].tokens);
    assert_eq!(
        generate("", &greedy(3)).expect_err("empty"),
        "the prompt has no tokens, and the tokenizer has no mark to begin with: give it some text"
    );
    let error = generate("tö", &greedy(3)).expect_err("an unknown letter");
    assert!(error.contains('ö') && error.lines().count() == 1, "{error}");
}

#[test]
fn contradictory_options_are_named() {
    let error = |options: Generation| options.validate().expect_err("contradictory").to_string();
    let beams = Some(BeamSearch { num_beams: 3, ..BeamSearch::default() });
    assert!(error(Generation { n: 2, ..greedy(3) }).starts_with("--n 2: "));
    assert!(error(Generation { n: 0, ..Generation::default() }).starts_with("--n 0: "));
    assert!(error(Generation { beams: beams.clone(), ..Generation::default() }).contains("--temperature"));
    assert!(error(Generation { beams: beams.clone(), n: 4, ..greedy(3) }).contains('4'));
    assert!(error(Generation { beams, slide: true, ..greedy(3) }).contains("--slide"));
    let options = Generation { stop: vec![String::new()], ..Generation::default() };
    assert!(error(options).starts_with("--stop"));
    let sampling = Sampling { top_k: Some(3), ..Sampling::greedy() };
    assert!(error(Generation { sampling, ..Generation::default() }).starts_with("--top-k 3"));
}

/// With as many beams as there are texts, the search is exhaustive.
#[test]
fn enough_beams_find_the_likeliest_text() {
    let config = LanguageModelConfig::from(Gpt2Config { vocab_size: 3, ..Gpt2Config::tiny() });
    let model = model(&config);
    let tokenizer = Tokenizer::train(Scheme::Char, [Ok("abc".to_owned())]).expect("letters");
    let beams = BeamSearch { num_beams: 27, early_stopping: EarlyStopping::Never, ..BeamSearch::default() };
    let options = Generation { beams: Some(beams), n: 5, ..greedy(3) };
    let made = generate(&model, &tokenizer, "a", &options, &device(), &mut |_, _| {}).expect("a fine prompt");

    let mut all: Vec<(f64, Vec<u32>)> = Vec::new();
    for first in 0..3 {
        for second in 0..3 {
            for third in 0..3 {
                let text = [0, first, second, third];
                let sum = (1..4)
                    .map(|end| log_softmax(&logits(&model, &text[..end], &device()))[text[end] as usize]);
                all.push((sum.sum(), text[1..].to_vec()));
            }
        }
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (made, (sum, tokens)) in made.iter().zip(&all) {
        assert_eq!(&made.tokens, tokens);
        assert!((f64::from(made.score.expect("beams have one")) - sum / 3.0).abs() < 1e-5);
    }
}

#[test]
fn probabilities_of_all_continuations_sum_to_one() {
    for config in configs() {
        let trained = trained(&config);
        let letters: Vec<String> = LETTERS.chars().map(String::from).collect();
        let scores = score(&trained, "to be", &letters).expect("fine continuations");
        let sum: f64 = scores.iter().map(|score| score.log_probability.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        // That of two letters is the product.
        let both = score(&trained, "to b", &["e ".to_owned()]).expect("fine continuations").remove(0);
        let first = score(&trained, "to b", &["e".to_owned()]).expect("fine continuations").remove(0);
        let space = scores.iter().find(|score| score.text == " ").expect("it is there");
        assert!((both.log_probability - first.log_probability - space.log_probability).abs() < 1e-5);
        assert!((both.per_token - both.log_probability / 2.0).abs() < 1e-12);
    }
}

#[test]
fn perplexity_counts_each_token_once_whatever_the_stride() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("text.txt");
    let text = "the quick brown fox jumps over the lazy dog.\n";
    std::fs::write(&path, text).expect("a writable folder");
    let corpus = libellus_data::Corpus::open(&path, None).expect("a text");
    let tokens = tokenizer().encode(text).expect("known letters");
    for config in &configs()[..2] {
        let trained = trained(config);
        for (context, stride) in [(17, 17), (17, 5), (17, 1), (11, 4), (1, 1)] {
            for batch_size in [1, 4] {
                let cuts = Cuts { context: Some(context), stride: Some(stride), batch_size };
                let found = perplexity(&trained, &corpus, &cuts, &mut |_, _| {}).expect("a fine text");
                assert_eq!((found.tokens, found.characters), (text.len() - 1, text.len()));
                let (mut sum, mut begin, mut next) = (0.0, 0, 1);
                while next < tokens.len() {
                    let end = (begin + context + 1).min(tokens.len());
                    for target in next..end {
                        let known = logits(&trained.model, &tokens[begin..target], &device());
                        sum -= log_softmax(&known)[tokens[target] as usize];
                    }
                    (begin, next) = (begin + stride, end);
                }
                let expected = sum / (tokens.len() - 1) as f64;
                assert!((found.loss - expected).abs() < 1e-5, "{} for {expected}", found.loss);
                assert!((found.perplexity - found.loss.exp()).abs() < 1e-9);
                let bits = sum / std::f64::consts::LN_2 / text.len() as f64;
                assert!((found.bits_per_character - bits).abs() < 1e-5);
            }
        }
        let wrong = |cuts: Cuts| {
            perplexity(&trained, &corpus, &cuts, &mut |_, _| {}).expect_err("out of range").to_string()
        };
        assert_eq!(
            wrong(Cuts { context: Some(18), ..Cuts::default() }),
            "--context 18: the model reads 17 tokens"
        );
        assert!(wrong(Cuts { stride: Some(18), ..Cuts::default() }).starts_with("--stride 18: "));
        assert!(wrong(Cuts { stride: Some(0), ..Cuts::default() }).starts_with("--stride 0: "));
    }
}

#[test]
fn a_saved_model_brings_all_it_needs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = RunDir::model_in(folder.path());
    for config in configs() {
        let model = model(&config);
        let description = Description {
            task: TASK.to_owned(),
            version: "0.1.0".to_owned(),
            config,
            corpus: "letters".to_owned(),
            characters_per_token: 1.0,
            chat: None,
        };
        description.save(&model, &tokenizer(), &path).expect("a writable folder");
        for origin in [folder.path(), &path] {
            let trained = Trained::open(&Origin::Run(origin.to_path_buf()), None, &device(), Precision::F32)
                .expect("it was saved");
            assert_eq!(trained.description.as_ref(), Some(&description));
            // Prepared weights are summed in another order.
            let [read, written] =
                [&*trained.model, &model].map(|model| continued(model, "to be", &greedy(7)).remove(0));
            assert_eq!(read.tokens, written.tokens);
            for (read, written) in read.log_probabilities.iter().zip(&written.log_probabilities) {
                assert!((read - written).abs() < 1e-5, "{read} {written}");
            }
        }
    }
}

#[test]
fn tokenizers_of_other_models_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = RunDir::model_in(folder.path());
    let config = configs()[0].clone();
    let description = Description {
        task: TASK.to_owned(),
        version: "0.1.0".to_owned(),
        config: config.clone(),
        corpus: "letters".to_owned(),
        characters_per_token: 1.0,
        chat: None,
    };
    let more = Tokenizer::train(Scheme::Char, [Ok(format!("{LETTERS}ABC"))]).expect("letters");
    description.save(&model(&config), &more, &path).expect("a writable folder");
    let error = Trained::open(&Origin::Run(path.clone()), None, &device(), Precision::F32)
        .expect_err("it doesn't fit");
    assert_eq!(
        error.to_string(),
        format!("{}: the tokenizer has 32 tokens, the model 29: they don't belong together", path.display())
    );
}

/// A text that is easily learnt, in a file.
fn rhyme(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("rhyme.txt");
    std::fs::write(&path, "one two three four five six seven.\n".repeat(40)).expect("a writable folder");
    path
}

fn small(folder: &Path) -> TrainOptions {
    TrainOptions {
        corpus: Some(rhyme(folder)),
        context: Some(16),
        n_layers: Some(1),
        d_model: Some(16),
        steps: Some(60),
        batch_size: Some(8),
        validate_every: Some(20),
        sample: Some(11),
        lr: Some(1e-2),
        ..TrainOptions::default()
    }
}

fn run(options: &TrainOptions, place: &Place, interrupt: &Interrupt) -> Result<TrainOutcome, TextError> {
    train(options, place, "libellus text train", interrupt, &mut (), &mut |_, _| {})
}

#[test]
fn every_architecture_learns_a_rhyme() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let names = [ModelName::Gpt, ModelName::Llama, ModelName::Rnn, ModelName::Lstm, ModelName::Gru];
    for (index, name) in names.into_iter().enumerate() {
        let place = Place::New(Some(folder.path().join(format!("run-{index}"))));
        let options = TrainOptions {
            model: Some(name),
            steps: Some(150),
            validate_every: Some(50),
            ..small(folder.path())
        };
        let outcome = run(&options, &place, &Interrupt::default()).expect("a fine text");
        let finished = outcome.finished.expect("nobody interrupts");
        let loss = |row: &libellus_train::Row| match row {
            libellus_train::Row::Evaluation { metrics, sample, .. } => {
                assert_eq!(sample.as_ref().map(|sample| sample.chars().count()), Some(11));
                metrics["loss"]
            }
            _ => unreachable!("the history has evaluations"),
        };
        let losses: Vec<f64> = finished.summary.history.iter().map(loss).collect();
        // ln 16 = 2.8 is what guessing costs.
        assert!(losses.len() == 3 && losses[2] < 0.8 * losses[0] && losses[2] < 1.9, "{name:?}: {losses:?}");
        for file in
            ["config.toml", "tokenizer.json", "tokens.bin", "model.safetensors", "report.html", "report.json"]
        {
            assert!(outcome.run.join(file).is_file(), "{file}");
        }
        let trained =
            Trained::open(&Origin::Run(outcome.run), None, &device(), Precision::F32).expect("it was saved");
        assert_eq!(trained.model.vocab_size(), trained.tokenizer.vocab_size());
    }
}

#[test]
fn a_text_without_line_ends_is_learnt_as_well() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = small(folder.path());
    let corpus = options.corpus.as_ref().expect("it is named");
    std::fs::write(corpus, "abc ".repeat(100)).expect("a writable folder");
    let place = Place::New(Some(folder.path().join("run")));
    let options = TrainOptions { steps: Some(3), validation: Some(0.0), ..options };
    let finished = run(&options, &place, &Interrupt::default()).expect("a fine text").finished;
    let summary = finished.expect("nobody interrupts").summary;
    assert!(summary.metrics.is_empty(), "nothing was held back: {:?}", summary.metrics);
}

#[test]
fn what_is_wrong_with_a_run_is_said_in_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let error = |options: TrainOptions| {
        let place = Place::New(Some(folder.path().join("run")));
        let error = run(&options, &place, &Interrupt::default()).expect_err("something is wrong").to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!folder.path().join("run").exists(), "a folder stays after: {error}");
        error
    };
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a writable folder");
        Some(path)
    };
    let small = || small(folder.path());
    let empty = error(TrainOptions { corpus: file("empty.txt", b""), ..small() });
    assert!(empty.contains("empty.txt"), "{empty}");
    let broken = error(TrainOptions { corpus: file("broken.txt", b"fine\xff"), ..small() });
    assert!(broken.contains("broken.txt") && broken.contains('4'), "{broken}");
    let missing = error(TrainOptions { corpus: Some(folder.path().join("missing.txt")), ..small() });
    assert!(missing.contains("missing.txt"), "{missing}");
    assert!(
        error(TrainOptions { context: Some(5000), ..small() })
            .contains("take more text or a smaller --context")
    );
    let scheme = error(TrainOptions { tokenizer: Some("letters".to_owned()), ..small() });
    assert!(scheme.contains("letters") && scheme.contains("char"), "{scheme}");
    assert!(error(TrainOptions { n_heads: Some(3), ..small() }).contains("`d_model`"));
    let heads = TrainOptions { n_heads: Some(2), model: Some(ModelName::Lstm), ..small() };
    assert!(error(heads).starts_with("--n-heads"));
    assert!(error(TrainOptions { validation: Some(1.0), ..small() }).starts_with("--validation 1"));
    assert!(error(TrainOptions { betas: Some(vec![0.9]), ..small() }).starts_with("--betas"));
    assert!(
        error(TrainOptions { keep: Some(Keep::Best), validation: Some(0.0), ..small() })
            .starts_with("--keep")
    );
}

#[test]
fn options_of_adapters_are_read_and_written() {
    let options: LoraOptions =
        "r=4,alpha=32,targets=c_attn+c_proj,dropout=0.05,rslora".parse().expect("fine");
    assert_eq!(options.scale(), 16.0);
    assert_eq!(options.to_string().parse::<LoraOptions>().expect("its own text"), options);
    assert_eq!("".parse::<LoraOptions>().expect("all defaults"), LoraOptions::default());
    for text in ["r=0", "rank=3", "alpha=x", "dropout=1", "rslora=1", "targets"] {
        let error = text.parse::<LoraOptions>();
        if text != "targets" {
            let error = error.expect_err("wrong").to_string();
            assert!(error.starts_with(&format!("--lora {text}: ")), "{error}");
        }
    }
}

#[test]
fn adapters_are_saved_read_and_merged() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (config, targets) in configs()[..2].iter().zip(["c_attn+mlp.c_proj", "q_proj+down_proj"]) {
        let base = model(config);
        let options: LoraOptions = format!("r=3,alpha=6,targets={targets}").parse().expect("fine");
        let mut adapted = add_lora(base.clone(), &options, &device()).expect("known targets");
        assert_eq!(continued(&adapted, "to be", &greedy(5)), continued(&base, "to be", &greedy(5)));
        let mut count = 0;
        for (_, linear) in adapted.linears_mut() {
            if let Some(lora) = &mut linear.lora {
                lora.b = lora.b.clone().map(|b| b + 0.3);
                count += 1;
            }
        }
        assert_eq!(count, 4);
        let after = |model: &LanguageModel| logits(model, &[3, 1, 4, 1, 5], &device());
        let changed = after(&adapted);
        assert!(after(&base).iter().zip(&changed).any(|(a, b)| (a - b).abs() > 1e-2));
        save_adapter(&adapted, &options, "tiny", folder.path()).expect("a writable folder");
        let (read, found) = load_adapter(base.clone(), folder.path(), &device()).expect("it was saved");
        assert_eq!(found, options);
        assert_eq!(after(&read), changed);
        // Sums in another order.
        let merged = after(&merge_lora(read));
        assert!(merged.iter().zip(&changed).all(|(a, b)| (a - b).abs() < 1e-4), "{merged:?} {changed:?}");
    }
    let file = folder.path().join("adapter_config.json");
    let config = std::fs::read_to_string(&file).expect("it was saved");
    for (was, is) in [
        ("\"r\": 3", "\"r\": 0"),
        ("\"lora_dropout\": 0.0", "\"lora_dropout\": 1.5"),
        ("\"r\": 3", "\"r\": 3, \"alpha_pattern\": {\"q_proj\": 4}"),
        ("\"LORA\"", "\"IA3\""),
    ] {
        assert!(config.contains(was), "{config}");
        std::fs::write(&file, config.replace(was, is)).expect("a writable folder");
        let error = load_adapter(model(&configs()[1]), folder.path(), &device()).expect_err(is).to_string();
        assert!(error.contains("adapter_config.json") && error.lines().count() == 1, "{error}");
    }
    std::fs::write(&file, config).expect("a writable folder");
    let error =
        load_adapter(model(&configs()[0]), folder.path(), &device()).expect_err("of a llama").to_string();
    assert!(error.contains("adapter_model.safetensors") && error.contains("fit no layer"), "{error}");
    let error = add_lora(model(&configs()[0]), &"targets=q_proj".parse().expect("fine"), &device());
    assert_eq!(
        error.expect_err("no such layer").to_string(),
        "--lora targets=q_proj: it matches no layer of this model; there are c_attn, c_fc, c_proj and all-linear"
    );
}
