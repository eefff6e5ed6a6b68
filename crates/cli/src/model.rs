//! `libellus model`.

use std::path::Path;
use std::process::ExitCode;

use libellus::backend::DeviceName;
use libellus::burn::tensor::Device;
use libellus::inspect::{
    Depth, Design, InspectError, Loaded, Row, Summary, convert, forward, read_tensors, summarize,
    write_tensors,
};
use libellus::models::{Precision, PrepareInference, Preset, presets};
use libellus::weights::{Checkpoint, LoadOptions};
use serde_json::json;

use crate::args::{self, Common, Convert, Forward, Model, Reading};
use crate::output::{Align, Failure, Table, print, print_json, thousands};

pub(crate) fn run(command: &Model, common: &Common) -> Result<ExitCode, Failure> {
    match command {
        Model::List { filter } => list(filter.as_deref().unwrap_or(""), common),
        Model::Show { name, config, depth } => {
            let design = match (name, config) {
                (_, Some(path)) => Design::from_file(path)?,
                (name, None) => Design::preset(name.as_deref().unwrap_or_default())?,
            };
            show(&design, depth.unwrap_or(usize::MAX), common)
        }
        Model::Forward(command) => run_forward(command, common),
        Model::Convert(command) => run_convert(command, common),
    }
}

fn list(filter: &str, common: &Common) -> Result<ExitCode, Failure> {
    let device = DeviceName::default().open()?;
    let filter = filter.to_lowercase();
    let contains = |text: &str| text.to_lowercase().contains(&filter);
    let found: Vec<(&Preset, Summary, Vec<&str>)> = presets()
        .iter()
        .filter(|preset| {
            contains(preset.name)
                || contains(preset.family)
                || preset.aliases.iter().any(|name| contains(name))
        })
        .map(|preset| {
            let design = Design::preset(preset.name)?;
            let layouts = design.config.layouts().iter().map(|layout| layout.name).collect();
            Ok((preset, summarize(&design, &device)?, layouts))
        })
        .collect::<Result<_, InspectError>>()?;
    if common.json {
        let rows: Vec<_> = found
            .iter()
            .map(|(preset, summary, layouts)| {
                json!({
                    "name": preset.name,
                    "aliases": preset.aliases,
                    "family": preset.family,
                    "summary": preset.summary,
                    "parameters": summary.total.parameters,
                    "macs": summary.total.macs,
                    "inputs": named_shapes(&summary.inputs),
                    "layouts": layouts,
                })
            })
            .collect();
        print_json(&rows)?;
    } else if found.is_empty() {
        print(&format!("no model has {filter:?} in its name or family\n"))?;
    } else {
        let mut table = Table::new([
            ("model", Align::Left),
            ("family", Align::Left),
            ("params", Align::Right),
            ("MACs", Align::Right),
            ("layouts", Align::Left),
        ]);
        for (preset, summary, layouts) in &found {
            table.row([
                preset.name.to_owned(),
                preset.family.to_owned(),
                short(summary.total.parameters as u64),
                short(summary.total.macs),
                layouts.join(", "),
            ]);
        }
        print(&table.render())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(design: &Design, depth: usize, common: &Common) -> Result<ExitCode, Failure> {
    let summary = summarize(design, &DeviceName::default().open()?)?;
    let rows: Vec<&Row> = summary.rows.iter().filter(|row| row.depth < depth).collect();
    if common.json {
        print_json(&json!({
            "name": design.name,
            "config": design.config.to_value(),
            "inputs": named_shapes(&summary.inputs),
            "outputs": named_shapes(&summary.outputs),
            "parameters": summary.total.parameters,
            "macs": summary.total.macs,
            "layouts": design.config.layouts().iter().map(|layout| layout.name).collect::<Vec<_>>(),
            "modules": rows,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new([
        ("module", Align::Left),
        ("type", Align::Left),
        ("output", Align::Left),
        ("parameters", Align::Right),
        ("MACs", Align::Right),
    ]);
    for row in rows {
        let name = row.path.rsplit('.').next().unwrap_or_default();
        table.row([
            format!("{}{name}", "  ".repeat(row.depth)),
            row.kind.clone().unwrap_or_default(),
            row.output.as_deref().map(shape).unwrap_or_default(),
            thousands(row.cost.parameters),
            match row.cost.macs {
                0 => String::new(),
                macs => short(macs),
            },
        ]);
    }
    let shapes = |named: &[(String, Vec<usize>)]| {
        named.iter().map(|(name, dims)| format!("{name} {}", shape(dims))).collect::<Vec<_>>().join(", ")
    };
    print(&format!(
        "{}\n{}: {} parameters, {} MACs\nin:  {}\nout: {}\n",
        table.render(),
        design.name,
        thousands(summary.total.parameters),
        short(summary.total.macs),
        shapes(&summary.inputs),
        shapes(&summary.outputs),
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn run_forward(command: &Forward, common: &Common) -> Result<ExitCode, Failure> {
    let device = command.compute.open()?;
    device.seed(command.seed);
    let design = design(&command.design)?;
    let Loaded { design, model, .. } = match (&command.weights, design) {
        (Some(weights), design) => load(design, weights, &command.reading, &device)?,
        (None, Some(design)) => Loaded::random(design, &device)?,
        (None, None) => {
            return Err(Failure::Arguments("name a model with --arch or --config, or give --weights".into()));
        }
    };
    let inputs = read_tensors(&command.input)?;
    let depth = if command.intermediates { Depth::Intermediates } else { Depth::Outputs };
    // For one pass, weights aren't worth arranging in floats.
    let outputs = match command.precision.into() {
        Precision::F32 => forward(&design, &model, &inputs, depth),
        precision => forward(&design, &model.prepare_inference_in(precision), &inputs, depth),
    };
    let outputs = outputs.map_err(|source| InspectError::Input { path: command.input.clone(), source })?;
    write_tensors(&command.output, &outputs)?;

    let shapes: Vec<(String, Vec<usize>)> =
        outputs.iter().map(|(name, data)| (name.to_owned(), data.shape().as_slice().to_vec())).collect();
    if common.json {
        print_json(&json!({ "output": command.output, "tensors": named_shapes(&shapes) }))?;
    } else {
        let mut table = Table::new([("tensor", Align::Left), ("shape", Align::Left)]);
        for (name, dims) in &shapes {
            table.row([name.clone(), shape(dims)]);
        }
        print(&format!("{}\nwritten to {}\n", table.render(), command.output.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run_convert(command: &Convert, common: &Common) -> Result<ExitCode, Failure> {
    let device = DeviceName::default().open()?;
    let loaded = load(design(&command.design)?, &command.input, &command.reading, &device)?;
    let converted = convert(&loaded, &command.output, &command.to, command.shard_size)?;
    if common.json {
        print_json(&json!({
            "output": command.output,
            "from": converted.from,
            "to": converted.to,
            "parameters": converted.parameters,
        }))?;
    } else {
        print(&format!(
            "{}: {} parameters, {} to {}\n",
            command.output.display(),
            thousands(converted.parameters),
            converted.from,
            converted.to
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn design(named: &args::Design) -> Result<Option<Design>, InspectError> {
    match (&named.arch, &named.config) {
        (Some(name), _) => Design::preset(name).map(Some),
        (None, Some(path)) => Design::from_file(path).map(Some),
        (None, None) => Ok(None),
    }
}

fn load(
    design: Option<Design>,
    weights: &Path,
    reading: &Reading,
    device: &Device,
) -> Result<Loaded, InspectError> {
    let checkpoint = match &reading.part {
        Some(part) => Checkpoint::open_part(weights, part)?,
        None => Checkpoint::open(weights)?,
    };
    let options = LoadOptions { ignore: reading.ignore.clone() };
    Loaded::open(design, &checkpoint, reading.layout.as_deref(), &options, device)
}

fn named_shapes(shapes: &[(String, Vec<usize>)]) -> serde_json::Map<String, serde_json::Value> {
    shapes.iter().map(|(name, dims)| (name.clone(), json!(dims))).collect()
}

/// `1x3x224x224`.
fn shape(dims: &[usize]) -> String {
    dims.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

/// A large number with three digits: `1.81 G`.
fn short(number: u64) -> String {
    let (scale, unit) = match number {
        0..1_000 => return number.to_string(),
        1_000..1_000_000 => (1e3, "k"),
        1_000_000..1_000_000_000 => (1e6, "M"),
        1_000_000_000..1_000_000_000_000 => (1e9, "G"),
        _ => (1e12, "T"),
    };
    let value = number as f64 / scale;
    let decimals = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn large_numbers_have_three_digits() {
        let shown = [7, 999, 1_234, 416_520, 99_960_000, 1_814_073_344, 17_581_972_224].map(short);
        assert_eq!(shown, ["7", "999", "1.23 k", "417 k", "100 M", "1.81 G", "17.6 G"]);
    }
}
