//! The result of a run: the final measurement, `report.json`, and `report.html` to look at.

use std::collections::BTreeMap;

use burn::module::Module;
use libellus_models::Precision;
use libellus_train::report::{
    Figure, HtmlReport, Section, Unit, gradient_flow, learning_curves, render, thousands,
};
use libellus_train::{Circumstances, Outcome, Row, RunDir, RunOptions, RunSummary, peak_rss_bytes};
use serde_json::json;

use super::options::ContrastOptions;
use super::task::{ContrastTask, measure};
use crate::embed::Embedder;
use crate::error::TextError;

/// Measures the best weights on the rows that were held back, and makes both reports. `before` are the metrics of the model that the
/// run began with.
pub(super) fn write_report(
    run: &RunDir,
    options: &ContrastOptions,
    task: ContrastTask,
    before: Option<BTreeMap<String, f64>>,
    outcome: Outcome,
    circumstances: &Circumstances<'_>,
) -> Result<RunSummary, TextError> {
    let ContrastTask { train, validation, objective, description, device, .. } = task;
    let trained = Embedder::open_run(run.path(), &device, Precision::F32)?;
    let mut metrics = BTreeMap::new();
    if let Some(before) = before {
        metrics = measure(trained.model(), &validation, &objective, &device);
        metrics.extend(before.into_iter().map(|(name, value)| (format!("{name}_before"), value)));
    }
    let evaluations = outcome.rows.iter().filter(|row| matches!(row, Row::Evaluation { .. }));
    let summary = RunSummary {
        command: circumstances.command.to_owned(),
        version: description.version.clone(),
        config: json!(options),
        seed: options.seed.unwrap_or(0),
        device: circumstances.device.to_string(),
        dataset: json!({ "name": description.data, "train": train.len(), "validation": validation.len() }),
        metrics,
        history: evaluations.cloned().collect(),
        duration_s: outcome.elapsed.as_secs_f64(),
        peak_rss_bytes: peak_rss_bytes(),
    };
    let mut facts = vec![
        ("command", summary.command.clone()),
        ("Libellus", summary.version.clone()),
        ("seed", summary.seed.to_string()),
        ("device", format!("{}, {} threads", circumstances.device, circumstances.threads)),
        (
            "rows",
            format!(
                "{}: {} to learn, {} held back; at most {} tokens of each text are read",
                description.data,
                thousands(train.len()),
                thousands(validation.len()),
                description.longest,
            ),
        ),
        ("training time", format!("{:.1} s", summary.duration_s)),
    ];
    facts
        .extend(summary.peak_rss_bytes.map(|bytes| ("peak memory", format!("{:.0} MB", bytes as f64 / 1e6))));
    let page = HtmlReport {
        title: format!("Sentence vectors from {}", description.data),
        subtitle: format!(
            "BERT: {} parameters, trained on {} rows in {} steps ({:.1} epochs)",
            thousands(trained.model().num_params()),
            thousands(train.len()),
            thousands(outcome.clock.step as usize),
            outcome.clock.epochs_done(),
        ),
        headline: headline(&summary.metrics, validation.len(), &outcome),
        sections: vec![
            Section::Curves {
                title: "Learning curves".to_owned(),
                caption: "Training and validation over the epochs.".to_owned(),
                charts: learning_curves(&outcome, &[("Own positive nearest", "accuracy", Unit::Percent)]),
            },
            Section::Flow { title: "Gradient flow by layer".to_owned(), flow: gradient_flow(&outcome) },
            Section::Config {
                title: "Configuration".to_owned(),
                caption: "Everything that was chosen or decided; `libellus text contrast --config config.toml` repeats \
                    the run."
                    .to_owned(),
                toml: options.to_toml(),
            },
        ],
        facts: facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    };
    run.write("report.html", render(&page).as_bytes())?;
    run.write_json("report.json", &summary)?;
    Ok(summary)
}

fn headline(metrics: &BTreeMap<String, f64>, rows: usize, outcome: &Outcome) -> Vec<Figure> {
    let share = |name: &str| metrics.get(name).map(|value| format!("{:.1} %", 100.0 * value));
    let figures = [
        (
            "accuracy",
            format!("anchors whose positive is the nearest of {} that were held back", thousands(rows)),
        ),
        ("accuracy_before", "of the model that the run began with".to_owned()),
        ("mean_reciprocal_rank", "one by the place of the positive, on average".to_owned()),
    ];
    let figures = figures
        .into_iter()
        .filter_map(|(name, note)| Some(Figure { label: name.replace('_', " "), value: share(name)?, note }));
    figures.chain([Figure::training_time(outcome)]).collect()
}
