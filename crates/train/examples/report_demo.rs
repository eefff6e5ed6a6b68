//! Writes a report with made-up numbers, to look at its design: `cargo run -p libellus-train --example report_demo -- report.html`.

use std::error::Error;
use std::io::Cursor;
use std::path::PathBuf;

use image::{GrayImage, ImageFormat, Luma};
use libellus_train::report::{
    Bar, Cell, Chart, ConfusionPicture, Figure, GalleryItem, GradientFlow, HtmlReport, Mark, Role, Section,
    Series, Table, Unit, YScale, render,
};

const CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const EPOCHS: usize = 30;
const STEPS: usize = 1350;

fn main() -> Result<(), Box<dyn Error>> {
    let path = PathBuf::from(std::env::args_os().nth(1).ok_or("give the path of the file to write")?);
    let counts = counts();
    let report = HtmlReport {
        title: "resnet20 on digits".into(),
        subtitle: "Image classification, 30 epochs on 1437 images of 10 classes".into(),
        headline: headline(&counts),
        sections: vec![
            Section::Curves {
                title: "Learning curves".into(),
                caption: "How the model got better: a training loss that falls while the validation loss rises means overfitting."
                    .into(),
                charts: charts(),
            },
            Section::ConfusionMatrix {
                title: "Confusion matrix".into(),
                caption: "Each row holds the test images of one class, spread over the classes they were taken for; the diagonal is what \
                          was right."
                    .into(),
                matrix: ConfusionPicture { classes: CLASSES.map(String::from).to_vec(), counts: counts.clone() },
            },
            Section::Gallery {
                title: "Most confident mistakes".into(),
                caption: "The test images that the model is surest of and wrong about, as true class → predicted class: wrong labels and \
                          blind spots show here first."
                    .into(),
                items: (0..8).map(mistake).collect::<Result<_, _>>()?,
            },
            Section::Table {
                title: "By class".into(),
                caption: "Precision is how often a predicted class is right, recall how many images of a class are found.".into(),
                table: table(&counts),
            },
            Section::Flow { title: "Gradient flow by layer".into(), flow: flow() },
            Section::Config {
                title: "Configuration".into(),
                caption: "The settings of this run; the file config.toml repeats it.".into(),
                toml: CONFIG.into(),
            },
        ],
        facts: [
            ("Command", "libellus classify train --model resnet20 --epochs 30 --mixup 0.2"),
            ("Version", "0.1.0"),
            ("Device", "flex (CPU, 2 threads)"),
            ("Seed", "42"),
            ("Duration", "48.2 s"),
            ("Peak memory", "312 MB"),
            ("Parameters", "272 186"),
            ("Data set", "digits: 1437 training and 360 test images, 8 x 8, grey"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
    };
    std::fs::write(path, render(&report))?;
    Ok(())
}

/// A number from -1 to 1 that looks random.
fn noise(seed: usize) -> f64 {
    let mixed = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed ^ (mixed >> 29)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

fn headline(counts: &[Vec<u64>]) -> Vec<Figure> {
    let right: u64 = (0..10).map(|class| counts[class][class]).sum();
    let total: u64 = counts.iter().flatten().sum();
    let figure =
        |label: &str, value: String, note: &str| Figure { label: label.into(), value, note: note.into() };
    vec![
        figure(
            "Test accuracy",
            format!("{:.1} %", 100.0 * right as f64 / total as f64),
            &format!("{right} of {total} images"),
        ),
        figure("Top-5 accuracy", "100 %".into(), "label among the first five"),
        figure("Calibration error", "1.3 %".into(), "confidence against accuracy"),
        figure("Macro F1", "0.975".into(), "mean over classes"),
        figure("Trained in", "48 s".into(), "best at epoch 24 of 30"),
    ]
}

fn charts() -> Vec<Chart> {
    let at = |step: usize| step as f64 * EPOCHS as f64 / STEPS as f64;
    let falling = |epoch: f64, end: f64| end + (2.3 - end) * (-epoch / 3.0).exp();
    let train =
        (0..STEPS).map(|step| (at(step), falling(at(step), 0.03) * (1.0 + 0.35 * noise(step)))).collect();
    let by_epoch =
        |value: &dyn Fn(usize) -> f64| (1..=EPOCHS).map(|epoch| (epoch as f64, value(epoch))).collect();
    let validation = by_epoch(&|epoch| {
        falling(epoch as f64, 0.085) * (1.0 + 0.1 * noise(5000 + epoch))
            + 0.0009 * (epoch as f64 - 20.0).max(0.0)
    });
    let accuracy = |offset: usize, end: f64| {
        by_epoch(&|epoch| end - 0.8 * (-(epoch as f64) / 2.2).exp() + 0.006 * noise(offset + epoch))
    };
    let rate = (0..STEPS)
        .map(|step| {
            let warm = (step as f64 / 135.0).min(1.0);
            let cosine = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / STEPS as f64).cos());
            (at(step), 3e-3 * warm * cosine)
        })
        .collect();
    let norm = (0..STEPS)
        .map(|step| (at(step), (0.3 + 3.0 * (-at(step) / 4.0).exp()) * (1.0 + 0.5 * noise(9000 + step))))
        .collect();
    let series = |name: &str, role: Role, points: Vec<(f64, f64)>| Series { name: name.into(), role, points };
    let chart = |title: &str, series: Vec<Series>| Chart {
        title: title.into(),
        x_label: "epoch".into(),
        series,
        ..Chart::default()
    };
    vec![
        Chart {
            mark: Some(Mark { x: 24.0, label: "best, epoch 24".into() }),
            ..chart(
                "Loss",
                vec![
                    series("training", Role::Train, train),
                    series("validation", Role::Validation, validation),
                ],
            )
        },
        Chart {
            unit: Unit::Percent,
            ..chart(
                "Accuracy",
                vec![
                    series("validation", Role::Validation, accuracy(100, 0.967)),
                    series("averaged weights", Role::Average, accuracy(300, 0.974)),
                ],
            )
        },
        Chart {
            y_scale: YScale::Linear,
            ..chart("Learning rate", vec![series("learning rate", Role::Other, rate)])
        },
        chart("Gradient norm, before clipping", vec![series("training", Role::Train, norm)]),
    ]
}

fn counts() -> Vec<Vec<u64>> {
    (0..10)
        .map(|label| {
            let mut row = vec![0; 10];
            row[label] = 36 - (label % 3) as u64;
            if label % 3 != 0 {
                row[(label * 7 + 3) % 10] += (label % 3) as u64;
            }
            row
        })
        .collect()
}

fn mistake(index: usize) -> Result<GalleryItem, Box<dyn Error>> {
    let (label, predicted) = (index, (index * 7 + 3) % 10);
    let confidence = 0.98 - 0.06 * index as f64;
    let picture = GrayImage::from_fn(8, 8, |x, y| {
        let (dx, dy) = (f64::from(x) - 3.5, f64::from(y) - 3.5);
        let ring = (-((dx * dx + 0.7 * dy * dy).sqrt() - 2.4 - 0.5 * noise(index)).powi(2)).exp();
        Luma([(235.0 * ring + 20.0 * noise(index * 64 + (8 * y + x) as usize).abs()).min(255.0) as u8])
    });
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png)?;
    let bar = |class: usize, value: f64, role: Role| Bar { label: CLASSES[class].into(), value, role };
    Ok(GalleryItem {
        png: png.into_inner(),
        caption: format!("{} → {}", CLASSES[label], CLASSES[predicted]),
        note: format!("test image {}", 17 + 41 * index),
        bars: vec![
            bar(predicted, confidence, Role::Wrong),
            bar(label, 0.6 * (1.0 - confidence), Role::Right),
        ],
    })
}

fn table(counts: &[Vec<u64>]) -> Table {
    let row = |class: usize| {
        let hits = counts[class][class] as f64;
        let support: u64 = counts[class].iter().sum();
        let predicted: u64 = counts.iter().map(|row| row[class]).sum();
        vec![
            Cell::Text(CLASSES[class].into()),
            Cell::Rate(hits / predicted as f64),
            Cell::Rate(hits / support as f64),
            Cell::Rate(2.0 * hits / (predicted + support) as f64),
            Cell::Number(support as f64),
        ]
    };
    Table {
        columns: ["Class", "Precision", "Recall", "F1", "Images"].map(String::from).to_vec(),
        rows: (0..10).map(row).collect(),
    }
}

fn flow() -> GradientFlow {
    let mut layers = vec!["stem.conv".to_owned()];
    for stage in 1..=3 {
        for block in 0..3 {
            for conv in 1..=2 {
                layers.push(format!("stage{stage}.{block}.conv{conv}"));
            }
        }
    }
    layers.push("head".to_owned());
    let steps: Vec<u64> = (0..60).map(|moment| moment * 23).collect();
    let measure = |scale: f64, seed: usize, decay: f64| {
        (0..steps.len())
            .map(|moment| {
                (0..layers.len())
                    .map(|layer| {
                        let time = (-(moment as f64) / 18.0).exp() + 0.08;
                        let depth = 0.93_f64.powi((layers.len() - layer) as i32);
                        let wobble = 1.0 + 0.3 * noise(seed + moment * layers.len() + layer);
                        (scale * time.powf(decay) * depth * wobble * (1.0 + 0.8 * noise(seed + layer))) as f32
                    })
                    .collect()
            })
            .collect()
    };
    let (gradient_norms, update_ratios) = (measure(0.8, 31, 1.0), measure(6e-3, 77, 0.7));
    GradientFlow { layers, steps, gradient_norms, update_ratios }
}

const CONFIG: &str = r#"# The settings of this run.
seed = 42

[data]
source = "digits"
test_fraction = 0.2

[model]
architecture = "cifar_resnet"
depth = 20
num_classes = 10

[training]
epochs = 30
batch_size = 32
mixup_alpha = 0.2
ema = true

[training.optimizer]
name = "adamw"
lr = 3e-3
weight_decay = 1e-2
"#;
