//! The size of batches as a user writes it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::DataError;

/// Samples per batch. Written as a number or as `full`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// This many.
    Of(usize),
    /// The whole data set: full-batch gradient descent.
    Full,
}

impl BatchSize {
    /// Samples per batch of a data set of this many.
    pub fn samples(self, len: usize) -> usize {
        match self {
            Self::Of(samples) => samples,
            Self::Full => len,
        }
    }
}

impl fmt::Display for BatchSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(samples) => samples.fmt(f),
            Self::Full => f.write_str("full"),
        }
    }
}

impl FromStr for BatchSize {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text.parse() {
            Ok(samples) if samples > 0 => Ok(Self::Of(samples)),
            Err(_) if text == "full" => Ok(Self::Full),
            _ => Err(DataError::BatchSize { value: text.to_owned() }),
        }
    }
}

impl Serialize for BatchSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Of(samples) => serializer.serialize_u64(*samples as u64),
            Self::Full => serializer.serialize_str("full"),
        }
    }
}

impl<'de> Deserialize<'de> for BatchSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = BatchSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a positive number or \"full\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<BatchSize, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, samples: u64) -> Result<BatchSize, E> {
                self.visit_str(&samples.to_string())
            }

            fn visit_i64<E: de::Error>(self, samples: i64) -> Result<BatchSize, E> {
                self.visit_str(&samples.to_string())
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_full_are_read_and_written() {
        for (text, size, json) in [("7", BatchSize::Of(7), "7"), ("full", BatchSize::Full, "\"full\"")] {
            assert_eq!(text.parse::<BatchSize>().unwrap(), size);
            assert_eq!(size.to_string(), text);
            assert_eq!(serde_json::to_string(&size).unwrap(), json);
            assert_eq!(serde_json::from_str::<BatchSize>(json).unwrap(), size);
        }
    }

    #[test]
    fn anything_else_is_named() {
        for text in ["0", "-3", "", "Full", "1.5"] {
            let error = text.parse::<BatchSize>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("batch size {text:?} is neither a positive number nor `full`")
            );
        }
        for json in ["0", "-3", "\"all\"", "1.5", "null"] {
            assert!(serde_json::from_str::<BatchSize>(json).is_err(), "{json}");
        }
    }
}
