//! What the log of a run shows, whatever the run was about.

use std::collections::{BTreeMap, BTreeSet};

use libellus_optim::LayerFlow;

use super::{Chart, Figure, GradientFlow, Mark, Role, Series, Unit, YScale};
use crate::{Outcome, Row};

/// Charts over the epochs: the losses of training and, as metric `loss`, of validation; each of the `metrics` (title, name,
/// unit) that was measured; and the learning rate. The first of `metrics` has the best weights marked.
pub fn learning_curves(outcome: &Outcome, metrics: &[(&str, &str, Unit)]) -> Vec<Chart> {
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
    let losses = vec![
        series("training", Role::Train, train_loss),
        series("validation", Role::Validation, measured.remove("loss").unwrap_or_default()),
    ];
    let mut charts = vec![chart("Loss", Unit::Plain, YScale::Auto, losses)];
    for (index, &(title, name, unit)) in metrics.iter().enumerate() {
        let points = measured.remove(name).unwrap_or_default();
        let best = outcome.best.filter(|_| index == 0).map(|best| Mark {
            x: best.step as f64 / outcome.clock.steps_per_epoch as f64,
            label: "best".to_owned(),
        });
        let measurement = vec![series("validation", Role::Validation, points)];
        charts.push(Chart { mark: best, ..chart(title, unit, YScale::Linear, measurement) });
    }
    let rates = vec![series("learning rate", Role::Other, learning_rates)];
    charts.push(chart("Learning rate", Unit::Plain, YScale::Linear, rates));
    charts.retain(|chart| !chart.series.is_empty());
    charts
}

/// The gradients of all layers at the steps where they were measured; a layer that was missing in one has none there.
pub fn gradient_flow(outcome: &Outcome) -> GradientFlow {
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
    let column = |read: fn(&LayerFlow) -> f32| -> Vec<Vec<f32>> {
        let of = |layers: &[LayerFlow], name: &String| {
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

impl Figure {
    /// How long a run took.
    pub fn training_time(outcome: &Outcome) -> Self {
        let minutes = outcome.elapsed.as_secs_f64() / 60.0;
        Self {
            label: "training time".to_owned(),
            value: if minutes < 2.0 {
                format!("{:.1} s", minutes * 60.0)
            } else {
                format!("{minutes:.1} min")
            },
            note: "data loading and validation included".to_owned(),
        }
    }
}
