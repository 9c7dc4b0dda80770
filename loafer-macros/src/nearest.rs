//! "Did you mean": the known name nearest to an unknown one.

use strsim::damerau_levenshtein;

/// Returns the known name that was probably meant: one that begins as this does, or differs by a slip or two.
pub(crate) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let begins = |known: &&str| {
        known.len().min(name.len()) >= 3 && (known.starts_with(name) || name.starts_with(*known))
    };
    let slip = || {
        let distances = known
            .iter()
            .map(|known| (damerau_levenshtein(name, known), *known));
        let (distance, nearest) = distances.min()?;
        (distance <= nearest.len() / 3).then_some(nearest)
    };
    let begun = known.iter().copied().filter(begins);
    begun
        .min_by_key(|known| damerau_levenshtein(name, known))
        .or_else(slip)
}

/// Returns all that is known, as it is written in an error.
pub(crate) fn list(known: &[&str]) -> String {
    let all: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
    all.join(", ")
}

/// Returns "did you mean" and all that is known.
pub(crate) fn suggestion(name: &str, known: &[&str]) -> String {
    let all = list(known);
    match nearest(name, known) {
        Some(nearest) if known.len() == 1 => format!("did you mean `{nearest}`?"),
        Some(nearest) => format!("did you mean `{nearest}`? (known: {all})"),
        None => format!("known are {all}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &[
        "route",
        "queue",
        "timeout",
        "visibility_timeout",
        "max_attempts",
    ];

    #[test]
    fn a_slip_of_the_finger_is_found() {
        assert_eq!(nearest("rout", KNOWN), Some("route"));
        assert_eq!(nearest("queu", KNOWN), Some("queue"));
        assert_eq!(
            nearest("visiblity_timeout", KNOWN),
            Some("visibility_timeout")
        );
        assert_eq!(nearest("max_attempt", KNOWN), Some("max_attempts"));
        assert_eq!(nearest("visibility", KNOWN), Some("visibility_timeout"));
        let queues = ["queue", "queue_type"];
        assert_eq!(nearest("queue_typ", &queues), Some("queue_type"));
        assert_eq!(nearest("queu", &queues), Some("queue"));
        assert_eq!(nearest("maximum", &["initial", "max"]), Some("max"));
    }

    #[test]
    fn another_word_is_nobodys_neighbour() {
        assert_eq!(nearest("batch", KNOWN), None);
        assert_eq!(nearest("x", KNOWN), None);
    }
}
