//! What the command `check` says of a queue.

use loafer_core::{Finding, Policy};

use crate::{
    config::Shared,
    topology::{Plan, count},
};

/// What is to be said of a route's queue, once it is open.
pub(crate) async fn check(shared: &Shared, plan: &Plan, _: &Policy) -> Vec<Finding> {
    let mut found = vec![Finding::good(format!("queue `{}` is there", plan.queue))];
    if let Some(dead) = &plan.dead {
        found.push(match count(&shared.consuming, dead).await {
            Ok(Some(0)) => Finding::good(format!("dead-letter queue `{dead}` is empty")),
            Ok(Some(letters)) => Finding::warning(format!(
                "dead-letter queue `{dead}` holds {letters} messages: look with `dead-letters list {}`",
                plan.route
            )),
            Ok(None) => Finding::problem(format!(
                "dead-letter queue `{dead}` does not exist: run `check --create`"
            )),
            Err(error) => Finding::problem(error.to_string()),
        });
    }
    found
}
