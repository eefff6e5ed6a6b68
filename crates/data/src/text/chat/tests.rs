use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use super::{ChatMessage, ChatTemplate, MAX_TEMPLATE, TextError, jinja};
use crate::text::{Scheme, Tokenizer};

/// What is rendered of a message `x`, or the error with its causes.
fn render(source: &str) -> Result<String, String> {
    let template = ChatTemplate::new("chat_template", source).map_err(|error| told(&error))?;
    template.render(&[ChatMessage::new("user", "x")], false).map_err(|error| told(&error))
}

fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    assert!(!text.contains('\n'), "{text}");
    text
}

/// A loop that puts `ns.x` and `ns.y` through `step` again and again.
fn repeated(times: usize, step: &str, end: &str) -> String {
    format!(
        "{{% set ns = namespace(x=[1], y=[1], s='xx') %}}{{% for i in range({times}) %}}{step}{{% endfor %}}{{{{ {end} }}}}"
    )
}

#[test]
fn mistakes_are_said_with_their_line() {
    for (source, expected) in [
        ("\n{{ 1 +", "syntax error: unexpected end of input, expected expression (in template:2)"),
        ("{% if true %}", "syntax error"),
        ("{% unheard_of %}", "unknown statement unheard_of"),
        (
            "\n\n{{ 'a'.unheard_of() }}",
            "unknown method: string has no method named unheard_of (in template:3)",
        ),
        ("{{ messages[0].absent.role }}", "undefined value (in template:1)"),
        ("{{ 'a' + 1 }}", "(in template:1)"),
        ("{{ strftime_now('%Q') }}", "\"%Q\" is no format of a date"),
        ("{{ messages|tojson(sort_keys=true) }}", "sort_keys"),
        ("{{ messages|tojson(ensure_ascii=true) }}", "ensure_ascii=true"),
        ("{{ messages|tojson(indent=17) }}", "16 at most"),
        ("{% include 'secret.txt' %}", "unknown statement include"),
    ] {
        let error = render(source).unwrap_err();
        assert!(error.starts_with("chat_template: the chat template can't be used: "), "{error}");
        assert!(error.contains(expected), "{source}: {error}");
    }
    let error = render("{{ raise_exception('Not\nso!') }}").unwrap_err();
    assert_eq!(error, "chat_template: the chat template refuses the conversation: Not so!");
}

#[test]
fn the_date_is_that_of_today() {
    let year: u32 = render("{{ strftime_now('%Y') }}").unwrap().parse().unwrap();
    assert!(year >= 2025);
    let date = render("{{ strftime_now('%d %b %Y') }}").unwrap();
    assert_eq!(date.len(), "26 Jul 2024".len(), "{date}");
}

#[test]
fn line_ends_are_jinjas() {
    assert_eq!(render("a\r\n{% if true %}\r\nb\r\n{% endif %}\r\nc\r\n").unwrap(), "a\nb\nc");
}

#[test]
fn work_is_bounded() {
    let started = Instant::now();
    for source in [
        repeated(60, "{% set ns.s = ns.s ~ ns.s %}", "1"),
        repeated(100_000, "{% for j in range(100000) %}{% endfor %}", "1"),
        repeated(60, "{% set ns.x = [ns.x, ns.x] %}", "ns.x|tojson"),
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}".to_owned(),
        "{% for m in messages recursive %}{{ loop([m]) }}{% endfor %}".to_owned(),
        "{{ 'x' * 100000000 }}".to_owned(),
        "{{ range(100000000) }}".to_owned(),
    ] {
        assert!(render(&source).unwrap_err().contains("can't be used"), "{source}");
    }
    assert!(started.elapsed().as_secs() < 60);
}

#[test]
fn nothing_is_nested_too_deep_for_the_stack() {
    // Whether they are errors doesn't matter.
    for (open, close) in [("[", "]"), ("-", ""), ("1+", "")] {
        let times = (MAX_TEMPLATE - 16) / (open.len() + close.len());
        _ = render(&format!("{{{{ {}1{} }}}}", open.repeat(times), close.repeat(times)));
    }
    for tail in [".a", "|string", "~1", " if 1 else 1"] {
        _ = render(&format!("{{{{ messages{} }}}}", tail.repeat((MAX_TEMPLATE - 32) / tail.len())));
    }
    for end in ["ns.x", "ns.x == ns.y", "{ns.x: 1}", "ns.x|tojson"] {
        let step = "{% set ns.x = [[[[[[[[ns.x]]]]]]]] %}{% set ns.y = [[[[[[[[ns.y]]]]]]]] %}";
        // About as often as the fuel allows.
        _ = render(&repeated(5000, step, end));
    }
}

#[test]
fn a_template_that_does_not_end_is_left_alone() {
    let step = "{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}";
    let conversation = jinja::Conversation {
        messages: &[],
        tools: (),
        documents: (),
        add_generation_prompt: false,
        special: &BTreeMap::new(),
    };
    let source = repeated(60, step, "ns.x == ns.y");
    match jinja::render(&source, &conversation, Duration::from_secs(1)) {
        Err(jinja::Problem::Failed(error)) => {
            assert_eq!(error.to_string(), "it works for more than 1 seconds")
        }
        _ => panic!("it can't have been rendered"),
    }
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn opened(files: &[(&str, &str)]) -> Result<Option<ChatTemplate>, String> {
    let folder = folder(files);
    let place = folder.path().display().to_string();
    ChatTemplate::open(folder.path()).map_err(|error| told(&error).replace(&place, "DIR"))
}

#[test]
fn a_folder_says_its_template_and_its_special_tokens() {
    let render = |files: &[(&str, &str)]| {
        opened(files).unwrap().unwrap().render(&[ChatMessage::new("user", "x")], true).unwrap()
    };
    assert_eq!(opened(&[]), Ok(None));
    assert_eq!(opened(&[("tokenizer_config.json", "{}")]), Ok(None));
    assert_eq!(opened(&[("tokenizer_config.json", r#"{"chat_template": null}"#)]), Ok(None));
    let text = r#"{"chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}|{{ pad_token }}",
        "bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": false}, "eos_token": "</s>", "pad_token": null,
        "add_bos_token": true}"#;
    assert_eq!(render(&[("tokenizer_config.json", text)]), "<s>x</s>|");
    let map = ("special_tokens_map.json", r#"{"eos_token": "no", "pad_token": {"content": "<pad>"}}"#);
    assert_eq!(render(&[("tokenizer_config.json", text), map]), "<s>x</s>|<pad>");
    let file = ("chat_template.jinja", "file {{ eos_token }}\n");
    assert_eq!(render(&[("tokenizer_config.json", text), file]), "file </s>");
    assert_eq!(render(&[file]), "file ");
    let list =
        r#"{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}"#;
    assert_eq!(render(&[("tokenizer_config.json", list)]), "d");
}

#[test]
fn what_is_wrong_in_a_folder_is_named() {
    let config = |text: &str| opened(&[("tokenizer_config.json", text)]).unwrap_err();
    assert!(config("{").starts_with("DIR/tokenizer_config.json is no valid"), "{}", config("{"));
    assert!(config("[]").starts_with("DIR/tokenizer_config.json is no valid"));
    assert_eq!(
        config(r#"{"chat_template": 3}"#),
        "DIR/tokenizer_config.json: the chat template can't be used: `chat_template` is neither a text nor a list of templates \
         with names"
    );
    assert!(
        config(r#"{"chat_template": [{"name": "rag", "template": ""}]}"#)
            .ends_with("`chat_template` has no template called `default`, only: rag")
    );
    let long = "x".repeat(MAX_TEMPLATE + 1);
    assert!(
        opened(&[("chat_template.jinja", &long)]).unwrap_err().contains("131073 bytes, more than 131072")
    );
    let folder = folder(&[]);
    fs::write(folder.path().join("chat_template.jinja"), b"\xff").unwrap();
    let error = ChatTemplate::open(folder.path()).unwrap_err();
    assert!(matches!(error, TextError::Utf8 { position: 0, .. }), "{error}");
    assert!(ChatTemplate::open(Path::new("absent")).unwrap().is_none());
}

#[test]
fn answers_end_where_the_checkpoint_says() {
    let tokenizer = Tokenizer::train(Scheme::Bpe(257), [Ok("abc".to_owned())]).unwrap();
    let end = tokenizer.end_of_text().unwrap();
    let a = tokenizer.id("a").unwrap();
    let ends = |files: &[(&str, &str)]| {
        let mut files = files.to_vec();
        files.push(("chat_template.jinja", ""));
        opened(&files).unwrap().unwrap().ends(&tokenizer)
    };
    assert_eq!(ends(&[]), [end]);
    assert_eq!(ends(&[("tokenizer_config.json", r#"{"eos_token": "a"}"#)]), [end, a]);
    assert_eq!(ends(&[("generation_config.json", r#"{"eos_token_id": 7}"#)]), [end, 7]);
    let lists = [
        ("config.json", r#"{"eos_token_id": 5}"#),
        ("generation_config.json", r#"{"eos_token_id": [9, 7]}"#),
    ];
    assert_eq!(ends(&lists), [end, 7, 9]);
    assert_eq!(ends(&[lists[0], ("generation_config.json", "{}")]), [end, 5]);
    assert_eq!(ends(&[("config.json", r#"{"eos_token_id": null}"#)]), [end]);
    let made = ChatTemplate::new("m", "").unwrap().with_ends([3]).with_special("eos_token", "a");
    assert_eq!(made.ends(&tokenizer), [end, 3, a]);
}
