//! A TOML file with its parts told apart by colour.

use maud::{Markup, html};

/// The text with comments, tables, keys and values marked, one line at a time. It is only for the eye: a
/// string that spans several lines gets the wrong colours, and all its text.
pub(super) fn highlight(text: &str) -> Markup {
    html! {
        @for line in text.lines() {
            (highlight_line(line)) "\n"
        }
    }
}

fn highlight_line(line: &str) -> Markup {
    let content = line.trim_start();
    if content.starts_with('#') {
        return html! { i.comment { (line) } };
    }
    if content.starts_with('[') {
        return html! { b.table { (line) } };
    }
    let Some(equals) = end_of_key(line) else {
        return html! { (line) };
    };
    let (key, value) = line.split_at(equals);
    let class = match value[1..].trim_start().chars().next() {
        Some('"' | '\'') => "string",
        Some('t' | 'f') => "boolean",
        Some('0'..='9' | '-' | '+' | 'i' | 'n') => "number",
        _ => "other",
    };
    html! { b.key { (key) } "=" span class=(class) { (value[1..]) } }
}

/// Where the `=` after the key is; a quoted key may contain others.
fn end_of_key(line: &str) -> Option<usize> {
    let mut quote = None;
    line.char_indices().find_map(|(index, character)| match (quote, character) {
        (None, '=') => Some(index),
        (None, '"' | '\'') => {
            quote = Some(character);
            None
        }
        (Some(open), _) if open == character => {
            quote = None;
            None
        }
        _ => None,
    })
}
