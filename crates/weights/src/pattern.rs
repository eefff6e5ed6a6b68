//! Patterns over dotted names.

use std::borrow::Cow;

/// Whether a dotted `name` fits `pattern`, in which `*` stands for one segment, `**` for any number of them, none
/// included, and `layer_*` for one segment that begins with `layer_` and goes on.
///
/// ```
/// use libellus_weights::matches;
///
/// assert!(matches("fc.*", "fc.weight"));
/// assert!(matches("**.bias", "layer1.0.conv1.bias"));
/// assert!(!matches("fc.*", "fc.inner.weight"));
/// assert!(matches("layer_*.weight", "layer_3.weight"));
/// ```
pub fn matches(pattern: &str, name: &str) -> bool {
    captures(pattern, name).is_some()
}

/// The segments that each wildcard of `pattern` stands for in `name`, in order, or `None` if the name doesn't
/// fit. The first `**` of several takes as few segments as it can. A wildcard that ends a segment stands for the end of
/// a segment.
pub(crate) fn captures<'a>(pattern: &str, name: &'a str) -> Option<Vec<Vec<&'a str>>> {
    let pattern: Vec<&str> = pattern.split('.').collect();
    let name: Vec<&str> = name.split('.').collect();
    let mut taken = Vec::new();
    capture(&pattern, &name, &mut taken).then_some(taken)
}

fn capture<'a>(pattern: &[&str], name: &[&'a str], taken: &mut Vec<Vec<&'a str>>) -> bool {
    let Some((&first, rest)) = pattern.split_first() else {
        return name.is_empty();
    };
    if first == "**" {
        return (0..=name.len()).any(|count| {
            taken.push(name[..count].to_vec());
            let fits = capture(rest, &name[count..], taken);
            if !fits {
                taken.pop();
            }
            fits
        });
    }
    let Some((&segment, others)) = name.split_first() else {
        return false;
    };
    let Some(prefix) = first.strip_suffix('*') else {
        return first == segment && capture(rest, others, taken);
    };
    match segment.strip_prefix(prefix) {
        Some(end) if !end.is_empty() => {
            taken.push(vec![end]);
            let fits = capture(rest, others, taken);
            if !fits {
                taken.pop();
            }
            fits
        }
        _ => false,
    }
}

/// Puts `captured` in the place of the wildcards of `template`, in order.
pub(crate) fn fill(template: &str, captured: &[Vec<&str>]) -> String {
    let mut captured = captured.iter();
    let mut segments: Vec<Cow<'_, str>> = Vec::new();
    for segment in template.split('.') {
        match segment.strip_suffix('*') {
            None => segments.push(segment.into()),
            Some("" | "*") => {
                segments.extend(captured.next().into_iter().flatten().map(|&taken| taken.into()));
            }
            Some(prefix) => {
                let end = captured.next().map(|taken| taken.join(".")).unwrap_or_default();
                segments.push(format!("{prefix}{end}").into());
            }
        }
    }
    segments.join(".")
}
