use serde::Deserialize;

use super::*;

/// What scikit-learn makes of some predictions; see `tests/golden/classification.py`.
#[derive(Deserialize)]
struct Golden {
    name: String,
    num_classes: usize,
    probabilities: Vec<f32>,
    labels: Vec<usize>,
    top1: f64,
    top5: f64,
    nll: f64,
    ece: f64,
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    support: Vec<u64>,
    macro_precision: f64,
    macro_recall: f64,
    macro_f1: f64,
    confusion: Vec<Vec<u64>>,
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(include_str!("../../tests/golden/classification.json"))
        .expect("the golden file is valid")
}

/// Both sides compute in f64 from the same f32 values; only the order of sums differs.
fn assert_close(ours: f64, theirs: f64, what: &str) {
    assert!((ours - theirs).abs() < 1e-12, "{what}: {ours} and {theirs}");
}

fn measured(case: &Golden, batch_size: usize) -> ClassificationReport {
    let mut metrics = ClassificationMetrics::new(case.num_classes);
    for (labels, rows) in
        case.labels.chunks(batch_size).zip(case.probabilities.chunks(batch_size * case.num_classes))
    {
        metrics.update(rows, labels).unwrap();
    }
    metrics.finish().unwrap()
}

#[test]
fn agrees_with_scikit_learn() {
    for case in golden() {
        let report = measured(&case, case.labels.len());
        let name = &case.name;
        assert_eq!(report.count, case.labels.len() as u64);
        assert_close(report.top1, case.top1, &format!("{name}, top-1"));
        assert_close(report.top5, case.top5, &format!("{name}, top-5"));
        assert_close(report.nll, case.nll, &format!("{name}, nll"));
        assert_close(report.ece, case.ece, &format!("{name}, ece"));
        assert_close(report.macro_precision, case.macro_precision, &format!("{name}, macro precision"));
        assert_close(report.macro_recall, case.macro_recall, &format!("{name}, macro recall"));
        assert_close(report.macro_f1, case.macro_f1, &format!("{name}, macro f1"));
        assert_eq!(report.confusion, case.confusion, "{name}");
        for (class, score) in report.per_class.iter().enumerate() {
            assert_close(score.precision, case.precision[class], &format!("{name}, precision {class}"));
            assert_close(score.recall, case.recall[class], &format!("{name}, recall {class}"));
            assert_close(score.f1, case.f1[class], &format!("{name}, f1 {class}"));
            assert_eq!(score.support, case.support[class]);
        }
    }
}

#[test]
fn batches_make_no_difference() {
    for case in golden() {
        let whole = measured(&case, case.labels.len());
        for batch_size in [1, 2, 7] {
            assert_eq!(measured(&case, batch_size), whole, "{}, batches of {batch_size}", case.name);
        }
    }
}

#[test]
fn with_fewer_than_five_classes_top_5_is_certain() {
    let mut metrics = ClassificationMetrics::new(2);
    metrics.update(&[0.9, 0.1, 0.2, 0.8], &[1, 1]).unwrap();
    let report = metrics.finish().unwrap();
    assert_eq!((report.top1, report.top5), (0.5, 1.0));
}

#[test]
fn of_equal_probabilities_the_lower_class_wins() {
    let mut metrics = ClassificationMetrics::new(7);
    let even = [0.125; 7];
    metrics.update(&[even, even, even].concat(), &[0, 4, 5]).unwrap();
    let report = metrics.finish().unwrap();
    assert!((report.top1 - 1.0 / 3.0).abs() < 1e-15 && (report.top5 - 2.0 / 3.0).abs() < 1e-15);
}

#[test]
fn nothing_to_measure_is_an_error() {
    let mut metrics = ClassificationMetrics::new(3);
    metrics.update(&[], &[]).unwrap();
    assert_eq!(metrics.finish(), Err(MetricsError::Empty));
}

#[test]
fn what_is_no_probability_is_named() {
    let mut metrics = ClassificationMetrics::new(2);
    metrics.update(&[0.5, 0.5], &[0]).unwrap();
    for bad in [f32::NAN, f32::INFINITY, -0.1, 1.1] {
        let error = metrics.update(&[0.5, bad], &[0]).unwrap_err();
        assert!(
            matches!(error, MetricsError::NotAProbability { sample: 1, class: 1, .. })
                && !error.to_string().is_empty()
        );
    }
    assert_eq!(
        metrics.update(&[0.5, 0.5], &[2]),
        Err(MetricsError::LabelOutOfRange { sample: 1, label: 2, num_classes: 2 })
    );
    assert_eq!(metrics.count(), 1);
}

#[test]
fn a_certain_and_wrong_prediction_has_a_finite_loss() {
    let mut metrics = ClassificationMetrics::new(2);
    metrics.update(&[1.0, 0.0], &[1]).unwrap();
    let report = metrics.finish().unwrap();
    assert!((report.nll - 36.04365338911715).abs() < 1e-12);
    assert_eq!(report.ece, 1.0);
}

#[test]
fn calibration_by_hand() {
    let mut bins = CalibrationBins::new();
    // Two samples at 0.8, one right: |1 - 1.6| / 3; one at 0.3, right: |1 - 0.3| / 3.
    bins.add(0.8, true);
    bins.add(0.8, false);
    bins.add(0.3, true);
    assert!((bins.expected_error() - (0.6 + 0.7) / 3.0).abs() < 1e-12);
    assert_eq!(CalibrationBins::new().expected_error(), 0.0);
}

#[test]
fn the_most_confident_mistakes_are_kept_in_order() {
    let mut mistakes = Mistakes::new(2, 2);
    mistakes.update(&[0.4, 0.6, 0.1, 0.9, 0.3, 0.7], &[0, 1, 0]);
    mistakes.update(&[0.2, 0.8, 0.7, 0.3], &[0, 1]);
    let kept: Vec<_> =
        mistakes.most_confident().iter().map(|mistake| (mistake.sample, mistake.confidence)).collect();
    assert_eq!(kept, [(3, 0.8), (2, 0.7)]);
    let first = mistakes.most_confident()[0];
    assert_eq!((first.label, first.predicted, first.of_label), (0, 1, 0.2));
}

#[test]
fn a_report_survives_json() {
    let report = measured(&golden()[0], 50);
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<ClassificationReport>(&json).unwrap(), report);
}
