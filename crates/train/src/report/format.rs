//! Numbers as text.

/// A coordinate in a picture: one decimal is finer than any screen, and keeps the file small.
pub(super) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A value to three significant digits, for labels and tips.
pub(super) fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs().log10().floor() as i32;
    match magnitude {
        -3..=-1 => trim(format!("{value:.*}", (2 - magnitude) as usize)),
        0..=2 => trim(format!("{value:.*}", (2 - magnitude) as usize)),
        3..=5 => grouped(value),
        _ => power_of_ten(value),
    }
}

/// A rate from 0 to 1 as per cent, with as many decimals as tell 99.9 from 100.
pub(super) fn percent(value: f64) -> String {
    let text = format!("{:.1}", value * 100.0);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// `12345` as `12 345`, with a narrow space that doesn't break.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `0.00002` as `2·10⁻⁵`.
pub(super) fn power_of_ten(value: f64) -> String {
    let scientific = format!("{value:.1e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
    let exponent: String = exponent.chars().map(superscript).collect();
    match mantissa {
        "1" => format!("10{exponent}"),
        _ => format!("{mantissa}·10{exponent}"),
    }
}

fn superscript(character: char) -> char {
    match character {
        '-' => '⁻',
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        other => other,
    }
}

fn trim(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// 11689512 as `11,689,512`.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
