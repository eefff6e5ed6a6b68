//! Chat templates against transformers: `golden/chat.py` made the texts and ids.

use std::collections::BTreeMap;

use libellus_data::{ChatMessage, ChatTemplate, TextError, Tokenizer};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    tokenizer: serde_json::Value,
    special: BTreeMap<String, String>,
    templates: BTreeMap<String, String>,
    conversations: BTreeMap<String, Vec<ChatMessage>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    conversation: String,
    prompt: bool,
    text: Option<String>,
    ids: Option<Vec<u32>>,
    refusal: Option<String>,
}

#[test]
fn conversations_are_written_and_tokenised_as_by_transformers() {
    let golden: Golden = serde_json::from_str(include_str!("golden/chat.json")).unwrap();
    let tokenizer = Tokenizer::from_json(&golden.tokenizer.to_string()).unwrap();
    assert_eq!(golden.cases.len(), golden.templates.len() * golden.conversations.len() * 2);
    for case in golden.cases {
        let place = format!("{} of {}, prompt {}", case.template, case.conversation, case.prompt);
        let template = ChatTemplate::new(&*case.template, &golden.templates[&case.template]).unwrap();
        let template = golden
            .special
            .iter()
            .fold(template, |template, (name, token)| template.with_special(name, token));
        match (template.render(&golden.conversations[&case.conversation], case.prompt), case.text) {
            (Ok(text), Some(expected)) => {
                assert_eq!(text, expected, "{place}");
                assert_eq!(tokenizer.encode(&text).unwrap(), case.ids.unwrap(), "{place}");
            }
            (Err(TextError::ChatRefused { reason, .. }), None) => {
                assert_eq!(Some(reason), case.refusal, "{place}");
            }
            (found, expected) => panic!("{place}: {found:?} in place of {expected:?}"),
        }
    }
}
