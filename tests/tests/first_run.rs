//! What a newcomer does: train, look at the folder, evaluate, predict.

use libellus_tests::Bench;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("stdout is JSON alone")
}

#[test]
fn training_leaves_a_run_directory_that_evaluation_and_prediction_use() {
    let bench = Bench::new();
    let printed = bench.succeed("classify train --epochs 3 --seed 3 --threads 2");
    assert!(printed.contains("test accuracy") && printed.contains("precision"), "{printed}");
    assert!(printed.contains("runs/classify-digits-1/report.html"), "{printed}");
    let run = bench.path().join("runs/classify-digits-1");
    for file in ["config.toml", "model.safetensors", "metrics.jsonl", "report.json", "report.html"] {
        assert!(run.join(file).is_file(), "{file} is missing");
    }
    assert!(run.join("checkpoints").is_dir());

    let report = json(&std::fs::read_to_string(run.join("report.json")).unwrap());
    for key in
        ["command", "version", "config", "seed", "device", "dataset", "metrics", "history", "duration_s"]
    {
        assert!(!report[key].is_null(), "{key} is missing in report.json");
    }
    assert!(
        report["peak_rss_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20) || !cfg!(target_os = "linux")
    );
    assert_eq!(report["seed"], 3);
    let config = |key: &str| report["config"][key].clone();
    assert_eq!((config("lr"), config("ema"), config("keep")), (0.005.into(), 0.98.into(), "last".into()));
    assert_eq!(
        report["history"].as_array().unwrap().iter().filter(|row| row["kind"] == "evaluation").count(),
        3
    );
    let accuracy = report["metrics"]["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.5, "three epochs on digits reach more than {accuracy}");

    // The same images, measured anew from the saved weights.
    let evaluated = json(&bench.succeed("classify eval --run runs/classify-digits-1 --json"));
    assert_eq!(evaluated["report"]["top1"].as_f64().unwrap(), accuracy);
    assert_eq!(evaluated["report"]["count"], 359);

    bench.succeed("data show digits --to sheet.png --count 10");
    let one =
        image::GrayImage::from_fn(8, 8, |x, _| image::Luma([if (3..5).contains(&x) { 255 } else { 0 }]));
    one.save(bench.path().join("one.png")).unwrap();
    let said = json(
        &bench.succeed("classify predict --run runs/classify-digits-1 --top 10 --json one.png sheet.png"),
    );
    assert_eq!(said.as_array().unwrap().len(), 2);
    let top = said[0]["top"].as_array().unwrap();
    let sum: f64 = top.iter().map(|class| class["probability"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-5, "ten probabilities sum to {sum}");
    assert!(top.is_sorted_by(|a, b| a["probability"].as_f64() >= b["probability"].as_f64()));
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_one_others() {
    let bench = Bench::new();
    let options = "classify train --quiet --epochs 1 --model mlp --threads 2";
    bench.succeed(&format!("{options} --out a"));
    bench.succeed(&format!("{options} --out b --workers 3"));
    bench.succeed(&format!("{options} --out c --seed 1"));
    let weights = |run: &str| std::fs::read(bench.path().join(run).join("model.safetensors")).unwrap();
    assert!(weights("a") == weights("b"), "the number of workers changed the result");
    assert!(weights("a") != weights("c"), "the seed changed nothing");
}

#[test]
fn the_saved_configuration_repeats_the_run() {
    let bench = Bench::new();
    bench.left_and_right("images", 30);
    bench.succeed(
        "classify train --quiet --data images --model mlp --steps 7 --lr 0.01 --mixup 0.2 --ema 0.9 --out a",
    );
    bench.succeed("classify train --quiet --config a/config.toml --out b");
    let weights = |run: &str| std::fs::read(bench.path().join(run).join("model.safetensors")).unwrap();
    assert!(weights("a") == weights("b"));
}

#[test]
fn a_folder_of_images_is_learned_and_its_weights_are_transferred() {
    let bench = Bench::new();
    bench.left_and_right("images", 40);
    let train = "classify train --quiet --data images --model mlp --augment none --epochs 12 --batch-size 8";
    let report = json(&bench.succeed(&format!("{train} --out a --json")));
    assert!(report["metrics"]["accuracy"].as_f64().unwrap() > 0.9, "{}", report["metrics"]);

    // A third class: the head is new, the rest is frozen.
    for number in 0..40 {
        let image = image::GrayImage::from_pixel(9, 9, image::Luma([number]));
        let folder = bench.path().join("images/neither");
        std::fs::create_dir_all(&folder).unwrap();
        image.save(folder.join(format!("{number}.png"))).unwrap();
    }
    bench.succeed(&format!("{train} --out b --weights a/model.safetensors --freeze-backbone"));
    let tensors = |run: &str| std::fs::read(bench.path().join(run).join("model.safetensors")).unwrap();
    let (before, after) = (tensors("a"), tensors("b"));
    let (before, after) = (
        safetensors::SafeTensors::deserialize(&before).unwrap(),
        safetensors::SafeTensors::deserialize(&after).unwrap(),
    );
    let mut kept = 0;
    for (name, tensor) in before.tensors() {
        let now = after.tensor(&name).unwrap();
        if now.shape() == tensor.shape() {
            assert!(now.data() == tensor.data(), "{name} was frozen and has changed");
            kept += 1;
        }
    }
    assert!(kept >= 4, "only {kept} tensors were kept");
}

#[test]
fn every_choice_of_strength_is_written_down_and_changes_the_run() {
    let bench = Bench::new();
    bench.left_and_right("images", 20);
    let weights = |run: &str| std::fs::read(bench.path().join(run).join("model.safetensors")).unwrap();
    let base = "classify train --quiet --data images --image-size 8 --batch-size 8 --steps 4";
    for (run, options, other) in [
        ("mlp", "--model mlp", "--dropout 0.5"),
        ("depth", "--model resnet8_digits", "--drop-path 0.5"),
        ("augment", "--model mlp --rand-augment 2", "--rand-augment-magnitude 30"),
        ("rise", "--model mlp --schedule onecycle", "--pct-start 0.75"),
        ("start", "--model mlp --schedule onecycle", "--div-factor 2"),
        ("end", "--model mlp --schedule onecycle", "--final-div-factor 2"),
    ] {
        bench.succeed(&format!("{base} {options} --validation 0 --out {run}"));
        bench.succeed(&format!("{base} {options} --validation 0 {other} --out {run}-other"));
        assert!(weights(run) != weights(&format!("{run}-other")), "{other} changed nothing");
        bench.succeed(&format!("classify train --quiet --config {run}-other/config.toml --out {run}-again"));
        assert!(weights(&format!("{run}-other")) == weights(&format!("{run}-again")), "{other} was lost");
    }
}

#[test]
fn given_validation_images_are_used_and_none_is_taken_from_training() {
    let bench = Bench::new();
    for (part, count) in [("train", 13), ("val", 7), ("test", 5)] {
        bench.left_and_right(&format!("parts/{part}"), count);
    }
    let train = "classify train --quiet --json --data parts --model mlp --steps 4 --batch-size 8";
    let parts = |report: &Value| ["train", "validation", "test"].map(|part| report["dataset"][part].clone());
    let report = json(&bench.succeed(&format!("{train} --out a")));
    assert_eq!(parts(&report), [26, 14, 10]);
    // What the run has written down repeats it.
    let again = json(&bench.succeed("classify train --quiet --json --config a/config.toml --out b"));
    assert_eq!(again["metrics"], report["metrics"]);
    let report = json(&bench.succeed(&format!("{train} --validation 0 --out c")));
    assert_eq!(parts(&report), [26, 0, 10]);
}

#[test]
fn standard_input_and_features() {
    let bench = Bench::new();
    let images = bench.left_and_right("images", 20);
    bench.succeed("classify train --quiet --data images --model mlp --steps 5 --out a");
    let image = std::fs::read(images.join("left/0.png")).unwrap();
    let ran = bench.run_with("classify predict --run a - --json", &image);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(json(&ran.stdout)[0]["image"], "-");

    bench.succeed("classify predict --run a images --features features.safetensors --batch-size 7");
    let bytes = std::fs::read(bench.path().join("features.safetensors")).unwrap();
    let features = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(features.tensor("features").unwrap().shape()[0], 40);
}
