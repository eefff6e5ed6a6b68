//! From values to places on an axis, and which values get a tick.

use super::format::power_of_ten;

/// How values are spread along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spread {
    Linear,
    /// By their logarithm; positive values only.
    Log,
}

/// An axis: the values `from..to` at the places `start..end`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    spread: Spread,
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

/// A marked value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

impl Scale {
    /// Exactly the values `from..to`, widened if they are one.
    pub(super) fn exact(spread: Spread, from: f64, to: f64) -> Self {
        let (from, to) = match spread {
            _ if to > from => (from, to),
            Spread::Log => (from / 2.0, from * 2.0),
            Spread::Linear if from == 0.0 => (0.0, 1.0),
            Spread::Linear => (from - from.abs() / 2.0, from + from.abs() / 2.0),
        };
        Self { spread, from, to, start: 0.0, end: 1.0 }
    }

    /// The values `from..to`, widened to the next round numbers.
    pub(super) fn rounded(spread: Spread, from: f64, to: f64) -> Self {
        let Self { from, to, .. } = Self::exact(spread, from, to);
        match spread {
            Spread::Linear => {
                let step = nice_step(from, to, 5);
                Self::exact(spread, (from / step).floor() * step, (to / step).ceil() * step)
            }
            Spread::Log => {
                let candidates = |exponent: f64| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powf(exponent));
                let low =
                    candidates(from.log10().floor()).into_iter().rfind(|&value| value <= from * (1.0 + 1e-9));
                let high_exponent = to.log10().floor();
                let high = candidates(high_exponent).into_iter().find(|&value| value >= to * (1.0 - 1e-9));
                Self::exact(spread, low.unwrap_or(from), high.unwrap_or(10_f64.powf(high_exponent + 1.0)))
            }
        }
    }

    /// The same axis, drawn from `start` to `end`.
    pub(super) fn over(self, start: f64, end: f64) -> Self {
        Self { start, end, ..self }
    }

    /// Where `value` is. Values beyond the ends are placed beyond them; those that a logarithm can't place,
    /// at the low end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let part = match self.spread {
            Spread::Linear => (value - self.from) / (self.to - self.from),
            Spread::Log if value <= 0.0 => 0.0,
            Spread::Log => (value / self.from).ln() / (self.to / self.from).ln(),
        };
        self.start + part * (self.end - self.start)
    }

    /// About `wanted` marked values from end to end.
    pub(super) fn ticks(&self, wanted: usize) -> Vec<Tick> {
        match self.spread {
            Spread::Linear => linear_ticks(self.from, self.to, wanted),
            Spread::Log => log_ticks(self.from, self.to, wanted),
        }
    }
}

/// 1, 2 or 5 times a power of ten, so that about `wanted` steps cover the range.
fn nice_step(from: f64, to: f64, wanted: usize) -> f64 {
    let rough = (to - from) / wanted.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = match rough / power {
        ratio if ratio <= 1.0 + 1e-9 => 1.0,
        ratio if ratio <= 2.0 + 1e-9 => 2.0,
        ratio if ratio <= 5.0 + 1e-9 => 5.0,
        _ => 10.0,
    };
    factor * power
}

fn linear_ticks(from: f64, to: f64, wanted: usize) -> Vec<Tick> {
    let step = nice_step(from, to, wanted);
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let first = (from / step - 1e-9).ceil() as i64;
    let last = (to / step + 1e-9).floor() as i64;
    let label = |value: f64| {
        if step >= 1000.0 {
            format!("{}k", value / 1000.0)
        } else if step < 1e-4 && value != 0.0 {
            power_of_ten(value)
        } else {
            format!("{value:.decimals$}")
        }
    };
    (first..=last)
        .map(|index| index as f64 * step)
        .map(|value| Tick { value, label: if value == 0.0 { "0".to_owned() } else { label(value) } })
        .collect()
}

fn log_ticks(from: f64, to: f64, wanted: usize) -> Vec<Tick> {
    let last = (to.log10() + 1e-9).ceil() as i32;
    let decades = (to / from).log10();
    let factors: &[f64] = if 3.0 * decades + 0.1 < 1.5 * wanted as f64 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    // A decade that begins below the range may still have its 2 or 5 inside.
    let begin = if factors.len() > 1 { f64::floor } else { f64::ceil };
    let first = begin(from.log10() - 1e-9) as i32;
    let every = (decades / wanted.max(1) as f64).ceil().max(1.0) as usize;
    let inside = |value: f64| value >= from * (1.0 - 1e-9) && value <= to * (1.0 + 1e-9);
    (first..=last)
        .step_by(every)
        .flat_map(|exponent| factors.iter().map(move |factor| (factor * 10_f64.powi(exponent), exponent)))
        .filter(|&(value, _)| inside(value))
        .map(|(value, exponent)| {
            let label = match exponent {
                -3..=-1 => format!("{value:.*}", -exponent as usize),
                0..=3 => format!("{value:.0}"),
                _ => power_of_ten(value),
            };
            Tick { value, label }
        })
        .collect()
}
