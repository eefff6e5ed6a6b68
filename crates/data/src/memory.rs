//! Images kept in memory.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use crate::{Channels, DataError, Dataset, Image, Sample};

/// Images of one size, one after the other in a single block: what IDX and CIFAR files become.
pub(crate) struct PackedImages {
    /// What the samples are numbered in, for messages.
    pub(crate) name: String,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) channels: Channels,
    /// All images, each in the order height, width, channel.
    pub(crate) pixels: Vec<u8>,
    pub(crate) labels: Vec<usize>,
}

impl Dataset for PackedImages {
    type Item = Sample;

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn get(&self, index: usize) -> Result<Sample, DataError> {
        let bytes = self.width * self.height * self.channels.count();
        let pixels = self.pixels[index * bytes..(index + 1) * bytes].to_vec();
        let image = Image::new(self.width, self.height, self.channels, pixels);
        Ok(Sample { image, label: self.labels[index] })
    }

    fn describe(&self, index: usize) -> String {
        format!("image {index} of {}", self.name)
    }
}

/// What a [`Cached`] data set may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// Longest side of an image worth keeping, in pixels. Larger ones are decoded each time.
    pub side: usize,
    /// Bytes of pixels in all. Once they are used up, further images are decoded each time.
    pub bytes: u64,
}

impl Default for CacheLimits {
    /// Images of up to 64 x 64 pixels, 256 MiB in all: room for 87,000 images of CIFAR's size.
    fn default() -> Self {
        Self { side: 64, bytes: 256 << 20 }
    }
}

/// A data set whose small images are decoded once and then kept.
pub struct Cached<D> {
    inner: D,
    limits: CacheLimits,
    kept: Vec<OnceLock<Box<Sample>>>,
    kept_bytes: AtomicU64,
}

impl<D: Dataset<Item = Sample>> Cached<D> {
    /// Keeps what the limits allow of `inner`, as it is read.
    pub fn new(inner: D, limits: CacheLimits) -> Self {
        let kept = std::iter::repeat_with(OnceLock::new).take(inner.len()).collect();
        Self { inner, limits, kept, kept_bytes: AtomicU64::new(0) }
    }

    /// Whether there is room for the image; if so, the room is taken.
    fn reserve(&self, image: &Image) -> bool {
        let bytes = image.pixels().len() as u64;
        image.width().max(image.height()) <= self.limits.side
            && self
                .kept_bytes
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |kept| {
                    kept.checked_add(bytes).filter(|&sum| sum <= self.limits.bytes)
                })
                .is_ok()
    }
}

impl<D: Dataset<Item = Sample>> Dataset for Cached<D> {
    type Item = Sample;

    fn len(&self) -> usize {
        self.inner.len()
    }

    fn get(&self, index: usize) -> Result<Sample, DataError> {
        if let Some(sample) = self.kept[index].get() {
            return Ok(Sample::clone(sample));
        }
        let sample = self.inner.get(index)?;
        if self.reserve(&sample.image) && self.kept[index].set(Box::new(sample.clone())).is_err() {
            // Another thread was faster with the same image: give its room back.
            self.kept_bytes.fetch_sub(sample.image.pixels().len() as u64, Ordering::Relaxed);
        }
        Ok(sample)
    }

    fn describe(&self, index: usize) -> String {
        self.inner.describe(index)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Grey squares of 3, 5 and 7 pixels, which count how often they are read.
    #[derive(Default)]
    struct Squares {
        reads: [AtomicUsize; 3],
    }

    impl Dataset for Squares {
        type Item = Sample;

        fn len(&self) -> usize {
            3
        }

        fn get(&self, index: usize) -> Result<Sample, DataError> {
            self.reads[index].fetch_add(1, Ordering::Relaxed);
            let side = [3, 5, 7][index];
            Ok(Sample { image: Image::filled(side, side, Channels::Grey, [side as u8; 3]), label: index })
        }

        fn describe(&self, index: usize) -> String {
            format!("square {index}")
        }
    }

    fn reads_in_two_epochs(limits: CacheLimits) -> [usize; 3] {
        let cached = Cached::new(Squares::default(), limits);
        for index in [0, 1, 2, 0, 1, 2] {
            assert_eq!(cached.get(index).unwrap(), Squares::default().get(index).unwrap());
        }
        cached.inner.reads.map(AtomicUsize::into_inner)
    }

    #[test]
    fn small_images_are_read_once() {
        assert_eq!(reads_in_two_epochs(CacheLimits { side: 5, bytes: 1000 }), [1, 1, 2]);
    }

    #[test]
    fn no_more_is_kept_than_the_limit() {
        assert_eq!(reads_in_two_epochs(CacheLimits { side: 7, bytes: 9 + 25 }), [1, 1, 2]);
        assert_eq!(reads_in_two_epochs(CacheLimits { side: 7, bytes: 9 + 24 }), [1, 2, 2]);
        assert_eq!(reads_in_two_epochs(CacheLimits { side: 7, bytes: 0 }), [2, 2, 2]);
    }

    #[test]
    fn packed_images_are_cut_out_in_order() {
        let pixels: Vec<u8> = (0..3 * 2 * 3 * 2).collect();
        let images = PackedImages {
            name: "tiles".to_owned(),
            width: 3,
            height: 2,
            channels: Channels::Rgb,
            pixels: pixels.clone(),
            labels: vec![1, 0],
        };
        let sample = images.get(1).unwrap();
        assert_eq!(sample.image, Image::new(3, 2, Channels::Rgb, pixels[18..].to_vec()));
        assert_eq!((sample.label, images.len()), (0, 2));
        assert_eq!(images.describe(1), "image 1 of tiles");
    }
}
