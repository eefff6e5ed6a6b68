//! What `--help` says, at 80 columns, as a person reads it.

use std::process::Command;

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_libellus"))
        .args(arguments)
        .env("COLUMNS", "80")
        .output()
        .expect("the program starts");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("help is text")
}

#[test]
fn the_program() {
    insta::assert_snapshot!(help(&["--help"]));
}

#[test]
fn every_verb_shows_an_example() {
    for verb in [
        "classify train",
        "classify eval",
        "classify predict",
        "text train",
        "text finetune",
        "text generate",
        "text eval",
        "text score",
        "text translate train",
        "text translate eval",
        "text translate predict",
        "text classify train",
        "text classify eval",
        "text classify predict",
        "text embed",
        "text search",
        "text contrast",
        "data list",
        "data fetch",
        "data show",
        "model list",
        "device list",
    ] {
        let words: Vec<&str> = verb.split(' ').chain(["--help"]).collect();
        let text = help(&words);
        assert!(text.contains(&format!("libellus {verb}")) && text.contains("Example"), "{verb}\n{text}");
        let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 110).collect();
        assert!(wide.is_empty(), "{verb}: {wide:?}");
    }
}

#[test]
fn training_options_come_in_groups() {
    let text = help(&["classify", "train", "--help"]);
    let groups = ["Run:", "Data:", "Augmentation:", "Model:", "Training:", "Optimisation:", "Common:"];
    let places: Vec<Option<usize>> = groups.iter().map(|group| text.find(&format!("\n{group}\n"))).collect();
    assert!(places.iter().all(Option::is_some), "{groups:?} at {places:?}\n{text}");
    insta::assert_snapshot!(text);
}
