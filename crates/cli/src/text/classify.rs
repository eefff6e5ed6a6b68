//! `libellus text classify`.

use std::process::ExitCode;

use libellus::text::classify::{TrainedTextClassifier, train};
use libellus::train::Interrupt;

use super::texts_of;
use crate::args::{
    Common, TextClassifierModel, TextClassify, TextClassifyEval, TextClassifyPredict, TextClassifyTrain,
};
use crate::output::{Align, Failure, Table, print, print_json, thousands};
use crate::run::{Ended, command_line, observer};

pub(super) fn run(command: &TextClassify, common: &Common) -> Result<ExitCode, Failure> {
    match command {
        TextClassify::Train(command) => run_train(command, common),
        TextClassify::Eval(command) => run_eval(command, common),
        TextClassify::Predict(command) => run_predict(command, common),
    }
}

fn run_train(command: &TextClassifyTrain, common: &Common) -> Result<ExitCode, Failure> {
    let options = command.place.options(&command.options)?;
    let interrupt = Interrupt::on_ctrl_c();
    let mut observer = observer(common, command.place.tui, &interrupt)?;
    let outcome = train(&options, &command.place.place(), &command_line(), &interrupt, observer.as_mut())?;
    drop(observer);
    let usage = format!("libellus text classify predict --run {} TEXT", outcome.run.display());
    let ended = Ended {
        verb: "libellus text classify train",
        folder: &outcome.run,
        summary: outcome.summary.as_ref(),
        metrics: &[("accuracy", "validation accuracy"), ("macro_f1", "F1"), ("loss", "loss")],
        sample: "",
        usage: &usage,
    };
    ended.print(common)
}

fn run_eval(command: &TextClassifyEval, common: &Common) -> Result<ExitCode, Failure> {
    let trained = open(&command.model)?;
    let columns = [&command.text_column[..], &command.label_column];
    let report = trained.evaluate(&command.data, columns, command.model.batch_size)?;
    if common.json {
        print_json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&format!(
        "accuracy {:.4}   F1 {:.4}   loss {:.4}   ({} texts)\n",
        report.top1,
        report.macro_f1,
        report.nll,
        thousands(report.count as usize),
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn run_predict(command: &TextClassifyPredict, common: &Common) -> Result<ExitCode, Failure> {
    let texts = texts_of(command.input.as_deref(), &command.texts)?;
    let trained = open(&command.model)?;
    let rows: Vec<&str> = texts.iter().map(String::as_str).collect();
    let answers = trained.predict(&rows, command.model.batch_size, command.top)?;
    if common.json {
        print_json(&answers)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new([("classes", Align::Left), ("text", Align::Left)]);
    for answer in answers {
        let classes: Vec<String> = answer
            .classes
            .iter()
            .map(|(class, probability)| format!("{class} {:.1} %", 100.0 * probability))
            .collect();
        table.row([classes.join("  "), answer.text]);
    }
    print(&table.render())?;
    Ok(ExitCode::SUCCESS)
}

fn open(model: &TextClassifierModel) -> Result<TrainedTextClassifier, Failure> {
    let device = model.compute.open()?;
    Ok(TrainedTextClassifier::open(&model.run, &device, model.precision.into())?)
}
