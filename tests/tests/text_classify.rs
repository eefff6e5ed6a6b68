//! Classes of texts, as a person learns them.

use libellus_tests::Bench;
use serde_json::Value;

const TRAIN: &str = "text classify train --quiet --data mood.csv --batch-size 8 --threads 2";

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("stdout is JSON alone")
}

/// Texts of two moods, which one word tells.
fn bench() -> Bench {
    let bench = Bench::new();
    let words = ["the", "book", "was", "long", "and", "we", "read", "it", "twice"];
    let row = |n: usize| {
        let mut text: Vec<&str> =
            (0..3 + n % 5).map(|word| words[(n * 7 + word * 5) % words.len()]).collect();
        let (mood, label) = if n.is_multiple_of(2) { ("lovely", "good") } else { ("dreadful", "bad") };
        text.insert(n % text.len(), mood);
        format!("{},{label}\n", text.join(" "))
    };
    let rows: String = (0..120).map(row).collect();
    bench.write("mood.csv", format!("text,label\n{rows}").as_bytes());
    bench
}

#[test]
fn recurrent_layers_learn_classes_from_scratch() {
    let bench = bench();
    let train = format!("{TRAIN} --tokenizer word --d-model 16 --epochs 6 --lr 0.02");
    let report = json(&bench.succeed(&format!("{train} --json")));
    assert_eq!(report["metrics"]["accuracy"], 1.0, "{report}");
    assert_eq!(report["dataset"]["classes"], serde_json::json!(["bad", "good"]));
    let run = "runs/classify-mood-1";
    let page = std::fs::read_to_string(bench.path().join(run).join("report.html")).unwrap();
    assert!(page.contains("Confusion matrix") && page.contains("By class"));

    let predict = format!("text classify predict --run {run} --json --top 1");
    let said = json(&bench.succeed(&format!("{predict} lovely dreadful")));
    assert_eq!([&said[0]["classes"][0][0], &said[1]["classes"][0][0]], ["good", "bad"]);
    // What stands beside a text in its batch, and fills it up, has no part in its answer.
    bench.write("lines.txt", b"lovely\nwe read it twice and it was dreadful\n\n");
    let lines = json(&bench.succeed(&format!("{predict} --input lines.txt")));
    assert_eq!(lines.as_array().unwrap().len(), 3);
    let probability = |said: &Value| said[0]["classes"][0][1].as_f64().unwrap();
    assert!((probability(&lines) - probability(&said)).abs() < 1e-5, "{lines} {said}");
    let printed = bench.succeed(&format!("text classify eval --run {run} --data mood.csv"));
    assert!(printed.contains("accuracy 1.0000") && printed.contains("120 texts"), "{printed}");

    for model in ["rnn", "lstm"] {
        bench.succeed(&format!("{train} --model {model} --steps 4 --out {model}").replace("--epochs 6", ""));
    }
    bench.fail("text generate --run runs/classify-mood-1", 1, &["text-classify"]);
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let bench = bench();
    bench.write("one.csv", b"text,label\na,x\nb,x\n");
    bench.write("other.csv", b"text,label\na,worst\n");
    bench.write("plain.txt", b"a\n");
    let with = |data: &str| TRAIN.replace("mood.csv", data) + " --tokenizer word --steps 2 --out new";
    bench.fail(&with("absent.csv"), 1, &["absent.csv"]);
    bench.fail(&with("one.csv"), 1, &["one.csv", "one class"]);
    bench.fail(&with("plain.txt"), 1, &["plain.txt"]);
    bench.fail(&with("mood.csv --label-column mood"), 1, &["mood"]);
    bench.fail(&with("mood.csv --dropout 1"), 2, &["--dropout 1"]);
    bench.fail(&with("mood.csv --weights absent"), 1, &["absent"]);
    bench.fail(&format!("{TRAIN} --freeze-backbone"), 2, &["--weights"]);
    bench.fail("text classify train", 2, &["--data"]);
    assert!(!bench.path().join("new").exists(), "a run that can't begin leaves nothing");
    bench.succeed(&with("mood.csv"));
    bench.fail("text classify eval --run new --data other.csv", 1, &["other.csv", "worst", "good"]);
}
