//! The published data sets, where `LIBELLUS_DATA` has them. Elsewhere these tests say that they were skipped.

use std::path::PathBuf;

use libellus_tests::{Bench, skipped};
use serde_json::Value;

/// The folder of a data set, or `None` with a word of why.
fn data_dir(name: &str) -> Option<PathBuf> {
    let found =
        std::env::var_os("LIBELLUS_DATA").map(PathBuf::from).filter(|folder| folder.join(name).is_dir());
    if found.is_none() {
        skipped(&format!("LIBELLUS_DATA names no folder that has {name}"));
    }
    found.map(|folder| folder.canonicalize().expect("the folder is there"))
}

#[test]
fn lenet_learns_mnist() {
    let Some(folder) = data_dir("mnist") else { return };
    let bench = Bench::new();
    let arguments =
        "classify train --quiet --json --data mnist --steps 150 --lr 0.003 --validation 0 --out run";
    let output = bench.command(arguments).env("LIBELLUS_DATA", folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["config"]["model"], "lenet5");
    assert_eq!(
        (report["dataset"]["train"].as_u64(), report["dataset"]["test"].as_u64()),
        (Some(60_000), Some(10_000))
    );
    // 150 steps of 64 images are a sixth of an epoch; chance is 0.1.
    let accuracy = report["metrics"]["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.75, "accuracy {accuracy}");
}

#[test]
fn cifar_is_read_from_image_folders() {
    let Some(folder) = data_dir("cifar10") else { return };
    let bench = Bench::new();
    let output = bench
        .command("data show cifar10 --count 40 --to sheet.png")
        .env("LIBELLUS_DATA", folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sheet = image::open(bench.path().join("sheet.png")).unwrap();
    assert!(sheet.width() > 300 && sheet.height() > 200);
}
