//! Small pictures with captions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::chart::Role;
use super::format::percent;

/// A picture of a gallery.
#[derive(Debug, Clone, Default)]
pub struct GalleryItem {
    /// The picture as a PNG file. Tiny ones are scaled up without smoothing.
    pub png: Vec<u8>,
    /// The line below it: `3 → 8`.
    pub caption: String,
    /// A second, softer line, such as the file's name; may be empty.
    pub note: String,
    /// Rates to compare, such as the probabilities of two classes; may be empty.
    pub bars: Vec<Bar>,
}

/// A rate shown as a bar.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What it is the rate of.
    pub label: String,
    /// From 0 to 1.
    pub value: f64,
    /// Its colour.
    pub role: Role,
}

pub(super) fn markup(items: &[GalleryItem]) -> Markup {
    html! {
        @if items.is_empty() {
            p.none { "There are none." }
        } @else {
            div.gallery {
                @for item in items {
                    figure.item {
                        div.frame { img.pixelated[is_tiny(&item.png)] src=(data_url(&item.png)) alt=(item.caption); }
                        figcaption {
                            strong { (item.caption) }
                            @for bar in &item.bars { (bar_markup(bar)) }
                            @if !item.note.is_empty() { span.note { (item.note) } }
                        }
                    }
                }
            }
        }
    }
}

fn bar_markup(bar: &Bar) -> Markup {
    let width = (bar.value.clamp(0.0, 1.0) * 100.0).round();
    html! {
        span.bar {
            span.bar-label { (bar.label) }
            span.bar-track { span class={ "bar-fill " (bar.role.class()) } style={ "width:" (width) "%" } {} }
            span.bar-value { (rounded_percent(bar.value)) }
        }
    }
}

/// Whole per cents, except where 99.9 must not look like 100.
fn rounded_percent(value: f64) -> String {
    if value < 0.99 { format!("{:.0} %", value * 100.0) } else { percent(value) }
}

/// A picture as part of the page.
pub(super) fn data_url(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}

/// Whether the picture is smaller than its frame: a PNG's width and height stand at bytes 16 to 24.
fn is_tiny(png: &[u8]) -> bool {
    let side =
        |at: usize| png.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    side(16).max(side(20)) < 120
}
