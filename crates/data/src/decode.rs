//! Image files to pixels.
//!
//! The format is told from the first bytes, never from a file name. Pixels come out as PIL's `convert("RGB")` and
//! `convert("L")` would have them: an alpha channel is dropped, not composited; of 16-bit values the upper byte is
//! kept; an animation gives its first frame. Unlike PIL, the orientation a camera wrote into the EXIF data is applied.

use crate::{Channels, DataError, Image};
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use std::{fs::File, io, io::Read, path::Path};

/// The largest number of pixels that is decoded; from here on, PIL too calls an image a decompression bomb.
pub const MAX_PIXELS: u64 = 178_956_970;

/// The largest file that is read, in bytes: what [`MAX_PIXELS`] take uncompressed, with 16 bits and alpha.
const MAX_FILE_BYTES: u64 = 8 * MAX_PIXELS;

/// Why bytes are not a usable image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There is nothing to decode.
    #[error("the file is empty (zero bytes)")]
    Empty,

    /// The bytes begin like none of the known formats.
    #[error("not an image: the content is not PNG, JPEG, WebP, BMP, GIF or TIFF")]
    NotAnImage,

    /// The file has more bytes than any image within the limit.
    #[error("the file is larger than {limit} bytes, the most that is read of an image")]
    FileTooLarge {
        /// The largest number of bytes that is read.
        limit: u64,
    },

    /// The header announces more pixels than are decoded. No memory has been taken for them.
    #[error("the {format} header announces {width} x {height} pixels, more than the limit of {limit} in all")]
    TooLarge {
        /// Name of the format.
        format: &'static str,
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// The largest number of pixels that is decoded.
        limit: u64,
    },

    /// The header announces an image without pixels.
    #[error("the {format} header announces {width} x {height} pixels: there is nothing in it")]
    NoPixels {
        /// Name of the format.
        format: &'static str,
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },

    /// The data end before the image does.
    #[error("the {format} data end before the image does: the file is truncated")]
    Truncated {
        /// Name of the format.
        format: &'static str,
    },

    /// The data break the rules of their format, or use a part of it that is not supported.
    #[error("the {format} data cannot be decoded")]
    Invalid {
        /// Name of the format.
        format: &'static str,
        /// What the decoder says.
        #[source]
        source: ImageError,
    },

    /// The pixels are floating-point numbers, whose range a file does not tell.
    #[error("the {format} file holds floating-point pixels; convert it to 8 or 16 bits per channel")]
    FloatPixels {
        /// Name of the format.
        format: &'static str,
    },
}

/// Decodes a PNG, JPEG, WebP, BMP, GIF or TIFF file held in memory.
///
/// # Errors
/// A [`DecodeError`] that tells an empty file, one that is not an image, one that is truncated, one that is corrupt and
/// one that is too large apart.
pub fn decode(bytes: &[u8]) -> Result<Image, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let format = image::guess_format(bytes).map_err(|_| DecodeError::NotAnImage)?;
    let name = format_name(format).ok_or(DecodeError::NotAnImage)?;
    if format == ImageFormat::Jpeg && !jpeg_is_complete(bytes) {
        return Err(DecodeError::Truncated { format: name });
    }

    let _span = tracing::trace_span!("decode", format = name, bytes = bytes.len()).entered();
    let failed = |source| failure(name, bytes, source);
    let mut reader = ImageReader::with_format(io::Cursor::new(bytes), format);
    reader.limits(limits());
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(DecodeError::NoPixels { format: name, width, height });
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(DecodeError::TooLarge { format: name, width, height, limit: MAX_PIXELS });
    }
    if matches!(decoder.color_type(), ColorType::Rgb32F | ColorType::Rgba32F) {
        return Err(DecodeError::FloatPixels { format: name });
    }
    let orientation = decoder.orientation().map_err(failed)?;
    let mut pixels = to_8_bits(DynamicImage::from_decoder(decoder).map_err(failed)?);
    pixels.apply_orientation(orientation);
    Ok(to_image(pixels))
}

/// Reads and decodes an image file.
///
/// # Errors
/// [`DataError`], which names the file: it cannot be read, or it is not a usable image (see [`DecodeError`]).
pub fn decode_file(path: impl AsRef<Path>) -> Result<Image, DataError> {
    let path = path.as_ref();
    let file = File::open(path).map_err(DataError::read(path))?;
    let mut bytes = Vec::new();
    // A pipe or a device has no size to be asked for, so the limit is on what is read.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(DataError::read(path))?;
    let decoded = if bytes.len() as u64 > MAX_FILE_BYTES {
        Err(DecodeError::FileTooLarge { limit: MAX_FILE_BYTES })
    } else {
        decode(&bytes)
    };
    decoded.map_err(|source| DataError::Decode { path: path.to_owned(), source })
}

/// The name of a format that is supported.
fn format_name(format: ImageFormat) -> Option<&'static str> {
    match format {
        ImageFormat::Png => Some("PNG"),
        ImageFormat::Jpeg => Some("JPEG"),
        ImageFormat::WebP => Some("WebP"),
        ImageFormat::Bmp => Some("BMP"),
        ImageFormat::Gif => Some("GIF"),
        ImageFormat::Tiff => Some("TIFF"),
        _ => None,
    }
}

/// What a decoder may allocate beside and for the pixels. The number of pixels is checked before.
fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_FILE_BYTES);
    limits
}

/// A decoder's error as one of ours: data that end early are told apart from data that are wrong.
fn failure(format: &'static str, bytes: &[u8], source: ImageError) -> DecodeError {
    let ends_early = match &source {
        ImageError::IoError(error) => error.kind() == io::ErrorKind::UnexpectedEof,
        // These two have many errors for an early end, but a WebP tells its length, and a GIF has a trailer.
        _ if bytes.starts_with(b"RIFF") => webp_length(bytes).is_some_and(|length| bytes.len() < length),
        _ if bytes.starts_with(b"GIF") => !bytes.ends_with(b";"),
        _ => false,
    };
    if ends_early { DecodeError::Truncated { format } } else { DecodeError::Invalid { format, source } }
}

/// The number of bytes that the header of a WebP file announces.
fn webp_length(bytes: &[u8]) -> Option<usize> {
    let size = bytes.strip_prefix(b"RIFF")?.first_chunk()?;
    // The signature and the size itself are not counted.
    (u32::from_le_bytes(*size) as usize).checked_add(8)
}

/// Whether JPEG data reach their end-of-image marker.
///
/// The decoder fills in grey what is missing and says nothing, so this is looked for before. As in PIL, an image
/// without the marker counts as truncated.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xD9;
    // The start-of-image marker, two bytes, is how the format was recognised.
    let mut rest = &bytes[2..];
    while let Some(at) = rest.iter().position(|&byte| byte == 0xFF) {
        rest = &rest[at + 1..];
        match rest.first() {
            None => return false,
            Some(&END_OF_IMAGE) => return true,
            // A fill byte: the marker's second byte is still to come.
            Some(0xFF) => {}
            // A stuffed zero or a restart marker in the entropy-coded data; a marker that stands alone.
            Some(0x00 | 0x01 | 0xD0..=0xD8) => rest = &rest[1..],
            // A segment with its length, which could hold anything, an embedded thumbnail for one.
            Some(_) => {
                let Some(&[high, low]) = rest.get(1..3) else { return false };
                let length = usize::from(u16::from_be_bytes([high, low]));
                rest = rest.get(1 + length..).unwrap_or_default();
            }
        }
    }
    false
}

/// The image with 8 bits per channel; of wider values, the upper byte.
fn to_8_bits(image: DynamicImage) -> DynamicImage {
    fn upper(pixels: &[u16]) -> Vec<u8> {
        pixels.iter().map(|value| (value >> 8) as u8).collect()
    }
    let (width, height) = (image.width(), image.height());
    let narrowed = match image {
        DynamicImage::ImageLuma16(wide) => {
            image::GrayImage::from_raw(width, height, upper(&wide)).map(DynamicImage::ImageLuma8)
        }
        DynamicImage::ImageLumaA16(wide) => {
            image::GrayAlphaImage::from_raw(width, height, upper(&wide)).map(DynamicImage::ImageLumaA8)
        }
        DynamicImage::ImageRgb16(wide) => {
            image::RgbImage::from_raw(width, height, upper(&wide)).map(DynamicImage::ImageRgb8)
        }
        DynamicImage::ImageRgba16(wide) => {
            image::RgbaImage::from_raw(width, height, upper(&wide)).map(DynamicImage::ImageRgba8)
        }
        other => return other,
    };
    narrowed.expect("one byte for each of the image's values")
}

/// Our image from the decoder's: grey stays grey, colour is RGB, alpha is dropped.
fn to_image(image: DynamicImage) -> Image {
    let (width, height) = (image.width() as usize, image.height() as usize);
    match image {
        DynamicImage::ImageLuma8(grey) => Image::new(width, height, Channels::Grey, grey.into_raw()),
        DynamicImage::ImageLumaA8(grey) => {
            let pixels = grey.as_raw().as_chunks::<2>().0.iter().map(|&[value, _]| value).collect();
            Image::new(width, height, Channels::Grey, pixels)
        }
        DynamicImage::ImageRgba8(colour) => {
            let pixels =
                colour.as_raw().as_chunks::<4>().0.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect();
            Image::new(width, height, Channels::Rgb, pixels)
        }
        other => Image::new(width, height, Channels::Rgb, other.into_rgb8().into_raw()),
    }
}

#[cfg(test)]
mod tests;
