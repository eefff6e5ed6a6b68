use std::fmt::Write as _;

use super::format::{percent, power_of_ten, px, short};
use super::scale::{Scale, Spread};
use super::*;

fn labels(scale: &Scale, wanted: usize) -> Vec<String> {
    scale.ticks(wanted).into_iter().map(|tick| tick.label).collect()
}

#[test]
fn linear_ticks_are_round_numbers() {
    assert_eq!(labels(&Scale::exact(Spread::Linear, 0.0, 30.0), 6), ["0", "5", "10", "15", "20", "25", "30"]);
    assert_eq!(labels(&Scale::exact(Spread::Linear, 0.31, 1.02), 5), ["0.4", "0.6", "0.8", "1.0"]);
    assert_eq!(labels(&Scale::exact(Spread::Linear, 0.0, 9000.0), 5), ["0", "2k", "4k", "6k", "8k"]);
    assert_eq!(labels(&Scale::exact(Spread::Linear, 0.0, 3e-5), 3), ["0", "10⁻⁵", "2·10⁻⁵", "3·10⁻⁵"]);
    assert_eq!(labels(&Scale::rounded(Spread::Linear, -0.7, 0.7), 5), ["-1.0", "-0.5", "0", "0.5", "1.0"]);
}

#[test]
fn logarithmic_ticks_are_decades_or_their_parts() {
    assert_eq!(
        labels(&Scale::rounded(Spread::Log, 0.03, 2.3), 5),
        ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5"]
    );
    assert_eq!(labels(&Scale::exact(Spread::Log, 1e-6, 1e2), 4), ["10⁻⁶", "10⁻⁴", "0.01", "1", "100"]);
}

#[test]
fn ranges_without_extent_are_widened() {
    for spread in [Spread::Linear, Spread::Log] {
        let scale = Scale::rounded(spread, 3.0, 3.0).over(0.0, 100.0);
        assert!((0.0..=100.0).contains(&scale.place(3.0)), "{}", scale.place(3.0));
        assert!(scale.ticks(5).len() > 1);
    }
    assert_eq!(Scale::exact(Spread::Linear, 0.0, 0.0).over(0.0, 10.0).place(0.0), 0.0);
}

#[test]
fn values_are_placed_between_the_ends() {
    let linear = Scale::exact(Spread::Linear, 2.0, 4.0).over(100.0, 0.0);
    assert_eq!([2.0, 2.5, 4.0].map(|value| linear.place(value)), [100.0, 75.0, 0.0]);
    let log = Scale::exact(Spread::Log, 0.01, 100.0).over(0.0, 4.0);
    assert!((log.place(1.0) - 2.0).abs() < 1e-12);
    assert_eq!(log.place(0.0), 0.0);
    assert_eq!(log.place(-1.0), 0.0);
}

#[test]
fn numbers_are_written_briefly() {
    assert_eq!(
        [0.0, 0.5, 0.12345, 3.0, 12.345, 123.4, 0.00123].map(short),
        ["0", "0.5", "0.123", "3", "12.3", "123", "0.00123"]
    );
    assert_eq!([12_345.0, 2e-5, 1.5e7, f64::NAN].map(short), ["12\u{202f}345", "2·10⁻⁵", "1.5·10⁷", "NaN"]);
    assert_eq!([0.999, 1.0, 0.0734].map(percent), ["99.9 %", "100 %", "7.3 %"]);
    assert_eq!(power_of_ten(1e-3), "10⁻³");
    assert_eq!([1.0, 1.26, -0.01].map(px), ["1", "1.3", "0"]);
}

#[test]
fn viridis_goes_from_violet_to_yellow() {
    assert_eq!(
        [-1.0, 0.0, 0.5, 1.0, 2.0].map(viridis::colour),
        ["#440154", "#440154", "#21908d", "#fde725", "#fde725"]
    );
}

#[test]
fn toml_keeps_its_text() {
    let text = "# a <b>\n[x]\nname = \"a=b\" # c\nn = 3\n\"k=\" = true\nodd line\n";
    let html = toml::highlight(text).into_string();
    let mut plain = String::new();
    let mut in_tag = false;
    for character in html.chars() {
        match character {
            '<' => in_tag = true,
            '>' => in_tag = false,
            _ if !in_tag => plain.push(character),
            _ => {}
        }
    }
    assert_eq!(plain.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\""), text);
    assert!(html.contains(r#"<b class="key">&quot;k=&quot; </b>=<span class="boolean">"#), "{html}");
}

fn flow(first: f32, last: f32) -> GradientFlow {
    let measured = |scale: f32| vec![vec![first * scale, scale, last * scale]; 5];
    GradientFlow {
        layers: vec!["first".into(), "middle".into(), "last".into()],
        steps: vec![0, 2, 4, 6, 8],
        gradient_norms: measured(1.0),
        update_ratios: measured(1e-3),
    }
}

#[test]
fn vanishing_and_exploding_gradients_are_told_in_words() {
    assert!(
        flow(1e-5, 1.0).reading().ends_with(
            "100\u{202f}000 times smaller than that of the last ones: on its way back it vanishes."
        )
    );
    assert!(flow(2e4, 1.0).reading().contains("on its way back it explodes"));
    assert!(
        flow(0.5, 1.0)
            .reading()
            .contains("2 times smaller than that of the last ones: on its way back it neither vanishes")
    );
    assert!(flow(0.0, 1.0).reading().contains("they did not learn"));
    assert!(flow(f32::NAN, 1.0).reading().contains("they did not learn"));
    assert_eq!(GradientFlow::default().reading(), "Nothing was measured.");
}

fn small() -> HtmlReport {
    let series = |name: &str, role, points: Vec<(f64, f64)>| Series { name: name.into(), role, points };
    let noisy = (0..300).map(|step| (f64::from(step) / 100.0, 2.0 + f64::from(step % 7) * 0.1)).collect();
    let png = [&[0x89, b'P', b'N', b'G'][..], &[0; 16], &[0, 0, 0, 8]].concat();
    HtmlReport {
        title: "A & B <script>".into(),
        subtitle: "\"quoted\"".into(),
        headline: vec![Figure { label: "accuracy".into(), value: "50 %".into(), note: "1 of 2".into() }],
        sections: vec![
            Section::Curves {
                title: "Curves".into(),
                caption: "Loss.".into(),
                charts: vec![
                    Chart {
                        title: "Loss".into(),
                        x_label: "epoch".into(),
                        series: vec![
                            series("training", Role::Train, noisy),
                            series(
                                "validation",
                                Role::Validation,
                                vec![(1.0, 2.0), (2.0, f64::NAN), (3.0, 0.05)],
                            ),
                        ],
                        mark: Some(Mark { x: 3.0, label: "best".into() }),
                        ..Chart::default()
                    },
                    Chart { title: "Empty".into(), ..Chart::default() },
                ],
            },
            Section::ConfusionMatrix {
                title: "Confusion".into(),
                caption: "Rows.".into(),
                matrix: ConfusionPicture {
                    classes: vec!["<cat>".into(), "a dog with a long name".into()],
                    counts: vec![vec![3, 1], vec![0, 0]],
                },
            },
            Section::Gallery {
                title: "Mistakes".into(),
                caption: "Wrong.".into(),
                items: vec![GalleryItem {
                    png,
                    caption: "<cat> → dog".into(),
                    note: String::new(),
                    bars: vec![Bar { label: "dog".into(), value: 0.8, role: Role::Wrong }],
                }],
            },
            Section::Flow { title: "Flow".into(), flow: flow(0.5, 1.0) },
            Section::Picture { title: "Picture".into(), caption: "One.".into(), png: vec![1, 2, 3] },
            Section::Table {
                title: "Table".into(),
                caption: "Cells.".into(),
                table: Table {
                    columns: vec!["class".into(), "recall".into(), "images".into()],
                    rows: vec![vec![Cell::Text("<cat>".into()), Cell::Rate(0.75), Cell::Number(4.0)]],
                },
            },
            Section::Config {
                title: "Config".into(),
                caption: "All.".into(),
                toml: "[a]\nb = \"</code>\"\n".into(),
            },
        ],
        facts: vec![("Command".into(), "train --x '<y>'".into())],
    }
}

/// The elements with their classes, and the text, one per line; coordinates and style are left out.
fn structure(html: &str) -> String {
    let body = html.split_once("<body>").map_or(html, |(_, body)| body);
    let mut out = String::new();
    let mut rest = body;
    while let Some((text, tail)) = rest.split_once('<') {
        let (tag, tail) = tail.split_once('>').expect("every tag is closed");
        if !text.trim().is_empty() {
            let _ = writeln!(out, "  {}", text.trim());
        }
        let name = tag.split([' ', '\n']).next().expect("a split has a first part");
        if !name.starts_with('/') {
            let class =
                tag.split_once("class=\"").map_or("", |(_, rest)| rest.split('"').next().unwrap_or(""));
            let _ = writeln!(out, "{name}{}{class}", if class.is_empty() { "" } else { "." });
        }
        rest = tail;
    }
    out
}

#[test]
fn structure_of_a_small_report() {
    insta::assert_snapshot!(structure(&render(&small())));
}

#[test]
fn same_report_same_bytes_in_one_file() {
    let html = render(&small());
    assert_eq!(html, render(&small()));
    for outside in ["http:", "https:", "<script", "<link", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(!html.contains("NaN") && !html.contains("inf"), "a number that isn't one got into the drawing");
}

#[test]
fn what_comes_from_outside_is_escaped() {
    let html = render(&small());
    assert!(html.contains("<title>A &amp; B &lt;script&gt;</title>"));
    assert!(html.contains("&lt;cat&gt; → dog") && !html.contains("<cat>"));
    assert!(html.contains("&lt;/code&gt;") && html.contains("&lt;y&gt;"));
}

#[test]
fn many_classes_make_few_elements() {
    let counts = (0..300)
        .map(|label| (0..300).map(|predicted| u64::from((label + predicted) % 9 == 0)).collect())
        .collect();
    let classes = (0..300).map(|class| format!("class {class}")).collect();
    let html = ConfusionPicture { classes, counts }.markup().into_string();
    assert!(html.matches("<path").count() <= 26 && html.matches("<rect").count() == 1);
    assert!(html.len() < 400_000, "{}", html.len());
}

#[test]
fn long_series_and_deep_networks_stay_small() {
    let points = (0..100_000).map(|step| (f64::from(step), f64::from(step).sin() + 2.0)).collect();
    let chart = Chart { series: vec![Series { points, ..Series::default() }], ..Chart::default() };
    assert!(chart.markup().into_string().len() < 30_000);

    let layers: Vec<String> = (0..467).map(|layer| format!("stage.{layer}.weight")).collect();
    let measured = vec![vec![0.1; layers.len()]; 1000];
    let flow = GradientFlow {
        layers,
        steps: (0..1000).collect(),
        gradient_norms: measured.clone(),
        update_ratios: measured,
    };
    assert!(flow.markup().into_string().len() < 8_000_000);
}
