//! Conversations, of which the answers are learnt.

use std::path::Path;

use libellus_data::{ChatMessage, ChatTemplate, TextError as CorpusError, Tokenizer, read_conversations};

use crate::error::TextError;
use crate::examples::{Example, ReadExamples, in_line};

/// The role of whom a conversation is learnt from.
const ANSWERS: &str = "assistant";

/// Reads a table of conversations, each of which keeps at most `length` tokens of the form that `template` gives it.
///
/// # Errors
/// When the table can't be read, the template refuses a conversation, a text can't be tokenised, or no example remains.
pub(crate) fn read_chats(
    path: &Path,
    column: &str,
    template: &ChatTemplate,
    tokenizer: &Tokenizer,
    length: usize,
) -> Result<ReadExamples, TextError> {
    let conversations = read_conversations(path, column)?;
    let mut unlearnt = 0;
    let examples = conversations.iter().map(|conversation| {
        let messages = &conversation.messages;
        let answers = messages.iter().enumerate().filter(|(_, message)| message.role == ANSWERS);
        let answers: Vec<usize> = answers.map(|(index, _)| index).collect();
        let example = example(messages, &answers, template, tokenizer)
            .map_err(|error| in_line(path, conversation.line, error))?;
        unlearnt += answers.len() - example.learnt.len();
        Ok(example)
    });
    let read = ReadExamples::collect(examples, path, length)?;
    Ok(ReadExamples { unlearnt, ..read })
}

/// A conversation up to the last of its `answers`, which are some of its `messages`.
///
/// An answer reaches from where the template asks for it to where the template ends it. One is not learnt that reads otherwise once there are
/// later messages, as when a template drops what a model thought, or without what comes before, as when a template refuses to begin
/// with it: it will not be read like that when the model is used.
fn example(
    messages: &[ChatMessage],
    answers: &[usize],
    template: &ChatTemplate,
    tokenizer: &Tokenizer,
) -> Result<Example, CorpusError> {
    let Some(&last) = answers.last() else { return Ok(Example::default()) };
    let text = template.render(&messages[..=last], false)?;
    let tokens = tokenizer.encode(&text)?;
    let mut example = Example { completion: messages[last].content.clone(), ..Example::default() };
    for &answer in answers {
        let end = match answer == last {
            true => Some(text.len()),
            false => beginning(&text, template.render(&messages[..=answer], false)),
        };
        let Ok(asked) = template.render(&messages[..answer], true) else { continue };
        // What a template asks with may be more than it later shows: then it is learnt from where they part.
        let start = beginning(&text, Ok(asked.clone())).or_else(|| {
            let before = beginning(&text, template.render(&messages[..answer], false))?;
            Some(in_common(&text, &asked).max(before))
        });
        if let (Some(start), Some(end)) = (start, end) {
            let start = reach(&tokens, &text[..start], tokenizer)?;
            example.learnt.push(start..reach(&tokens, &text[..end], tokenizer)?);
        }
        example.prompt = asked;
    }
    Ok(Example { tokens, ..example })
}

/// The length of a part, if `text` begins with it.
fn beginning(text: &str, part: Result<String, CorpusError>) -> Option<usize> {
    part.ok().filter(|part| text.starts_with(part.as_str())).map(|part| part.len())
}

/// How many bytes two texts have in common at their beginnings, in whole characters.
fn in_common(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}

/// How many of a text's tokens lie within its beginning. One that lies across the end of it doesn't.
fn reach(tokens: &[u32], beginning: &str, tokenizer: &Tokenizer) -> Result<usize, CorpusError> {
    let of_beginning = tokenizer.encode(beginning)?;
    Ok(tokens.iter().zip(&of_beginning).take_while(|(a, b)| a == b).count())
}

#[cfg(test)]
mod tests {
    use libellus_data::Scheme;

    use super::*;

    const TURNS: &str = "{% for m in messages %}<{{ m.role[0] }}:{{ m.content }}>{% endfor %}{% if add_generation_prompt %}<a:{% endif %}";

    /// What is learnt of a conversation, as texts, and its prompt.
    fn learnt(template: &str, turns: &[[&str; 2]]) -> (Vec<String>, String) {
        let letters = "abcdefghijklmnopqrstuvwxyz<>:?-".to_owned();
        let tokenizer = Tokenizer::train(Scheme::Char, [Ok(letters)]).expect("letters");
        let template = ChatTemplate::new("template", template).expect("a short one");
        let messages: Vec<ChatMessage> =
            turns.iter().map(|[role, content]| ChatMessage::new(*role, *content)).collect();
        let answers: Vec<usize> = (0..turns.len()).filter(|&index| turns[index][0] == ANSWERS).collect();
        let example = example(&messages, &answers, &template, &tokenizer).expect("a fine conversation");
        let parts = example
            .learnt
            .iter()
            .map(|part| tokenizer.decode(&example.tokens[part.clone()]).expect("letters"));
        (parts.collect(), example.prompt)
    }

    const TALK: [[&str; 2]; 6] = [
        ["system", "sys"],
        ["user", "one"],
        ["assistant", "first"],
        ["user", "two"],
        ["assistant", "second"],
        ["user", "three"],
    ];

    #[test]
    fn each_answer_is_learnt_up_to_its_mark_and_nothing_else() {
        let (parts, prompt) = learnt(TURNS, &TALK);
        assert_eq!(parts, ["first>", "second>"]);
        assert_eq!(prompt, "<s:sys><u:one><a:first><u:two><a:");
        assert_eq!(learnt(TURNS, &TALK[..2]).0, Vec::<String>::new());
    }

    #[test]
    fn answers_that_later_read_otherwise_are_not_learnt() {
        // Earlier answers are shown without what was thought.
        let thinking = TURNS.replace("m.content", "m.content if loop.last or m.role != 'assistant' else '-'");
        assert_eq!(learnt(&thinking, &TALK).0, ["second>"]);
        // What the template asks with isn't what it shows.
        let asking = TURNS.replace("<a:{% endif %}", "<a:think?{% endif %}");
        assert_eq!(learnt(&asking, &TALK).0, ["first>", "second>"]);
        // Nothing can be asked of a template that looks at the first message, where there is none.
        let first = format!("{{% if messages[0].role %}}{{% endif %}}{TURNS}");
        assert_eq!(learnt(&first, &TALK[2..5]).0, ["second>"]);
    }

    #[test]
    fn the_line_that_a_template_refuses_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("talk.jsonl");
        let line = |role: &str| format!("{{\"messages\": [{{\"role\": \"{role}\", \"content\": \"a\"}}]}}\n");
        let tokenizer = Tokenizer::train(Scheme::Char, [Ok("<>:uabst".to_owned())]).expect("letters");
        let read = |template: &str, lines: &str, length| {
            std::fs::write(&path, lines).expect("a writable folder");
            let template = ChatTemplate::new("template", template).expect("a short one");
            read_chats(&path, "messages", &template, &tokenizer, length)
        };
        let all = "{{ raise_exception('no robots') }}";
        let error = read(all, &(line("user") + &line("assistant")), 9).expect_err("it is refused");
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text += &format!(": {cause}");
            source = cause.source();
        }
        assert!(
            text.contains("talk.jsonl") && text.contains("line 2") && text.contains("no robots"),
            "{text}"
        );

        assert!(matches!(read(TURNS, &line("user"), 9), Err(TextError::NoExamples { .. })));
        assert!(matches!(read(TURNS, &line("assistant"), 3), Err(TextError::LongExamples { length: 3, .. })));
    }
}
