//! What the command `check` says of any broker, by what its provider says it can do.

use std::time::Duration;

use loafer_core::{
    broker::{Capabilities, Finding},
    policy::Policy,
};

/// Below this a few deploys use up a message's deliveries.
const ENOUGH_RECEIVES: u32 = 10;

/// A failed message that holds up its group for longer than this is worth a word.
const LONG: Duration = Duration::from_secs(60);

/// Judges a route's policy against what its broker can do.
pub(super) fn judge(policy: &Policy, capabilities: &Capabilities) -> Vec<Finding> {
    let (route, queue) = (&policy.route, &policy.queue);
    let mut findings = Vec::new();
    if let Some(most) = capabilities.max_receives {
        if capabilities.release_costs_attempt && most < ENOUGH_RECEIVES {
            findings.push(Finding::warning(format!(
                "queue `{queue}` gives a message up after {most} deliveries, and what a shutdown gives back counts as one: \
                 let it give up after {ENOUGH_RECEIVES} or more"
            )));
        }
        if let Some(attempts) = policy.max_attempts.filter(|attempts| *attempts > most) {
            findings.push(Finding::warning(format!(
                "`max_attempts = {attempts}` is never reached: queue `{queue}` gives a message up after {most} deliveries, \
                 without the header that says why; set `max_attempts` under [routes.{route}] to less than {most}, or raise the queue's own"
            )));
        }
    }
    if !capabilities.ordered {
        return findings;
    }
    if let Some(most) = capabilities
        .max_receives
        .filter(|_| capabilities.release_costs_attempt)
        && policy
            .max_attempts
            .is_none_or(|attempts| attempts > most / 2)
    {
        findings.push(Finding::warning(format!(
            "what waits behind a failed message of its group is delivered again with it, so a message that always fails takes its followers to the dead \
             letters after {most} deliveries, unhandled: set `max_attempts` under [routes.{route}] to {} or less, so that it goes there alone",
            (most / 2).max(1)
        )));
    }
    if policy.group_by.is_some() {
        findings.push(Finding::warning(format!(
            "`group_by` is left unread: queue `{queue}` keeps its own groups in order; take it out of [routes.{route}]"
        )));
    }
    let longest = policy.backoff.as_ref().map(|backoff| backoff.longest());
    if let Some(longest) = longest.filter(|longest| *longest > LONG) {
        findings.push(Finding::warning(format!(
            "queue `{queue}` keeps groups in order, so a message that failed holds up its group for as long as `backoff` says, up to \
             {longest:?}: set `backoff = {{ max = \"1m\" }}` under [routes.{route}], or less"
        )));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::RouteOptions;
    use loafer_core::policy::{Backoff, GroupBy};

    fn told(options: RouteOptions, capabilities: &Capabilities) -> Vec<String> {
        let findings = judge(&options.resolve("orders", Duration::ZERO), capabilities);
        findings.into_iter().map(|finding| finding.text).collect()
    }

    fn counting(most: u32) -> Capabilities {
        Capabilities {
            release_costs_attempt: true,
            max_receives: Some(most),
            ..Capabilities::default()
        }
    }

    #[test]
    fn few_deliveries_are_told_where_a_release_costs_one() {
        let told = |capabilities: Capabilities| told(RouteOptions::new(), &capabilities);
        assert!(told(counting(9))[0].contains("after 9 deliveries"));
        assert!(told(counting(10)).is_empty());
        let free = Capabilities {
            release_costs_attempt: false,
            ..counting(3)
        };
        assert!(told(free).is_empty());
    }

    #[test]
    fn attempts_that_the_queue_does_not_grant_are_told() {
        let options = || RouteOptions::new().max_attempts(11);
        assert!(told(options(), &counting(10))[0].contains("`max_attempts = 11` is never reached"));
        assert!(told(options(), &counting(11)).is_empty());
    }

    #[test]
    fn a_poisonous_message_that_takes_its_followers_along_is_told() {
        let ordered = || Capabilities {
            ordered: true,
            ..counting(100)
        };
        assert!(told(RouteOptions::new(), &ordered())[0].contains("set `max_attempts`"));
        assert!(told(RouteOptions::new().max_attempts(50), &ordered()).is_empty());
        assert!(told(RouteOptions::new(), &counting(100)).is_empty());
    }

    #[test]
    fn an_ordered_queue_leaves_group_by_unread_and_waits_for_its_backoff() {
        let ordered = || Capabilities {
            ordered: true,
            ..Capabilities::default()
        };
        let options = || {
            let backoff = Backoff::new(Duration::from_secs(1));
            RouteOptions::new()
                .group_by(GroupBy::GROUP)
                .backoff(backoff)
        };
        let [unread, held] = &told(options(), &ordered())[..] else {
            panic!("two findings")
        };
        assert!(unread.contains("`group_by` is left unread"), "{unread}");
        assert!(held.contains("up to 900s"), "{held}");
        assert!(told(options(), &Capabilities::default()).is_empty());
        let short = Backoff::new(Duration::from_secs(1)).with_max(Duration::from_secs(60));
        assert!(told(RouteOptions::new().backoff(short), &ordered()).is_empty());
    }
}
