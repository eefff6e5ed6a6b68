//! Training a language model on, as a person does it.

use libellus_tests::Bench;
use serde_json::Value;

/// A model of two blocks that is trained for a moment.
const BASE: &str = "text train --quiet --corpus rhyme.txt --n-layers 2 --d-model 16 --n-heads 2 --context 32 \
    --batch-size 8 --lr 0.01 --sample 0 --steps 20 --threads 2 --out base";
const TUNE: &str =
    "text finetune --quiet --run base --corpus answers.jsonl --batch-size 4 --lr 0.02 --threads 2";

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("stdout is JSON alone")
}

/// A trained base, and prompts that are answered by their own digits.
fn bench() -> Bench {
    let bench = Bench::new();
    let rhyme = "one two three four five six seven. 0123456789: what comes?\n".repeat(40);
    bench.write("rhyme.txt", rhyme.as_bytes());
    let answer =
        |n: u32| format!("{{\"prompt\": \"what {} comes? \", \"completion\": \"{}.\"}}\n", n % 10, n % 10);
    bench.write("answers.jsonl", (0..60).map(answer).collect::<String>().as_bytes());
    bench.succeed(BASE);
    bench
}

fn bytes(bench: &Bench, file: &str) -> Vec<u8> {
    std::fs::read(bench.path().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn a_low_rank_change_is_learnt_and_the_model_stays() {
    let bench = bench();
    let before = bytes(&bench, "base/model.safetensors");
    let lora = "--lora r=4,alpha=8,targets=all-linear --epochs 6";
    let tuned = json(&bench.succeed(&format!("{TUNE} {lora} --merge --out tuned --json")));
    let metric = |name: &str| tuned["metrics"][name].as_f64().unwrap();
    assert!(metric("loss") < 0.8 * metric("loss_before"), "{tuned}");
    assert!(tuned["metrics"].get("bits_per_character").is_none());
    assert_eq!(tuned["dataset"]["train"], 54);
    assert!(bytes(&bench, "base/model.safetensors") == before, "the base model was changed");

    // What was merged writes the same as the model with the change beside it.
    let page = String::from_utf8(bytes(&bench, "tuned/report.html")).unwrap();
    assert!(page.contains("→ expected: ") && page.contains("loss before"));
    let generate = "text generate --quiet --temperature 0 --max-tokens 6 --prompt what";
    let merged = bench.succeed(&format!("{generate} --run tuned"));
    assert_eq!(bench.succeed(&format!("{generate} --run base --adapter tuned/adapter")), merged);

    // Without --merge there is no other model, and the change is the same.
    bench.succeed(&format!("{TUNE} {lora} --out alone"));
    let adapter = "adapter/adapter_model.safetensors";
    let same = bytes(&bench, &format!("alone/{adapter}")) == bytes(&bench, &format!("tuned/{adapter}"));
    assert!(same, "merging changed the change");
    assert!(!bench.path().join("alone/model.safetensors").exists());
    // Checkpoints hold the change alone, not the model.
    let size = |file: &str| bytes(&bench, file).len();
    let checkpoints = bench.path().join("alone/checkpoints");
    let newest = std::fs::read_dir(checkpoints).unwrap().next().unwrap().unwrap().path().join("model.bpk");
    assert!(std::fs::metadata(newest).unwrap().len() < size("base/model.safetensors") as u64);

    bench.fail("text generate --run alone", 1, &["alone/model.safetensors"]);
    bench.fail(&format!("{TUNE} --out other --lora r=4,targets=q_proj"), 2, &["q_proj", "c_attn"]);
    assert!(!bench.path().join("other").exists(), "a run that can't begin leaves nothing");
    bench.fail(&format!("{TUNE} --out other --lora rank=4"), 2, &["rank=4"]);
    bench.fail(&format!("{TUNE} --out other --merge"), 2, &["--merge", "--lora"]);
    bench.succeed(&BASE.replace("--d-model 16", "--d-model 8").replace("--out base", "--out narrow"));
    let other = "text generate --run narrow --adapter tuned/adapter";
    bench.fail(other, 1, &["adapter_model.safetensors", "another"]);
}

#[test]
fn all_weights_are_trained_on_texts_too() {
    let bench = bench();
    bench.write("more.txt", "seven six five four three two one.\n".repeat(60).as_bytes());
    let tune = TUNE.replace("answers.jsonl", "more.txt");
    let tuned = json(&bench.succeed(&format!("{tune} --epochs 2 --out tuned --json")));
    let metric = |name: &str| tuned["metrics"][name].as_f64().unwrap();
    assert!(metric("loss") < 0.8 * metric("loss_before"), "{tuned}");
    assert!(metric("bits_per_character") > 0.0);
    bench.succeed("text generate --run tuned --prompt one --max-tokens 5");
    // A run can begin with a run that began with one.
    bench.succeed(&format!("{} --steps 2 --out again", tune.replace("--run base", "--run tuned")));
    // The same file as a table of texts.
    let rows = TUNE.replace("answers.jsonl", "answers.jsonl --column completion");
    bench.succeed(&format!("{rows} --steps 2 --context 4 --out rows"));
}

#[test]
fn answers_of_conversations_are_learnt() {
    let bench = bench();
    let folder = "chat/tokenizer_config.json";
    let template =
        "{% for m in messages %}{{ 'what ' if m.role == 'user' else '' }}{{ m.content }}.{% endfor %}";
    bench.write(folder, format!("{{\"chat_template\": \"{template}\", \"eos_token\": \".\"}}").as_bytes());
    for file in ["model.safetensors", "tokenizer.json", "config.json"] {
        if let Ok(bytes) = std::fs::read(bench.path().join("base").join(file)) {
            bench.write(&format!("chat/{file}"), &bytes);
        }
    }
    let turn = |role: &str, content: &str| format!("{{\"role\": \"{role}\", \"content\": \"{content}\"}}");
    let chat = |n: u32| {
        let turns = [n, (n + 3) % 10]
            .map(|n| format!("{}, {}", turn("user", &n.to_string()), turn("assistant", "seven")));
        format!("{{\"messages\": [{}]}}\n", turns.join(", "))
    };
    bench.write("chats.jsonl", (0..60).map(|n| chat(n % 10)).collect::<String>().as_bytes());
    let tune = TUNE.replace("answers.jsonl", "chats.jsonl").replace("--run base", "--weights chat");
    let tuned = json(&bench.succeed(&format!("{tune} --epochs 12 --out tuned --json")));
    let metric = |name: &str| tuned["metrics"][name].as_f64().unwrap();
    assert!(metric("loss") < 0.5 * metric("loss_before"), "{tuned}");
    assert_eq!(tuned["dataset"]["unit"], "examples");
    // The run knows how its model wants to be asked.
    let generate = "text generate --quiet --temperature 0 --max-tokens 9 --chat --prompt 4";
    assert_eq!(bench.succeed(&format!("{generate} --run tuned")), "seven\n");

    bench.fail(
        &format!("{TUNE} --out other").replace("answers", "chats"),
        1,
        &["base", "no chat template", "prompt"],
    );
    bench.write("odd.jsonl", format!("{}{{\"messages\": \"hello\"}}\n", chat(1)).as_bytes());
    bench.fail(&tune.replace("chats", "odd"), 1, &["odd.jsonl", "line 2", "messages"]);
    bench.write("silent.jsonl", format!("{{\"messages\": [{}]}}\n", turn("user", "1")).as_bytes());
    bench.fail(&tune.replace("chats", "silent"), 1, &["silent.jsonl", "assistant"]);
}

#[test]
fn a_stopped_run_goes_on_to_the_same_change() {
    let bench = bench();
    let tune = format!("{TUNE} --lora r=2,dropout=0.1 --keep last --warmup 1 --final-factor 1");
    bench.succeed(&format!("{tune} --steps 24 --out long"));
    bench.succeed(&format!("{tune} --steps 12 --out part"));
    // As if the long run had been stopped in its middle.
    let config = bench.path().join("part/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains("lora = \"r=2"), "{text}");
    std::fs::write(&config, text.replace("steps = 12", "steps = 24")).unwrap();
    bench.succeed("text finetune --quiet --resume part");
    let adapter = "adapter/adapter_model.safetensors";
    let same = bytes(&bench, &format!("part/{adapter}")) == bytes(&bench, &format!("long/{adapter}"));
    assert!(same, "the resumed run came to another change");
    bench.fail("text finetune --resume part --lr 3", 2, &["lr"]);
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let bench = bench();
    bench.write("empty.jsonl", b"");
    bench.write("half.jsonl", b"{\"prompt\": \"one\", \"completion\": \"two\"}\n{\"prompt\": \"one\"}\n");
    bench.write(
        "long.jsonl",
        format!("{{\"prompt\": \"{}\", \"completion\": \"two\"}}\n", "one ".repeat(20)).as_bytes(),
    );
    bench.write("odd.jsonl", "{\"prompt\": \"ä\", \"completion\": \"two\"}\n".as_bytes());
    let with = |corpus: &str| TUNE.replace("answers.jsonl", corpus) + " --out new";
    bench.fail(&with("absent.jsonl"), 1, &["absent.jsonl"]);
    bench.fail(&with("empty.jsonl"), 1, &["empty.jsonl"]);
    bench.fail(&with("half.jsonl"), 1, &["half.jsonl", "line 2", "completion"]);
    bench.fail(&with("long.jsonl"), 1, &["long.jsonl", "--context"]);
    bench.fail(&with("odd.jsonl"), 1, &["ä"]);
    bench.fail(&with("answers.jsonl --prompt-column question"), 1, &["question"]);
    bench.fail(&with("answers.jsonl --context 99"), 2, &["--context 99", "32"]);
    bench.fail(&with("answers.jsonl --validation 1"), 2, &["--validation 1"]);
    bench.fail(&with("answers.jsonl --epochs 0"), 2, &["--epochs 0"]);
    bench.fail("text finetune --run base", 2, &["--corpus"]);
    bench.fail("text finetune --corpus answers.jsonl", 2, &["--weights", "--run"]);
    bench.fail(&with("answers.jsonl").replace("--run base", "--run absent"), 1, &["absent"]);
    assert!(!bench.path().join("new").exists(), "a run that can't begin leaves nothing");
}
