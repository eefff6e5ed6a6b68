//! The result of a run: the final measurement, `report.json`, and `report.html` to look at.

use std::collections::BTreeMap;

use burn::module::Module;
use libellus_train::report::{
    Cell, Figure, HeatMap, HtmlReport, Section, Table, Unit, gradient_flow, learning_curves, render,
    thousands,
};
use libellus_train::{Circumstances, Ending, Outcome, Row, RunDir, RunOptions, RunSummary, peak_rss_bytes};
use serde_json::json;

use super::data::{PairBatch, TokenPair};
use super::infer::Decoding;
use super::measure::{Example, Quality, measure};
use super::model::TranslatorConfig;
use super::options::TranslateOptions;
use super::saved::TrainedTranslator;
use super::task::mean_loss;
use super::train::Lessons;
use super::vocabulary::END;
use crate::error::TextError;

/// Translations that the report shows, and how many of them with where the model looked.
const SHOWN: usize = 24;
const MAPS: usize = 3;
/// The most tokens of a side of an attention map.
const LARGEST_MAP: usize = 40;

/// Measures the best weights on the test pairs, or where there are none on those of the validation, and makes both reports.
pub(super) fn write_report(
    run: &RunDir,
    options: &TranslateOptions,
    lessons: &Lessons,
    trained: &TrainedTranslator,
    outcome: Outcome,
    circumstances: &Circumstances<'_>,
) -> Result<RunSummary, TextError> {
    let measured = if lessons.test.is_empty() { &lessons.translated } else { &lessons.test };
    let decoding = Decoding { beams: options.beams.unwrap_or(1), ..Decoding::default() };
    let (quality, examples) =
        measure(&trained.model, &lessons.vocabulary, measured, &decoding, &trained.device, &mut |_| {})?;
    let mut metrics = if measured.is_empty() { BTreeMap::new() } else { quality.metrics() };
    if !lessons.validation.is_empty() {
        let loss = mean_loss(&trained.model, &lessons.validation, &trained.device).mean();
        metrics.insert("loss".to_owned(), loss);
        metrics.insert("perplexity".to_owned(), loss.exp());
    }
    let evaluations = outcome.rows.iter().filter(|row| matches!(row, Row::Evaluation { .. }));
    let summary = RunSummary {
        command: circumstances.command.to_owned(),
        version: trained.description.version.clone(),
        config: json!(options),
        seed: options.seed.unwrap_or(0),
        device: circumstances.device.to_string(),
        dataset: json!({
            "name": lessons.name,
            "vocabulary": lessons.vocabulary.len(),
            "train": lessons.train.len(),
            "validation": lessons.validation.len(),
            "test_sources": lessons.test.len(),
            "left_out": lessons.left_out,
        }),
        metrics,
        history: evaluations.cloned().collect(),
        duration_s: outcome.elapsed.as_secs_f64(),
        peak_rss_bytes: peak_rss_bytes(),
    };
    let model = match trained.description.config {
        TranslatorConfig::Transformer(_) => "Transformer",
        TranslatorConfig::Gru(_) => "GRU with attention",
    };
    let page = HtmlReport {
        title: format!("{model} on {}", lessons.name),
        subtitle: subtitle(lessons, trained, &outcome),
        headline: headline(lessons, &summary.metrics, &quality, &outcome),
        sections: sections(options, lessons, trained, &outcome, &examples)?,
        facts: facts(lessons, &decoding, &summary, circumstances),
    };
    run.write("report.html", render(&page).as_bytes())?;
    run.write_json("report.json", &summary)?;
    Ok(summary)
}

fn subtitle(lessons: &Lessons, trained: &TrainedTranslator, outcome: &Outcome) -> String {
    let ending = match outcome.ending {
        Ending::StoppedEarly => ", stopped early",
        Ending::Completed | Ending::Interrupted => "",
    };
    format!(
        "{}: {} parameters, trained on {} pairs in {} steps ({:.1} epochs){ending}",
        if lessons.is_dictionary { "From letters to sounds" } else { "Translation" },
        thousands(trained.model.num_params()),
        thousands(lessons.train.len()),
        thousands(outcome.clock.step as usize),
        outcome.clock.epochs_done(),
    )
}

fn headline(
    lessons: &Lessons,
    metrics: &BTreeMap<String, f64>,
    quality: &Quality,
    outcome: &Outcome,
) -> Vec<Figure> {
    let sources = thousands(quality.sources);
    let figure = |label: &str, value: String, note: String| Figure { label: label.to_owned(), value, note };
    let mut figures = Vec::new();
    if quality.sources > 0 && lessons.is_dictionary {
        let note = format!("of {sources} unseen words whose sounds are not all right");
        figures.push(figure(
            "word error rate",
            format!("{:.1} %", 100.0 * quality.sequence_error_rate),
            note,
        ));
        let note = "sounds to change, by sounds that are right".to_owned();
        figures.push(figure(
            "phoneme error rate",
            format!("{:.1} %", 100.0 * quality.token_error_rate),
            note,
        ));
    } else if quality.sources > 0 {
        figures.push(figure("BLEU", format!("{:.1}", quality.bleu), format!("on {sources} unseen texts")));
        let note = "words to change, by words that are right".to_owned();
        figures.push(figure("word error rate", format!("{:.1} %", 100.0 * quality.word_error_rate), note));
    }
    if let Some(loss) = metrics.get("loss") {
        let note = "nats per token, all before it given".to_owned();
        figures.push(figure("validation loss", format!("{loss:.3}"), note));
    }
    figures.push(Figure::training_time(outcome));
    figures
}

fn sections(
    options: &TranslateOptions,
    lessons: &Lessons,
    trained: &TrainedTranslator,
    outcome: &Outcome,
    examples: &[Example],
) -> Result<Vec<Section>, TextError> {
    let right = |example: &Example| example.references.contains(&example.translation);
    let rows = examples.iter().take(SHOWN).map(|example| {
        let verdict = if right(example) { "✓" } else { "" };
        [&example.source, &example.translation, verdict, &example.references.join(" | ")]
            .map(|text: &str| Cell::Text(text.to_owned()))
            .to_vec()
    });
    let charts = learning_curves(
        outcome,
        &[
            ("Wrong translations", "sequence_error_rate", Unit::Percent),
            ("Token error rate", "token_error_rate", Unit::Percent),
        ],
    );
    let maps = attention_maps(trained, examples)?;
    let mut sections = vec![
        Section::Curves {
            title: "Learning curves".to_owned(),
            caption: "Training, and validation on texts that were held back. The training loss counts the spread of its \
                targets, so that it stays above the other."
                .to_owned(),
            charts,
        },
        Section::Table {
            title: "Translations".to_owned(),
            caption: "Texts that the model had never seen: what it made of them, whether that is right, and what would be."
                .to_owned(),
            table: Table {
                columns: ["source", "translation", "", "right"].map(str::to_owned).to_vec(),
                rows: rows.collect(),
            },
        },
        Section::Flow { title: "Gradient flow by layer".to_owned(), flow: gradient_flow(outcome) },
        Section::Config {
            title: "Configuration".to_owned(),
            caption: "Everything that was chosen or decided; `libellus text translate train --config config.toml` \
                repeats the run."
                .to_owned(),
            toml: options.to_toml(),
        },
    ];
    if !maps.is_empty() {
        let caption =
            "Each row is a token that the model writes, each column one that it has read: the brighter, the \
            more it looks there (in the last layer, over all heads)."
                .to_owned();
        sections.insert(1, Section::HeatMaps { title: "Where it looks".to_owned(), caption, maps });
    }
    if lessons.test.is_empty() && lessons.translated.is_empty() {
        sections.retain(|section| !matches!(section, Section::Table { .. }));
    }
    Ok(sections)
}

/// Where the model looked in some translations of middling length.
fn attention_maps(trained: &TrainedTranslator, examples: &[Example]) -> Result<Vec<HeatMap>, TextError> {
    let vocabulary = &trained.vocabulary;
    let mut maps = Vec::new();
    let mut chosen: Vec<&Example> =
        examples.iter().filter(|example| !example.translation.is_empty()).collect();
    // The longest of the first few show most.
    chosen.truncate(SHOWN);
    chosen.sort_by_key(|example| std::cmp::Reverse(example.source.chars().count()));
    for example in chosen {
        let source = vocabulary.encode_source(&example.source)?;
        let target = vocabulary.encode_target(&example.translation)?;
        if source.len().max(target.len()) > LARGEST_MAP {
            continue;
        }
        let pair = TokenPair { source, target };
        let (input, ..) = PairBatch::new(std::iter::once(&pair)).to_device(&trained.device);
        let weights = trained.model.attention_map(input);
        let [_, rows, columns] = weights.dims();
        let weights: Vec<f32> = weights.into_data().iter::<f32>().collect();
        debug_assert_eq!(weights.len(), rows * columns);
        let name = |token: u32, name: String| if token == END { "end".to_owned() } else { name };
        maps.push(HeatMap {
            caption: format!("{} → {}", example.source, example.translation),
            rows: pair.target.iter().map(|&token| name(token, vocabulary.name_target(token))).collect(),
            columns: pair.source.iter().map(|&token| name(token, vocabulary.name_source(token))).collect(),
            values: weights.chunks(columns).map(<[f32]>::to_vec).collect(),
        });
        if maps.len() == MAPS {
            break;
        }
    }
    Ok(maps)
}

fn facts(
    lessons: &Lessons,
    decoding: &Decoding,
    summary: &RunSummary,
    circumstances: &Circumstances<'_>,
) -> Vec<(String, String)> {
    let mut facts = vec![
        ("command", summary.command.clone()),
        ("Libellus", summary.version.clone()),
        ("seed", summary.seed.to_string()),
        ("device", format!("{}, {} threads", circumstances.device, circumstances.threads)),
        (
            "pairs",
            format!(
                "{}: {} to learn, {} to choose by, {} sources to measure by; {} different tokens",
                lessons.name,
                thousands(lessons.train.len()),
                thousands(lessons.validation.len()),
                thousands(lessons.test.len()),
                thousands(lessons.vocabulary.len()),
            ),
        ),
        ("measured with", format!("{} beams", decoding.beams)),
        ("training time", format!("{:.1} s", summary.duration_s)),
    ];
    if lessons.left_out > 0 {
        facts.push((
            "left out",
            format!("{} pairs with a side that is too long", thousands(lessons.left_out)),
        ));
    }
    facts
        .extend(summary.peak_rss_bytes.map(|bytes| ("peak memory", format!("{:.0} MB", bytes as f64 / 1e6))));
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
