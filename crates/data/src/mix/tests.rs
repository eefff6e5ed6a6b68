use super::*;
use crate::sample_rng;

/// Images of one value each, the image's number, with as many classes.
fn batch(images: usize, height: usize, width: usize) -> ImageBatch {
    let pixels = (0..images).flat_map(|image| vec![image as f32; 2 * height * width]).collect();
    let shape = [images, 2, height, width];
    ImageBatch { pixels, shape, labels: (0..images).collect(), targets: None, num_classes: images }
}

#[test]
fn mixup_blends_first_with_last() {
    let mut batch = batch(3, 1, 1);
    mixup(&mut batch, 0.75);
    assert_eq!(batch.pixels, [0.5, 0.5, 1.0, 1.0, 1.5, 1.5]);
    let targets = [0.75, 0.0, 0.25, 0.0, 1.0, 0.0, 0.25, 0.0, 0.75];
    assert_eq!(batch.targets.as_deref(), Some(&targets[..]));
}

#[test]
fn cutmix_exchanges_a_region_and_weighs_by_its_area() {
    let mut batch = batch(2, 2, 5);
    cutmix(&mut batch, Region { left: 3, top: 1, width: 2, height: 1 });
    let (first, second) =
        ([0., 0., 0., 0., 0., 0., 0., 0., 1., 1.], [1., 1., 1., 1., 1., 1., 1., 1., 0., 0.]);
    assert_eq!(batch.pixels, [first, first, second, second].concat());
    assert_eq!(batch.targets.as_deref(), Some(&[0.8, 0.2, 0.2, 0.8][..]));
}

#[test]
fn mixing_again_mixes_the_soft_targets() {
    let mut batch = batch(2, 1, 1);
    mixup(&mut batch, 0.75);
    mixup(&mut batch, 0.75);
    assert_eq!(batch.targets.as_deref(), Some(&[0.625, 0.375, 0.375, 0.625][..]));
}

#[test]
fn off_leaves_the_batch_alone_and_on_always_gives_targets() {
    let mut untouched = batch(5, 3, 2);
    Mix::default().apply(&mut untouched, &mut sample_rng(0, 0, 0));
    assert_eq!(untouched, batch(5, 3, 2));

    let rarely = Mix { mixup_alpha: 0.2, probability: 1e-9, ..Mix::default() };
    let mut one_hot = batch(2, 3, 2);
    rarely.apply(&mut one_hot, &mut sample_rng(0, 0, 0));
    assert_eq!(one_hot.pixels, batch(2, 3, 2).pixels);
    assert_eq!(one_hot.targets.as_deref(), Some(&[1.0, 0.0, 0.0, 1.0][..]));
}

#[test]
fn empty_and_single_batches_are_fine() {
    let mix = Mix { mixup_alpha: 1.0, cutmix_alpha: 1.0, ..Mix::default() };
    for images in [0, 1] {
        for index in 0..20 {
            let mut mixed = batch(images, 3, 2);
            mix.apply(&mut mixed, &mut sample_rng(0, 0, index));
            assert_eq!(mixed.pixels, batch(images, 3, 2).pixels);
        }
    }
}

#[test]
fn targets_stay_probabilities_for_any_draw() {
    let mix = Mix { mixup_alpha: 0.2, cutmix_alpha: 1.0, ..Mix::default() };
    for index in 0..300 {
        let mut mixed = batch(7, 5, 3);
        mix.apply(&mut mixed, &mut sample_rng(4, 0, index));
        let targets = mixed.targets.expect("mixing is on");
        for row in targets.chunks(7) {
            assert!(row.iter().all(|target| (0.0..=1.0).contains(target)));
            // Two f32 products: three roundings of at most 2^-24 each.
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 2e-7, "{row:?}");
        }
    }
}

#[test]
fn lambda_is_beta_distributed_and_both_kinds_are_drawn() {
    let mix = Mix { mixup_alpha: 0.5, cutmix_alpha: 1.0, probability: 0.8, switch_probability: 0.25 };
    let (mut nothing, mut lambdas, mut kept) = (0, Vec::new(), Vec::new());
    for index in 0..4000 {
        match mix.draw(101, 97, &mut sample_rng(3, 0, index)) {
            Plan::Nothing => nothing += 1,
            Plan::Mixup { lambda } => lambdas.push(lambda),
            Plan::CutMix { region } => {
                kept.push(1.0 - (region.width * region.height) as f64 / (101.0 * 97.0))
            }
        }
    }
    assert!((700..900).contains(&nothing), "{nothing}");
    assert!((700..900).contains(&kept.len()), "{}", kept.len());
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let squares: Vec<f64> = lambdas.iter().map(|lambda| (lambda - 0.5).powi(2)).collect();
    // Beta(1/2, 1/2) has the mean 1/2 and the variance 1 / (4 (2 * 1/2 + 1)) = 1/8.
    assert!((mean(&lambdas) - 0.5).abs() < 0.03, "{}", mean(&lambdas));
    assert!((mean(&squares) - 0.125).abs() < 0.01, "{}", mean(&squares));
    // Half of the area would be kept, but regions are cut at the borders.
    assert!((0.55..0.75).contains(&mean(&kept)), "{}", mean(&kept));
}

#[test]
fn equal_seeds_mix_equally() {
    let mix = Mix { mixup_alpha: 0.2, cutmix_alpha: 1.0, ..Mix::default() };
    let mixed = |index| {
        let mut mixed = batch(4, 7, 5);
        mix.apply(&mut mixed, &mut sample_rng(1, 2, index));
        mixed
    };
    assert_eq!(mixed(3), mixed(3));
    assert_ne!(mixed(3), mixed(4));
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    let negative = Mix { cutmix_alpha: -1.0, ..Mix::default() };
    assert_eq!(
        negative.validate().unwrap_err().to_string(),
        "mix: cutmix_alpha is -1, but has to be a number from 0 to 1000"
    );
    assert!(Mix { probability: f64::NAN, ..Mix::default() }.validate().is_err());
    assert!(Mix::default().validate().is_ok());
}

#[test]
#[should_panic(expected = "label 2 is not one of 2 classes")]
fn a_label_without_a_class_panics() {
    let mut batch = batch(3, 1, 1);
    batch.num_classes = 2;
    mixup(&mut batch, 0.5);
}
