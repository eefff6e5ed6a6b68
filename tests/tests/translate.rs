//! From one text to another, as a person does it.

use libellus_tests::Bench;
use serde_json::Value;

const SMALL: &str = "--quiet --d-model 32 --n-layers 1 --batch-size 32 --threads 2 --ema 0.9 --lr 0.004";

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("stdout is JSON alone")
}

/// Words of five letters, whose sounds are their letters in capitals.
fn dictionary() -> String {
    let letters = ["a", "b", "c", "d", "e", "f"];
    let words = (0..7776_usize).step_by(17);
    let word = |n: usize| [0, 1, 2, 3].map(|place| letters[n / 6_usize.pow(place) % 6]);
    words.map(|n| format!("{} {}\n", word(n).concat(), word(n).map(str::to_uppercase).join(" "))).collect()
}

#[test]
fn words_become_sounds() {
    let bench = Bench::new();
    bench.write("sounds.dict", dictionary().as_bytes());
    let train = format!("text translate train --data sounds.dict {SMALL}");
    let report = json(&bench.succeed(&format!("{train} --n-heads 2 --epochs 25 --json")));
    let metric = |name: &str| report["metrics"][name].as_f64().unwrap();
    assert!(metric("sequence_error_rate") < 0.5 && metric("token_error_rate") < 0.25, "{report}");
    let run = "runs/translate-sounds-1";
    let page = std::fs::read_to_string(bench.path().join(run).join("report.html")).unwrap();
    for part in ["Where it looks", "word error rate", "looks at", "Translations"] {
        assert!(page.contains(part), "{part}");
    }

    // What the run held back is what `eval` measures on; what it says agrees.
    let measured = json(&bench.succeed(&format!("text translate eval --run {run} --json")));
    assert_eq!(measured["sequence_error_rate"], report["metrics"]["sequence_error_rate"]);
    assert_eq!(measured["sources"], report["dataset"]["test_sources"]);
    let printed = bench.succeed(&format!("text translate eval --run {run} --beams 1"));
    assert!(printed.contains("word error rate") && printed.contains("phoneme error rate"), "{printed}");

    // One text or many, alone or together: the same translations.
    let predict = format!("text translate predict --run {run}");
    let alone = bench.succeed(&format!("{predict} fade"));
    bench.write("words.txt", b"fade\nbeef\ncab\n");
    let lines = bench.succeed(&format!("{predict} --input words.txt"));
    assert_eq!(lines.lines().count(), 3);
    assert_eq!(lines.lines().next(), alone.lines().next());
    let rows = json(&bench.succeed(&format!("{predict} --json --beams 1 fade")));
    assert!(rows[0]["score"].as_f64().unwrap() <= 0.0 && rows[0]["source"] == "fade");

    bench.fail(&format!("{predict} fädé"), 1, &["ä"]);
    bench.fail(&format!("{predict} --beams 0 fade"), 2, &["--beams 0"]);
    bench.fail(&format!("{predict} --max-tokens 0 fade"), 2, &["--max-tokens 0"]);
    bench.fail("text generate --run runs/translate-sounds-1", 1, &["translate"]);
}

#[test]
fn a_recurrent_model_learns_pairs_of_texts_and_goes_on() {
    let bench = Bench::new();
    let pairs: String = (0..60).map(|n| format!("count {n} now\tjetzt zählt {n}\n")).collect();
    bench.write("pairs.tsv", pairs.as_bytes());
    let train = format!("text translate train --data pairs.tsv --model gru --tokenizer word {SMALL}");
    let train = format!("{train} --keep last --warmup 1");
    bench.succeed(&format!("{train} --steps 20 --schedule cosine --out cosine"));
    bench.succeed(&format!("{train} --steps 20 --out long"));
    bench.succeed(&format!("{train} --steps 10 --out part"));
    // As if the long run had been stopped in its middle.
    let config = bench.path().join("part/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("steps = 10", "steps = 20")).unwrap();
    bench.succeed("text translate train --quiet --resume part");
    let metrics = |run: &str| {
        let report = std::fs::read_to_string(bench.path().join(run).join("report.json")).unwrap();
        json(&report)["metrics"].clone()
    };
    assert_eq!(metrics("part"), metrics("long"));
    assert_ne!(metrics("cosine"), metrics("long"));
    let printed = bench.succeed("text translate eval --run part --data pairs.tsv");
    assert!(printed.contains("BLEU"), "{printed}");
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let bench = Bench::new();
    bench.write("pairs.tsv", "a\tb\nc\td\ne\tf\n".as_bytes());
    bench.write("empty.tsv", b"\n");
    bench.write("broken.tsv", b"a\tb\nno tab\n");
    bench.write("bad.tsv", b"a\t\xff\n");
    bench.write("two.txt", b"a\nb\n");
    bench.write("one.txt", b"a\n");
    let with =
        |data: &str| format!("text translate train {data} --tokenizer char {SMALL} --steps 2 --out new");
    bench.fail(&with("--data absent.tsv"), 1, &["absent.tsv"]);
    bench.fail(&with("--data empty.tsv"), 1, &["empty.tsv"]);
    bench.fail(&with("--data broken.tsv"), 1, &["broken.tsv line 2"]);
    bench.fail(&with("--data bad.tsv"), 1, &["bad.tsv", "byte 2"]);
    bench.fail(&with("--source two.txt --target one.txt"), 1, &["two.txt has 2 lines", "one.txt 1"]);
    bench.fail(&with("--data pairs.tsv --test 0.7 --validation 0.5"), 2, &["--test 0.7"]);
    bench.fail(&with("--data pairs.tsv --longest 1"), 1, &["--longest"]);
    bench.fail(&with("--data pairs.tsv --model gru --n-heads 2"), 2, &["--n-heads"]);
    bench.fail(&with("--data pairs.tsv --n-heads 3"), 2, &["n_heads"]);
    bench.fail(&with("--data pairs.tsv --drop-stress"), 2, &["--drop-stress"]);
    bench.fail(&with("--data pairs.tsv --source-tokenizer runes"), 2, &["--source-tokenizer runes"]);
    bench.fail("text translate train", 2, &["--data"]);
    bench.fail("text translate eval --run absent", 1, &["absent"]);
    assert!(!bench.path().join("new").exists(), "a run that can't begin leaves nothing");
}
