//! Rows and columns.

use maud::{Markup, html};

use super::format::{percent, short};

/// A table.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The heads of the columns.
    pub columns: Vec<String>,
    /// The rows, each with a cell per column.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Cell {
    /// Text, aligned to the left.
    Text(String),
    /// A number, aligned to the right.
    Number(f64),
    /// A rate from 0 to 1, shown as per cent with a bar.
    Rate(f64),
}

/// Longer tables are folded away.
const MOST_ROWS_SHOWN: usize = 30;

impl Table {
    pub(super) fn markup(&self) -> Markup {
        let table = html! {
            div.scroll {
                table {
                    thead {
                        tr {
                            @for (index, name) in self.columns.iter().enumerate() {
                                th.number[self.is_number(index)] scope="col" { (name) }
                            }
                        }
                    }
                    tbody { @for row in &self.rows { tr { @for cell in row { (cell.markup()) } } } }
                }
            }
        };
        html! {
            @if self.rows.len() > MOST_ROWS_SHOWN {
                details { summary { "Show all " (self.rows.len()) " rows" } (table) }
            } @else {
                (table)
            }
        }
    }

    fn is_number(&self, column: usize) -> bool {
        self.rows.first().and_then(|row| row.get(column)).is_some_and(|cell| !matches!(cell, Cell::Text(_)))
    }
}

impl Cell {
    fn markup(&self) -> Markup {
        match self {
            Self::Text(text) => html! { td { (text) } },
            Self::Number(value) => html! { td.number { (short(*value)) } },
            Self::Rate(value) => {
                let width = (value.clamp(0.0, 1.0) * 1000.0).round() / 10.0;
                html! { td.number.rate style={ "--rate:" (width) "%" } { (percent(*value)) } }
            }
        }
    }
}
