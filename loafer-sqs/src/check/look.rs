//! What `check` looks at. It looks anew each time, without an open provider.

use std::time::Duration;

use futures_util::future::{join, join_all};
use loafer_core::{broker::Finding, policy::Policy};

use super::{
    Looked,
    dead_letters::Target,
    judge,
    rights::{refused, untried},
    topic,
};
use crate::{
    client::Fault,
    error::Call,
    names::{QueueAddress, is_fifo, queue_name},
    topology::{self, Attributes, Found, SnsTopic},
};

/// Looks at a queue, at its dead-letter queue and its topics, and at what we may do.
///
/// `lease` is the lease that applies, and `call` names queue and route.
pub(crate) async fn look(
    policy: &Policy,
    found: &Found,
    topics: &[SnsTopic<'_>],
    lease: Duration,
    call: Call<'_>,
) -> Vec<Finding> {
    let attributes = found.attributes.as_ref();
    let redrive = attributes.and_then(|attributes| attributes.redrive.as_ref());
    let looked = Looked {
        endpoint: &found.clients.endpoint,
        url: &found.url,
        attributes,
        lease,
        target: match redrive {
            Some(redrive) => Some(target(found, &redrive.target, call).await),
            None => None,
        },
        is_proposed_there: is_proposed_there(found, attributes, call).await,
    };
    let mut findings = judge(&policy.into(), &looked);
    findings.extend(rights(found, call).await);
    findings.push(untried(redrive.map(|redrive| queue_name(&redrive.target))));
    let feeding = topics
        .iter()
        .map(|topic| feed(found, topic, topics, &policy.route));
    findings.extend(join_all(feeding).await.into_iter().flatten());
    findings
}

async fn target(found: &Found, arn: &str, call: Call<'_>) -> Target {
    let sqs = &found.clients.sqs;
    let call = call.on(queue_name(arn));
    match topology::url(sqs, QueueAddress::parse(arn), call).await {
        Ok(url) => match topology::attributes(sqs, &url, call).await {
            Ok(attributes) => Target::Found(url, attributes),
            Err(error) => Target::Fault(error),
        },
        Err(error) => Target::Fault(error),
    }
}

/// Returns whether the dead-letter queue that we would propose exists. It is looked for only if none is set, or one that does not fit.
async fn is_proposed_there(found: &Found, attributes: Option<&Attributes>, call: Call<'_>) -> bool {
    let Some((attributes, arn)) = attributes.and_then(|of| Some((of, of.arn.as_deref()?))) else {
        return false;
    };
    let set = attributes.redrive.as_ref();
    if set.is_some_and(|set| is_fifo(&set.target) == is_fifo(arn)) {
        return false;
    }
    topology::has_dead_letter_queue(&found.clients.sqs, arn, call).await
}

/// Tries what we may do. A receipt handle that does not exist changes nothing, but the answer says whether we may.
async fn rights(found: &Found, call: Call<'_>) -> Vec<Finding> {
    const HANDLE: &str = "loafer-check";
    let named = |what| Call { what, ..call };
    let (deleted, changed) = join(
        found
            .clients
            .delete(&found.url, &[(0, HANDLE)], named("delete")),
        found
            .clients
            .change(&found.url, &[(0, (HANDLE, 0))], named("renewal")),
    )
    .await;
    let arn = found.attributes.as_ref().and_then(|of| of.arn.as_deref());
    let on = arn.unwrap_or(&found.url);
    let denied = |faults: Vec<(usize, Fault)>, action, else_what| {
        let mut failed = faults
            .into_iter()
            .filter_map(|(_, fault)| fault.into_error());
        failed.find_map(|error| refused(&error, action, on, else_what))
    };
    let unacked = "a message that was handled is redelivered";
    let unrenewed =
        "leases are not renewed, and a failed message is redelivered only when its lease ends";
    [
        denied(deleted, "sqs:DeleteMessage", unacked),
        denied(changed, "sqs:ChangeMessageVisibility", unrenewed),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Looks at one of the topics of a route that opens envelopes of SNS. A failed look costs no other finding.
async fn feed(
    found: &Found,
    topic: &SnsTopic<'_>,
    all: &[SnsTopic<'_>],
    route: &str,
) -> Vec<Finding> {
    let policy = found
        .attributes
        .as_ref()
        .and_then(|of| of.policy.as_deref());
    let queue = topic::Queue {
        endpoint: &found.clients.endpoint,
        url: &found.url,
        policy,
        topics: all,
    };
    let findings = topic::findings(topic, route, &queue).await;
    findings.unwrap_or_else(|error| {
        let name = topic.name();
        vec![Finding::warning(format!(
            "the SNS topic `{name}` was not checked: {error}"
        ))]
    })
}
