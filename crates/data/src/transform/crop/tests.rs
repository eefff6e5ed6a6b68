use super::*;
use crate::{Channels, sample_rng};

fn numbered(width: usize, height: usize) -> Image {
    Image::new(width, height, Channels::Grey, (0..(width * height) as u8).collect())
}

#[test]
fn a_region_is_cut_out() {
    let region = Region { left: 1, top: 1, width: 2, height: 2 };
    assert_eq!(crop(&numbered(4, 3), region).pixels(), [5, 6, 9, 10]);
}

#[test]
fn what_is_beyond_the_image_is_filled() {
    let image = Image::filled(1, 1, Channels::Rgb, [1, 2, 3]);
    let region = Region { left: -1, top: 0, width: 3, height: 2 };
    let cut = crop_padded(&image, region, [7, 8, 9]);
    assert_eq!(cut.pixels(), [7, 8, 9, 1, 2, 3, 7, 8, 9, 7, 8, 9, 7, 8, 9, 7, 8, 9]);
    for (left, top) in [(-5, 0), (5, 0), (0, -5), (0, 5), (i64::from(i32::MIN), i64::from(i32::MAX))] {
        let nothing = crop(&numbered(4, 3), Region { left, top, width: 2, height: 2 });
        assert_eq!(nothing.pixels(), [0; 4]);
    }
}

#[test]
fn the_centre_is_where_torchvision_puts_it() {
    // int(round((7 - 4) / 2)) = int(round(1.5)) = 2, int(round((5 - 4) / 2)) = int(round(0.5)) = 0
    let centre = CentreCrop { height: 4, width: 4 };
    assert_eq!(centre.region(7, 5), Region { left: 2, top: 0, width: 4, height: 4 });
    // Padded by (4 - 1) // 2 = 1 before and 2 after.
    assert_eq!(centre.region(1, 4), Region { left: -1, top: 0, width: 4, height: 4 });
}

#[test]
fn random_crops_reach_every_place() {
    let crop = RandomCrop { height: 5, width: 7, padding: 2, fill: [0; 3] };
    let mut seen = std::collections::BTreeSet::new();
    for index in 0..1000 {
        let region = crop.draw(7, 5, &mut sample_rng(1, 0, index));
        assert!((-2..=2).contains(&region.left) && (-2..=2).contains(&region.top), "{region:?}");
        seen.insert((region.left, region.top));
    }
    assert_eq!(seen.len(), 25);
}

#[test]
fn a_random_crop_of_a_small_image_is_padded() {
    let crop = RandomCrop { height: 5, width: 7, padding: 0, fill: [9; 3] };
    for index in 0..50 {
        let region = crop.draw(3, 11, &mut sample_rng(1, 0, index));
        assert!((-4..=0).contains(&region.left) && (0..=6).contains(&region.top), "{region:?}");
        let image = crop.apply(Image::filled(1, 1, Channels::Grey, [1; 3]), &mut sample_rng(1, 0, index));
        assert_eq!(image.pixels().iter().filter(|&&value| value == 1).count(), 1);
    }
}

#[test]
fn resized_crops_keep_their_area_and_ratio() {
    let crop = RandomResizedCrop::new(8, 8);
    let mut areas = Vec::new();
    for index in 0..1000 {
        let region = crop.draw(211, 199, &mut sample_rng(6, 0, index));
        assert!(region.left >= 0 && region.left as usize + region.width <= 211);
        assert!(region.top >= 0 && region.top as usize + region.height <= 199);
        let ratio = region.width as f64 / region.height as f64;
        assert!((0.74..1.36).contains(&ratio), "{ratio}");
        areas.push((region.width * region.height) as f64 / (211.0 * 199.0));
    }
    assert!(areas.iter().all(|area| (0.075..=1.0).contains(area)));
    // Below 0.54, the middle of the range: of the largest parts not every shape fits.
    let mean = areas.iter().sum::<f64>() / 1000.0;
    assert!((0.44..0.54).contains(&mean), "{mean}");
}

#[test]
fn an_image_too_long_gives_its_centre() {
    let crop = RandomResizedCrop { scale: [1.0, 1.0], ..RandomResizedCrop::new(8, 8) };
    // 5 / (3/4) = 6.67 rows of the 101; 5 * 4/3 = 6.67 columns.
    let region = crop.draw(5, 101, &mut sample_rng(0, 0, 0));
    assert_eq!(region, Region { left: 0, top: 47, width: 5, height: 7 });
    let region = crop.draw(101, 5, &mut sample_rng(0, 0, 0));
    assert_eq!(region, Region { left: 47, top: 0, width: 7, height: 5 });
}

#[test]
fn one_pixel_can_be_cropped_to_any_size() {
    let pixel = Image::filled(1, 1, Channels::Rgb, [4, 5, 6]);
    let crop = RandomResizedCrop { interpolation: Interpolation::Bicubic, ..RandomResizedCrop::new(3, 5) };
    let image = crop.apply(pixel.clone(), &mut sample_rng(0, 0, 0));
    assert_eq!(image, Image::filled(5, 3, Channels::Rgb, [4, 5, 6]));
    let image = CentreCrop { height: 3, width: 1 }.apply(pixel, &mut sample_rng(0, 0, 0));
    assert_eq!(image.pixels(), [0, 0, 0, 4, 5, 6, 0, 0, 0]);
}
