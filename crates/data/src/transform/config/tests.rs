use super::*;

#[derive(Debug, Deserialize)]
struct File {
    #[expect(dead_code, reason = "read for its error")]
    transforms: Vec<TransformConfig>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct RoundTrip {
    transforms: Vec<TransformConfig>,
}

/// The message about one transform, as a line of TOML.
fn refused(transform: &str) -> String {
    match toml::from_str::<RoundTrip>(&format!("transforms = [{transform}]")) {
        Ok(file) => file.transforms[0].validate().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_transform_is_read_and_written() {
    let text = r#"
        transforms = [
            { name = "resize", to = { shorter_side = 256 }, interpolation = "bicubic" },
            { name = "resize", to = { exact = { height = 31, width = 37 } } },
            { name = "centre_crop", height = 224, width = 224 },
            { name = "random_crop", height = 32, width = 32, padding = 4 },
            { name = "random_resized_crop", height = 7, width = 5, scale = [0.2, 1.0] },
            { name = "horizontal_flip" },
            { name = "rotation", degrees = 15.0, sampling = "bilinear", fill = [124, 116, 104] },
            { name = "colour_jitter", brightness = 0.4, hue = 0.1 },
            { name = "rand_augment", magnitude = 7 },
            { name = "random_erasing", probability = 0.25, fill = "noise" },
        ]
    "#;
    let file: RoundTrip = toml::from_str(text).unwrap();
    assert_eq!(file.transforms.len(), 10);
    assert!(file.transforms.iter().all(|transform| transform.validate().is_ok()));
    let names: Vec<_> = file.transforms.iter().map(TransformConfig::name).collect();
    for (name, line) in names.iter().zip(text.lines().filter(|line| line.contains("name"))) {
        assert!(line.contains(&format!("\"{name}\"")), "{name} is not the name in {line}");
    }
    let written = toml::to_string(&file).unwrap();
    assert_eq!(toml::from_str::<RoundTrip>(&written).unwrap(), file);
}

#[test]
fn unknown_names_and_keys_are_refused() {
    let unknown = |text: &str| toml::from_str::<File>(text).unwrap_err().to_string();
    assert!(
        unknown(r#"transforms = [{ name = "sharpen" }]"#)
            .contains("unknown variant `sharpen`, expected one of")
    );
    let message = unknown(r#"transforms = [{ name = "rand_augment", magnitud = 3 }]"#);
    assert!(message.contains("unknown field `magnitud`"), "{message}");
    assert!(unknown(r#"transforms = [{ name = "horizontal_flip", p = 0.5 }]"#).contains("unknown field `p`"));
    assert!(unknown(r#"transforms = [{ name = "centre_crop", height = -3, width = 3 }]"#).contains("-3"));
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    assert_eq!(
        refused(r#"{ name = "centre_crop", height = 0, width = 3 }"#),
        "centre_crop: height is 0, but has to be a whole number from 1 to 16384"
    );
    assert_eq!(
        refused(r#"{ name = "random_resized_crop", height = 3, width = 3, scale = [0.5, 0.2] }"#),
        "random_resized_crop: scale is [0.5, 0.2], but has to be two rising numbers above 0 and up to 1"
    );
    for transform in [
        r#"{ name = "resize", to = { shorter_side = 0 } }"#,
        r#"{ name = "resize", to = { exact = { height = 3, width = 1_000_000_000_000 } } }"#,
        r#"{ name = "random_crop", height = 3, width = 3, padding = 1_000_000_000_000 }"#,
        r#"{ name = "random_resized_crop", height = 3, width = 3, ratio = [0.0, 1.0] }"#,
        r#"{ name = "horizontal_flip", probability = 1.5 }"#,
        r#"{ name = "rotation", degrees = nan }"#,
        r#"{ name = "rotation", degrees = -3.0 }"#,
        r#"{ name = "colour_jitter", contrast = inf }"#,
        r#"{ name = "colour_jitter", hue = 0.6 }"#,
        r#"{ name = "rand_augment", magnitude = 31 }"#,
        r#"{ name = "rand_augment", num_magnitude_bins = 0 }"#,
        r#"{ name = "random_erasing", scale = [0.02, nan] }"#,
    ] {
        assert!(refused(transform).contains("but has to be"), "{transform}: {}", refused(transform));
    }
}
