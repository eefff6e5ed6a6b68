//! Patterns over dotted names.

/// Whether a dotted `name` fits `pattern`, in which `*` stands for one segment and `**` for any number of
/// them, none included.
///
/// ```
/// use libellus_weights::matches;
///
/// assert!(matches("fc.*", "fc.weight"));
/// assert!(matches("**.bias", "layer1.0.conv1.bias"));
/// assert!(!matches("fc.*", "fc.inner.weight"));
/// ```
pub fn matches(pattern: &str, name: &str) -> bool {
    captures(pattern, name).is_some()
}

/// The segments that each wildcard of `pattern` stands for in `name`, in order, or `None` if the name doesn't
/// fit. The first `**` of several takes as few segments as it can.
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
    match first {
        "*" => {
            taken.push(vec![segment]);
            let fits = capture(rest, others, taken);
            if !fits {
                taken.pop();
            }
            fits
        }
        literal => literal == segment && capture(rest, others, taken),
    }
}

/// Puts `captured` in the place of the wildcards of `template`, in order.
pub(crate) fn fill(template: &str, captured: &[Vec<&str>]) -> String {
    let mut captured = captured.iter();
    let mut segments: Vec<&str> = Vec::new();
    for segment in template.split('.') {
        match segment {
            "*" | "**" => segments.extend(captured.next().into_iter().flatten()),
            literal => segments.push(literal),
        }
    }
    segments.join(".")
}
