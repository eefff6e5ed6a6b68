//! The confusion matrix as a picture.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::format::{percent, px};

/// Counts of samples by true class (row) and predicted class (column).
///
/// Colours are relative to the row, so that rare classes show as well as common ones: blue for what is right,
/// red for what is mistaken. Up to 20 classes the cells hold their numbers.
#[derive(Debug, Clone, Default)]
pub struct ConfusionPicture {
    /// The names of the classes.
    pub classes: Vec<String>,
    /// `counts[label][predicted]`.
    pub counts: Vec<Vec<u64>>,
}

const MOST_WITH_NUMBERS: usize = 20;
const MOST_WITH_NAMES: usize = 60;
/// Without numbers, cells are gathered by colour into this many paths, or 1000 classes would make a million
/// elements.
const LEVELS: usize = 12;

impl ConfusionPicture {
    pub(super) fn markup(&self) -> Markup {
        let count = self.counts.len();
        if count == 0 {
            return html! { p.none { "There are no classes." } };
        }
        let shape = Shape::new(count, &self.classes);
        let end = shape.edge + shape.cell * count as f64;
        let middle = px((shape.edge + end) / 2.0);
        html! {
            div.scroll {
                svg.confusion viewBox={ "0 0 " (px(end + 8.0)) " " (px(end + 30.0)) }
                    style={ "min-width:" (shape.least_width) "px;max-width:" (shape.most_width) "px" }
                    role="img" aria-label="Confusion matrix" {
                    text.axis-name x=(middle) y=(px(end + 22.0)) text-anchor="middle" { "predicted class" }
                    text.axis-name transform={ "translate(14 " (middle) ") rotate(-90)" } text-anchor="middle" {
                        "true class"
                    }
                    @let (edge, side) = (px(shape.edge), px(end - shape.edge));
                    rect.field x=(edge) y=(edge) width=(side) height=(side) {}
                    @if count <= MOST_WITH_NUMBERS { (self.numbered_cells(&shape)) } @else { (self.plain_cells(&shape)) }
                    (self.names(&shape))
                }
            }
            div.scales {
                span.scale { "right: 0 %" span.ramp.right {} "100 % of the row" }
                span.scale { "mistaken: 0 %" span.ramp.wrong {} "50 % and more" }
            }
        }
    }

    fn numbered_cells(&self, shape: &Shape) -> Markup {
        let name = |class: usize| self.classes.get(class).map_or("?", String::as_str);
        html! {
            @for (label, row) in self.counts.iter().enumerate() {
                @let sum: u64 = row.iter().sum();
                @for (predicted, &count) in row.iter().enumerate().filter(|&(_, &count)| count > 0) {
                    @let rate = count as f64 / sum as f64;
                    @let strength = strength(rate, label == predicted);
                    g.cell.(kind(label == predicted)) {
                        rect x=(px(shape.at(predicted) + 0.5)) y=(px(shape.at(label) + 0.5))
                            width=(px(shape.cell - 1.0)) height=(px(shape.cell - 1.0)) rx="2"
                            fill-opacity=(format!("{strength:.2}")) {}
                        text.strong[strength > 0.55] x=(px(shape.at(predicted) + shape.cell / 2.0))
                            y=(px(shape.at(label) + shape.cell / 2.0)) dy="0.35em" text-anchor="middle"
                            style={ "font-size:" (px(shape.number_size(count))) "px" } { (count) }
                        title {
                            (name(label)) " taken for " (name(predicted)) ": " (count) " of " (sum) " (" (percent(rate)) ")"
                        }
                    }
                }
            }
        }
    }

    fn plain_cells(&self, shape: &Shape) -> Markup {
        let mut paths = [vec![String::new(); LEVELS + 1], vec![String::new(); LEVELS + 1]];
        for (label, row) in self.counts.iter().enumerate() {
            let sum: u64 = row.iter().sum();
            for (predicted, &count) in row.iter().enumerate().filter(|&(_, &count)| count > 0) {
                let strength = strength(count as f64 / sum as f64, label == predicted);
                let level = (strength * LEVELS as f64).ceil() as usize;
                let path = &mut paths[usize::from(label != predicted)][level];
                let (x, y, side) = (px(shape.at(predicted)), px(shape.at(label)), px(shape.cell));
                let _ = write!(path, "M{x} {y}h{side}v{side}h-{side}z");
            }
        }
        html! {
            @for (paths, is_right) in paths.iter().zip([true, false]) {
                @for (level, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
                    path.cell.(kind(is_right)) d=(path) fill-opacity=(format!("{:.2}", level as f64 / LEVELS as f64)) {}
                }
            }
        }
    }

    fn names(&self, shape: &Shape) -> Markup {
        let every = if self.counts.len() <= MOST_WITH_NAMES { 1 } else { self.counts.len().div_ceil(20) };
        let named = || self.classes.iter().enumerate().take(self.counts.len()).step_by(every);
        html! {
            @for (class, name) in named() {
                @let place = px(shape.at(class) + shape.cell / 2.0);
                @let shown = html! { (shortened(name)) title { (name) } };
                text.class-name x=(px(shape.edge - 6.0)) y=(place) dy="0.35em" text-anchor="end" { (shown) }
                @if shape.upright {
                    text.class-name x=(place) y=(px(shape.edge - 8.0)) text-anchor="middle" { (shown) }
                } @else {
                    text.class-name transform={ "translate(" (place) " " (px(shape.edge - 8.0)) ") rotate(-60)" } dx="2" {
                        (shown)
                    }
                }
            }
        }
    }
}

/// Sizes in the picture.
struct Shape {
    /// Where the cells begin, from the left and from the top.
    edge: f64,
    cell: f64,
    /// Whether the names of the columns fit without being turned.
    upright: bool,
    least_width: usize,
    most_width: usize,
}

impl Shape {
    fn new(count: usize, classes: &[String]) -> Self {
        let cell = match count {
            0..=5 => 64.0,
            6..=12 => 46.0,
            13..=20 => 38.0,
            21..=MOST_WITH_NAMES => 15.0,
            _ => (720.0 / count as f64).max(0.8),
        };
        let letters = classes.iter().map(|name| shortened(name).chars().count()).max().unwrap_or(0) as f64;
        let width = letters * 7.4;
        let upright = width < cell - 4.0;
        let edge = (width + 34.0).max(50.0);
        let full = edge + cell * count as f64;
        let least_width = if count <= MOST_WITH_NUMBERS { full * 0.62 } else { 340.0 };
        Self { edge, cell, upright, least_width: least_width as usize, most_width: full as usize }
    }

    fn at(&self, class: usize) -> f64 {
        self.edge + class as f64 * self.cell
    }

    /// So that the digits fit the cell.
    fn number_size(&self, count: u64) -> f64 {
        let digits = count.to_string().len().max(2) as f64;
        (self.cell * 0.36).min((self.cell - 6.0) / (digits * 0.6)).min(17.0)
    }
}

/// How strongly a cell is coloured. Mistakes are rare in a useful model, so theirs reach full strength at
/// half the row, and grow with the square root.
fn strength(rate: f64, is_right: bool) -> f64 {
    if is_right { rate } else { (2.0 * rate).min(1.0).sqrt() }
}

fn kind(is_right: bool) -> &'static str {
    if is_right { "right" } else { "wrong" }
}

fn shortened(name: &str) -> String {
    const MOST: usize = 14;
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    name.chars().take(MOST - 1).chain(['…']).collect()
}
