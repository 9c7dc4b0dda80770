//! Unknown names, and the known one that is nearest.

/// Says that a name is unknown, and which known one is nearest to it.
///
/// `at` is what stands before the name, for example `routes.orders.`; `what` says what it names, for example `key`.
#[must_use]
pub fn unknown(name: &str, known: &[&str], at: &str, what: &str) -> String {
    let hint = match nearest(name, known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if known.is_empty() => format!("; this program has no {what}"),
        None => format!("; known: {}", list(known)),
    };
    format!("unknown {what} `{at}{name}`{hint}")
}

fn list(known: &[&str]) -> String {
    let mut known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    known.dedup();
    known.join(", ")
}

/// Returns the known name nearest to a wrong one; `None` if none is near.
#[must_use]
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let distance =
        |known: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase());
    let near = known.iter().copied().min_by_key(|known| distance(known))?;
    (distance(near) <= (name.len() / 3).max(2)).then_some(near)
}
