use super::*;
use image::{ExtendedColorType as Colour, ImageEncoder, codecs};
use proptest::prelude::*;

/// An encoded image of 5 x 3 pixels and what it decodes to.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    channels: Channels,
    pixels: Vec<u8>,
}

const WIDTH: u32 = 5;
const HEIGHT: u32 = 3;

/// Values that differ from pixel to pixel and from channel to channel, 16 bits wide.
fn values(depth: usize) -> Vec<u16> {
    (0..WIDTH as usize * HEIGHT as usize * depth).map(|index| (index * 4_621 + 300) as u16).collect()
}

/// Encodes values of one colour type; the expected pixels are their upper bytes without alpha.
fn case(name: &'static str, colour: Colour, encode: impl FnOnce(&[u8], Colour) -> Vec<u8>) -> Case {
    let (depth, kept, wide) = match colour {
        Colour::L8 => (1, 1, false),
        Colour::La8 => (2, 1, false),
        Colour::Rgb8 => (3, 3, false),
        Colour::Rgba8 => (4, 3, false),
        Colour::L16 => (1, 1, true),
        Colour::La16 => (2, 1, true),
        Colour::Rgb16 => (3, 3, true),
        Colour::Rgba16 => (4, 3, true),
        other => panic!("no case for {other:?}"),
    };
    let values = values(depth);
    let upper: Vec<u8> = values.iter().map(|value| (value >> 8) as u8).collect();
    let raw =
        if wide { values.iter().flat_map(|value| value.to_ne_bytes()).collect() } else { upper.clone() };
    Case {
        name,
        bytes: encode(&raw, colour),
        channels: if kept == 1 { Channels::Grey } else { Channels::Rgb },
        pixels: upper.chunks(depth).flat_map(|pixel| pixel[..kept].to_vec()).collect(),
    }
}

fn png(raw: &[u8], colour: Colour) -> Vec<u8> {
    let mut bytes = Vec::new();
    codecs::png::PngEncoder::new(&mut bytes).write_image(raw, WIDTH, HEIGHT, colour).unwrap();
    bytes
}

fn bmp(raw: &[u8], colour: Colour) -> Vec<u8> {
    let mut bytes = Vec::new();
    codecs::bmp::BmpEncoder::new(&mut bytes).write_image(raw, WIDTH, HEIGHT, colour).unwrap();
    bytes
}

fn tiff(raw: &[u8], colour: Colour) -> Vec<u8> {
    let mut bytes = io::Cursor::new(Vec::new());
    codecs::tiff::TiffEncoder::new(&mut bytes).write_image(raw, WIDTH, HEIGHT, colour).unwrap();
    bytes.into_inner()
}

fn webp(raw: &[u8], colour: Colour) -> Vec<u8> {
    let mut bytes = Vec::new();
    codecs::webp::WebPEncoder::new_lossless(&mut bytes).write_image(raw, WIDTH, HEIGHT, colour).unwrap();
    bytes
}

fn gif(raw: &[u8], colour: Colour) -> Vec<u8> {
    let mut bytes = Vec::new();
    codecs::gif::GifEncoder::new(&mut bytes).encode(raw, WIDTH, HEIGHT, colour).unwrap();
    bytes
}

fn jpeg(raw: &[u8], colour: Colour) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 100);
    encoder.write_image(raw, WIDTH, HEIGHT, colour).unwrap();
    bytes
}

/// One image of each format and kind of pixel that is stored without loss.
fn lossless() -> Vec<Case> {
    vec![
        case("PNG grey", Colour::L8, png),
        case("PNG grey and alpha", Colour::La8, png),
        case("PNG RGB", Colour::Rgb8, png),
        case("PNG RGBA", Colour::Rgba8, png),
        case("PNG grey, 16 bits", Colour::L16, png),
        case("PNG grey and alpha, 16 bits", Colour::La16, png),
        case("PNG RGB, 16 bits", Colour::Rgb16, png),
        case("PNG RGBA, 16 bits", Colour::Rgba16, png),
        case("BMP RGB", Colour::Rgb8, bmp),
        case("BMP RGBA", Colour::Rgba8, bmp),
        case("TIFF grey", Colour::L8, tiff),
        case("TIFF RGB", Colour::Rgb8, tiff),
        case("TIFF RGBA", Colour::Rgba8, tiff),
        case("TIFF grey, 16 bits", Colour::L16, tiff),
        case("TIFF RGB, 16 bits", Colour::Rgb16, tiff),
        case("TIFF RGBA, 16 bits", Colour::Rgba16, tiff),
        case("WebP RGB", Colour::Rgb8, webp),
        case("WebP RGBA", Colour::Rgba8, webp),
        case("GIF", Colour::Rgb8, gif),
    ]
}

/// All of them, and JPEG.
fn all_formats() -> Vec<Case> {
    let jpegs = [case("JPEG grey", Colour::L8, jpeg), case("JPEG RGB", Colour::Rgb8, jpeg)];
    lossless().into_iter().chain(jpegs).collect()
}

#[test]
fn every_format_and_kind_of_pixel_is_decoded() {
    for Case { name, bytes, channels, pixels } in lossless() {
        let image = decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(image, Image::new(5, 3, channels, pixels), "{name}");
    }
}

#[test]
fn jpeg_is_decoded_nearly() {
    // A colour that is the same all over loses nothing but the rounding of its conversion.
    for (colour, channels, pixel) in
        [(Colour::L8, Channels::Grey, [90; 3]), (Colour::Rgb8, Channels::Rgb, [200, 90, 30])]
    {
        let expected = Image::filled(5, 3, channels, pixel);
        let image = decode(&jpeg(expected.pixels(), colour)).unwrap();
        assert_eq!((image.width(), image.height(), image.channels()), (5, 3, channels));
        for (value, expected) in image.pixels().iter().zip(expected.pixels()) {
            assert!(value.abs_diff(*expected) <= 2, "{value} {expected}");
        }
    }
}

#[test]
fn a_palette_with_transparency_gives_its_colours() {
    let pixels = [10, 20, 30, 255, 40, 50, 60, 0].repeat(8);
    let mut bytes = Vec::new();
    codecs::png::PngEncoder::new(&mut bytes).write_image(&pixels, 2, 8, Colour::Rgba8).unwrap();
    assert_eq!(decode(&bytes).unwrap().pixel(1, 3), [40, 50, 60]);
}

/// EXIF data that hold nothing but an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let header = [b'I', b'I', 42, 0, 8, 0, 0, 0];
    // One entry: tag 0x0112, type 3 (16 bits), one value; no further directory.
    let entry = [1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0];
    [&header[..], &entry[..]].concat()
}

/// The stored image is `[0, 100, 200]` over `[50, 150, 250]`; this is how each orientation shows it.
const ORIENTED: [(u8, usize, [u8; 6]); 8] = [
    (1, 3, [0, 100, 200, 50, 150, 250]),
    (2, 3, [200, 100, 0, 250, 150, 50]),
    (3, 3, [250, 150, 50, 200, 100, 0]),
    (4, 3, [50, 150, 250, 0, 100, 200]),
    (5, 2, [0, 50, 100, 150, 200, 250]),
    (6, 2, [50, 0, 150, 100, 250, 200]),
    (7, 2, [250, 200, 150, 100, 50, 0]),
    (8, 2, [200, 250, 100, 150, 0, 50]),
];

const STORED: [u8; 6] = [0, 100, 200, 50, 150, 250];

#[test]
fn exif_orientation_is_honoured() {
    for (orientation, width, pixels) in ORIENTED {
        let expected = Image::new(width, 6 / width, Channels::Grey, pixels.to_vec());
        let mut png = Vec::new();
        let mut encoder = codecs::png::PngEncoder::new(&mut png);
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder.write_image(&STORED, 3, 2, Colour::L8).unwrap();
        assert_eq!(decode(&png).unwrap(), expected, "PNG, orientation {orientation}");

        let tiff = raw_tiff(3, 2, &STORED, &[(0x0112, u32::from(orientation))]);
        assert_eq!(decode(&tiff).unwrap(), expected, "TIFF, orientation {orientation}");

        let colour: Vec<u8> = STORED.iter().flat_map(|&value| [value; 3]).collect();
        let mut webp = Vec::new();
        let mut encoder = codecs::webp::WebPEncoder::new_lossless(&mut webp);
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder.write_image(&colour, 3, 2, Colour::Rgb8).unwrap();
        let image = decode(&webp).unwrap();
        assert_eq!(image, expected.into_channels(Channels::Rgb), "WebP, orientation {orientation}");
    }
}

#[test]
fn exif_orientation_is_honoured_in_jpeg() {
    // Blocks of 8 x 8 pixels of one colour survive the compression.
    let pixels: Vec<u8> = (0..16 * 24).map(|at| STORED[at / 24 / 8 * 3 + at % 24 / 8]).collect();
    for (orientation, width, expected) in ORIENTED {
        let mut bytes = Vec::new();
        let mut encoder = codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 100);
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder.write_image(&pixels, 24, 16, Colour::L8).unwrap();
        let image = decode(&bytes).unwrap();
        assert_eq!(image.width(), width * 8, "orientation {orientation}");
        for (index, value) in expected.into_iter().enumerate() {
            let shown = image.pixel(index % width * 8 + 4, index / width * 8 + 4)[0];
            assert!(shown.abs_diff(value) <= 2, "orientation {orientation}: {shown} {value}");
        }
    }
}

/// A TIFF of grey bytes, with tags added or replaced; each with one 32-bit value.
fn raw_tiff(width: u32, height: u32, pixels: &[u8], tags: &[(u16, u32)]) -> Vec<u8> {
    let mut entries = std::collections::BTreeMap::from([
        (0x0100, width),
        (0x0101, height),
        (0x0102, 8),                   // bits per sample
        (0x0103, 1),                   // no compression
        (0x0106, 1),                   // black is zero
        (0x0111, 8),                   // where the pixels begin
        (0x0115, 1),                   // samples per pixel
        (0x0116, height),              // rows per strip
        (0x0117, pixels.len() as u32), // bytes of the strip
    ]);
    entries.extend(tags.iter().copied());
    let mut bytes = vec![b'I', b'I', 42, 0];
    bytes.extend((8 + pixels.len() as u32).to_le_bytes());
    bytes.extend(pixels);
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend([4, 0, 1, 0, 0, 0]);
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn floating_point_pixels_are_refused() {
    let pixels: Vec<u8> = [0.5f32; 18].iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut bytes = io::Cursor::new(Vec::new());
    codecs::tiff::TiffEncoder::new(&mut bytes).write_image(&pixels, 3, 2, Colour::Rgb32F).unwrap();
    let error = decode(bytes.get_ref()).unwrap_err();
    assert!(matches!(error, DecodeError::FloatPixels { format: "TIFF" }), "{error:?}");
}

#[test]
fn nothing_and_other_things_are_told_apart() {
    assert!(matches!(decode(&[]), Err(DecodeError::Empty)));
    for other in [&b"x"[..], b"hello, world", &[0; 100], b"%PDF-1.7", b"\x1f\x8b\x08\x00"] {
        assert!(matches!(decode(other), Err(DecodeError::NotAnImage)), "{other:?}");
    }
}

#[test]
fn a_truncated_file_is_an_error_or_complete_in_all_its_pixels() {
    for Case { name, bytes, .. } in all_formats() {
        let whole = decode(&bytes).unwrap();
        for length in 1..bytes.len() {
            // A marker or checksum at the end may be missing, but no pixel.
            if let Ok(image) = decode(&bytes[..length]) {
                assert_eq!(image, whole, "{name}, {length} of {} bytes", bytes.len());
            }
        }
    }
}

#[test]
fn a_larger_truncated_file_is_called_truncated() {
    let (width, height) = (61, 53);
    let pixels: Vec<u8> =
        (0..width * height * 3).map(|value: u32| (value.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let encoded = |format| {
        let mut bytes = io::Cursor::new(Vec::new());
        image::write_buffer_with_format(&mut bytes, &pixels, width, height, Colour::Rgb8, format).unwrap();
        bytes.into_inner()
    };
    for format in [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Gif,
        ImageFormat::Tiff,
    ] {
        let bytes = encoded(format);
        for part in [4, 2] {
            let error = decode(&bytes[..bytes.len() - bytes.len() / part]).unwrap_err();
            assert!(
                matches!(error, DecodeError::Truncated { .. }),
                "{format:?}, 1/{part} missing: {error:?}"
            );
        }
        let whole = decode(&bytes).unwrap();
        for length in (1..bytes.len()).rev().step_by(127) {
            if let Ok(image) = decode(&bytes[..length]) {
                assert_eq!(image.pixels(), whole.pixels(), "{format:?}, {length} of {} bytes", bytes.len());
            }
        }
    }
}

#[test]
fn header_bombs_are_refused_before_memory_is_taken() {
    const SIDE: [u8; 2] = 60_000u16.to_be_bytes();
    let [high, low] = SIDE;
    let expect = |name: &str, bytes: &[u8]| {
        let error = decode(bytes).unwrap_err();
        assert!(
            matches!(error, DecodeError::TooLarge { width: 60_000, height: 60_000, limit: MAX_PIXELS, .. }),
            "{name}: {error:?}"
        );
    };
    let grey = [0; (WIDTH * HEIGHT) as usize];
    let rgb = [0; (WIDTH * HEIGHT * 3) as usize];

    let mut bytes = png(&grey, Colour::L8);
    bytes[16..24].copy_from_slice(&[0, 0, high, low, 0, 0, high, low]);
    let mut checksum = flate2::Crc::new();
    checksum.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
    expect("PNG", &bytes);

    let mut bytes = jpeg(&grey, Colour::L8);
    let frame = bytes.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice(&[high, low, high, low]);
    expect("JPEG", &bytes);

    let mut bytes = bmp(&rgb, Colour::Rgb8);
    bytes[18..26].copy_from_slice(&[low, high, 0, 0, low, high, 0, 0]);
    expect("BMP", &bytes);

    let mut bytes = gif(&rgb, Colour::Rgb8);
    bytes[6..10].copy_from_slice(&[low, high, low, high]);
    expect("GIF", &bytes);

    expect("TIFF", &raw_tiff(60_000, 60_000, &[0], &[]));

    // WebP has 14 bits for each side, which is counted from 1.
    let mut bytes = webp(&rgb, Colour::Rgb8);
    bytes[21..25].copy_from_slice(&(16_382u32 | 16_382 << 14).to_le_bytes());
    let error = decode(&bytes).unwrap_err();
    assert!(matches!(error, DecodeError::TooLarge { width: 16_383, height: 16_383, .. }), "WebP: {error:?}");
}

#[test]
fn an_image_without_pixels_is_refused() {
    let mut bytes = gif(&[0; (WIDTH * HEIGHT * 3) as usize], Colour::Rgb8);
    bytes[6..8].copy_from_slice(&[0, 0]);
    let error = decode(&bytes).unwrap_err();
    assert!(matches!(error, DecodeError::NoPixels { format: "GIF", width: 0, height: 3 }), "{error:?}");
}

#[test]
fn a_corrupt_file_says_what_is_wrong() {
    let Case { mut bytes, .. } = case("", Colour::Rgb8, png);
    bytes[20] ^= 1; // a bit of the width, so that the checksum is wrong
    let error = decode(&bytes).unwrap_err();
    assert!(matches!(error, DecodeError::Invalid { format: "PNG", .. }), "{error:?}");
    assert_eq!(error.to_string(), "the PNG data cannot be decoded");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_thumbnail_in_a_jpeg_does_not_end_it() {
    let whole = jpeg(&[7; (WIDTH * HEIGHT) as usize], Colour::L8);
    // An application segment that holds a whole JPEG, as EXIF data do.
    let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE1];
    bytes.extend((whole.len() as u16 + 2).to_be_bytes());
    bytes.extend(&whole);
    bytes.extend(&whole[2..]);
    assert_eq!(decode(&bytes).unwrap(), decode(&whole).unwrap());
    let cut = &bytes[..bytes.len() - 2];
    assert!(matches!(decode(cut), Err(DecodeError::Truncated { format: "JPEG" })));
}

#[test]
fn files_are_read_and_named_in_errors() {
    let folder = tempfile::tempdir().unwrap();
    let Case { bytes, pixels, .. } = case("", Colour::Rgb8, png);
    // The content counts, not the extension.
    let path = folder.path().join("picture.jpg");
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(decode_file(&path).unwrap().pixels(), pixels);

    std::fs::write(&path, &bytes[..40]).unwrap();
    let error = decode_file(&path).unwrap_err();
    assert!(
        matches!(&error, DataError::Decode { source: DecodeError::Truncated { format: "PNG" }, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("picture.jpg"), "{error}");

    let error = decode_file(folder.path().join("missing.png")).unwrap_err();
    assert!(matches!(&error, DataError::Read { .. }), "{error:?}");
    assert!(error.to_string().contains("missing.png"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decoding_never_panics(
        which in 0..21usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        keep in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = all_formats().swap_remove(which).bytes;
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        // Whatever it gives, it gives an answer.
        let _ = decode(&bytes);
    }

    #[test]
    fn noise_after_a_signature_never_panics(which in 0..21usize, noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = all_formats().swap_remove(which).bytes;
        bytes.truncate(12);
        bytes.extend(noise);
        let _ = decode(&bytes);
    }
}
