//! The parts a report is made of.

use maud::{Markup, html};

use super::chart::Chart;
use super::confusion::ConfusionPicture;
use super::flow::GradientFlow;
use super::gallery::{self, GalleryItem};
use super::heat::HeatMap;
use super::table::Table;
use super::toml;

/// A part of the report, with a heading and a sentence that says what one sees.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Section {
    /// Line charts side by side: loss, accuracy, learning rate.
    Curves {
        /// The heading.
        title: String,
        /// What one sees, in one sentence.
        caption: String,
        /// The charts.
        charts: Vec<Chart>,
    },
    /// Which class is taken for which.
    ConfusionMatrix {
        /// The heading.
        title: String,
        /// What one sees, in one sentence.
        caption: String,
        /// The counts and the classes' names.
        matrix: ConfusionPicture,
    },
    /// Tables of numbers as colours, side by side.
    HeatMaps {
        /// The heading.
        title: String,
        /// What one sees, in one sentence.
        caption: String,
        /// The tables.
        maps: Vec<HeatMap>,
    },
    /// Small pictures with captions.
    Gallery {
        /// The heading.
        title: String,
        /// What one sees, in one sentence.
        caption: String,
        /// The pictures.
        items: Vec<GalleryItem>,
    },
    /// How strong the gradient is in each layer over the course of training.
    Flow {
        /// The heading.
        title: String,
        /// The measurements. How to read them is explained on the page.
        flow: GradientFlow,
    },
    /// One picture over the full width.
    Picture {
        /// The heading.
        title: String,
        /// What one sees, in one sentence.
        caption: String,
        /// The picture as a PNG file.
        png: Vec<u8>,
    },
    /// Texts that a model made, each under a line that says when or from what.
    Texts {
        /// The heading.
        title: String,
        /// What one sees, in one sentence.
        caption: String,
        /// The lines and the texts.
        texts: Vec<(String, String)>,
    },
    /// Rows and columns.
    Table {
        /// The heading.
        title: String,
        /// What one sees, in one sentence.
        caption: String,
        /// The cells.
        table: Table,
    },
    /// The configuration file.
    Config {
        /// The heading.
        title: String,
        /// What one sees, in one sentence.
        caption: String,
        /// The file's text.
        toml: String,
    },
}

impl Section {
    /// The heading.
    pub fn title(&self) -> &str {
        match self {
            Self::Curves { title, .. }
            | Self::ConfusionMatrix { title, .. }
            | Self::HeatMaps { title, .. }
            | Self::Gallery { title, .. }
            | Self::Flow { title, .. }
            | Self::Picture { title, .. }
            | Self::Texts { title, .. }
            | Self::Table { title, .. }
            | Self::Config { title, .. } => title,
        }
    }

    pub(super) fn markup(&self) -> Markup {
        let (caption, body) = match self {
            Self::Curves { caption, charts, .. } => {
                (caption.clone(), html! { div.charts { @for chart in charts { (chart.markup()) } } })
            }
            Self::ConfusionMatrix { caption, matrix, .. } => (caption.clone(), matrix.markup()),
            Self::HeatMaps { caption, maps, .. } => {
                (caption.clone(), html! { div.charts { @for map in maps { (map.markup()) } } })
            }
            Self::Gallery { caption, items, .. } => (caption.clone(), gallery::markup(items)),
            Self::Flow { flow, .. } => (flow.reading(), flow.markup()),
            Self::Picture { title, caption, png } => {
                (caption.clone(), html! { img.picture src=(gallery::data_url(png)) alt=(title); })
            }
            Self::Texts { caption, texts, .. } => {
                let text = |(line, text): &(String, String)| {
                    html! { figure { figcaption { (line) } pre.config { (text) } } }
                };
                (caption.clone(), html! { div.texts { @for each in texts { (text(each)) } } })
            }
            Self::Table { caption, table, .. } => (caption.clone(), table.markup()),
            Self::Config { caption, toml, .. } => {
                (caption.clone(), html! { pre.config { code { (toml::highlight(toml)) } } })
            }
        };
        html! {
            h2 { (self.title()) }
            p.caption { (caption) }
            (body)
        }
    }
}
