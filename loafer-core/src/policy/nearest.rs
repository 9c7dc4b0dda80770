//! Unknown names in configuration, and the known name that is nearest.

/// Returns the message that a name is unknown. It suggests the nearest known name; if none is near, it lists all of them.
///
/// `at` is what stands before the name, for example `routes.orders.`. `what` says what the name is of, for example `key`.
///
/// ```
/// use loafer::policy::unknown;
///
/// let message = unknown("conccurrency", &["concurrency", "prefetch"], "routes.orders.", "key");
/// assert_eq!(message, "unknown key `routes.orders.conccurrency`; did you mean `concurrency`?");
/// ```
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

/// Returns the known name that is nearest to a wrong one. `None` means that none is near.
#[must_use]
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let distance =
        |known: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase());
    let near = known.iter().copied().min_by_key(|known| distance(known))?;
    (distance(near) <= (name.len() / 3).max(2)).then_some(near)
}
