//! Tensors by name: what goes into a model from outside, and what comes out.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Element, Int, Tensor, TensorData, kind};
use libellus_layers::trace::can_follow;

/// Tensors by name, in host memory.
///
/// ```
/// use burn::tensor::Tensor;
/// use libellus_models::Tensors;
///
/// let device = libellus_backend::testing::device();
/// let inputs = Tensors::new().with("images", Tensor::<4>::zeros([1, 3, 8, 8], &device));
/// assert_eq!(inputs.float::<4>("images", &device)?.dims(), [1, 3, 8, 8]);
/// assert_eq!(
///     inputs.float::<4>("image", &device).unwrap_err().to_string(),
///     "there is no input `image`, only images"
/// );
/// # Ok::<(), libellus_models::InputError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tensors(BTreeMap<String, TensorData>);

/// An input that a model can't take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// A tensor is missing.
    #[error("there is no input `{name}`, only {}", list(found))]
    Missing {
        /// Its name.
        name: String,
        /// The names that are there.
        found: Vec<String>,
    },
    /// A tensor isn't known to the model.
    #[error("the model takes no input `{name}`, only {}", list(known))]
    Unknown {
        /// Its name.
        name: String,
        /// The names that the model takes.
        known: Vec<String>,
    },
    /// A tensor has another number of dimensions.
    #[error("input `{name}` must have {expected} dimensions, not shape {found:?}")]
    Rank {
        /// Its name.
        name: String,
        /// How many it should have.
        expected: usize,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A dimension of a tensor is of a length that the model can't take.
    #[error("dimension {dim} of input `{name}` must be {expected}, not shape {found:?}")]
    Length {
        /// The tensor's name.
        name: String,
        /// The dimension, from 0.
        dim: usize,
        /// What the length should be, in words.
        expected: String,
        /// The tensor's shape.
        found: Vec<usize>,
    },
    /// A tensor holds numbers of the wrong kind.
    #[error("input `{name}` must hold {expected}, not {found}")]
    ElementType {
        /// Its name.
        name: String,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
    /// An example of the input would be too large.
    #[error("an input `{name}` of shape {shape:?} is too large to follow a model's shapes with")]
    TooLarge {
        /// The tensor's name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A number is too large or negative.
    #[error("element {index} of input `{name}` is {value}; it must be at least 0 and less than {limit}")]
    OutOfRange {
        /// The tensor's name.
        name: String,
        /// Where it stands, counting all elements.
        index: usize,
        /// The number.
        value: i64,
        /// One more than the largest that is allowed.
        limit: usize,
    },
}

fn list(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    }
}

impl Tensors {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// These and one more, read from its device.
    #[must_use]
    pub fn with<const D: usize, K: kind::Basic>(self, name: &str, tensor: Tensor<D, K>) -> Self {
        let data = tensor.into_data();
        // A copy: on GPU backends the bytes are fetched at the first look, and would show later changes.
        let data = TensorData::from_bytes_vec(data.as_bytes().to_vec(), data.shape(), data.dtype());
        self.with_data(name, data)
    }

    /// These and one more.
    #[must_use]
    pub fn with_data(mut self, name: &str, data: TensorData) -> Self {
        self.0.insert(name.to_owned(), data);
        self
    }

    /// These and a tensor of zeros.
    ///
    /// # Errors
    /// If it would have more elements than a layer may put out while [shapes](libellus_layers::trace::shapes) are followed.
    pub(crate) fn with_zeros<E: Element, const D: usize>(
        self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Self, InputError> {
        match can_follow(&shape) {
            true => Ok(self.with_data(name, TensorData::zeros::<E, _>(shape))),
            false => Err(InputError::TooLarge { name: name.to_owned(), shape: shape.to_vec() }),
        }
    }

    /// All names and values, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &TensorData)> {
        self.0.iter().map(|(name, data)| (name.as_str(), data))
    }

    /// The values of one, if it is there.
    pub fn get(&self, name: &str) -> Option<&TensorData> {
        self.0.get(name)
    }

    /// A tensor of floating-point numbers, on `device`.
    ///
    /// # Errors
    /// If there is none of this name, or its rank or type is another.
    pub fn float<const D: usize>(&self, name: &str, device: &Device) -> Result<Tensor<D>, InputError> {
        let data = self.required(name, D)?;
        if !data.dtype().is_float() {
            return Err(element_type(name, "floating-point numbers", data.dtype()));
        }
        Ok(Tensor::from_data(data.clone().convert::<f32>(), device))
    }

    /// The same, or `None` if there is none of this name.
    ///
    /// # Errors
    /// As [`Tensors::float`].
    pub fn optional_float<const D: usize>(
        &self,
        name: &str,
        device: &Device,
    ) -> Result<Option<Tensor<D>>, InputError> {
        self.get(name).map(|_| self.float(name, device)).transpose()
    }

    /// A tensor of whole numbers that are all less than `limit`, on `device`.
    ///
    /// # Errors
    /// If there is none of this name, its rank or type is another, or a number is negative or not less than `limit`.
    pub fn ints<const D: usize>(
        &self,
        name: &str,
        limit: usize,
        device: &Device,
    ) -> Result<Tensor<D, Int>, InputError> {
        let data = self.required(name, D)?;
        if !(data.dtype().is_int() || data.dtype().is_uint() || data.dtype().is_bool()) {
            return Err(element_type(name, "whole numbers", data.dtype()));
        }
        // The largest of these don't fit the type that the numbers become.
        if data.dtype() == DType::U64
            && let Some((index, value)) =
                data.iter::<u64>().enumerate().find(|(_, value)| *value >= limit as u64)
        {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            return Err(InputError::OutOfRange { name: name.to_owned(), index, value, limit });
        }
        let data = data.clone().convert::<i64>();
        let outside = data.iter::<i64>().enumerate().find(|(_, value)| !(0..limit as i64).contains(value));
        match outside {
            Some((index, value)) => {
                Err(InputError::OutOfRange { name: name.to_owned(), index, value, limit })
            }
            None => Ok(Tensor::from_data(data, device)),
        }
    }

    /// The same, or `None` if there is none of this name.
    ///
    /// # Errors
    /// As [`Tensors::ints`].
    pub fn optional_ints<const D: usize>(
        &self,
        name: &str,
        limit: usize,
        device: &Device,
    ) -> Result<Option<Tensor<D, Int>>, InputError> {
        self.get(name).map(|_| self.ints(name, limit, device)).transpose()
    }

    /// Refuses tensors of any other names.
    ///
    /// # Errors
    /// [`InputError::Unknown`] with the first of them.
    pub fn only(&self, known: &[&str]) -> Result<(), InputError> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(InputError::Unknown {
                name: name.clone(),
                known: known.iter().map(|&name| name.to_owned()).collect(),
            }),
            None => Ok(()),
        }
    }

    /// Refuses a tensor whose dimension `dim` isn't `length`. One that isn't there is fine.
    ///
    /// # Errors
    /// [`InputError::Length`] with its shape.
    pub fn length(&self, name: &str, dim: usize, length: usize) -> Result<(), InputError> {
        self.check_length(name, dim, &length.to_string(), |found| found == length)
    }

    /// Refuses a tensor whose dimension `dim` is less than `least` or more than `most`. One that isn't there is fine.
    ///
    /// # Errors
    /// [`InputError::Length`] with its shape.
    pub fn length_within(&self, name: &str, dim: usize, least: usize, most: usize) -> Result<(), InputError> {
        let expected = match most {
            usize::MAX => format!("at least {least}"),
            most => format!("between {least} and {most}"),
        };
        self.check_length(name, dim, &expected, |found| (least..=most).contains(&found))
    }

    fn check_length(
        &self,
        name: &str,
        dim: usize,
        expected: &str,
        fits: impl Fn(usize) -> bool,
    ) -> Result<(), InputError> {
        let Some(data) = self.get(name) else { return Ok(()) };
        let shape = data.shape();
        match shape.as_slice().get(dim) {
            Some(&found) if fits(found) => Ok(()),
            _ => Err(InputError::Length {
                name: name.to_owned(),
                dim,
                expected: expected.to_owned(),
                found: shape.as_slice().to_vec(),
            }),
        }
    }

    fn required(&self, name: &str, rank: usize) -> Result<&TensorData, InputError> {
        let Some(data) = self.get(name) else {
            let found = self.0.keys().cloned().collect();
            return Err(InputError::Missing { name: name.to_owned(), found });
        };
        let found = data.shape().as_slice().to_vec();
        match found.len() == rank {
            true => Ok(data),
            false => Err(InputError::Rank { name: name.to_owned(), expected: rank, found }),
        }
    }
}

fn element_type(name: &str, expected: &'static str, found: DType) -> InputError {
    InputError::ElementType { name: name.to_owned(), expected, found: format!("{found:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libellus_backend::testing::{device, read};

    fn inputs() -> Tensors {
        Tensors::new()
            .with("images", Tensor::<4>::ones([2, 3, 5, 7], &device()))
            .with_data("tokens", TensorData::new(vec![4i32, 0, 9], [1, 3]))
    }

    #[test]
    fn what_was_put_in_comes_out() {
        let images = inputs().float::<4>("images", &device()).expect("floats of rank 4");
        assert_eq!(read(images), read(Tensor::<4>::ones([2, 3, 5, 7], &device())));
        let tokens = inputs().ints::<2>("tokens", 10, &device()).expect("ints of rank 2");
        assert_eq!(read(tokens).iter::<i64>().collect::<Vec<_>>(), [4, 0, 9]);
        assert!(inputs().optional_float::<2>("mask", &device()).expect("it isn't there").is_none());
        assert_eq!(inputs().length("images", 1, 3), Ok(()));
        assert_eq!(inputs().length("mask", 1, 3), Ok(()));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (inputs, device) = (inputs(), device());
        let message = |error: InputError| error.to_string();
        assert_eq!(
            message(inputs.float::<3>("images", &device).unwrap_err()),
            "input `images` must have 3 dimensions, not shape [2, 3, 5, 7]"
        );
        assert_eq!(
            message(inputs.float::<2>("tokens", &device).unwrap_err()),
            "input `tokens` must hold floating-point numbers, not I32"
        );
        assert_eq!(
            message(inputs.ints::<2>("tokens", 9, &device).unwrap_err()),
            "element 2 of input `tokens` is 9; it must be at least 0 and less than 9"
        );
        let huge = Tensors::new().with_data("tokens", TensorData::new(vec![1u64, u64::MAX], [1, 2]));
        assert!(
            message(huge.ints::<2>("tokens", 9, &device).unwrap_err())
                .starts_with("element 1 of input `tokens` is")
        );
        assert_eq!(
            message(inputs.only(&["images"]).unwrap_err()),
            "the model takes no input `tokens`, only images"
        );
        assert_eq!(
            message(inputs.length("images", 1, 4).unwrap_err()),
            "dimension 1 of input `images` must be 4, not shape [2, 3, 5, 7]"
        );
        assert_eq!(
            message(inputs.length_within("tokens", 1, 1, 2).unwrap_err()),
            "dimension 1 of input `tokens` must be between 1 and 2, not shape [1, 3]"
        );
    }
}
