//! Samples by number, and labelled images in two parts.

use std::{fmt, sync::Arc};

use crate::{DataError, Image};

/// An image and its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The image.
    pub image: Image,
    /// Index of the class.
    pub label: usize,
}

/// A fixed number of samples, each to be had by its number, in any order and from any thread.
pub trait Dataset: Send + Sync {
    /// What a sample is.
    type Item: Send;

    /// Number of samples.
    fn len(&self) -> usize;

    /// Reads a sample. The same number gives an equal sample each time.
    ///
    /// # Errors
    /// When the sample can't be read or decoded; the message names its file.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Dataset::len).
    fn get(&self, index: usize) -> Result<Self::Item, DataError>;

    /// Where a sample comes from, for messages: its file, or its number in one.
    fn describe(&self, index: usize) -> String;

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Some samples of another data set, in an order of their own.
pub struct Subset<T> {
    parent: Arc<dyn Dataset<Item = T>>,
    indices: Vec<usize>,
}

impl<T: Send> Subset<T> {
    /// The samples of `parent` with these numbers.
    ///
    /// # Panics
    /// If a number is not below the length of `parent`.
    pub fn new(parent: Arc<dyn Dataset<Item = T>>, indices: Vec<usize>) -> Self {
        let len = parent.len();
        if let Some(outside) = indices.iter().find(|&&index| index >= len) {
            panic!("no sample {outside} in a data set of {len}");
        }
        Self { parent, indices }
    }
}

impl<T: Send> Dataset for Subset<T> {
    type Item = T;

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn get(&self, index: usize) -> Result<T, DataError> {
        self.parent.get(self.indices[index])
    }

    fn describe(&self, index: usize) -> String {
        self.parent.describe(self.indices[index])
    }
}

/// Images with their labels at hand: what one part of an [`ImageClasses`] is made of.
#[derive(Clone)]
pub struct LabelledImages {
    /// The samples.
    pub images: Arc<dyn Dataset<Item = Sample>>,
    /// The label of each sample, known without decoding it.
    pub labels: Vec<usize>,
}

impl LabelledImages {
    /// The samples with these numbers.
    ///
    /// # Panics
    /// If a number is not below the number of samples.
    pub fn subset(&self, indices: Vec<usize>) -> Self {
        let labels = indices.iter().map(|&index| self.labels[index]).collect();
        Self { images: Arc::new(Subset::new(self.images.clone(), indices)), labels }
    }
}

impl fmt::Debug for LabelledImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LabelledImages({})", self.labels.len())
    }
}

/// A data set for image classification: named classes, images to learn from and images to be tested on; with some data sets,
/// images to choose the best weights by.
#[derive(Clone)]
pub struct ImageClasses {
    /// Name of the data set, or of its folder.
    pub name: String,
    /// The classes, in the order of their labels.
    pub classes: Vec<String>,
    /// Images to learn from.
    pub train: Arc<dyn Dataset<Item = Sample>>,
    /// Images to be tested on.
    pub test: Arc<dyn Dataset<Item = Sample>>,
    /// Images to choose the best weights by, where the data set has a part for that.
    pub validation: Option<Arc<dyn Dataset<Item = Sample>>>,
    train_labels: Vec<usize>,
    test_labels: Vec<usize>,
}

impl ImageClasses {
    /// Puts the parts together.
    ///
    /// # Errors
    /// With fewer than two classes, or when a part is empty.
    ///
    /// # Panics
    /// If a part has not as many labels as images, or a label that is not below the number of classes.
    pub fn new(
        name: impl Into<String>,
        classes: Vec<String>,
        train: LabelledImages,
        test: LabelledImages,
    ) -> Result<Self, DataError> {
        let name = name.into();
        if classes.len() < 2 {
            return Err(DataError::TooFewClasses { name, found: classes.len() });
        }
        check_part(&name, "training", &train, classes.len())?;
        check_part(&name, "test", &test, classes.len())?;
        Ok(Self {
            name,
            classes,
            train: train.images,
            test: test.images,
            validation: None,
            train_labels: train.labels,
            test_labels: test.labels,
        })
    }

    /// The same with a validation part of its own.
    ///
    /// # Errors
    /// When the part is empty.
    ///
    /// # Panics
    /// As [`new`](ImageClasses::new).
    pub fn with_validation(mut self, validation: LabelledImages) -> Result<Self, DataError> {
        check_part(&self.name, "validation", &validation, self.classes.len())?;
        self.validation = Some(validation.images);
        Ok(self)
    }

    /// The label of each training image, known without decoding it.
    pub fn train_labels(&self) -> &[usize] {
        &self.train_labels
    }

    /// The label of each test image, known without decoding it.
    pub fn test_labels(&self) -> &[usize] {
        &self.test_labels
    }
}

impl fmt::Debug for ImageClasses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageClasses")
            .field("name", &self.name)
            .field("classes", &self.classes)
            .field("train", &self.train.len())
            .field("test", &self.test.len())
            .field("validation", &self.validation.as_ref().map(|images| images.len()))
            .finish()
    }
}

fn check_part(
    name: &str,
    part: &'static str,
    images: &LabelledImages,
    classes: usize,
) -> Result<(), DataError> {
    assert_eq!(images.images.len(), images.labels.len(), "{part} images and labels of {name}");
    assert!(images.labels.iter().all(|&label| label < classes), "a {part} label of {name} has no class");
    if images.labels.is_empty() {
        return Err(DataError::EmptyPart { name: name.to_owned(), part });
    }
    Ok(())
}
