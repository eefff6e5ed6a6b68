//! `libellus text translate`.

use std::process::ExitCode;

use libellus::text::TextError;
use libellus::text::translate::{Decoding, Parallel, Quality, TrainedTranslator, measure, train, translate};
use libellus::train::Interrupt;
use serde_json::json;

use super::{progress_bar, texts_of};
use crate::args::{Common, Translate, TranslateEval, TranslatePredict, TranslateTrain, TranslatorModel};
use crate::output::{Failure, print, print_json, thousands};
use crate::run::{Ended, command_line, observer};

pub(super) fn run(command: &Translate, common: &Common) -> Result<ExitCode, Failure> {
    match command {
        Translate::Train(command) => run_train(command, common),
        Translate::Eval(command) => run_eval(command, common),
        Translate::Predict(command) => run_predict(command, common),
    }
}

fn run_train(command: &TranslateTrain, common: &Common) -> Result<ExitCode, Failure> {
    let options = command.place.options(&command.options)?;
    let interrupt = Interrupt::on_ctrl_c();
    let mut observer = observer(common, command.place.tui, &interrupt)?;
    let outcome = train(&options, &command.place.place(), &command_line(), &interrupt, observer.as_mut())?;
    drop(observer);
    let usage = format!("libellus text translate predict --run {} TEXT", outcome.run.display());
    let ended = Ended {
        verb: "libellus text translate train",
        folder: &outcome.run,
        summary: outcome.summary.as_ref(),
        metrics: if outcome.is_dictionary { &SOUNDS } else { &TEXTS },
        sample: "",
        usage: &usage,
    };
    ended.print(common)
}

/// Metrics and their names, of translations and of the sounds of words.
const TEXTS: [(&str, &str); 3] =
    [("bleu", "BLEU"), ("word_error_rate", "word error rate"), ("loss", "validation loss")];
const SOUNDS: [(&str, &str); 3] = [
    ("sequence_error_rate", "word error rate"),
    ("token_error_rate", "phoneme error rate"),
    ("loss", "validation loss"),
];

fn run_eval(command: &TranslateEval, common: &Common) -> Result<ExitCode, Failure> {
    let decoding = decoding(&command.model)?;
    let parallel = match (&command.data, &command.source, &command.target) {
        (_, Some(source), Some(target)) => Parallel::Lines { source: source.clone(), target: target.clone() },
        (Some(data), ..) => Parallel::Table(data.clone()),
        _ => {
            let test = command.model.run.join("test.jsonl");
            if !test.is_file() {
                let run = command.model.run.display();
                return Err(Failure::Input(format!(
                    "{run} has held back no pairs to measure by: name some with --data"
                )));
            }
            Parallel::Table(test)
        }
    };
    let pairs = parallel.read()?;
    let trained = open(&command.model)?;
    let bar = progress_bar(common, "translate");
    bar.set_length(pairs.len() as u64);
    let (quality, _) =
        measure(&trained.model, &trained.vocabulary, &pairs, &decoding, &trained.device, &mut |done| {
            bar.set_position(done as u64)
        })?;
    bar.finish_and_clear();
    if common.json {
        print_json(&quality)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Quality { sequence_error_rate, token_error_rate, word_error_rate, bleu, sources } = quality;
    let sources = thousands(sources);
    print(&if trained.description.is_dictionary {
        format!(
            "word error rate {sequence_error_rate:.4}   phoneme error rate {token_error_rate:.4}   ({sources} words)\n"
        )
    } else {
        format!(
            "BLEU {bleu:.2}   word error rate {word_error_rate:.4}   token error rate {token_error_rate:.4}   \
             not exactly right {sequence_error_rate:.4}   ({sources} texts)\n"
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn run_predict(command: &TranslatePredict, common: &Common) -> Result<ExitCode, Failure> {
    let decoding = decoding(&command.model)?;
    let texts = texts_of(command.input.as_deref(), &command.texts)?;
    let trained = open(&command.model)?;
    let sources = texts
        .iter()
        .map(|text| trained.vocabulary.encode_source(text.trim()))
        .collect::<Result<Vec<_>, TextError>>()?;
    let bar = progress_bar(common, "translate");
    bar.set_length(sources.len() as u64);
    let (model, device) = (&trained.model, &trained.device);
    let found = translate(model, &trained.vocabulary, &sources, &decoding, device, &mut |done| {
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    let mut rows = Vec::with_capacity(found.len());
    for (text, hypothesis) in texts.iter().zip(found) {
        let translation = trained.vocabulary.decode_target(&hypothesis.tokens)?;
        let translation = translation.trim().to_owned();
        if !common.json {
            print(&format!("{translation}\n"))?;
        }
        rows.push(json!({ "source": text, "translation": translation, "score": hypothesis.score }));
    }
    if common.json {
        print_json(&rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn open(model: &TranslatorModel) -> Result<TrainedTranslator, Failure> {
    let device = model.compute.open()?;
    Ok(TrainedTranslator::open(&model.run, &device, model.precision.into())?)
}

fn decoding(model: &TranslatorModel) -> Result<Decoding, Failure> {
    let decoding = Decoding {
        beams: model.beams,
        length_penalty: model.length_penalty,
        max_tokens: model.max_tokens,
        batch_size: model.batch_size,
    };
    // What is wrong with it shows before a model is read.
    decoding.validate()?;
    Ok(decoding)
}
