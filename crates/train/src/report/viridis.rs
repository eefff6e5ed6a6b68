//! The colour scale of heat maps: viridis (S. van der Walt and N. Smith, public domain), which is even to the
//! eye, readable without colour vision, and visible on light and dark pages.

const STOPS: [[f64; 3]; 9] = [
    [68.0, 1.0, 84.0],
    [71.0, 44.0, 122.0],
    [59.0, 81.0, 139.0],
    [44.0, 113.0, 142.0],
    [33.0, 144.0, 141.0],
    [39.0, 173.0, 129.0],
    [92.0, 200.0, 99.0],
    [170.0, 220.0, 50.0],
    [253.0, 231.0, 37.0],
];

/// The colour at `part` of the scale, 0 (dark violet) to 1 (yellow), as CSS.
pub(super) fn colour(part: f64) -> String {
    let place = part.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let below = (place.floor() as usize).min(STOPS.len() - 2);
    let weight = place - below as f64;
    let channel = |index: usize| {
        let value = STOPS[below][index] * (1.0 - weight) + STOPS[below + 1][index] * weight;
        value.round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", channel(0), channel(1), channel(2))
}

/// The whole scale, as a CSS gradient.
pub(super) fn css_gradient() -> String {
    let stops: Vec<String> =
        (0..STOPS.len()).map(|index| colour(index as f64 / (STOPS.len() - 1) as f64)).collect();
    format!("linear-gradient(to right, {})", stops.join(", "))
}
