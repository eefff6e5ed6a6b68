//! Models by name.

use std::sync::LazyLock;

use libellus_weights::Layout;

use crate::{
    CifarResNetConfig, ClassifierConfig, ConfigError, InputSpec, Interpolation, LeNet5Config, MlpConfig,
    ResNetConfig, cifar_resnet, lenet5, mlp, resnet,
};

/// A model with a name.
#[derive(Debug)]
pub struct Preset {
    /// The published name, in lower case.
    pub name: &'static str,
    /// The architecture that it belongs to, as people write it.
    pub family: &'static str,
    /// What it is for, in one line.
    pub summary: &'static str,
    /// The images that it was made for.
    pub input: InputSpec,
    /// The configuration for a number of classes and of channels.
    pub build: fn(num_classes: usize, in_channels: usize) -> ClassifierConfig,
    /// The checkpoints that it can exchange weights with, besides this project's own.
    pub layouts: &'static [Layout],
}

/// All presets, small ones first.
pub fn presets() -> &'static [Preset] {
    &PRESETS
}

/// The preset with this name.
///
/// # Errors
/// [`ConfigError::UnknownPreset`], with the known names nearest to it.
pub fn preset(name: &str) -> Result<&'static Preset, ConfigError> {
    PRESETS
        .iter()
        .find(|preset| preset.name == name)
        .ok_or_else(|| ConfigError::UnknownPreset { name: name.to_owned(), nearest: nearest(name) })
}

static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    let mut presets = vec![
        Preset {
            name: "mlp",
            family: "MLP",
            summary: "two hidden layers of 128 units",
            input: digits(),
            build: |classes, in_channels| {
                ClassifierConfig::Mlp(MlpConfig { in_channels, ..MlpConfig::digits(classes) })
            },
            layouts: &[mlp::PYTORCH],
        },
        Preset {
            name: "lenet5",
            family: "LeNet-5",
            summary: "two convolutions and three linear layers, with ReLU and maximum pooling",
            input: mnist(),
            build: |classes, in_channels| {
                ClassifierConfig::LeNet5(LeNet5Config { in_channels, ..LeNet5Config::mnist(classes) })
            },
            layouts: &[lenet5::PYTORCH],
        },
    ];
    presets.extend(cifar_resnets());
    presets.extend(resnets());
    presets
});

fn cifar_resnets() -> [Preset; 6] {
    fn build(config: CifarResNetConfig, in_channels: usize) -> ClassifierConfig {
        ClassifierConfig::CifarResNet(CifarResNetConfig { in_channels, ..config })
    }
    let preset = |name, summary, input, build| Preset {
        name,
        family: "CIFAR ResNet",
        summary,
        input,
        build,
        layouts: &[cifar_resnet::IDELBAYEV],
    };
    [
        preset(
            "resnet8_digits",
            "three residual blocks, for images of 8x8 pixels",
            digits(),
            |classes, channels| build(CifarResNetConfig::resnet8_digits(classes), channels),
        ),
        preset(
            "resnet8_mnist",
            "three residual blocks at half the size, for a slow machine",
            mnist(),
            |classes, channels| build(CifarResNetConfig::resnet8_mnist(classes), channels),
        ),
        preset("resnet20", "nine residual blocks", cifar(), |classes, channels| {
            build(CifarResNetConfig::resnet20(classes), channels)
        }),
        preset("resnet32", "fifteen residual blocks", cifar(), |classes, channels| {
            build(CifarResNetConfig::resnet32(classes), channels)
        }),
        preset("resnet44", "twenty-one residual blocks", cifar(), |classes, channels| {
            build(CifarResNetConfig::resnet44(classes), channels)
        }),
        preset("resnet56", "twenty-seven residual blocks", cifar(), |classes, channels| {
            build(CifarResNetConfig::resnet56(classes), channels)
        }),
    ]
}

fn resnets() -> [Preset; 5] {
    fn build(config: ResNetConfig, in_channels: usize) -> ClassifierConfig {
        ClassifierConfig::ResNet(ResNetConfig { in_channels, ..config })
    }
    let preset = |name, summary, build| Preset {
        name,
        family: "ResNet",
        summary,
        input: imagenet(),
        build,
        layouts: &[resnet::TORCHVISION],
    };
    [
        preset("resnet18", "eight basic blocks, as in torchvision", |classes, channels| {
            build(ResNetConfig::resnet18(classes), channels)
        }),
        preset("resnet34", "sixteen basic blocks, as in torchvision", |classes, channels| {
            build(ResNetConfig::resnet34(classes), channels)
        }),
        preset("resnet50", "sixteen bottleneck blocks, as in torchvision", |classes, channels| {
            build(ResNetConfig::resnet50(classes), channels)
        }),
        preset("resnet101", "thirty-three bottleneck blocks, as in torchvision", |classes, channels| {
            build(ResNetConfig::resnet101(classes), channels)
        }),
        preset("resnet152", "fifty bottleneck blocks, as in torchvision", |classes, channels| {
            build(ResNetConfig::resnet152(classes), channels)
        }),
    ]
}

/// The 8x8 scans of handwritten digits, with their mean and standard deviation.
fn digits() -> InputSpec {
    native([8, 8], &[0.3053], &[0.3760])
}

/// MNIST, with the mean and standard deviation of its training images.
fn mnist() -> InputSpec {
    native([28, 28], &[0.1307], &[0.3081])
}

/// CIFAR-10, with the means and standard deviations of its training images.
fn cifar() -> InputSpec {
    native([32, 32], &[0.4914, 0.4822, 0.4465], &[0.2470, 0.2435, 0.2616])
}

/// ImageNet as torchvision evaluates on it.
fn imagenet() -> InputSpec {
    InputSpec { resize_to: Some(256), ..native([224, 224], &[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]) }
}

fn native([height, width]: [usize; 2], mean: &[f32], std: &[f32]) -> InputSpec {
    InputSpec {
        channels: mean.len(),
        height,
        width,
        mean: mean.to_vec(),
        std: std.to_vec(),
        interpolation: Interpolation::Bilinear,
        resize_to: None,
    }
}

/// The three known names nearest to `name`, best first.
fn nearest(name: &str) -> Vec<&'static str> {
    let mut names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
    names.sort_by_key(|known| edits(&name.to_lowercase(), known));
    names.truncate(3);
    names
}

/// How many characters must be inserted, deleted or replaced to turn one word into the other (Levenshtein's distance).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // The distances from what was read of `from` to each beginning of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (read, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = read + 1;
        for (index, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(diagonal + 1).min(row[index] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for known in presets() {
            assert!(std::ptr::eq(preset(known.name).expect("a known name"), known));
        }
    }

    #[test]
    fn every_preset_builds_for_its_own_input() {
        for preset in presets() {
            let config = (preset.build)(7, preset.input.channels);
            assert_eq!(config.validate(), Ok(()), "{}", preset.name);
            assert_eq!(config.check_input(&preset.input), Ok(()), "{}", preset.name);
            assert_eq!([config.num_classes(), config.in_channels()], [7, preset.input.channels]);
            assert_eq!(preset.input.mean.len(), preset.input.channels);
        }
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let error = preset("Resnet-50").expect_err("no such name");
        assert_eq!(
            error.to_string(),
            "there is no model `Resnet-50`; did you mean resnet50, resnet20, resnet56?"
        );
    }

    #[test]
    fn edits_of_words() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "mlp"), 3);
        assert_eq!(edits("mlp", ""), 3);
        assert_eq!(edits("mlp", "mlp"), 0);
    }
}
