//! Transforms, mixup and CutMix against torchvision, PIL and timm: `golden/transforms.py` made the numbers.

use libellus_data::{
    Channels, Image, ImageBatch, Normalize, Pipeline, Transform, TransformConfig, cutmix, mixup, sample_rng,
    transform::{
        AugmentOp, CentreCrop, Interpolation, Region, Resize, ResizeTo, Sampling, adjust_brightness,
        adjust_contrast, adjust_hue, adjust_saturation, adjust_sharpness, crop, crop_padded, flip_horizontal,
        resize, rotate,
    },
};
use safetensors::{Dtype, SafeTensors};
use std::{cell::RefCell, collections::BTreeSet};

/// The golden file, and which of its tensors have been compared.
struct Golden<'a> {
    tensors: SafeTensors<'a>,
    seen: RefCell<BTreeSet<String>>,
}

const FILE: &[u8] = include_bytes!("golden/transforms.safetensors");

impl Golden<'_> {
    fn open() -> Self {
        Self {
            tensors: SafeTensors::deserialize(FILE).expect("the golden file is whole"),
            seen: RefCell::default(),
        }
    }

    fn image(&self, name: &str) -> Image {
        let tensor = self.tensors.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(tensor.dtype(), Dtype::U8, "{name}");
        self.seen.borrow_mut().insert(name.to_owned());
        match *tensor.shape() {
            [height, width] => Image::new(width, height, Channels::Grey, tensor.data().to_vec()),
            [height, width, 3] => Image::new(width, height, Channels::Rgb, tensor.data().to_vec()),
            ref shape => panic!("{name} has shape {shape:?}"),
        }
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let tensor = self.tensors.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
        self.seen.borrow_mut().insert(name.to_owned());
        tensor.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }

    /// Every value has to be the reference's: the arithmetic is the same, in integers or rounded to them.
    fn compare(&self, name: &str, image: Image) {
        let expected = self.image(name);
        assert_eq!(format!("{image:?}"), format!("{expected:?}"), "{name}");
        let off: Vec<_> = image.pixels().iter().zip(expected.pixels()).filter(|(a, b)| a != b).collect();
        assert!(off.is_empty(), "{name}: {} of {} values differ: {off:?}", off.len(), image.pixels().len());
    }
}

#[test]
fn images_are_transformed_as_by_torchvision() {
    let golden = Golden::open();
    let (rgb, grey) = (|| golden.image("rgb"), || golden.image("grey"));
    let check = |name: &str, image: Image| golden.compare(name, image);
    let unused = || sample_rng(0, 0, 0);

    check("luma", rgb().into_channels(Channels::Grey));

    for (name, interpolation) in [("bilinear", Interpolation::Bilinear), ("bicubic", Interpolation::Bicubic)]
    {
        for (width, height) in [(7, 11), (37, 31), (23, 5), (3, 19), (1, 1)] {
            check(&format!("resize.{name}.{width}x{height}"), resize(&rgb(), width, height, interpolation));
        }
        check(&format!("resize.{name}.grey.11x29"), resize(&grey(), 11, 29, interpolation));
        let shorter = Resize { to: ResizeTo::ShorterSide(7), interpolation };
        check(&format!("resize.{name}.shorter7"), shorter.apply(rgb(), &mut unused()));
    }
    let part = crop(&rgb(), Region { left: 5, top: 3, width: 13, height: 11 });
    check("resized_crop", resize(&part, 8, 9, Interpolation::Bicubic));
    check("centre_crop.11x8", CentreCrop { height: 8, width: 11 }.apply(rgb(), &mut unused()));
    check("centre_crop.grey.20x9", CentreCrop { height: 9, width: 20 }.apply(grey(), &mut unused()));
    check("flip", flip_horizontal(rgb()));
    check("pad_crop", crop_padded(&rgb(), Region { left: 3, top: -2, width: 23, height: 19 }, [0; 3]));

    let colour = [10, 20, 30];
    check("rotate.nearest.33", rotate(&rgb(), 33.0, Sampling::Nearest, colour));
    check("rotate.nearest.-71.5", rotate(&rgb(), -71.5, Sampling::Nearest, [0; 3]));
    check("rotate.bilinear.33", rotate(&rgb(), 33.0, Sampling::Bilinear, colour));
    check("rotate.bilinear.90", rotate(&rgb(), 90.0, Sampling::Bilinear, [0; 3]));
    check("rotate.bilinear.grey.-17", rotate(&grey(), -17.0, Sampling::Bilinear, [99; 3]));

    for factor in [0.3, 1.7] {
        check(&format!("brightness.{factor}"), adjust_brightness(rgb(), factor));
        check(&format!("contrast.{factor}"), adjust_contrast(rgb(), factor));
        check(&format!("saturation.{factor}"), adjust_saturation(rgb(), factor));
        check(&format!("sharpness.{factor}"), adjust_sharpness(rgb(), factor));
    }
    for turn in [0.1, -0.37, 0.5] {
        check(&format!("hue.{turn}"), adjust_hue(rgb(), turn));
    }
    check("contrast.grey.1.7", adjust_contrast(grey(), 1.7));
    check("sharpness.grey.0.3", adjust_sharpness(grey(), 0.3));

    for (name, op) in [
        ("Identity", AugmentOp::Identity),
        ("ShearX", AugmentOp::ShearX(0.21)),
        ("ShearY", AugmentOp::ShearY(-0.13)),
        ("TranslateX", AugmentOp::TranslateX(5)),
        ("TranslateY", AugmentOp::TranslateY(-3)),
        ("Rotate", AugmentOp::Rotate(9.0)),
        ("Brightness", AugmentOp::Brightness(1.27)),
        ("Color", AugmentOp::Saturation(1.0 - 0.63)),
        ("Contrast", AugmentOp::Contrast(1.0 - 0.27)),
        ("Sharpness", AugmentOp::Sharpness(1.63)),
        ("Posterize", AugmentOp::Posterize(5)),
        ("Solarize", AugmentOp::Solarize(178.5)),
        ("AutoContrast", AugmentOp::AutoContrast),
        ("Equalize", AugmentOp::Equalize),
    ] {
        check(&format!("op.{name}"), op.apply(rgb(), Sampling::Nearest, [0; 3]));
    }
    for (name, op) in [
        ("ShearX", AugmentOp::ShearX(-0.21)),
        ("ShearY", AugmentOp::ShearY(0.13)),
        ("TranslateX", AugmentOp::TranslateX(-5)),
        ("Rotate", AugmentOp::Rotate(-9.0)),
        ("AutoContrast", AugmentOp::AutoContrast),
        ("Equalize", AugmentOp::Equalize),
    ] {
        check(&format!("op.{name}.grey"), op.apply(grey(), Sampling::Bilinear, [50; 3]));
    }

    let steps = [TransformConfig::Resize(Resize {
        to: ResizeTo::Exact { height: 5, width: 7 },
        interpolation: Interpolation::Bilinear,
    })];
    let normalize = Normalize { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] };
    let planes = Pipeline::from_config(&steps, normalize).unwrap().apply(rgb(), &mut unused());
    assert_eq!(planes.shape, [3, 5, 7]);
    assert_eq!(planes.values, golden.floats("normalize"));

    let mut unseen: BTreeSet<_> = golden.tensors.names().into_iter().map(str::to_owned).collect();
    unseen.retain(|name| !name.contains("mix") && !golden.seen.borrow().contains(name));
    assert!(unseen.is_empty(), "not compared: {unseen:?}");
}

#[test]
fn batches_are_mixed_as_by_timm() {
    let golden = Golden::open();
    let batch = || ImageBatch {
        pixels: golden.floats("mix.images"),
        shape: [4, 2, 6, 7],
        labels: vec![3, 0, 2, 1],
        targets: None,
        num_classes: 5,
    };
    // Sums of two f32 products: the order of rounding may differ in the last place.
    let close = |name: &str, values: &[f32]| {
        let expected = golden.floats(name);
        assert_eq!(values.len(), expected.len(), "{name}");
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() <= f32::EPSILON, "{name}: {value} {expected}");
        }
    };
    let mut mixed = batch();
    mixup(&mut mixed, 0.7);
    close("mixup.images", &mixed.pixels);
    close("mixup.targets", &mixed.targets.unwrap());

    let mut cut = batch();
    cutmix(&mut cut, Region { left: 2, top: 1, width: 5, height: 3 });
    close("cutmix.images", &cut.pixels);
    close("cutmix.targets", &cut.targets.unwrap());
}
