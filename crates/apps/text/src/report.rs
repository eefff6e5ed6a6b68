//! The result of a run: the final measurement, `report.json`, and `report.html` to look at.

use std::collections::BTreeMap;

use burn::module::Module;
use libellus_train::report::{
    Figure, HtmlReport, Section, Unit, gradient_flow, learning_curves, render, thousands,
};
use libellus_train::{Circumstances, Ending, Outcome, Row, RunDir, RunSummary, peak_rss_bytes};
use serde_json::json;

use crate::data::Windows;
use crate::error::TextError;
use crate::infer::{Generation, generate};
use crate::metrics::mean_loss;
use crate::saved::Trained;
use crate::train::{Plan, sample_options};

/// Texts of the finished model that the report shows, and how long they are.
const SAMPLES: usize = 3;
const SAMPLE_TOKENS: usize = 400;

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// What `report.json` holds.
    pub summary: RunSummary,
    /// A text that the model made.
    pub sample: String,
}

/// Measures the best weights on all of the held back text, lets them write, and makes both reports.
pub(crate) fn write_report(
    run: &RunDir,
    plan: &Plan,
    trained: &Trained,
    outcome: Outcome,
    circumstances: &Circumstances<'_>,
) -> Result<Finished, TextError> {
    let context = plan.options.context.unwrap_or(128);
    let mut metrics = BTreeMap::new();
    if !plan.validation.is_empty() {
        let windows = Windows::new(plan.validation.clone(), context, 32, "held back")?;
        let loss = mean_loss(&trained.model, windows.in_order(None), &trained.device)?.mean();
        metrics.insert("loss".to_owned(), loss);
        metrics.insert("perplexity".to_owned(), loss.exp());
        metrics.insert("bits_per_character".to_owned(), plan.description.bits_per_character(loss));
    }
    let generation = Generation { max_tokens: SAMPLE_TOKENS, n: SAMPLES, ..sample_options(&plan.options) };
    let texts = generate(
        &trained.model,
        &trained.tokenizer,
        &trained.default_prompt(),
        &generation,
        &trained.device,
        &mut |_, _| {},
    )?;
    let texts: Vec<String> = texts.into_iter().map(|generated| generated.text).collect();

    let evaluations = outcome.rows.iter().filter(|row| matches!(row, Row::Evaluation { .. }));
    let summary = RunSummary {
        command: circumstances.command.to_owned(),
        version: plan.description.version.clone(),
        config: json!(plan.options),
        seed: plan.options.seed.unwrap_or(0),
        device: circumstances.device.to_string(),
        dataset: json!({
            "name": plan.corpus,
            "vocabulary": plan.tokenizer.vocab_size(),
            "train": plan.train.len(),
            "validation": plan.validation.len(),
            "characters_per_token": plan.description.characters_per_token,
        }),
        metrics,
        history: evaluations.cloned().collect(),
        duration_s: outcome.elapsed.as_secs_f64(),
        peak_rss_bytes: peak_rss_bytes(),
    };
    let page = HtmlReport {
        title: format!("{} on {}", model_name(plan), plan.corpus),
        subtitle: subtitle(plan, trained, &outcome),
        headline: headline(&summary.metrics, &outcome),
        sections: sections(plan, &outcome, &texts),
        facts: facts(plan, &summary, circumstances),
    };
    run.write("report.html", render(&page).as_bytes())?;
    run.write_json("report.json", &summary)?;
    Ok(Finished { summary, sample: texts.into_iter().next().unwrap_or_default() })
}

/// As people write it.
fn model_name(plan: &Plan) -> &'static str {
    use crate::options::ModelName;
    match plan.options.model.unwrap_or(ModelName::Gpt) {
        ModelName::Gpt => "GPT",
        ModelName::Llama => "Llama",
        ModelName::Rnn => "RNN",
        ModelName::Lstm => "LSTM",
        ModelName::Gru => "GRU",
    }
}

fn subtitle(plan: &Plan, trained: &Trained, outcome: &Outcome) -> String {
    let ending = match outcome.ending {
        Ending::StoppedEarly => ", stopped early",
        Ending::Completed | Ending::Interrupted => "",
    };
    format!(
        "Language model: {} parameters, trained on {} tokens in {} steps ({:.1} epochs){ending}",
        thousands(trained.model.num_params()),
        thousands(plan.train.len() as usize),
        thousands(outcome.clock.step as usize),
        outcome.clock.epochs_done(),
    )
}

fn headline(metrics: &BTreeMap<String, f64>, outcome: &Outcome) -> Vec<Figure> {
    let figures = [
        ("loss", "validation loss", "nats per token, on the text that was held back"),
        ("perplexity", "perplexity", "tokens between which it is undecided, on average"),
        ("bits_per_character", "bits per character", "what a character of that text would take, compressed"),
    ];
    let figures = figures.into_iter().filter_map(|(name, label, note)| {
        let value = format!("{:.3}", metrics.get(name)?);
        Some(Figure { label: label.to_owned(), value, note: note.to_owned() })
    });
    figures.chain([Figure::training_time(outcome)]).collect()
}

fn sections(plan: &Plan, outcome: &Outcome, texts: &[String]) -> Vec<Section> {
    let learning = outcome.rows.iter().filter_map(|row| match row {
        Row::Evaluation { step, sample: Some(sample), metrics, .. } => {
            let loss =
                metrics.get("loss").map(|loss| format!(", validation loss {loss:.3}")).unwrap_or_default();
            Some((format!("after {} steps{loss}", thousands(*step as usize)), sample.clone()))
        }
        _ => None,
    });
    let written = texts.iter().enumerate().map(|(index, text)| (format!("text {}", index + 1), text.clone()));
    let mut sections = vec![
        Section::Texts {
            title: "What it writes".to_owned(),
            caption: "Texts of the finished model, made token by token from an empty line at temperature 0.8.".to_owned(),
            texts: written.collect(),
        },
        Section::Curves {
            title: "Learning curves".to_owned(),
            caption: "Training and validation over the epochs. Where the training loss goes on falling and the \
                validation loss rises, the model begins to learn its text by heart."
                .to_owned(),
            charts: learning_curves(outcome, &[("Bits per character", "bits_per_character", Unit::Plain)]),
        },
        Section::Texts {
            title: "How it learnt to write".to_owned(),
            caption: "A text from each validation: first letters, then words, then sentences.".to_owned(),
            texts: learning.collect(),
        },
        Section::Flow { title: "Gradient flow by layer".to_owned(), flow: gradient_flow(outcome) },
        Section::Config {
            title: "Configuration".to_owned(),
            caption: "Everything that was chosen or decided; `libellus text train --config config.toml` repeats the run."
                .to_owned(),
            toml: plan.options.to_toml(),
        },
    ];
    sections.retain(|section| !matches!(section, Section::Texts { texts, .. } if texts.is_empty()));
    sections
}

fn facts(plan: &Plan, summary: &RunSummary, circumstances: &Circumstances<'_>) -> Vec<(String, String)> {
    let mut facts = vec![
        ("command", summary.command.clone()),
        ("Libellus", summary.version.clone()),
        ("seed", summary.seed.to_string()),
        ("device", format!("{}, {} threads", circumstances.device, circumstances.threads)),
        (
            "text",
            format!(
                "{}: {} tokens to learn, {} held back, of {} different ones; {:.2} characters each",
                plan.corpus,
                thousands(plan.train.len() as usize),
                thousands(plan.validation.len() as usize),
                thousands(plan.tokenizer.vocab_size()),
                plan.description.characters_per_token,
            ),
        ),
        ("training time", format!("{:.1} s", summary.duration_s)),
    ];
    facts
        .extend(summary.peak_rss_bytes.map(|bytes| ("peak memory", format!("{:.0} MB", bytes as f64 / 1e6))));
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
