//! `libellus classify`.

use std::path::PathBuf;
use std::process::ExitCode;

use libellus::classify::{Features, Input, Prediction, Predictor, Trained, evaluate, save_features, train};
use libellus::data::default_data_dir;
use libellus::train::Interrupt;
use libellus::train::metrics::ClassificationReport;
use serde_json::json;

use crate::args::{Classify, Common, Eval, Predict, Train, TrainedModel};
use crate::output::{Align, Failure, INTERRUPTED, Table, print, print_json};
use crate::run::{command_line, observer};

pub(crate) fn run(command: &Classify, common: &Common) -> Result<ExitCode, Failure> {
    match command {
        Classify::Train(command) => run_train(command, common),
        Classify::Eval(command) => run_eval(command, common),
        Classify::Predict(command) => run_predict(command, common),
    }
}

fn run_train(command: &Train, common: &Common) -> Result<ExitCode, Failure> {
    let options = command.run.options(&command.options)?;
    let interrupt = Interrupt::on_ctrl_c();
    let mut observer = observer(common, command.run.tui, &interrupt)?;
    let outcome = train(
        &options,
        &command.run.place(),
        &data_dir(common),
        &command_line(),
        &interrupt,
        observer.as_mut(),
    )?;
    drop(observer);

    let Some(finished) = outcome.finished else {
        let folder = outcome.run.display();
        eprintln!("stopped; a checkpoint is saved. Go on with: libellus classify train --resume {folder}");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    if common.json {
        print_json(&finished.summary)?;
    } else {
        print(&table(&finished.report, &finished.classes))?;
        let folder = outcome.run.display();
        print(&format!(
            "\nreport: {folder}/report.html\nuse it: libellus classify predict --run {folder} IMAGE\n"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run_eval(command: &Eval, common: &Common) -> Result<ExitCode, Failure> {
    let trained = open(&command.model)?;
    let report = evaluate(&trained, command.data.as_deref(), &data_dir(common), command.model.batch_size)?;
    if common.json {
        print_json(&json!({ "classes": trained.description.classes, "report": report }))?;
    } else {
        print(&table(&report, &trained.description.classes))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run_predict(command: &Predict, common: &Common) -> Result<ExitCode, Failure> {
    let predictor = Predictor::new(open(&command.model)?)?;
    let inputs = Input::list(&command.inputs)?;
    let mut names = Vec::new();
    let mut features = Features { values: Vec::new(), width: 0 };
    let mut rows = Vec::new();
    let mut failed = ExitCode::SUCCESS;
    for inputs in inputs.chunks(command.model.batch_size) {
        let mut images = Vec::new();
        let mut readable = Vec::new();
        for input in inputs {
            match input.read() {
                Ok(image) => {
                    images.push(image);
                    readable.push(input);
                }
                // One bad image among many doesn't keep the others from their answers.
                Err(error) => {
                    eprintln!("error: {}", Failure::from(error));
                    failed = ExitCode::FAILURE;
                }
            }
        }
        if images.is_empty() {
            continue;
        }
        for (input, prediction) in readable.iter().zip(&predictor.predict(&images, command.top)) {
            if common.json {
                rows.push(json!({ "image": input.to_string(), "top": prediction.top }));
            } else {
                print(&line(&input.to_string(), prediction))?;
            }
            names.push(input.to_string());
        }
        if command.features.is_some() {
            let more = predictor.features(&images);
            features.values.extend(more.values);
            features.width = more.width;
        }
    }
    if common.json {
        print_json(&rows)?;
    }
    if let Some(path) = &command.features {
        save_features(path, &names, &features)?;
    }
    Ok(failed)
}

fn open(model: &TrainedModel) -> Result<Trained, Failure> {
    let device = model.compute.open()?;
    Ok(Trained::open(&model.run, &device, model.precision.into())?)
}

fn data_dir(common: &Common) -> PathBuf {
    common.data_dir.clone().unwrap_or_else(default_data_dir)
}

/// `seven.png   7 99.8%   1 0.1%   2 0.0%`
fn line(input: &str, prediction: &Prediction) -> String {
    let classes: Vec<String> = prediction
        .top
        .iter()
        .map(|scored| format!("{} {:.1}%", scored.class, scored.probability * 100.0))
        .collect();
    format!("{input}  {}\n", classes.join("  "))
}

/// The result as a person reads it: the large numbers, then a row per class.
fn table(report: &ClassificationReport, classes: &[String]) -> String {
    let mut by_class = Table::new([
        ("class", Align::Left),
        ("precision", Align::Right),
        ("recall", Align::Right),
        ("f1", Align::Right),
        ("images", Align::Right),
    ]);
    for (class, score) in classes.iter().zip(&report.per_class) {
        by_class.row([
            class.clone(),
            format!("{:.4}", score.precision),
            format!("{:.4}", score.recall),
            format!("{:.4}", score.f1),
            score.support.to_string(),
        ]);
    }
    let top5 = if classes.len() > 5 { format!("   top-5 {:.4}", report.top5) } else { String::new() };
    format!(
        "test accuracy {:.4}{top5}   ({} images)\nloss {:.4}   calibration error {:.4}\n\n{}",
        report.top1,
        report.count,
        report.nll,
        report.ece,
        by_class.render()
    )
}
