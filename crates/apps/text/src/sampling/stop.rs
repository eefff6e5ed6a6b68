//! Where generated text ends.

use super::error::{SamplingError, check};

/// Finds the first of some strings in text that arrives in pieces.
///
/// First is what begins first. Text is passed on as soon as no stop string can begin in it any more; the stop string
/// itself, and what follows it, is not.
///
/// ```
/// use libellus_text::sampling::StopStrings;
///
/// let mut stops = StopStrings::new(["\nUser:"])?;
/// assert_eq!(stops.push("Hello!\nUs").emit, "Hello!");
/// let text = stops.push("er: And");
/// assert!(text.stopped && text.emit.is_empty());
/// # Ok::<(), libellus_text::sampling::SamplingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct StopStrings {
    stops: Vec<String>,
    held: String,
    stopped: bool,
}

/// What can be said after a piece of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Text to pass on.
    pub emit: String,
    /// Whether a stop string was found; `emit` is the last text before it.
    pub stopped: bool,
}

impl StopStrings {
    /// Looks for these strings; with none, all text is passed on at once.
    ///
    /// # Errors
    /// When a string is empty.
    pub fn new(stops: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, SamplingError> {
        let stops: Vec<String> = stops.into_iter().map(Into::into).collect();
        check(
            stops.iter().all(|stop| !stop.is_empty()),
            "stop",
            "\"\"",
            "must not be empty, because every text begins with it",
        )?;
        Ok(Self { stops, held: String::new(), stopped: false })
    }

    /// Takes the next piece of text, and gives what can be passed on. After the stop, nothing.
    pub fn push(&mut self, piece: &str) -> Text {
        if self.stopped {
            return Text { emit: String::new(), stopped: true };
        }
        self.held.push_str(piece);
        let found = self.found();
        let open = self.open();
        self.stopped = found.is_some_and(|found| open.is_none_or(|open| found <= open));
        // When a stop string is there, but a longer one may have begun before it, the next piece decides.
        let end = if self.stopped { found } else { open };
        let rest = self.held.split_off(end.unwrap_or(self.held.len()));
        let emit = std::mem::replace(&mut self.held, rest);
        Text { emit, stopped: self.stopped }
    }

    /// Gives what was held back, since no more text comes.
    pub fn finish(mut self) -> Text {
        if self.stopped {
            return Text { emit: String::new(), stopped: true };
        }
        let found = self.found();
        self.held.truncate(found.unwrap_or(self.held.len()));
        Text { emit: self.held, stopped: found.is_some() }
    }

    /// Where the first stop string begins.
    fn found(&self) -> Option<usize> {
        self.stops.iter().filter_map(|stop| self.held.find(stop)).min()
    }

    /// The first place from which on the text is the beginning of a longer stop string.
    fn open(&self) -> Option<usize> {
        let mut places = self.held.char_indices().map(|(place, _)| place);
        places.find(|&place| {
            let rest = &self.held[place..];
            self.stops.iter().any(|stop| stop.len() > rest.len() && stop.starts_with(rest))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pieces that are emitted, and whether a stop string was found.
    fn run(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let mut search = StopStrings::new(stops.iter().copied()).unwrap();
        let mut emitted: Vec<String> = pieces.iter().map(|piece| search.push(piece).emit).collect();
        let last = search.finish();
        emitted.push(last.emit);
        (emitted, last.stopped)
    }

    #[test]
    fn only_what_may_become_a_stop_string_is_held_back() {
        assert_eq!(run(&["END"], &["abE", "N", "d"]).0, ["ab", "", "ENd", ""]);
        assert_eq!(run(&["END"], &["abE", "ND", "c"]), (["ab", "", "", ""].map(String::from).to_vec(), true));
        assert_eq!(run(&["END"], &["EN"]), (["", "EN"].map(String::from).to_vec(), false));
        assert_eq!(run(&[], &["EN"]), (["EN", ""].map(String::from).to_vec(), false));
        assert_eq!(run(&["🦀!"], &["é🦀", "🦀", "!"]).0, ["é", "🦀", "", ""]);
    }

    #[test]
    fn the_stop_string_that_begins_first_counts() {
        // Whether "abcd" is there is open until after "bc".
        assert_eq!(run(&["abcd", "bc"], &["xab", "c", "d"]).0.concat(), "x");
        assert_eq!(run(&["abcd", "bc"], &["xab", "c", "e"]).0.concat(), "xa");
        assert_eq!(run(&["abcd", "bc"], &["xab", "c"]), (["x", "", "a"].map(String::from).to_vec(), true));
        // Both begin at the same place: no need to wait for the longer one.
        let mut search = StopStrings::new(["ab", "abc"]).unwrap();
        assert_eq!(search.push("xab"), Text { emit: "x".to_owned(), stopped: true });
        assert_eq!(search.push("c"), Text { emit: String::new(), stopped: true });
    }

    #[test]
    fn an_empty_stop_string_is_an_error() {
        let error = StopStrings::new([""]).unwrap_err();
        assert_eq!(error.to_string(), "--stop \"\": must not be empty, because every text begins with it");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn pieces_give_what_the_whole_text_gives(
            pieces in prop::collection::vec("[abé🦀]{0,3}", 0..13),
            stops in prop::collection::vec("[abé🦀]{1,5}", 0..5),
        ) {
            let text = pieces.concat();
            let cut = stops.iter().filter_map(|stop| text.find(stop)).min();
            let mut search = StopStrings::new(stops.clone()).unwrap();
            let mut emitted = String::new();
            let mut seen = String::new();
            for piece in &pieces {
                seen.push_str(piece);
                let text = search.push(piece);
                emitted.push_str(&text.emit);
                // What is held back begins like a stop string, or has one that may not be the first.
                let held = &seen[emitted.len()..];
                let mut reasons = stops.iter().filter(|stop| stop.starts_with(held) || held.contains(*stop));
                prop_assert!(text.stopped || held.is_empty() || reasons.next().is_some());
            }
            let last = search.finish();
            emitted.push_str(&last.emit);
            prop_assert_eq!(last.stopped, cut.is_some());
            prop_assert_eq!(emitted, &text[..cut.unwrap_or(text.len())]);
        }
    }
}
