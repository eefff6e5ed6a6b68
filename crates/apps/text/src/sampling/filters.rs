//! Tokens that may not be drawn, taken out of the distribution.
//!
//! Each filter keeps the order of the candidates, which is that of the ids: what is drawn then depends on the kept set
//! alone. None sorts more than it needs.

use std::cmp::Ordering;

/// A token that may still be drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Its id.
    pub(super) token: u32,
    /// By how much its logit is above the largest of all: at most 0, and finite.
    pub(super) logit: f32,
}

/// Where a candidate stands in an order: the smallest `key` comes first, of equal ones the smallest `tie`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    key: f32,
    tie: u32,
    weight: f32,
}

impl Candidate {
    /// Its probability, in proportion to the others'.
    pub(super) fn weight(self) -> f32 {
        self.logit.exp()
    }

    /// Likeliest first; of equals the highest id, as sorting upwards leaves them in `transformers`.
    fn place(self, weight: f32) -> Place {
        Place { key: -self.logit, tie: u32::MAX - self.token, weight }
    }
}

/// Keeps the `k` largest logits, and those equal to the last of them.
pub(super) fn top_k(candidates: &mut Vec<Candidate>, k: usize, keep: usize, places: &mut Vec<Place>) {
    let k = k.max(keep);
    if k >= candidates.len() {
        return;
    }
    places.clear();
    places.extend(candidates.iter().map(|candidate| candidate.place(0.0)));
    let last = places.select_nth_unstable_by(k - 1, order).1.key;
    candidates.retain(|candidate| -candidate.logit <= last);
}

/// Keeps the shortest beginning of the tokens, likeliest first, that has the probability `mass`.
pub(super) fn top_p(candidates: &mut Vec<Candidate>, mass: f64, keep: usize, places: &mut Vec<Place>) {
    places.clear();
    places.extend(candidates.iter().map(|candidate| candidate.place(candidate.weight())));
    let last = last_of_mass(places, mass, keep);
    candidates.retain(|candidate| order(&candidate.place(0.0), &last).is_le());
}

/// Keeps the tokens with at least `share` of the largest probability.
pub(super) fn min_p(candidates: &mut Vec<Candidate>, share: f64, keep: usize, places: &mut Vec<Place>) {
    if keep >= candidates.len() {
        return;
    }
    places.clear();
    places.extend(candidates.iter().map(|candidate| candidate.place(0.0)));
    let last = *places.select_nth_unstable_by(keep - 1, order).1;
    candidates.retain(|candidate| {
        candidate.weight() >= share as f32 || order(&candidate.place(0.0), &last).is_le()
    });
}

/// Keeps the tokens whose surprise (the negative logarithm of the probability) is the nearest to its mean, the entropy,
/// until they have the probability `mass`, and those as near as the last of them.
pub(super) fn typical_p(candidates: &mut Vec<Candidate>, mass: f64, keep: usize, places: &mut Vec<Place>) {
    places.clear();
    places.extend(candidates.iter().map(|candidate| candidate.place(candidate.weight())));
    // The logarithm of the total is in every surprise and in the mean: their difference does without.
    let mean = places.iter().map(|place| f64::from(place.weight) * -f64::from(place.key)).sum::<f64>()
        / total(places);
    let distance = |logit: f32| (f64::from(logit) - mean).abs() as f32;
    for place in places.iter_mut() {
        place.key = distance(-place.key);
    }
    let last = last_of_mass(places, mass, keep).key;
    candidates.retain(|candidate| distance(candidate.logit) <= last);
}

/// The sum of the weights. In 64 bits, because a vocabulary has 10⁵ terms.
fn total(places: &[Place]) -> f64 {
    places.iter().map(|place| f64::from(place.weight)).sum()
}

fn order(a: &Place, b: &Place) -> Ordering {
    a.key.total_cmp(&b.key).then(a.tie.cmp(&b.tie))
}

/// The last place of the shortest beginning that has the share `mass` of the weight and at least `keep` places; sorts
/// only that far. The very last, if rounding keeps the sum below it.
fn last_of_mass(places: &mut [Place], mass: f64, keep: usize) -> Place {
    let count = places.len();
    let mass = mass * total(places);
    let mut sorted = 0;
    let mut sum = 0.0;
    // A nucleus often has few tokens; when not, blocks that grow make all of them cost little more than the last.
    let mut block = 64;
    loop {
        let rest = &mut places[sorted..];
        let end = block.min(rest.len());
        if end < rest.len() {
            rest.select_nth_unstable_by(end, order);
        }
        rest[..end].sort_unstable_by(order);
        for &place in &rest[..end] {
            sorted += 1;
            sum += f64::from(place.weight);
            if (sum >= mass && sorted >= keep) || sorted == count {
                return place;
            }
        }
        block *= 8;
    }
}
