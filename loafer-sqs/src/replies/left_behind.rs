//! Reply queues that crashed processes left behind. Other brokers remove such queues themselves.

use std::time::{Duration, SystemTime};

use loafer_core::{
    Error,
    broker::{Finding, is_reply_queue, reply_queue_prefix},
    message::MessageId,
};

use super::{NAME, SqsReplies};
use crate::{error::Call, names::queue_name, topology};

/// From which age on a queue may have been left behind. Its name says when it was made.
const OLD: Duration = Duration::from_secs(24 * 3600);
/// How many queues a finding names.
const NAMED: usize = 10;

impl SqsReplies {
    /// Says which old reply queues there are, or deletes them.
    ///
    /// SQS does not tell whether anybody still receives from a queue. A process whose queue is deleted makes another, so deleting costs at most the replies
    /// that are on their way.
    pub(super) async fn old_queues(&self, delete: bool) -> Vec<Finding> {
        let old = match self.find_old().await {
            Ok(old) => old,
            // Most services make no requests, and need no right to look.
            Err(error) if !delete => {
                tracing::debug!(%error, "reply queues that crashed processes left behind can't be looked for");
                return Vec::new();
            }
            Err(error) => return vec![Finding::warning(error.to_string())],
        };
        if old.is_empty() {
            return Vec::new();
        }
        if !delete {
            return vec![Finding::good(found(&old))];
        }
        let mut findings = Vec::new();
        for url in old {
            let name = queue_name(&url).to_owned();
            findings.push(match self.remove(&name, Some(url)).await {
                Ok(()) => Finding::good(format!("reply queue `{name}` was deleted")),
                Err(error) => Finding::warning(error.to_string()),
            });
        }
        findings
    }

    /// Returns the URLs of the reply queues of this app that are old and empty.
    async fn find_old(&self) -> Result<Vec<String>, Error> {
        let clients = self.clients().await?;
        let prefix = reply_queue_prefix(self.app.as_deref(), NAME);
        let call = Call::new("listing the reply queues", &prefix, &clients.endpoint);
        let listed = clients.sqs.list_queues().queue_name_prefix(&prefix);
        let mut pages = listed.max_results(1000).into_paginator().send();
        let mut old = Vec::new();
        while let Some(page) = Box::pin(pages.next()).await {
            let page = page.map_err(|error| call.failed(&error))?;
            for url in page.queue_urls.unwrap_or_default() {
                if is_old(queue_name(&url), &prefix) {
                    let of = topology::attributes(&clients.sqs, &url, call).await?;
                    let held = of.map(|of| (of.depth.ready, of.depth.in_flight));
                    if matches!(held, None | Some((Some(0), Some(0)))) {
                        old.push(url);
                    }
                }
            }
        }
        Ok(old)
    }
}

/// Returns whether this is the name of a reply queue of this prefix, made more than a day ago.
fn is_old(name: &str, prefix: &str) -> bool {
    let id = name.strip_prefix(prefix).filter(|_| is_reply_queue(name));
    let made = id.and_then(|id| MessageId::from(id).made_at());
    made.and_then(|made| SystemTime::now().duration_since(made).ok())
        .is_some_and(|age| age > OLD)
}

fn found(old: &[String]) -> String {
    let names: Vec<_> = old
        .iter()
        .take(NAMED)
        .map(|url| format!("`{}`", queue_name(url)))
        .collect();
    let more = match old.len() - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "reply queues older than a day: {}{more}; those whose processes have crashed are empty, cost nothing, and stay until \
         `check --delete-reply-queues` deletes them",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_queues_of_the_app_are_old() {
        let prefix = reply_queue_prefix(Some("billing"), NAME);
        assert_eq!(prefix, "billing-replies-");
        let old = "01890a5d-ac96-774b-bcce-b302099a8057";
        let random = "059f36b4-87a3-44ab-83d2-661975830a7d";
        assert!(is_old(&format!("{prefix}{old}"), &prefix));
        for young in [
            format!("{prefix}{}", MessageId::new()),
            format!("{prefix}{random}"),
            format!("{prefix}more-replies-{old}"),
            format!("other-replies-{old}"),
            format!("{prefix}of-the-month"),
        ] {
            assert!(!is_old(&young, &prefix), "{young}");
        }
    }
}
