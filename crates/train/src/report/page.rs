//! The page as a whole.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::section::Section;

/// Everything `report.html` shows, from top to bottom.
#[derive(Debug, Clone, Default)]
pub struct HtmlReport {
    /// What was run, in a few words.
    pub title: String,
    /// The one line below: model, data set, when.
    pub subtitle: String,
    /// The results, in large type.
    pub headline: Vec<Figure>,
    /// The body, in order.
    pub sections: Vec<Section>,
    /// Names and values of what else is known of the run (command, seed, device, duration); a list at the
    /// end.
    pub facts: Vec<(String, String)>,
}

/// A result in large type.
#[derive(Debug, Clone, Default)]
pub struct Figure {
    /// What it is: "test accuracy".
    pub label: String,
    /// The number with its unit: "98.3 %".
    pub value: String,
    /// What helps to judge it: "354 of 360 images".
    pub note: String,
}

/// The report as one HTML file.
pub fn render(report: &HtmlReport) -> String {
    let facts = !report.facts.is_empty();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content="libellus";
                title { (report.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (report.title) }
                    p.subtitle { (report.subtitle) }
                    @if !report.headline.is_empty() { (headline(&report.headline)) }
                    @if report.sections.len() > 1 { (contents(report)) }
                }
                main {
                    @for (index, section) in report.sections.iter().enumerate() {
                        section id={ "s" (index) } { (section.markup()) }
                    }
                    @if facts {
                        section #facts {
                            h2 { "This run" }
                            p.caption { "What is needed to judge and to repeat it." }
                            dl.facts {
                                @for (name, value) in &report.facts {
                                    dt { (name) }
                                    dd { (value) }
                                }
                            }
                        }
                    }
                }
                footer { "Written by Libellus. This page is one file; keep it, mail it, print it." }
            }
        }
    };
    page.into_string()
}

fn headline(figures: &[Figure]) -> Markup {
    html! {
        div.headline {
            @for figure in figures {
                div.figure {
                    span.label { (figure.label) }
                    span.value { (figure.value) }
                    @if !figure.note.is_empty() { span.note { (figure.note) } }
                }
            }
        }
    }
}

fn contents(report: &HtmlReport) -> Markup {
    html! {
        nav aria-label="Contents" {
            @for (index, section) in report.sections.iter().enumerate() {
                a href={ "#s" (index) } { (section.title()) }
            }
            @if !report.facts.is_empty() { a href="#facts" { "This run" } }
        }
    }
}

const STYLE: &str = include_str!("style.css");
