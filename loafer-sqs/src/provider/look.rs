//! What `check` looks at, anew each time: it works without `open`, and says what is so now.

use futures_util::future::join;
use loafer_core::{Error, Finding, Open, Policy};
use tokio::time::Instant;

use super::{Opened, Receipt, SqsProvider, batch::Fault, visibility::Change};
use crate::{
    check::{self, Letters, Looked},
    error::Call,
    queue::{self, Attributes},
    topic::Topic,
};

impl SqsProvider {
    pub(super) async fn look(&self, policy: &Policy) -> Result<Vec<Finding>, Error> {
        let mut findings: Vec<_> = self.made().drain(..).map(Finding::good).collect();
        let clients = self.shared.clients(&self.queue).await?;
        let (opened, attributes) = self.find(clients, Open::Existing).await?;
        let attributes = attributes.as_ref();
        let redrive = attributes.and_then(|attributes| attributes.redrive.as_ref());
        let looked = Looked {
            place: &opened.clients.place,
            url: &opened.url,
            attributes,
            lease: opened.lease,
            letters: match redrive {
                Some(redrive) => Some(self.letters(&opened, &redrive.target).await),
                None => None,
            },
            proposed: self.has_other_letters(&opened, attributes).await,
        };
        findings.extend(check::judge(&policy.into(), &looked));
        let on = attributes.and_then(|attributes| attributes.arn.as_deref());
        findings.extend(self.rights(&opened, on.unwrap_or(&opened.url)).await);
        let letters = redrive.map(|redrive| queue::name(&redrive.target));
        findings.push(check::untried(letters));
        if let Some(attributes) = attributes {
            findings.extend(self.feed(&opened, attributes).await);
        }
        Ok(findings)
    }

    async fn letters(&self, opened: &Opened, arn: &str) -> Letters {
        let sqs = &opened.clients.sqs;
        let call = Call {
            queue: queue::name(arn),
            route: None,
            ..self.call("finding", &opened.clients.place)
        };
        match queue::url_of_arn(sqs, arn, call).await {
            Ok(url) => match queue::attributes(sqs, &url, call).await {
                Ok(attributes) => Letters::Found(url, attributes),
                Err(error) => Letters::Fault(error),
            },
            Err(error) => Letters::Fault(error),
        }
    }

    /// Whether a dead-letter queue stands ready where none is set, or none that fits.
    async fn has_other_letters(&self, opened: &Opened, attributes: Option<&Attributes>) -> bool {
        let Some((attributes, arn)) = attributes.and_then(|of| Some((of, of.arn.as_deref()?)))
        else {
            return false;
        };
        let set = attributes.redrive.as_ref();
        if set.is_some_and(|set| queue::is_fifo(&set.target) == queue::is_fifo(arn)) {
            return false;
        }
        let call = self.call("finding", &opened.clients.place);
        queue::has_letters(&opened.clients.sqs, arn, call).await
    }

    /// A handle that is none changes nothing, but tells whether we may.
    async fn rights(&self, opened: &Opened, on: &str) -> Vec<Finding> {
        let none = Receipt::new("loafer-check".to_owned(), Instant::now());
        let change = Change {
            place: 0,
            receipt: &none,
            seconds: 0,
        };
        let (deleted, changed) = join(
            self.delete(opened, &[(0, &none)]),
            self.change(opened, "renewal", &[change]),
        )
        .await;
        let told = |faults: Vec<(usize, Fault)>, action: &'static str, else_what: &'static str| {
            let mut failed = faults.into_iter().filter_map(|(_, fault)| match fault {
                Fault::Failed(error) => Some(error),
                Fault::Lost => None,
            });
            failed.find_map(|error| check::refused(&error, action, on, else_what))
        };
        let unacked = "a message that was handled comes again";
        let unrenewed = "leases are not renewed, and what fails comes again at their end only";
        [
            told(deleted, "sqs:DeleteMessage", unacked),
            told(changed, "sqs:ChangeMessageVisibility", unrenewed),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The topic, for a route that opens its envelopes. What can't be seen of it costs no other finding.
    async fn feed(&self, opened: &Opened, attributes: &Attributes) -> Vec<Finding> {
        let Some(topic) = self.topic(opened, attributes) else {
            return Vec::new();
        };
        let (place, url) = (&*opened.clients.place, &*opened.url);
        let policy = attributes.policy.as_deref();
        let found = check::topic(&topic, &self.route, place, url, policy).await;
        found.unwrap_or_else(|error| {
            let name = topic.name();
            vec![Finding::warning(format!(
                "the SNS topic `{name}` was not checked: {error}"
            ))]
        })
    }

    pub(super) fn topic<'t>(
        &'t self,
        opened: &'t Opened,
        attributes: &'t Attributes,
    ) -> Option<Topic<'t>> {
        let (topic, queue) = (self.topic.as_deref()?, attributes.arn.as_deref()?);
        let clients = &opened.clients;
        Topic::of(&clients.sns, &clients.sns_place, topic, queue)
    }
}
