//! The result of a run: the final measurement, `report.json`, and `report.html` to look at.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;
use libellus_backend::DeviceName;
use libellus_data::{Image, encode_png};
use libellus_train::metrics::{ClassificationMetrics, ClassificationReport, Mistakes};
use libellus_train::report::{
    Bar, Cell, Chart, ConfusionPicture, Figure, GalleryItem, GradientFlow, HtmlReport, Mark, Role, Section,
    Series, Table, Unit, YScale, render, thousands,
};
use libellus_train::{Ending, Outcome, Row, RunDir, RunSummary, peak_rss_bytes};
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

/// How and where a run was made.
#[derive(Clone, Debug)]
pub(crate) struct Circumstances<'a> {
    pub(crate) command: &'a str,
    pub(crate) device: DeviceName,
    pub(crate) threads: usize,
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
    let minutes = outcome.elapsed.as_secs_f64() / 60.0;
    let time = if minutes < 2.0 { format!("{:.1} s", minutes * 60.0) } else { format!("{minutes:.1} min") };
    figures.push(figure("training time", time, "data loading and validation included".to_owned()));
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
            charts: curves(outcome),
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

/// Loss, validation accuracy and learning rate over the epochs.
fn curves(outcome: &Outcome) -> Vec<Chart> {
    let mut train_loss = Vec::new();
    let mut learning_rates = Vec::new();
    let mut measured: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for row in &outcome.rows {
        match row {
            Row::Train { epoch, loss, learning_rate, .. } => {
                train_loss.push((*epoch, f64::from(*loss)));
                learning_rates.push((*epoch, *learning_rate));
            }
            Row::Evaluation { epoch, metrics, .. } => {
                for (name, value) in metrics {
                    measured.entry(name).or_default().push((*epoch, *value));
                }
            }
            Row::Flow { .. } => {}
        }
    }
    let series = |name: &str, role, points| Series { name: name.to_owned(), role, points };
    let chart = |title: &str, unit, y_scale, series: Vec<Series>| Chart {
        title: title.to_owned(),
        x_label: "epoch".to_owned(),
        unit,
        y_scale,
        series: series.into_iter().filter(|series| !series.points.is_empty()).collect(),
        mark: None,
    };
    let best = outcome.best.map(|best| Mark {
        x: best.step as f64 / outcome.clock.steps_per_epoch as f64,
        label: "best".to_owned(),
    });
    let losses = vec![
        series("training", Role::Train, train_loss),
        series("validation", Role::Validation, measured.remove("loss").unwrap_or_default()),
    ];
    let accuracy =
        vec![series("validation", Role::Validation, measured.remove("accuracy").unwrap_or_default())];
    let rates = vec![series("learning rate", Role::Other, learning_rates)];
    let charts = [
        chart("Loss", Unit::Plain, YScale::Auto, losses),
        Chart { mark: best, ..chart("Validation accuracy", Unit::Percent, YScale::Linear, accuracy) },
        chart("Learning rate", Unit::Plain, YScale::Linear, rates),
    ];
    charts.into_iter().filter(|chart| !chart.series.is_empty()).collect()
}

/// The measurements of all steps; a layer that was missing in one has no gradient there.
fn gradient_flow(outcome: &Outcome) -> GradientFlow {
    let moments: Vec<_> = outcome
        .rows
        .iter()
        .filter_map(|row| match row {
            Row::Flow { step, layers } => Some((*step, layers)),
            Row::Train { .. } | Row::Evaluation { .. } => None,
        })
        .collect();
    let mut names: Vec<String> = Vec::new();
    let mut known = BTreeSet::new();
    for layer in moments.iter().flat_map(|(_, layers)| layers.iter()) {
        if known.insert(layer.name.as_str()) {
            names.push(layer.name.clone());
        }
    }
    let column = |read: fn(&libellus_optim::LayerFlow) -> f32| -> Vec<Vec<f32>> {
        let of = |layers: &[libellus_optim::LayerFlow], name: &String| {
            layers.iter().find(|layer| &layer.name == name).map_or(f32::NAN, read)
        };
        moments.iter().map(|(_, layers)| names.iter().map(|name| of(layers, name)).collect()).collect()
    };
    GradientFlow {
        steps: moments.iter().map(|(step, _)| *step).collect(),
        gradient_norms: column(|layer| layer.gradient_norm),
        update_ratios: column(|layer| layer.update_ratio),
        layers: names,
    }
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
