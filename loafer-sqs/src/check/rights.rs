//! What `check` finds out about rights without touching a message.

use loafer_core::{Error, Finding};

use crate::error::ServiceError;

/// A call that was refused: with the action to allow, where that is what was missing.
pub(crate) fn refused(error: &Error, action: &str, on: &str, else_what: &str) -> Option<Finding> {
    let Error::Refused { source, .. } = error else {
        return None;
    };
    let answer = source.as_ref().and_then(|source| source.downcast_ref());
    let code = answer.and_then(ServiceError::code).unwrap_or_default();
    let text = if code.contains("AccessDenied") || code.contains("AuthorizationError") {
        format!("{action} is denied, so {else_what}: allow {action} on {on}")
    } else {
        error.to_string()
    };
    Some(Finding::problem(text))
}

/// What can't be tried without taking a message or leaving one.
pub(crate) fn untried(letters: Option<&str>) -> Finding {
    let letters = letters.map_or_else(String::new, |letters| {
        format!(", and sqs:SendMessage on `{letters}`")
    });
    Finding::good(format!(
        "not tried, since it would take a message or leave one: sqs:ReceiveMessage{letters}"
    ))
}

#[cfg(test)]
mod tests {
    use loafer_core::Level;

    use super::*;
    use crate::error::{Call, Place};

    #[test]
    fn what_was_denied_is_told_with_the_action_to_allow() {
        let place = Place::new("sqs", "us-east-1", None);
        let call = Call {
            what: "delete",
            queue: "orders",
            route: None,
            place: &place,
        };
        let told = |code: &str| {
            let error = call.entry_failed(code, None, true);
            refused(
                &error,
                "sqs:DeleteMessage",
                "arn:q",
                "what is acked comes again",
            )
            .unwrap()
        };
        let denied = told("AccessDenied");
        assert_eq!(denied.level, Level::Problem);
        assert_eq!(
            denied.text,
            "sqs:DeleteMessage is denied, so what is acked comes again: allow sqs:DeleteMessage on arn:q"
        );
        assert!(told("KmsDisabled").text.contains("KmsDisabled"));
        assert!(refused(&call.unanswered(), "a", "b", "c").is_none());
    }
}
