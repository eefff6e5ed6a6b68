//! `report.html`: what a run looks like.
//!
//! An [`HtmlReport`] is data: figures, curves, pictures, tables. [`render`] makes one self-contained page of
//! it, with inline SVG, PNG and CSS and no script, that follows the reader's light or dark theme and fits a
//! phone. The same report gives the same bytes. All text is escaped, so names of classes and files may hold
//! anything.

mod chart;
mod confusion;
mod flow;
mod format;
mod gallery;
mod heat;
mod outcome;
mod page;
mod scale;
mod section;
mod table;
mod toml;
mod viridis;

#[cfg(test)]
mod tests;

pub use chart::{Chart, Mark, Role, Series, Unit, YScale};
pub use confusion::ConfusionPicture;
pub use flow::GradientFlow;
pub use format::thousands;
pub use gallery::{Bar, GalleryItem};
pub use heat::HeatMap;
pub use outcome::{gradient_flow, learning_curves};
pub use page::{Figure, HtmlReport, render};
pub use section::Section;
pub use table::{Cell, Table};
