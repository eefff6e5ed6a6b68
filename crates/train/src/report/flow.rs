//! Gradient flow by layer: heat maps over the course of training, with the profile at its end beside them.

use maud::{Markup, html};

use super::format::{px, short};
use super::scale::{Scale, Spread};
use super::viridis;

/// Gradient norms and update ratios of every layer at several moments of training.
#[derive(Debug, Clone, Default)]
pub struct GradientFlow {
    /// The layers, from the input to the output.
    pub layers: Vec<String>,
    /// The steps at which was measured, growing.
    pub steps: Vec<u64>,
    /// `gradient_norms[moment][layer]`: the norm of the gradient.
    pub gradient_norms: Vec<Vec<f32>>,
    /// `update_ratios[moment][layer]`: the norm of a step's change over the norm of what is changed.
    pub update_ratios: Vec<Vec<f32>>,
}

const WIDTH: f64 = 1000.0;
const RIGHT: f64 = 640.0;
const PROFILE_LEFT: f64 = 672.0;
const PROFILE_RIGHT: f64 = 978.0;
const TOP: f64 = 30.0;
/// More moments are averaged down to this many columns.
const MOST_COLUMNS: usize = 80;
/// Where update ratios usually lie in a training that goes well.
const USUAL_RATIOS: (f64, f64) = (1e-4, 1e-2);

impl GradientFlow {
    pub(super) fn markup(&self) -> Markup {
        if self.layers.is_empty() || self.steps.is_empty() {
            return html! { p.none { "Nothing was measured." } };
        }
        let norms = Heat::new("Gradient norm", &self.gradient_norms, None);
        let ratios = Heat::new("Update / weight ratio", &self.update_ratios, Some(USUAL_RATIOS));
        html! {
            @for heat in [norms, ratios] { (self.heat_markup(&heat)) }
            p.caption {
                "Each row is a layer, the input at the top; each column is a moment of training. Rows of like colour \
                 are what one wants. Colours that darken towards the top mean vanishing gradients (the first layers \
                 hardly learn), colours that brighten towards the top exploding ones. The dots on the right are the \
                 last column. An update ratio between 10⁻⁴ and 10⁻² (the band) is usual; far below it a layer stands \
                 still, far above it a step undoes the one before."
            }
        }
    }

    /// In a sentence, whether gradients vanish or explode: the medians of the first and the last third of the
    /// layers, at the end of training, are compared.
    pub fn reading(&self) -> String {
        let Some(last) = Heat::new("", &self.gradient_norms, None).columns.pop() else {
            return "Nothing was measured.".to_owned();
        };
        let third = last.len().div_ceil(3);
        let medians = (median(&last[..third]), median(&last[last.len() - third..]));
        let (Some(first), Some(final_)) = medians else {
            return "Some layers had no finite gradient above zero at the end: they did not learn."
                .to_owned();
        };
        let (factor, relation) =
            if first < final_ { (final_ / first, "smaller") } else { (first / final_, "larger") };
        let verdict = match relation {
            _ if factor < 1e3 => "neither vanishes nor explodes",
            "smaller" => "vanishes",
            _ => "explodes",
        };
        let factor = short((factor * 10.0).round() / 10.0);
        format!(
            "At the end of training the gradient of the first layers is {factor} times {relation} than that of the last \
             ones: on its way back it {verdict}."
        )
    }

    fn heat_markup(&self, heat: &Heat) -> Markup {
        let Some((low, high)) = heat.range() else {
            return html! { p.none { (heat.title) ": no finite value above zero." } };
        };
        let rows = Rows::new(&self.layers);
        let colours = Scale::exact(Spread::Log, low, high).over(0.0, 1.0);
        let profile = Scale::exact(Spread::Log, low, high).over(PROFILE_LEFT, PROFILE_RIGHT);
        let height = rows.bottom() + 44.0;
        html! {
            figure.flow {
                figcaption {
                    strong { (heat.title) }
                    span.scale {
                        (short(low)) span.ramp style={ "background:" (viridis::css_gradient()) } {} (short(high)) " (logarithmic)"
                    }
                }
                div.scroll {
                    svg.heat viewBox={ "0 0 " (WIDTH) " " (px(height)) } role="img" aria-label={ (heat.title) " by layer and step" } {
                        (self.cells(heat, &rows, &colours))
                        (rows.names(&self.layers))
                        (self.step_axis(heat, &rows))
                        (profile_markup(heat, &rows, &profile, &colours))
                    }
                }
            }
        }
    }

    fn cells(&self, heat: &Heat, rows: &Rows, colours: &Scale) -> Markup {
        let width = (RIGHT - rows.left) / heat.columns.len() as f64;
        html! {
            rect.field x=(px(rows.left)) y=(TOP) width=(px(RIGHT - rows.left)) height=(px(rows.bottom() - TOP)) {}
            @for (column, values) in heat.columns.iter().enumerate() {
                @for (layer, &value) in values.iter().enumerate().filter(|(_, value)| is_shown(**value)) {
                    // Half a pixel more than the cell, or fine light lines show between them.
                    rect x=(px(rows.left + width * column as f64)) y=(px(rows.at(layer)))
                        width=(px(width + 0.5)) height=(px(rows.height + if rows.height > 6.0 { -1.0 } else { 0.3 }))
                        fill=(viridis::colour(colours.place(value))) {
                        @if heat.columns.len() * values.len() <= 2000 {
                            title { (self.layers[layer]) ", step " (self.steps[heat.first_of(column)]) ": " (short(value)) }
                        }
                    }
                }
            }
        }
    }

    fn step_axis(&self, heat: &Heat, rows: &Rows) -> Markup {
        // Columns are evenly spaced whatever the steps between them, so each label says its own.
        let count = heat.columns.len();
        let width = (RIGHT - rows.left) / count as f64;
        let every = count.div_ceil(6);
        let bottom = rows.bottom();
        html! {
            @for column in (0..count).step_by(every) {
                @let x = px(rows.left + width * (column as f64 + 0.5));
                path.axis d={ "M" (x) " " (px(bottom)) "v4" } {}
                text.tick x=(x) y=(px(bottom + 17.0)) text-anchor="middle" {
                    (self.steps[heat.first_of(column)])
                }
            }
            text.axis-name x=(px((rows.left + RIGHT) / 2.0)) y=(px(bottom + 37.0)) text-anchor="middle" { "step" }
        }
    }
}

fn profile_markup(heat: &Heat, rows: &Rows, profile: &Scale, colours: &Scale) -> Markup {
    let Some(last) = heat.columns.last() else {
        return html! {};
    };
    let (top, bottom) = (TOP, rows.bottom());
    let places: Vec<(f64, f64, f64)> = last
        .iter()
        .enumerate()
        .filter(|(_, value)| is_shown(**value))
        .map(|(layer, &value)| (profile.place(value), rows.at(layer) + rows.height / 2.0, value))
        .collect();
    let line: String = places
        .iter()
        .enumerate()
        .map(|(index, (x, y, _))| format!("{}{} {}", if index == 0 { 'M' } else { 'L' }, px(*x), px(*y)))
        .collect();
    html! {
        text.column-name x=(PROFILE_LEFT) y=(TOP - 11.0) { "at the end" }
        @if let Some((from, to)) = heat.band {
            @let from = profile.place(from).clamp(PROFILE_LEFT, PROFILE_RIGHT);
            @let to = profile.place(to).clamp(PROFILE_LEFT, PROFILE_RIGHT);
            rect.band x=(px(from)) y=(top) width=(px(to - from)) height=(px(bottom - top)) {}
        }
        g.grid {
            @for tick in profile.ticks(4) {
                @let x = px(profile.place(tick.value));
                path d={ "M" (x) " " (top) "V" (px(bottom)) } {}
                text.tick x=(x) y=(px(bottom + 17.0)) text-anchor="middle" { (tick.label) }
            }
        }
        text.axis-name x=(px((PROFILE_LEFT + PROFILE_RIGHT) / 2.0)) y=(px(bottom + 37.0)) text-anchor="middle" {
            (heat.title.to_lowercase())
        }
        path.profile d=(line) {}
        @for (x, y, value) in places {
            circle.profile-dot cx=(px(x)) cy=(px(y)) r=(px((rows.height * 0.3).clamp(1.6, 5.0)))
                fill=(viridis::colour(colours.place(value))) {
                title { (short(value)) }
            }
        }
    }
}

/// One of the two measures, averaged down to the columns that are drawn.
struct Heat {
    title: &'static str,
    /// `columns[column][layer]`; not a number where nothing can be shown.
    columns: Vec<Vec<f64>>,
    /// So many moments make a column.
    moments_per_column: usize,
    band: Option<(f64, f64)>,
}

impl Heat {
    fn new(title: &'static str, moments: &[Vec<f32>], band: Option<(f64, f64)>) -> Self {
        let moments_per_column = moments.len().div_ceil(MOST_COLUMNS).max(1);
        let columns = moments.chunks(moments_per_column).map(geometric_means).collect();
        Self { title, columns, moments_per_column, band }
    }

    fn first_of(&self, column: usize) -> usize {
        column * self.moments_per_column
    }

    /// The values that colours and profile cover: whole decades, two at least, so that what is even looks
    /// even; ten at most.
    fn range(&self) -> Option<(f64, f64)> {
        let shown = || self.columns.iter().flatten().copied().filter(|&value| is_shown(value));
        let high = shown().reduce(f64::max)?.log10().ceil();
        let low = shown().reduce(f64::min)?.log10().floor().max(high - 10.0).min(high - 2.0);
        Some((10_f64.powf(low), 10_f64.powf(high)))
    }
}

fn is_shown(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

/// The geometric mean of each layer over several moments; what isn't finite or positive counts as missing.
fn geometric_means(moments: &[Vec<f32>]) -> Vec<f64> {
    let layers = moments.iter().map(Vec::len).min().unwrap_or(0);
    let mean = |layer: usize| {
        let logs: Vec<f64> = moments
            .iter()
            .map(|values| f64::from(values[layer]))
            .filter(|&value| is_shown(value))
            .map(f64::ln)
            .collect();
        (logs.iter().sum::<f64>() / logs.len() as f64).exp()
    };
    (0..layers).map(mean).collect()
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values: Vec<f64> = values.iter().copied().filter(|&value| is_shown(value)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Where the layers are.
struct Rows {
    left: f64,
    height: f64,
    count: usize,
}

impl Rows {
    fn new(layers: &[String]) -> Self {
        let letters = layers.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(MOST_LETTERS);
        let height = (640.0 / layers.len() as f64).clamp(2.0, 22.0);
        Self { left: letters as f64 * 7.0 + 14.0, height, count: layers.len() }
    }

    fn at(&self, layer: usize) -> f64 {
        TOP + self.height * layer as f64
    }

    fn bottom(&self) -> f64 {
        self.at(self.count)
    }

    fn names(&self, layers: &[String]) -> Markup {
        // So many layers share a name that the names don't overlap.
        let every = (13.0 / self.height).ceil().max(1.0) as usize;
        html! {
            @for (layer, name) in layers.iter().enumerate().step_by(every) {
                @let letters = name.chars().count();
                @let middle = px(self.at(layer) + self.height / 2.0);
                text.layer-name x=(px(self.left - 8.0)) y=(middle) dy="0.35em" text-anchor="end" {
                    @if letters > MOST_LETTERS {
                        "…" (name.chars().skip(letters + 1 - MOST_LETTERS).collect::<String>())
                    } @else {
                        (name)
                    }
                }
            }
        }
    }
}

/// Longer names lose their beginning: their end tells layers apart.
const MOST_LETTERS: usize = 26;
