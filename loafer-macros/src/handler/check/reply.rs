//! What a handler that replies may return.

use super::returned::value;
use crate::{errors::Errors, handler::model::Call};

/// Whether what the handler returns can be a reply, as far as its shape tells.
pub(super) fn check(call: &Call, errors: &mut Errors) {
    value(
        call,
        "a handler of batches returns outcomes, and each of its messages may want a reply of its own: let one that replies take single messages",
        "with `reply` a handler returns the reply: a value, or an `Option` of one; leave out `reply` to return an outcome, and reply by an argument of type `Replier`",
        errors,
    );
}
