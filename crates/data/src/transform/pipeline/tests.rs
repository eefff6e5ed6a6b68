use super::*;
use crate::{
    Channels, sample_rng,
    transform::{
        CentreCrop, ColourJitter, EraseFill, HorizontalFlip, RandAugment, RandomErasing, RandomResizedCrop,
        Rotation, Sampling,
    },
};

fn training() -> Vec<TransformConfig> {
    vec![
        TransformConfig::RandomResizedCrop(RandomResizedCrop::new(13, 11)),
        TransformConfig::HorizontalFlip(HorizontalFlip::default()),
        TransformConfig::Rotation(Rotation { degrees: 15.0, sampling: Sampling::Bilinear, fill: [0; 3] }),
        TransformConfig::ColourJitter(ColourJitter {
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.4,
            hue: 0.1,
        }),
        TransformConfig::RandAugment(RandAugment::default()),
        TransformConfig::RandomErasing(RandomErasing { fill: EraseFill::Noise, ..RandomErasing::default() }),
    ]
}

fn picture(width: usize, height: usize, channels: Channels) -> Image {
    let values = (0..width * height * channels.count()).map(|value| (value * 31 % 251) as u8);
    Image::new(width, height, channels, values.collect())
}

#[test]
fn the_result_depends_on_the_seed_alone() {
    let pipeline = Pipeline::from_config(&training(), Normalize::identity(Channels::Rgb)).unwrap();
    let planes = |index| pipeline.apply(picture(37, 23, Channels::Rgb), &mut sample_rng(1, 2, index));
    assert_eq!(planes(3), planes(3));
    assert_ne!(planes(3), planes(4));
    assert_eq!(planes(3).shape, [3, 13, 11]);
}

#[test]
fn grey_and_colour_images_come_out_alike() {
    for (channels, planes) in [(Channels::Grey, 1), (Channels::Rgb, 3)] {
        let pipeline = Pipeline::from_config(&training(), Normalize::identity(channels)).unwrap();
        for (width, height) in [(1, 1), (2, 97), (89, 3)] {
            for source in [Channels::Grey, Channels::Rgb] {
                let result = pipeline.apply(picture(width, height, source), &mut sample_rng(1, 2, 3));
                assert_eq!(result.shape, [planes, 13, 11]);
                assert_eq!(result.values.len(), planes * 13 * 11);
            }
        }
    }
}

#[test]
fn no_steps_only_normalise() {
    let normalize = Normalize { mean: vec![0.2], std: vec![0.5] };
    let pipeline = Pipeline::from_config(&[], normalize).unwrap();
    let planes = pipeline.apply(Image::new(1, 1, Channels::Grey, vec![51]), &mut sample_rng(0, 0, 0));
    assert_eq!(planes, Planes { shape: [1, 1, 1], values: vec![0.0] });
}

#[test]
fn a_step_of_ones_own_can_be_added() {
    struct White;
    impl Transform for White {
        fn apply(&self, image: Image, _: &mut SampleRng) -> Image {
            Image::filled(image.width(), image.height(), Channels::Rgb, [255; 3])
        }
    }
    let pipeline = Pipeline::from_config(&[], Normalize::identity(Channels::Grey)).unwrap().with_step(White);
    let planes = pipeline.apply(picture(2, 1, Channels::Grey), &mut sample_rng(0, 0, 0));
    assert_eq!(planes.values, [1.0, 1.0]);
}

#[test]
fn images_cannot_be_transformed_after_their_normalisation() {
    let steps = [
        TransformConfig::RandomErasing(RandomErasing::default()),
        TransformConfig::CentreCrop(CentreCrop { height: 3, width: 3 }),
    ];
    let error = Pipeline::from_config(&steps, Normalize::identity(Channels::Rgb)).err().unwrap();
    assert_eq!(error, TransformError::Order { transform: "centre_crop" });
    let flipped = [TransformConfig::HorizontalFlip(HorizontalFlip { probability: 2.0 })];
    assert!(Pipeline::from_config(&flipped, Normalize::identity(Channels::Rgb)).is_err());
}
