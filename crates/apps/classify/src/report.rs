//! The result of a run: the final measurement, `report.json`, and `report.html` to look at.

use burn::module::Module;
use libellus_data::{Image, encode_png};
use libellus_train::metrics::{ClassificationMetrics, ClassificationReport, Mistakes};
use libellus_train::report::{
    Bar, Cell, ConfusionPicture, Figure, GalleryItem, HtmlReport, Role, Section, Table, Unit, gradient_flow,
    learning_curves, render, thousands,
};
use libellus_train::{Circumstances, Ending, Outcome, Row, RunDir, RunOptions, RunSummary, peak_rss_bytes};
use serde_json::json;

use crate::error::ClassifyError;
use crate::infer::{measure, test_loader};
use crate::saved::Trained;
use crate::train::Plan;

/// How many of the most confident mistakes are shown.
const MISTAKES_SHOWN: usize = 24;
/// Pictures in the report are at most this wide and high.
const PICTURE_SIDE: usize = 128;

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// The measurement on the test images.
    pub report: ClassificationReport,
    /// What `report.json` holds.
    pub summary: RunSummary,
    /// The classes, in the order of their labels.
    pub classes: Vec<String>,
}

/// Measures the best weights on the test images, once, and writes both reports.
pub(crate) fn write_report(
    run: &RunDir,
    plan: &Plan,
    trained: &Trained,
    outcome: Outcome,
    circumstances: &Circumstances<'_>,
) -> Result<Finished, ClassifyError> {
    let classes = &plan.parts.classes;
    let loader = test_loader(plan.parts.test.clone(), trained, 256)?;
    let mut metrics = ClassificationMetrics::new(classes.len());
    let mut mistakes = Mistakes::new(MISTAKES_SHOWN, classes.len());
    measure(&trained.model, &loader, &trained.device, |probabilities, batch| {
        mistakes.update(probabilities, &batch.labels);
        Ok(metrics.update(probabilities, &batch.labels)?)
    })?;
    let report = metrics.finish()?;

    let evaluations = outcome.rows.iter().filter(|row| matches!(row, Row::Evaluation { .. }));
    let summary = RunSummary {
        command: circumstances.command.to_owned(),
        version: trained.description.version.clone(),
        config: json!(plan.options),
        seed: plan.options.seed.unwrap_or(0),
        device: circumstances.device.to_string(),
        dataset: json!({
            "name": plan.parts.name,
            "classes": classes.len(),
            "train": plan.parts.train.len(),
            "validation": plan.parts.validation.as_ref().map_or(0, |images| images.len()),
            "test": plan.parts.test.len(),
        }),
        metrics: report.numbers().iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        history: evaluations.cloned().collect(),
        duration_s: outcome.elapsed.as_secs_f64(),
        peak_rss_bytes: peak_rss_bytes(),
    };
    let page = HtmlReport {
        title: format!("{} on {}", trained.description.preset, plan.parts.name),
        subtitle: subtitle(plan, trained, &outcome),
        headline: headline(&report, &outcome, classes.len()),
        sections: sections(plan, &report, &outcome, mistake_items(plan, &mistakes)?),
        facts: facts(plan, &summary, circumstances),
    };
    run.write("report.html", render(&page).as_bytes())?;
    run.write_json("report.json", &summary)?;
    Ok(Finished { report, summary, classes: classes.clone() })
}

fn subtitle(plan: &Plan, trained: &Trained, outcome: &Outcome) -> String {
    let ending = match outcome.ending {
        Ending::StoppedEarly => ", stopped early",
        Ending::Completed | Ending::Interrupted => "",
    };
    format!(
        "Image classification: {} parameters, trained on {} images in {} steps ({:.1} epochs){ending}",
        thousands(trained.model.num_params()),
        thousands(plan.parts.train.len()),
        thousands(outcome.clock.step as usize),
        outcome.clock.epochs_done(),
    )
}

fn headline(report: &ClassificationReport, outcome: &Outcome, num_classes: usize) -> Vec<Figure> {
    // Number and unit stay on one line.
    let percent = |rate: f64| format!("{:.2}\u{a0}%", rate * 100.0);
    let figure = |label: &str, value: String, note: String| Figure { label: label.to_owned(), value, note };
    let right = (report.top1 * report.count as f64).round();
    let mut figures =
        vec![figure("test accuracy", percent(report.top1), format!("{right} of {} images", report.count))];
    if num_classes > 5 {
        figures.push(figure(
            "top-5 accuracy",
            percent(report.top5),
            "among the five most probable".to_owned(),
        ));
    }
    figures.push(figure("test loss", format!("{:.4}", report.nll), "mean cross entropy, in nats".to_owned()));
    figures.push(figure(
        "calibration error",
        percent(report.ece),
        "how far confidence and accuracy lie apart".to_owned(),
    ));
    figures.push(Figure::training_time(outcome));
    figures
}

fn sections(
    plan: &Plan,
    report: &ClassificationReport,
    outcome: &Outcome,
    mistakes: Vec<GalleryItem>,
) -> Vec<Section> {
    let classes = &plan.parts.classes;
    let rows = classes.iter().zip(&report.per_class).map(|(class, score)| {
        vec![
            Cell::Text(class.clone()),
            Cell::Rate(score.precision),
            Cell::Rate(score.recall),
            Cell::Rate(score.f1),
            Cell::Number(score.support as f64),
        ]
    });
    vec![
        Section::Curves {
            title: "Learning curves".to_owned(),
            caption: "Training and validation over the epochs. Where the training loss goes on falling and the \
                validation loss rises, the model begins to learn its images by heart."
                .to_owned(),
            charts: learning_curves(outcome, &[("Validation accuracy", "accuracy", Unit::Percent)]),
        },
        Section::ConfusionMatrix {
            title: "Confusion matrix".to_owned(),
            caption: "Each row holds the test images of one class, each column what they were taken for; what is off the \
                diagonal is wrong."
                .to_owned(),
            matrix: ConfusionPicture { classes: classes.clone(), counts: report.confusion.clone() },
        },
        Section::Gallery {
            title: "Most confident mistakes".to_owned(),
            caption: "The wrong answers that the model was surest of: odd images, wrong labels and blind spots show up here."
                .to_owned(),
            items: mistakes,
        },
        Section::Table {
            title: "By class".to_owned(),
            caption: "Precision: how often the answer is right when this class is given. Recall: how many of its images are found. \
                F1: their harmonic mean."
                .to_owned(),
            table: Table {
                columns: ["class", "precision", "recall", "F1", "images"].map(str::to_owned).to_vec(),
                rows: rows.collect(),
            },
        },
        Section::Flow { title: "Gradient flow by layer".to_owned(), flow: gradient_flow(outcome) },
        Section::Config {
            title: "Configuration".to_owned(),
            caption: "Everything that was chosen or decided; `libellus classify train --config config.toml` repeats the run."
                .to_owned(),
            toml: plan.options.to_toml(),
        },
    ]
}

fn mistake_items(plan: &Plan, mistakes: &Mistakes) -> Result<Vec<GalleryItem>, ClassifyError> {
    let classes = &plan.parts.classes;
    let bar =
        |label: usize, value: f32, role| Bar { label: classes[label].clone(), value: value.into(), role };
    mistakes
        .most_confident()
        .iter()
        .map(|mistake| {
            let image = plan.parts.test.get(mistake.sample)?.image;
            Ok(GalleryItem {
                png: encode_png(&thumbnail(&image)),
                caption: format!("{} → {}", classes[mistake.label], classes[mistake.predicted]),
                note: file_name(&plan.parts.test.describe(mistake.sample)),
                bars: vec![
                    bar(mistake.predicted, mistake.confidence, Role::Wrong),
                    bar(mistake.label, mistake.of_label, Role::Right),
                ],
            })
        })
        .collect()
}

/// A path without its folders: they are the same for all and tell where somebody keeps their files.
fn file_name(place: &str) -> String {
    place.rsplit(std::path::is_separator).next().unwrap_or(place).to_owned()
}

fn thumbnail(image: &Image) -> Image {
    let longest = image.width().max(image.height());
    if longest <= PICTURE_SIDE {
        return image.clone();
    }
    let scaled = |side: usize| (side * PICTURE_SIDE / longest).max(1);
    let interpolation = libellus_data::transform::Interpolation::Bilinear;
    libellus_data::transform::resize(image, scaled(image.width()), scaled(image.height()), interpolation)
}

fn facts(plan: &Plan, summary: &RunSummary, circumstances: &Circumstances<'_>) -> Vec<(String, String)> {
    let validation = plan.parts.validation.as_ref().map_or(0, |images| images.len());
    let mut facts = vec![
        ("command", summary.command.clone()),
        ("Libellus", summary.version.clone()),
        ("seed", summary.seed.to_string()),
        ("device", format!("{}, {} threads", circumstances.device, circumstances.threads)),
        (
            "data set",
            format!(
                "{}: {} training, {validation} validation and {} test images in {} classes",
                plan.parts.name,
                plan.parts.train.len(),
                plan.parts.test.len(),
                plan.parts.classes.len()
            ),
        ),
        ("training time", format!("{:.1} s", summary.duration_s)),
    ];
    facts
        .extend(summary.peak_rss_bytes.map(|bytes| ("peak memory", format!("{:.0} MB", bytes as f64 / 1e6))));
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
