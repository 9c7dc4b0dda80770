//! The keys of the attribute, and what to do about any other.

use crate::nearest::{list, nearest, suggestion};

/// The names of all keys.
pub(super) const KNOWN: &[&str] = &[
    "route",
    "translator",
    "provider",
    "options",
    "queue",
    "topics",
    "consumer",
    "concurrency",
    "prefetch",
    "lease",
    "visibility_timeout",
    "timeout",
    "backoff",
    "max_attempts",
    "max_deliveries",
    "undecodable",
    "publish",
    "reply",
    "on",
    "unmatched",
    "group_by",
    "batch",
    "linger",
    "on_error",
];

/// Says what to do about a key that the attribute does not have. A broker may have it: the macros know no broker's keys.
pub(super) fn unknown(name: &str) -> String {
    let nearest = nearest(name, KNOWN);
    // `queue_type` is no slip of the finger: it may well be another key than `queue`.
    let longer = |nearest: &str| {
        name.strip_prefix(nearest)
            .is_some_and(|rest| rest.starts_with('_'))
    };
    let question = match nearest {
        Some(nearest) if longer(nearest) => format!("did you mean `{nearest}`? If not, "),
        Some(_) => return suggestion(name, KNOWN),
        None => String::new(),
    };
    format!(
        "{question}keys of one broker are written `options({name} = …)`, beside `provider = …` (known: {})",
        list(KNOWN)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_broker_is_shown_in_its_group() {
        for key in [
            "exchange",
            "binding",
            "queue_type",
            "arguments",
            "declare",
            "dead_letter",
        ] {
            let said = unknown(key);
            let group = format!("keys of one broker are written `options({key} = …)`");
            assert!(said.contains(&group), "{said}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_no_key_of_a_broker() {
        for (slip, meant) in [
            ("rout", "route"),
            ("visiblity_timeout", "visibility_timeout"),
            ("option", "options"),
        ] {
            let said = unknown(slip);
            assert!(
                said.starts_with(&format!("did you mean `{meant}`?")),
                "{said}"
            );
            assert!(!said.contains("options("), "{said}");
        }
    }

    #[test]
    fn a_key_with_a_word_more_may_be_either() {
        let said = unknown("queue_type");
        assert!(
            said.starts_with("did you mean `queue`? If not, keys of one broker"),
            "{said}"
        );
    }
}
