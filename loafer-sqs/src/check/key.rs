//! What `check` says of the key that a queue is encrypted with. Only on SQS other services need that key to send.

use loafer_core::broker::Finding;

use crate::topology::{self, Found};

/// The key that SQS manages. Its policy can't be changed.
const MANAGED: &str = "alias/aws/sqs";

/// Judges the key of a queue to which other services of AWS send.
pub(crate) fn key(queue: &str, found: &Found) -> Option<Finding> {
    let key = found.attributes.as_ref()?.key.as_deref()?;
    if !key.ends_with(MANAGED) {
        return Some(Finding::warning(format!(
            "queue `{queue}` is encrypted with the key `{key}`, which is not looked at here: what SNS, S3 or EventBridge sends is lost unless the policy of \
             the key lets that service use kms:GenerateDataKey* and kms:Decrypt (for SNS: \"Principal\": {{\"Service\": \"sns.amazonaws.com\"}})"
        )));
    }
    let set = |name, value: &str| topology::set(&found.clients.endpoint, &found.url, name, value);
    let off = format!(
        "{} && {}",
        set("KmsMasterKeyId", ""),
        set("SqsManagedSseEnabled", "true")
    );
    Some(Finding::problem(format!(
        "queue `{queue}` is encrypted with `{MANAGED}`, which SNS, S3 and EventBridge can't use, so what they send is lost: encrypt it with keys of SQS's own: \
         {off}; or with a key of yours whose policy lets them"
    )))
}
