//! The result of a run: the final measurement, `report.json`, and `report.html` to look at.

use std::collections::BTreeMap;

use burn::module::Module;
use libellus_train::metrics::ClassificationReport;
use libellus_train::report::{
    Cell, ConfusionPicture, Figure, HtmlReport, Section, Table, Unit, gradient_flow, learning_curves, render,
    thousands,
};
use libellus_train::{Circumstances, Ending, Outcome, Row, RunDir, RunOptions, RunSummary, peak_rss_bytes};
use serde_json::json;

use super::data::LabelledTexts;
use super::infer::measure;
use super::model::TextClassifierConfig;
use super::options::TextClassifyOptions;
use super::saved::TrainedTextClassifier;
use crate::error::TextError;

/// Measures the best weights on the texts that were held back, and makes both reports. `parts` are what was learnt, and those.
pub(super) fn write_report(
    run: &RunDir,
    options: &TextClassifyOptions,
    parts: [&LabelledTexts; 2],
    trained: &TrainedTextClassifier,
    outcome: Outcome,
    circumstances: &Circumstances<'_>,
) -> Result<RunSummary, TextError> {
    let description = &trained.description;
    let [train, validation] = parts;
    let measured = match validation.is_empty() {
        true => None,
        false => Some(measure(&trained.model, validation, description.classes.len(), &trained.device)?),
    };
    let metrics = measured.as_ref().map(|report| {
        let numbers = [
            ("accuracy", report.top1),
            ("loss", report.nll),
            ("macro_f1", report.macro_f1),
            ("calibration_error", report.ece),
        ];
        numbers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>()
    });
    let evaluations = outcome.rows.iter().filter(|row| matches!(row, Row::Evaluation { .. }));
    let summary = RunSummary {
        command: circumstances.command.to_owned(),
        version: description.version.clone(),
        config: json!(options),
        seed: options.seed.unwrap_or(0),
        device: circumstances.device.to_string(),
        dataset: json!({
            "name": description.data,
            "classes": description.classes,
            "train": train.len(),
            "validation": validation.len(),
        }),
        metrics: metrics.unwrap_or_default(),
        history: evaluations.cloned().collect(),
        duration_s: outcome.elapsed.as_secs_f64(),
        peak_rss_bytes: peak_rss_bytes(),
    };
    let model = match &description.config {
        TextClassifierConfig::Bert { .. } => "BERT",
        TextClassifierConfig::Recurrent { .. } => "Recurrent layers",
    };
    let ending = if outcome.ending == Ending::StoppedEarly { ", stopped early" } else { "" };
    let page = HtmlReport {
        title: format!("{model} on {}", description.data),
        subtitle: format!(
            "Classes of texts: {} parameters, trained on {} texts of {} classes in {} steps ({:.1} epochs){ending}",
            thousands(trained.model.num_params()),
            thousands(train.len()),
            description.classes.len(),
            thousands(outcome.clock.step as usize),
            outcome.clock.epochs_done(),
        ),
        headline: headline(measured.as_ref(), &outcome),
        sections: sections(options, trained, measured.as_ref(), &outcome),
        facts: facts(trained, parts, &summary, circumstances),
    };
    run.write("report.html", render(&page).as_bytes())?;
    run.write_json("report.json", &summary)?;
    Ok(summary)
}

fn headline(report: Option<&ClassificationReport>, outcome: &Outcome) -> Vec<Figure> {
    let figure = |label: &str, value: String, note: String| Figure { label: label.to_owned(), value, note };
    let mut figures = Vec::new();
    if let Some(report) = report {
        let note = format!("of {} texts that were held back", thousands(report.count as usize));
        figures.push(figure("accuracy", format!("{:.1} %", 100.0 * report.top1), note));
        let note = "mean over the classes".to_owned();
        figures.push(figure("F1", format!("{:.3}", report.macro_f1), note));
        let note = "mean cross entropy, in nats".to_owned();
        figures.push(figure("loss", format!("{:.4}", report.nll), note));
    }
    figures.push(Figure::training_time(outcome));
    figures
}

fn sections(
    options: &TextClassifyOptions,
    trained: &TrainedTextClassifier,
    report: Option<&ClassificationReport>,
    outcome: &Outcome,
) -> Vec<Section> {
    let classes = &trained.description.classes;
    let mut sections = vec![Section::Curves {
        title: "Learning curves".to_owned(),
        caption: "Training and validation over the epochs. Where the training loss goes on falling and the \
            validation loss rises, the model begins to learn its texts by heart."
            .to_owned(),
        charts: learning_curves(outcome, &[("Validation accuracy", "accuracy", Unit::Percent)]),
    }];
    if let Some(report) = report {
        let rows = classes.iter().zip(&report.per_class).map(|(class, score)| {
            vec![
                Cell::Text(class.clone()),
                Cell::Rate(score.precision),
                Cell::Rate(score.recall),
                Cell::Rate(score.f1),
                Cell::Number(score.support as f64),
            ]
        });
        sections.push(Section::ConfusionMatrix {
            title: "Confusion matrix".to_owned(),
            caption: "Each row holds the held back texts of one class, each column what they were taken for; what is off \
                the diagonal is wrong."
                .to_owned(),
            matrix: ConfusionPicture { classes: classes.clone(), counts: report.confusion.clone() },
        });
        sections.push(Section::Table {
            title: "By class".to_owned(),
            caption: "Precision: how often the answer is right when this class is given. Recall: how many of its texts are \
                found. F1: their harmonic mean."
                .to_owned(),
            table: Table {
                columns: ["class", "precision", "recall", "F1", "texts"].map(str::to_owned).to_vec(),
                rows: rows.collect(),
            },
        });
    }
    sections.push(Section::Flow { title: "Gradient flow by layer".to_owned(), flow: gradient_flow(outcome) });
    sections.push(Section::Config {
        title: "Configuration".to_owned(),
        caption: "Everything that was chosen or decided; `libellus text classify train --config config.toml` repeats the \
            run."
            .to_owned(),
        toml: options.to_toml(),
    });
    sections
}

fn facts(
    trained: &TrainedTextClassifier,
    parts: [&LabelledTexts; 2],
    summary: &RunSummary,
    circumstances: &Circumstances<'_>,
) -> Vec<(String, String)> {
    let [train, validation] = parts.map(|part| thousands(part.len()));
    let description = &trained.description;
    let mut facts = vec![
        ("command", summary.command.clone()),
        ("Libellus", summary.version.clone()),
        ("seed", summary.seed.to_string()),
        ("device", format!("{}, {} threads", circumstances.device, circumstances.threads)),
        (
            "texts",
            format!(
                "{}: {train} to learn, {validation} held back; at most {} tokens of each are read",
                description.data,
                thousands(description.longest),
            ),
        ),
        ("training time", format!("{:.1} s", summary.duration_s)),
    ];
    facts
        .extend(summary.peak_rss_bytes.map(|bytes| ("peak memory", format!("{:.0} MB", bytes as f64 / 1e6))));
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
