//! What `check` learns about permissions without touching a message.

use loafer_core::{Error, broker::Finding};

use crate::{
    error::{code, is_denial},
    names::is_fifo,
};

/// Reports a call that was refused, with the action to allow if that was the cause.
pub(super) fn refused(error: &Error, action: &str, on: &str, else_what: &str) -> Option<Finding> {
    let Error::Refused { .. } = error else {
        return None;
    };
    let text = if code(error).is_some_and(is_denial) {
        format!("{action} is denied, so {else_what}: allow {action} on {on}")
    } else {
        error.to_string()
    };
    Some(Finding::problem(text))
}

/// Names the permissions that are needed and can't be tried without taking a message or leaving one.
pub(super) fn untried(dead_letter_queue: Option<&str>) -> Finding {
    let send = dead_letter_queue.map_or_else(String::new, |queue| {
        let else_what = match is_fifo(queue) {
            true => "holds up its group",
            false => "is retried",
        };
        format!(
            ", and sqs:SendMessage on `{queue}`: without it a message that is given up {else_what}"
        )
    });
    Finding::good(format!(
        "needed, and not tried since it would take a message or leave one: sqs:ReceiveMessage{send}"
    ))
}

#[cfg(test)]
mod tests {
    use loafer_core::broker::Level;

    use super::*;
    use crate::{error::Call, names::Endpoint};

    #[test]
    fn a_denied_call_comes_with_the_action_to_allow() {
        let endpoint = Endpoint::new("sqs", "us-east-1", None);
        let call = Call::new("delete", "orders", &endpoint);
        let finding = |code: &str| {
            let error = call.entry_failed(code, None, true);
            refused(
                &error,
                "sqs:DeleteMessage",
                "arn:q",
                "acked messages are redelivered",
            )
            .unwrap()
        };
        let denied = finding("AccessDenied");
        assert_eq!(denied.level, Level::Problem);
        assert_eq!(
            denied.text,
            "sqs:DeleteMessage is denied, so acked messages are redelivered: allow sqs:DeleteMessage on arn:q"
        );
        assert!(finding("KmsDisabled").text.contains("KmsDisabled"));
        assert!(refused(&call.unanswered(), "a", "b", "c").is_none());
    }
}
