//! What a handler that replies may return.

use super::publish::{inside_result, is_outcome};
use crate::{errors::Errors, handler::model::Call};

/// Whether what the handler returns can be a reply, as far as its shape tells.
pub(super) fn check(call: &Call, errors: &mut Errors) {
    if let Some(batch) = &call.message.batch {
        errors.at(
            batch,
            "a handler of batches returns outcomes, and each of its messages may want a reply of its own: let one that replies take single messages",
        );
    }
    let returned = inside_result(&call.returns);
    if is_outcome(returned) {
        errors.at(
            returned,
            "with `reply` a handler returns the reply: a value, or an `Option` of one; leave out `reply` to return an outcome, and reply by an argument of type `Replier`",
        );
    }
}
