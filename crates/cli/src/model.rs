//! `libellus model`.

use std::process::ExitCode;

use libellus::backend::DeviceName;
use libellus::burn::module::Module;
use libellus::classify::ClassifyError;
use libellus::models::{Preset, presets};
use serde_json::json;

use crate::args::{Common, Model};
use crate::output::{Align, Failure, Table, print, print_json, thousands};

pub(crate) fn run(command: &Model, common: &Common) -> Result<ExitCode, Failure> {
    match command {
        Model::List { filter } => list(filter.as_deref().unwrap_or(""), common),
    }
}

/// Parameters of a preset at 1000 classes, or at the 10 of the data sets of small images that it is made for.
fn parameters(preset: &Preset) -> Result<usize, Failure> {
    // Nothing is drawn or computed: parameters are counted by their shapes.
    let device = DeviceName::default().open()?;
    let num_classes = if preset.input.width > 32 { 1000 } else { 10 };
    let config = (preset.build)(num_classes, preset.input.channels);
    Ok(config.init(&device).map_err(ClassifyError::from)?.num_params())
}

fn list(filter: &str, common: &Common) -> Result<ExitCode, Failure> {
    let found: Vec<&Preset> = presets().iter().filter(|preset| preset.name.contains(filter)).collect();
    if common.json {
        let rows = found
            .iter()
            .map(|preset| {
                Ok(json!({
                    "name": preset.name,
                    "family": preset.family,
                    "summary": preset.summary,
                    "parameters": parameters(preset)?,
                    "input": [preset.input.channels, preset.input.height, preset.input.width],
                }))
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        print_json(&rows)?;
    } else if found.is_empty() {
        print(&format!("no model has {filter:?} in its name\n"))?;
    } else {
        let mut table = Table::new([
            ("model", Align::Left),
            ("parameters", Align::Right),
            ("input", Align::Right),
            ("what", Align::Left),
        ]);
        for preset in found {
            let input = &preset.input;
            table.row([
                preset.name.to_owned(),
                thousands(parameters(preset)?),
                format!("{}x{}x{}", input.channels, input.height, input.width),
                preset.summary.to_owned(),
            ]);
        }
        print(&table.render())?;
    }
    Ok(ExitCode::SUCCESS)
}
