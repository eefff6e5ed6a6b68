//! `libellus data`.

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use libellus::data::catalog::{self, Layout};
use libellus::data::{
    DataError, OpenOptions, Source, contact_sheet, default_data_dir, encode_png, fetch, open, sheet_samples,
};
use serde_json::json;

use crate::args::{Common, Data};
use crate::output::{Align, Failure, Table, print, print_json, thousands};

pub(crate) fn run(command: &Data, common: &Common) -> Result<ExitCode, Failure> {
    match command {
        Data::List => list(common)?,
        Data::Fetch { name } => fetch_known(name, common)?,
        Data::Show { data, to, count } => show(data, to, *count, common)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn data_dir(common: &Common) -> std::path::PathBuf {
    common.data_dir.clone().unwrap_or_else(default_data_dir)
}

fn list(common: &Common) -> Result<(), Failure> {
    let data_dir = data_dir(common);
    let state = |entry: &catalog::Entry| match entry.layout {
        Layout::Embedded => "embedded",
        _ if entry.is_present(&data_dir) => "here",
        _ => "to fetch",
    };
    if common.json {
        let rows: Vec<_> = catalog::ENTRIES
            .iter()
            .map(|entry| {
                json!({
                    "name": entry.name,
                    "title": entry.title,
                    "classes": entry.classes,
                    "train": entry.train,
                    "test": entry.test,
                    "licence": entry.licence,
                    "homepage": entry.homepage,
                    "state": state(entry),
                })
            })
            .collect();
        return print_json(&rows);
    }
    let mut table = Table::new([
        ("name", Align::Left),
        ("classes", Align::Right),
        ("train", Align::Right),
        ("test", Align::Right),
        ("state", Align::Left),
        ("what", Align::Left),
    ]);
    for entry in &catalog::ENTRIES {
        table.row([
            entry.name.to_owned(),
            entry.classes.len().to_string(),
            thousands(entry.train),
            if entry.test == 0 { "drawn".to_owned() } else { thousands(entry.test) },
            state(entry).to_owned(),
            entry.title.to_owned(),
        ]);
    }
    print(&format!("{}\ndata directory: {}\n", table.render(), data_dir.display()))
}

fn fetch_known(name: &str, common: &Common) -> Result<(), Failure> {
    let entry = catalog::find(name)?;
    let data_dir = data_dir(common);
    let bar = if common.quiet { ProgressBar::hidden() } else { ProgressBar::new(entry.download_size()) };
    let style = ProgressStyle::with_template(
        "{msg} {bar:24.cyan/dim} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
    );
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
    fetch(entry, &data_dir, &mut |progress| {
        bar.set_message(progress.file);
        bar.set_length(progress.total);
        bar.set_position(progress.received);
    })?;
    bar.finish_and_clear();
    let folder = entry.folder(&data_dir);
    if common.json {
        print_json(&json!({ "name": entry.name, "folder": folder }))
    } else {
        print(&format!("{} is in {}\n", entry.title, folder.display()))
    }
}

fn show(data: &str, to: &std::path::Path, count: usize, common: &Common) -> Result<(), Failure> {
    let set = open(&Source::parse(data)?, &data_dir(common), &OpenOptions::default())?;
    let samples = sheet_samples(&set, count)?;
    let columns = (samples.len() as f64 * 1.6).sqrt().ceil() as usize;
    let sheet = contact_sheet(&samples, &set.classes, columns.max(1));
    let bytes = encode_png(&sheet);
    libellus::weights::write_atomic(to, |file| file.write_all(&bytes))
        .map_err(|source| DataError::Write { path: to.to_path_buf(), source })?;
    if common.json {
        print_json(&json!({ "file": to, "samples": samples.len() }))
    } else {
        print(&format!("{} samples of {} are in {}\n", samples.len(), set.name, to.display()))
    }
}
