//! Line charts.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::format::{percent, px, short};
use super::scale::{Scale, Spread, Tick};

/// Lines over a common horizontal axis.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// What is drawn: "Loss".
    pub title: String,
    /// What runs to the right: "epoch".
    pub x_label: String,
    /// How values are written.
    pub unit: Unit,
    /// How values are spread upwards.
    pub y_scale: YScale,
    /// The lines.
    pub series: Vec<Series>,
    /// A place to point out, such as the best epoch.
    pub mark: Option<Mark>,
}

/// One line of a chart.
///
/// A line of many points, such as the loss of each step, is drawn faintly, with its moving average over it.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// What it stands for, which sets its colour.
    pub role: Role,
    /// `(x, y)`, with growing `x`. Values that aren't finite leave a gap.
    pub points: Vec<(f64, f64)>,
}

/// What a line or bar stands for. The same thing has the same colour on the whole page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Role {
    /// Measured on the training set.
    #[default]
    Train,
    /// Measured on data the model hasn't seen.
    Validation,
    /// The same, with averaged weights.
    Average,
    /// Anything else: a learning rate.
    Other,
    /// What is right, or true.
    Right,
    /// What is wrong.
    Wrong,
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// As they are.
    #[default]
    Plain,
    /// Rates from 0 to 1, as per cent.
    Percent,
}

/// How values are spread upwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum YScale {
    /// Logarithmic if all values are positive and the largest is at least 20 times the smallest, else linear.
    #[default]
    Auto,
    /// Linear.
    Linear,
    /// Logarithmic; values that aren't positive sit at the lower edge.
    Log,
}

/// A vertical line with a name.
#[derive(Debug, Clone)]
pub struct Mark {
    /// Where it stands.
    pub x: f64,
    /// What is there.
    pub label: String,
}

impl Role {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Average => "average",
            Self::Other => "other",
            Self::Right => "right",
            Self::Wrong => "wrong",
        }
    }
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 466.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 226.0;
/// Lines with more points are drawn faintly, with their moving average.
const MOST_PLAIN_POINTS: usize = 150;
/// Lines with fewer have a dot at each point.
const MOST_DOTS: usize = 60;

impl Chart {
    pub(super) fn markup(&self) -> Markup {
        let lines: Vec<Line> = self.series.iter().map(Line::new).collect();
        let axes = self.axes(&lines);
        html! {
            figure.chart {
                figcaption {
                    strong { (self.title) }
                    @if axes.as_ref().is_some_and(|axes| axes.is_log) { span.scale { "logarithmic" } }
                    @for line in &lines {
                        span.key {
                            svg.chip.(line.class) viewBox="0 0 18 8" aria-hidden="true" { path.line d="M1 4H17" {} }
                            (line.name)
                            @if let Some((_, last)) = line.main.iter().rev().find(|(_, y)| y.is_finite()) {
                                " " span.last { (self.written(*last)) }
                            }
                        }
                    }
                }
                @match &axes {
                    Some(axes) => (self.drawing(&lines, axes)),
                    None => p.none { "There are no values." },
                }
            }
        }
    }

    fn drawing(&self, lines: &[Line], axes: &Axes) -> Markup {
        let inner = format!("{LEFT} {TOP} {} {}", RIGHT - LEFT, BOTTOM - TOP);
        html! {
            svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (self.title) " by " (self.x_label) } {
                g.grid {
                    @for tick in &axes.y_ticks {
                        @let y = px(axes.y.place(tick.value));
                        path d={ "M" (LEFT) " " (y) "H" (RIGHT) } {}
                        text.tick x=(LEFT - 7.0) y=(y) dy="0.35em" text-anchor="end" { (tick.label) }
                    }
                    @for tick in &axes.x_ticks {
                        @let x = px(axes.x.place(tick.value));
                        path d={ "M" (x) " " (BOTTOM) "v5" } {}
                        text.tick x=(x) y=(BOTTOM + 18.0) text-anchor="middle" { (tick.label) }
                    }
                }
                path.axis d={ "M" (LEFT) " " (BOTTOM) "H" (RIGHT) } {}
                text.axis-name x=((LEFT + RIGHT) / 2.0) y=(HEIGHT - 6.0) text-anchor="middle" {
                    (self.x_label)
                }
                // A nested picture clips what lies beyond the axes.
                svg x=(LEFT) y=(TOP) width=(RIGHT - LEFT) height=(BOTTOM - TOP) viewBox=(inner) {
                    @for line in lines {
                        @if let Some(raw) = line.raw {
                            path.line.faint.(line.class) d=(path(&thinned(raw), axes)) {}
                        }
                    }
                    @if let Some(mark) = &self.mark {
                        path.mark d={ "M" (px(axes.x.place(mark.x))) " " (TOP) "V" (BOTTOM) } {}
                    }
                    @for line in lines { path.line.(line.class) d=(path(&line.main, axes)) {} }
                }
                @for line in lines.iter().filter(|line| line.main.len() <= MOST_DOTS) {
                    @for &(x, y) in line.main.iter().filter(|(_, y)| axes.contains(*y)) {
                        circle.dot.(line.class) cx=(px(axes.x.place(x))) cy=(px(axes.y.place(y))) r="2.6" {
                            title { (line.name) ", " (self.x_label) " " (short(x)) ": " (self.written(y)) }
                        }
                    }
                }
                @if let Some(mark) = &self.mark { (mark_name(mark, axes)) }
            }
        }
    }

    fn axes(&self, lines: &[Line]) -> Option<Axes> {
        let points =
            || lines.iter().flat_map(|line| &line.main).filter(|(x, y)| x.is_finite() && y.is_finite());
        let (left, right) = range(points().map(|point| point.0))?;
        let (low, high) = range(points().map(|point| point.1))?;
        let positive = range(points().map(|point| point.1).filter(|&y| y > 0.0));
        let is_log = match self.y_scale {
            YScale::Linear => false,
            YScale::Log => positive.is_some(),
            YScale::Auto => low > 0.0 && high / low >= 20.0,
        };
        let y = match (is_log, positive) {
            (true, Some((low, high))) => Scale::rounded(Spread::Log, low, high),
            _ if low >= 0.0 && low < 0.5 * high && self.unit == Unit::Plain => {
                Scale::rounded(Spread::Linear, 0.0, high)
            }
            _ if self.unit == Unit::Percent => percent_axis(low, high),
            _ => Scale::rounded(Spread::Linear, low, high),
        };
        let (x, y) = (Scale::exact(Spread::Linear, left, right).over(LEFT, RIGHT), y.over(BOTTOM, TOP));
        let mut y_ticks = y.ticks(5);
        if self.unit == Unit::Percent {
            y_ticks.iter_mut().for_each(|tick| tick.label = percent(tick.value));
        }
        Some(Axes { x_ticks: x.ticks(6), y_ticks, x, y, is_log })
    }

    fn written(&self, value: f64) -> String {
        match self.unit {
            Unit::Plain => short(value),
            Unit::Percent => percent(value),
        }
    }
}

struct Axes {
    x: Scale,
    y: Scale,
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
    is_log: bool,
}

impl Axes {
    fn contains(&self, y: f64) -> bool {
        y.is_finite() && (TOP - 1.0..=BOTTOM + 1.0).contains(&self.y.place(y))
    }
}

/// A rate can't leave 0 to 1, so its axis doesn't either.
fn percent_axis(low: f64, high: f64) -> Scale {
    if high - low < 1e-9 {
        return Scale::rounded(Spread::Linear, (low - 0.05).max(0.0), (high + 0.05).min(1.0));
    }
    Scale::rounded(Spread::Linear, low, high)
}

/// A series as it is drawn.
struct Line<'a> {
    name: &'a str,
    class: &'static str,
    /// The points themselves, where `main` is their moving average.
    raw: Option<&'a [(f64, f64)]>,
    main: Vec<(f64, f64)>,
}

impl<'a> Line<'a> {
    fn new(series: &'a Series) -> Self {
        let (name, class) = (series.name.as_str(), series.role.class());
        let is_noisy = series.points.len() > MOST_PLAIN_POINTS && series.role != Role::Other;
        if is_noisy {
            Self { name, class, raw: Some(&series.points), main: moving_average(&series.points) }
        } else {
            Self { name, class, raw: None, main: thinned(&series.points) }
        }
    }
}

/// The centred average over a fortieth of the points, at about 200 places.
fn moving_average(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let reach = (points.len() / 80).max(2);
    let every = (points.len() / 200).max(1);
    let mut places: Vec<usize> = (0..points.len()).step_by(every).collect();
    if places.last() != Some(&(points.len() - 1)) {
        places.push(points.len() - 1);
    }
    let average = |place: usize| {
        let window = &points[place.saturating_sub(reach)..(place + reach + 1).min(points.len())];
        let finite = window.iter().map(|point| point.1).filter(|y| y.is_finite());
        (points[place].0, finite.clone().sum::<f64>() / finite.count() as f64)
    };
    places.into_iter().map(average).collect()
}

/// No more than about 500 points, with the extremes of what is left out.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    const MOST: usize = 500;
    if points.len() <= MOST {
        return points.to_vec();
    }
    let by_value = |left: &&(f64, f64), right: &&(f64, f64)| left.1.total_cmp(&right.1);
    points
        .chunks(points.len().div_ceil(MOST / 2))
        .flat_map(|chunk| {
            let ends = [chunk.iter().min_by(by_value), chunk.iter().max_by(by_value)];
            let mut ends: Vec<(f64, f64)> = ends.into_iter().flatten().copied().collect();
            ends.sort_by(|left, right| left.0.total_cmp(&right.0));
            ends
        })
        .collect()
}

fn path(points: &[(f64, f64)], axes: &Axes) -> String {
    let mut path = String::new();
    let mut pen_down = false;
    for &(x, y) in points {
        if !(x.is_finite() && y.is_finite()) {
            pen_down = false;
            continue;
        }
        let command = if pen_down { 'L' } else { 'M' };
        let _ = write!(path, "{command}{} {}", px(axes.x.place(x)), px(axes.y.place(y).clamp(-1e4, 1e4)));
        pen_down = true;
    }
    path
}

fn mark_name(mark: &Mark, axes: &Axes) -> Markup {
    let x = axes.x.place(mark.x);
    let (anchor, x) = if x > (LEFT + RIGHT) / 2.0 { ("end", x - 5.0) } else { ("start", x + 5.0) };
    html! { text.mark-name x=(px(x)) y=(TOP + 12.0) text-anchor=(anchor) { (mark.label) } }
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}
