//! The result of a run: the final measurement, `report.json`, and `report.html` to look at.

use std::collections::BTreeMap;

use libellus_train::report::{
    Figure, HtmlReport, Section, Unit, gradient_flow, learning_curves, render, thousands,
};
use libellus_train::{Circumstances, Ending, Outcome, Row, RunDir, RunSummary, peak_rss_bytes};

use crate::data::{MOST_MEASURED, Pieces};
use crate::error::TextError;
use crate::infer::{Generation, generate};
use crate::metrics::mean_loss;
use crate::saved::{Description, Trained};

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

/// What a report tells of a run, beside its course.
pub(crate) struct Story<'a> {
    /// `GPT on book`
    pub(crate) title: String,
    /// What was trained, and on what: `Language model: 3 parameters, trained on 5 tokens`.
    pub(crate) what: String,
    /// The command that trains, without its options.
    pub(crate) verb: &'a str,
    pub(crate) config: serde_json::Value,
    pub(crate) toml: String,
    pub(crate) seed: u64,
    pub(crate) dataset: serde_json::Value,
    /// The data as a person is told of it.
    pub(crate) data: String,
    pub(crate) validation: Option<Pieces>,
    pub(crate) description: &'a Description,
    /// The validation loss of the model that was begun with, if there was one.
    pub(crate) before: Option<f64>,
    /// What the finished model wrote: what it is, and the text.
    pub(crate) texts: Vec<(String, String)>,
    pub(crate) texts_caption: &'a str,
}

/// Texts that the finished model makes of nothing, for the report.
pub(crate) fn write_samples(trained: &Trained, sampling: &Generation) -> Result<Vec<String>, TextError> {
    let generation = Generation { max_tokens: SAMPLE_TOKENS, n: SAMPLES, ..sampling.clone() };
    let prompt = trained.default_prompt();
    let (model, tokenizer) = (&trained.model, &trained.tokenizer);
    let texts = generate(model, tokenizer, &prompt, &generation, &trained.device, &mut |_, _| {})?;
    Ok(texts.into_iter().map(|generated| generated.text).collect())
}

/// Measures the best weights on all that was held back, and makes both reports.
pub(crate) fn write_report(
    run: &RunDir,
    story: &Story<'_>,
    trained: &Trained,
    outcome: Outcome,
    circumstances: &Circumstances<'_>,
) -> Result<RunSummary, TextError> {
    let mut metrics = BTreeMap::new();
    if let Some(validation) = &story.validation {
        let loss =
            mean_loss(&trained.model, validation.in_order(Some(MOST_MEASURED)), &trained.device)?.mean();
        metrics.insert("loss".to_owned(), loss);
        metrics.insert("perplexity".to_owned(), loss.exp());
        if let Pieces::Text(_) = validation {
            metrics.insert("bits_per_character".to_owned(), story.description.bits_per_character(loss));
        }
        metrics.extend(story.before.map(|loss| ("loss_before".to_owned(), loss)));
    }
    let evaluations = outcome.rows.iter().filter(|row| matches!(row, Row::Evaluation { .. }));
    let summary = RunSummary {
        command: circumstances.command.to_owned(),
        version: story.description.version.clone(),
        config: story.config.clone(),
        seed: story.seed,
        device: circumstances.device.to_string(),
        dataset: story.dataset.clone(),
        metrics,
        history: evaluations.cloned().collect(),
        duration_s: outcome.elapsed.as_secs_f64(),
        peak_rss_bytes: peak_rss_bytes(),
    };
    let page = HtmlReport {
        title: story.title.clone(),
        subtitle: subtitle(story, &outcome),
        headline: headline(&summary.metrics, &outcome),
        sections: sections(story, &outcome),
        facts: facts(story, &summary, circumstances),
    };
    run.write("report.html", render(&page).as_bytes())?;
    run.write_json("report.json", &summary)?;
    Ok(summary)
}

fn subtitle(story: &Story<'_>, outcome: &Outcome) -> String {
    let ending = match outcome.ending {
        Ending::StoppedEarly => ", stopped early",
        Ending::Completed | Ending::Interrupted => "",
    };
    format!(
        "{} in {} steps ({:.1} epochs){ending}",
        story.what,
        thousands(outcome.clock.step as usize),
        outcome.clock.epochs_done(),
    )
}

fn headline(metrics: &BTreeMap<String, f64>, outcome: &Outcome) -> Vec<Figure> {
    let figures = [
        ("loss", "validation loss", "nats per token, on what was held back"),
        ("loss_before", "loss before", "of the model that the run began with, on the same"),
        ("perplexity", "perplexity", "tokens between which it is undecided, on average"),
        ("bits_per_character", "bits per character", "what a character of that text would take, compressed"),
    ];
    let figures = figures.into_iter().filter_map(|(name, label, note)| {
        let value = format!("{:.3}", metrics.get(name)?);
        Some(Figure { label: label.to_owned(), value, note: note.to_owned() })
    });
    figures.chain([Figure::training_time(outcome)]).collect()
}

fn sections(story: &Story<'_>, outcome: &Outcome) -> Vec<Section> {
    let learning = outcome.rows.iter().filter_map(|row| match row {
        Row::Evaluation { step, sample: Some(sample), metrics, .. } => {
            let loss =
                metrics.get("loss").map(|loss| format!(", validation loss {loss:.3}")).unwrap_or_default();
            Some((format!("after {} steps{loss}", thousands(*step as usize)), sample.clone()))
        }
        _ => None,
    });
    let learning: Vec<_> = learning.collect();
    let mut sections = vec![
        Section::Texts {
            title: "What it writes".to_owned(),
            caption: story.texts_caption.to_owned(),
            texts: story.texts.clone(),
        },
        Section::Curves {
            title: "Learning curves".to_owned(),
            caption:
                "Training and validation over the epochs. Where the training loss goes on falling and the \
                validation loss rises, the model begins to learn its text by heart."
                    .to_owned(),
            charts: learning_curves(outcome, &[("Bits per character", "bits_per_character", Unit::Plain)]),
        },
        Section::Texts {
            title: "How it learnt to write".to_owned(),
            caption: "A text from each validation.".to_owned(),
            texts: learning,
        },
        Section::Flow { title: "Gradient flow by layer".to_owned(), flow: gradient_flow(outcome) },
        Section::Config {
            title: "Configuration".to_owned(),
            caption: format!(
                "Everything that was chosen or decided; `{} --config config.toml` repeats the run.",
                story.verb
            ),
            toml: story.toml.clone(),
        },
    ];
    sections.retain(|section| !matches!(section, Section::Texts { texts, .. } if texts.is_empty()));
    sections
}

fn facts(
    story: &Story<'_>,
    summary: &RunSummary,
    circumstances: &Circumstances<'_>,
) -> Vec<(String, String)> {
    let mut facts = vec![
        ("command", summary.command.clone()),
        ("Libellus", summary.version.clone()),
        ("seed", summary.seed.to_string()),
        ("device", format!("{}, {} threads", circumstances.device, circumstances.threads)),
        ("text", story.data.clone()),
        ("training time", format!("{:.1} s", summary.duration_s)),
    ];
    facts
        .extend(summary.peak_rss_bytes.map(|bytes| ("peak memory", format!("{:.0} MB", bytes as f64 / 1e6))));
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
