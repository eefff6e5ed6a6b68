//! A table of numbers as colours.

use maud::{Markup, html};

use super::format::{percent, px};
use super::viridis;

const CELL: f64 = 30.0;
/// Width of a letter of a name.
const LETTER: f64 = 7.4;

/// Shares, each from 0 to 1, by row and column: where a network looks.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// What it is of.
    pub caption: String,
    /// Names of the rows, from the top.
    pub rows: Vec<String>,
    /// Names of the columns, from the left.
    pub columns: Vec<String>,
    /// `values[row][column]`.
    pub values: Vec<Vec<f32>>,
}

impl HeatMap {
    pub(super) fn markup(&self) -> Markup {
        let longest = |names: &[String]| names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let left = longest(&self.rows) as f64 * LETTER + 14.0;
        let upright = longest(&self.columns) as f64 * LETTER < CELL;
        let top = if upright { 24.0 } else { longest(&self.columns) as f64 * LETTER * 0.87 + 20.0 };
        let right = left + CELL * self.columns.len() as f64;
        let bottom = top + CELL * self.rows.len() as f64;
        html! {
            figure {
                figcaption { (self.caption) }
                div.scroll {
                    svg.confusion viewBox={ "0 0 " (px(right + 24.0)) " " (px(bottom + 6.0)) }
                        style={ "max-width:" (px(right + 24.0)) "px;min-width:" (px((right + 24.0) * 0.6)) "px" }
                        role="img" aria-label=(self.caption) {
                        @for (index, name) in self.columns.iter().enumerate() {
                            @let place = px(left + (index as f64 + 0.5) * CELL);
                            @if upright {
                                text.class-name x=(place) y=(px(top - 8.0)) text-anchor="middle" { (name) }
                            } @else {
                                text.class-name transform={ "translate(" (place) " " (px(top - 8.0)) ") rotate(-60)" } { (name) }
                            }
                        }
                        @for (row, (name, values)) in self.rows.iter().zip(&self.values).enumerate() {
                            @let y = top + row as f64 * CELL;
                            text.class-name x=(px(left - 8.0)) y=(px(y + CELL / 2.0)) dy="0.35em" text-anchor="end" { (name) }
                            @for (column, &value) in values.iter().enumerate() {
                                rect x=(px(left + column as f64 * CELL)) y=(px(y)) width=(px(CELL)) height=(px(CELL))
                                    fill=(viridis::colour(f64::from(value))) {
                                    title {
                                        (name) " looks at " (self.columns.get(column).map_or("?", String::as_str)) ": "
                                        (percent(f64::from(value)))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_a_coloured_cell_with_its_names() {
        let map = HeatMap {
            caption: "<b>".to_owned(),
            rows: vec!["AH0".to_owned(), "end".to_owned()],
            columns: ["a", "b", "c"].map(str::to_owned).to_vec(),
            values: vec![vec![1.0, 0.0, 0.0], vec![0.25, 0.25, 0.5]],
        };
        let text = map.markup().into_string();
        assert_eq!(text.matches("<rect").count(), 6);
        assert!(text.contains("AH0 looks at a: 100 %") && text.contains("end looks at c: 50 %"), "{text}");
        assert!(text.contains(&viridis::colour(0.25)) && !text.contains("<b>"), "{text}");
    }
}
