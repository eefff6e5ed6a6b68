//! Language models as a person uses them: train, generate, measure, and what is said when something is wrong.

use libellus_tests::Bench;
use libellus_weights::testing::gguf::{list, llama_of_zeros, pair, text};
use serde_json::Value;

/// A second of training.
const QUICK: &str = "text train --quiet --corpus rhyme.txt --n-layers 1 --d-model 16 --batch-size 8 \
    --lr 0.01 --sample 20 --threads 2";

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("stdout is JSON alone")
}

fn rhyme(bench: &Bench) {
    bench.write("rhyme.txt", "one two three four five six seven.\n".repeat(40).as_bytes());
}

#[test]
fn a_run_is_trained_used_and_measured() {
    let bench = Bench::new();
    rhyme(&bench);
    let printed = bench.succeed(&format!("{QUICK} --context 16 --steps 40"));
    assert!(printed.contains("perplexity") && printed.contains("runs/text-rhyme-1/report.html"), "{printed}");
    let run = bench.path().join("runs/text-rhyme-1");
    let report = json(&std::fs::read_to_string(run.join("report.json")).unwrap());
    assert_eq!(report["dataset"]["vocabulary"], 16);
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("What it writes") && page.contains("How it learnt to write"));

    // The whole text is about as easy as its end.
    let measured = json(&bench.succeed("text eval --run runs/text-rhyme-1 --corpus rhyme.txt --json"));
    let [whole, end] = [&measured, &report["metrics"]].map(|metrics| metrics["loss"].as_f64().unwrap());
    assert!((whole - end).abs() < 0.3, "{whole} {end}");

    let generate = "text generate --run runs/text-rhyme-1 --max-tokens 30 --slide";
    let streamed = bench.succeed(&format!("{generate} --prompt one --quiet"));
    assert!(streamed.starts_with("one") && streamed.chars().count() == 3 + 30 + 1, "{streamed:?}");
    let said = json(&bench.succeed(&format!("{generate} --prompt one --json")));
    assert_eq!(said["texts"][0]["text"].as_str().unwrap(), &streamed[3..streamed.len() - 1]);
    assert_eq!(said["texts"][0]["log_probabilities"].as_array().unwrap().len(), 30);
    // The same seed gives the same text, another one another.
    assert_eq!(bench.succeed(&format!("{generate} --prompt one --quiet --seed 0")), streamed);
    assert_ne!(bench.succeed(&format!("{generate} --prompt one --quiet --seed 1")), streamed);
    let texts = json(&bench.succeed(&format!("{generate} --prompt one --json -n 3 --stop e")));
    for text in texts["texts"].as_array().unwrap() {
        assert!(!text["text"].as_str().unwrap().contains('e'));
    }
    bench.write("prompt.txt", b"two");
    assert!(
        bench.succeed("text generate --run runs/text-rhyme-1 --max-tokens 9 --prompt-file prompt.txt --beams 3 --quiet").starts_with("two")
    );

    let ranked = json(&bench.succeed("text score --run runs/text-rhyme-1 --prompt o --json ne xx"));
    assert_eq!(ranked[0]["text"], "ne");
}

/// A file that says itself how prompts begin and which tokens end a text: the first one, which is taken where all are as likely.
#[test]
fn a_gguf_file_is_used_as_it_says() {
    let bench = Bench::new();
    let ascii = ('!'..='~').map(String::from);
    let tokens: Vec<String> =
        ["<end>", "<begin>", "Ġ", "Ċ"].map(String::from).into_iter().chain(ascii).collect();
    let kinds = (0..tokens.len()).map(|id| if id < 2 { 3_i32 } else { 1 });
    let number = |key: &str, value: u32| pair(key, 4, &value.to_le_bytes());
    let metadata = [
        pair("tokenizer.ggml.model", 8, &text("gpt2")),
        pair(
            "tokenizer.ggml.tokens",
            9,
            &list(8, &tokens.iter().map(|token| text(token)).collect::<Vec<_>>()),
        ),
        pair(
            "tokenizer.ggml.token_type",
            9,
            &list(5, &kinds.map(|kind| kind.to_le_bytes().to_vec()).collect::<Vec<_>>()),
        ),
        number("tokenizer.ggml.eot_token_id", 0),
        number("tokenizer.ggml.bos_token_id", 1),
        pair("tokenizer.ggml.add_bos_token", 7, &[1]),
        pair("tokenizer.chat_template", 8, &text("<begin>{{ messages[0].content }}")),
    ];
    bench.write("model.gguf", &llama_of_zeros(tokens.len() as u64, &metadata));
    let generate = "text generate --weights model.gguf --prompt abc --temperature 0 --max-tokens 5 --json";
    for (more, prompt) in [("", "abc"), (" --chat", "<begin>abc")] {
        let said = json(&bench.succeed(&format!("{generate}{more}")));
        assert_eq!((&said["prompt"], &said["prompt_tokens"]), (&Value::from(prompt), &Value::from(4)));
        assert_eq!(said["texts"][0]["tokens"], Value::from(vec![0]));
        assert_eq!(said["texts"][0]["ending"], "end_of_text");
    }
}

#[test]
fn every_scheme_of_tokens_trains() {
    let bench = Bench::new();
    rhyme(&bench);
    let rows: String = (0..80).map(|row| format!("{{\"said\": \"line {row} — «é🦀»\"}}\n")).collect();
    bench.write("rows.jsonl", rows.as_bytes());
    for (index, tokens) in ["word", "bpe:300", "runs/0/tokenizer.json"].into_iter().enumerate() {
        bench.succeed(&format!("{QUICK} --tokenizer {tokens} --context 8 --out runs/{index} --steps 3"));
        bench.succeed(&format!("text generate --run runs/{index} --prompt one --max-tokens 3"));
    }
    let rows = QUICK.replace("rhyme.txt", "rows.jsonl --column said");
    bench.succeed(&format!("{rows} --tokenizer bpe:300 --context 8 --steps 3 --out runs/rows"));
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let bench = Bench::new();
    rhyme(&bench);
    bench.succeed(&format!("{QUICK} --context 16 --steps 3 --out run"));
    bench.write("empty.txt", b"");
    bench.write("bad.txt", b"good so far \xff");
    bench.write("rows.jsonl", b"{\"text\": \"a\"}\n{\"text\": 3}\n");
    let with = |corpus: &str| QUICK.replace("rhyme.txt", corpus) + " --context 16 --steps 3 --out new";
    bench.fail(&with("empty.txt"), 1, &["empty.txt"]);
    bench.fail(&with("bad.txt"), 1, &["bad.txt", "12"]);
    bench.fail(&with("rows.jsonl"), 1, &["rows.jsonl", "2", "text"]);
    bench.fail(&with("rows.jsonl --column title"), 1, &["rows.jsonl", "title"]);
    bench.fail(&with("absent.txt"), 1, &["absent.txt"]);
    bench.fail(&format!("{QUICK} --out new --context 2000"), 1, &["--context"]);
    bench.fail(&format!("{QUICK} --out new --tokenizer syllables"), 2, &["--tokenizer syllables", "char"]);
    bench.fail(&format!("{QUICK} --steps 3 --out run"), 2, &["run", "--resume"]);
    bench.fail("text train --resume run --lr 3", 2, &["lr"]);
    bench.fail("text train --resume absent", 2, &["absent"]);

    let generate = "text generate --run run";
    bench.fail(&format!("{generate} --prompt-file absent.txt"), 1, &["absent.txt"]);
    bench.fail(&format!("{generate} --prompt-file bad.txt"), 1, &["bad.txt", "12"]);
    bench.fail(&format!("{generate} --prompt-file empty.txt"), 2, &["no tokens"]);
    bench.fail(&format!("{generate} --prompt QQQ"), 1, &["Q"]);
    bench.fail(&format!("{generate} --prompt-file rhyme.txt"), 2, &["1400 tokens", "16", "--slide"]);
    bench.fail(&format!("{generate} --temperature 0 --top-k 3"), 2, &["--top-k 3"]);
    bench.fail(&format!("{generate} --temperature -1"), 2, &["--temperature -1"]);
    bench.fail(&format!("{generate} --beams 3 --temperature 1"), 2, &["--temperature"]);
    bench.fail(&format!("{generate} --top-p 1.5"), 2, &["--top-p 1.5"]);
    bench.fail("text generate --run absent", 1, &["absent"]);
    bench.fail("text generate --weights run/model.safetensors --tokenizer absent.json", 1, &["absent.json"]);
    bench.fail(&format!("{generate} --adapter absent"), 1, &["absent/adapter_config.json"]);
    bench.fail("text eval --run run --corpus rhyme.txt --stride 99", 2, &["--stride 99", "16"]);
    bench.fail("text eval --run run --corpus empty.txt", 1, &["empty.txt"]);
    bench.fail("text embed --weights run --json hello", 1, &["no BERT"]);
    bench.fail("text embed --weights run --json --input empty.txt", 1, &["empty.txt has no line of text"]);
    bench.fail("text search --weights run --input empty.txt hello", 1, &["empty.txt has no line of text"]);
    // More tokens than anybody can want are as good as none left.
    bench.succeed("text generate --run run --max-tokens 18446744073709551615");

    // A model of images is none of texts.
    bench.succeed("classify train --quiet --model mlp --steps 3 --out images");
    bench.fail("text generate --run images", 1, &["images/model.safetensors", "classify"]);
}

#[test]
fn a_chat_model_answers() {
    let bench = Bench::new();
    bench.write("talk.txt", "<one>1 it is.<two>2 it is.".repeat(40).as_bytes());
    let train = QUICK.replace("rhyme.txt", "talk.txt");
    bench.succeed(&format!("{train} --context 16 --steps 80 --out run"));
    let chat = |template: &str| {
        let config = format!("{{\"chat_template\": \"{template}\", \"eos_token\": {{\"content\": \".\"}}}}");
        bench.write("chat/tokenizer_config.json", config.as_bytes());
    };
    for file in ["model.safetensors", "tokenizer.json"] {
        bench.write(&format!("chat/{file}"), &std::fs::read(bench.path().join("run").join(file)).unwrap());
    }
    chat("{% for m in messages %}<{{ m.content }}>{% endfor %}");
    let generate = "text generate --weights chat --chat --temperature 0 --max-tokens 12 --slide --quiet";
    // The prompt isn't repeated, and the end of the turn isn't written.
    let answer = bench.succeed(&format!("{generate} --prompt two"));
    assert!(answer.ends_with("it is\n") && !answer.contains(['<', '.']), "{answer:?}");
    let said = json(&bench.succeed(&format!("{generate} --prompt two --system one --json")));
    assert_eq!(said["prompt"], "<one><two>");
    assert_eq!(said["prompt_tokens"], 10);
    assert_eq!(said["texts"][0]["ending"], "end_of_text");
    bench.write("ask.txt", b"one");
    let drawn = generate.replace("--temperature 0", "--temperature 1");
    let both = bench.succeed(&format!("{drawn} --prompt-file ask.txt -n 2"));
    assert!(both.starts_with("--- 1 ---\n") && !both.contains('<'), "{both:?}");
    // Without a prompt there is a conversation: each line is answered, knowing those before it.
    let talk = |lines: &str| {
        let ran = bench.run_with(generate, lines.as_bytes());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout
    };
    let [once, twice] = [talk("two\n"), talk("two\n\none\n")];
    assert_eq!(once, answer);
    assert!(twice.starts_with(&answer) && twice.lines().count() == 2, "{twice:?}");
    assert_eq!(talk(""), "");
    // Without --chat it's a text like any other.
    let plain = generate.replace("--chat ", "") + " --prompt <two>";
    assert!(bench.succeed(&plain).starts_with("<two>"));

    bench.fail(&format!("{generate} --json"), 2, &["--chat", "--prompt"]);
    let nothing = generate.replace("--max-tokens 12 --slide", "--max-tokens 0 --beams 2");
    let silent = bench.run_with(&nothing, b"two\n");
    assert_eq!((silent.code, &silent.stdout[..]), (Some(0), "\n"), "{silent:?}");
    chat(
        "{% if messages | length == 3 %}{{ raise_exception(messages[0].content) }}{% endif %}<{{ messages[0].content }}>",
    );
    let ran = bench.run_with(generate, b"two\none\n");
    assert!(
        ran.code == Some(1) && ran.stdout == answer && ran.stderr.contains("conversation: two"),
        "{ran:?}"
    );
    bench.fail(&format!("{plain} --system one"), 2, &["required arguments"]);
    chat("{{ raise_exception('no talk') }}");
    bench.fail(&format!("{generate} --prompt two"), 1, &["tokenizer_config.json", "no talk"]);
    chat("{% if %}");
    bench.fail(&format!("{generate} --prompt two"), 1, &["tokenizer_config.json", "syntax error", ":1"]);
    bench.succeed(&plain);
    bench.write("chat/tokenizer_config.json", b"{}");
    bench.fail(&format!("{generate} --prompt two"), 1, &["no chat template", "--chat"]);
    bench.write("chat/tokenizer_config.json", b"{");
    bench.fail(&format!("{generate} --prompt two"), 1, &["tokenizer_config.json"]);
    bench.fail("text generate --run run --chat --prompt two", 1, &["no chat template", "--chat"]);
}
