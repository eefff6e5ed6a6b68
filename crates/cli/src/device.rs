//! `libellus device`.

use std::process::ExitCode;

use libellus::backend::{self, DeviceState};
use serde_json::json;

use crate::args::{Common, Device};
use crate::output::{Align, Failure, Table, print, print_json};

pub(crate) fn run(command: &Device, common: &Common) -> Result<ExitCode, Failure> {
    match command {
        Device::List => list(common),
    }
}

fn list(common: &Common) -> Result<ExitCode, Failure> {
    let devices = backend::list();
    if common.json {
        let rows: Vec<_> = devices
            .iter()
            .map(|device| {
                json!({
                    "name": device.name,
                    "description": device.description,
                    "available": device.state == DeviceState::Available,
                    "state": device.state.to_string(),
                    "default": device.is_default,
                })
            })
            .collect();
        print_json(&rows)?;
    } else {
        let mut table = Table::new([("device", Align::Left), ("what", Align::Left), ("state", Align::Left)]);
        for device in devices {
            let default = if device.is_default { " (default)" } else { "" };
            table.row([device.name, device.description, format!("{}{default}", device.state)]);
        }
        print(&table.render())?;
    }
    Ok(ExitCode::SUCCESS)
}
