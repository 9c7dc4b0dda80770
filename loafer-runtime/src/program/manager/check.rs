//! What the command `check` says about a route on any broker, by what its provider can do.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use loafer_core::{
    broker::{Capabilities, Depth, Finding, Level, Open},
    policy::Policy,
};

use super::{Manager, Plan, launch, published};

/// With fewer deliveries, a few deploys use up a message's deliveries.
const ENOUGH_RECEIVES: u32 = 10;

/// The longest that a failed message should hold up its group.
const LONG: Duration = Duration::from_secs(60);

impl Manager {
    /// Connects every source, and returns what it finds, each with the name of its route. A source that can't be opened is a problem among
    /// them.
    ///
    /// # Cancellation
    ///
    /// Safe: what was made because it was missing stays.
    pub async fn check(&self) -> Vec<(String, Vec<Finding>)> {
        // All at once: each broker that can't be reached takes its time.
        join_all(self.plans.iter().map(async |plan| {
            let found = match launch::open(plan, self.open).await {
                Ok(()) => {
                    let mut found = plan.provider.check(&plan.policy).await;
                    let capabilities = plan.provider.capabilities();
                    found.extend(judge(&plan.policy, &capabilities));
                    // A queue that is missing was found already.
                    if found.iter().all(|found| found.level < Level::Problem) {
                        found.extend(depth_of(plan).await);
                    }
                    found
                }
                Err(error) => vec![Finding {
                    level: Level::Problem,
                    text: error.to_string(),
                }],
            };
            let on_queue = |other: &&Plan| {
                let same = other.policy.queue == plan.policy.queue;
                same && other.instance.name == plan.instance.name && !std::ptr::eq(*other, plan)
            };
            let others = self.plans.iter().filter(on_queue);
            let others: Vec<_> = others.map(|other| &*other.policy.route).collect();
            let shared = shared(&plan.policy.route, &plan.policy.queue, &others);
            let missing = plan.handlers.iter().filter_map(|handler| {
                let missing = handler.route.ready(self.app.resources())?.err()?;
                let handler = &handler.route.handler;
                Some(Finding::problem(format!("handler `{handler}`: {missing}")))
            });
            (
                plan.policy.route.clone(),
                missing.chain(found).chain(shared).collect(),
            )
        }))
        .await
    }

    /// Returns the rights that each route needs, by its name, and under `topics` those to publish to the topics that are known: in the form in which the
    /// operators of its broker give them, for example a policy of IAM. A broker without such a form has none. What can't be reached is named as far as the
    /// configuration names it.
    ///
    /// # Cancellation
    ///
    /// Safe: it makes nothing.
    pub async fn rights(&self) -> BTreeMap<String, serde_json::Value> {
        let of_routes = join_all(self.plans.iter().map(async |plan| {
            // A service that may do nothing yet is the one that asks.
            _ = launch::open(plan, Open::ReadOnly).await;
            Some((plan.policy.route.clone(), plan.provider.rights()?))
        }));
        let mut rights: BTreeMap<_, _> = of_routes.await.into_iter().flatten().collect();
        let of_topics = published::published(self).rights();
        if !of_topics.is_empty() {
            rights.insert("topics".to_owned(), of_topics.into());
        }
        rights
    }

    /// Looks at the topics that the program publishes to, as far as handlers and configuration name them, and returns one finding for each. With
    /// [`Open::Create`] it makes those that are missing. A broker that can't be asked for its topics has no findings.
    ///
    /// # Cancellation
    ///
    /// Safe: what was made because it was missing stays.
    pub async fn check_topics(&self) -> Vec<Finding> {
        published::published(self).check().await
    }

    /// Looks for the addresses of replies that processes of this program may have left behind, for example reply queues on SQS. With `delete` it removes
    /// them. Brokers that remove them themselves have no findings.
    ///
    /// # Cancellation
    ///
    /// Safe: what was deleted stays so.
    pub async fn check_replies(&self, delete: bool) -> Vec<Finding> {
        let program = self.instances.app();
        let used = self.instances.used();
        // A broker without replies left none behind.
        let replies = used.filter_map(|instance| instance.broker.replies(program).ok());
        let replies: Vec<_> = replies.collect();
        let found = replies.iter().map(|replies| replies.left_behind(delete));
        join_all(found).await.into_iter().flatten().collect()
    }
}

/// Returns what `check` says of how much a route's queue holds. `None` means that its broker tells nothing.
async fn depth_of(plan: &Plan) -> Option<Finding> {
    let queue = &plan.policy.queue;
    match plan.provider.depth().await {
        Ok(depth) if depth == Depth::default() => None,
        Ok(depth) => Some(Finding::good(format!("queue `{queue}` holds {depth}"))),
        Err(error) => Some(Finding::warning(format!(
            "how much queue `{queue}` holds is not known: {error}"
        ))),
    }
}

/// Compares a route's policy with what its broker can do.
fn judge(policy: &Policy, capabilities: &Capabilities) -> Vec<Finding> {
    let mut findings: Vec<_> = leases(policy, capabilities).into_iter().collect();
    if let Some(most) = capabilities.max_receives {
        findings.extend(few_receives(policy, capabilities, most));
        findings.extend(more_attempts(policy, capabilities, most));
    }
    if capabilities.ordered {
        findings.extend(unread_group_by(policy));
        findings.extend(long_backoff(policy));
    }
    findings
}

/// Warns of a queue that other routes of the program are on.
fn shared(route: &str, queue: &str, others: &[&str]) -> Option<Finding> {
    let others: Vec<_> = others.iter().map(|other| format!("`{other}`")).collect();
    (!others.is_empty()).then(|| {
        Finding::warning(format!(
            "queue `{queue}` is the queue of route `{route}` and of {}: each gets some of its messages, whichever asks first; set another `queue` under \
             [routes.{route}], or give one route several handlers, by `on`",
            others.join(" and ")
        ))
    })
}

/// Compares how long a handler may take with how long a message is ours. Brokers without leases say so themselves, in the same words.
fn leases(policy: &Policy, capabilities: &Capabilities) -> Option<Finding> {
    let (route, queue) = (&policy.route, &policy.queue);
    let (timeout, lease) = (policy.timeout?, capabilities.lease?);
    if let Some(most) = capabilities.lease_ceiling.filter(|most| timeout >= *most) {
        return Some(Finding::problem(format!(
            "`timeout` under [routes.{route}] is {timeout:?}, and queue `{queue}` takes back what was not settled for {most:?}: shorten it"
        )));
    }
    // Leaves room for a late renewal.
    let longer = (timeout.as_secs() + 1).next_multiple_of(30);
    (timeout >= lease).then(|| {
        Finding::warning(format!(
            "`timeout` under [routes.{route}] is {timeout:?}, and the lease of a message of queue `{queue}` lasts {lease:?}: one renewal that fails gives a \
             message that is being handled to somebody else; shorten it, or set `lease = \"{longer}s\"` there"
        ))
    })
}

/// Warns of a broker that gives messages up because of a few deploys.
fn few_receives(policy: &Policy, capabilities: &Capabilities, most: u32) -> Option<Finding> {
    let queue = &policy.queue;
    let remedy = match capabilities.max_receives_setting {
        Some(setting) => format!("raise {setting} to {ENOUGH_RECEIVES} or more"),
        None => format!("let it give up after {ENOUGH_RECEIVES} or more"),
    };
    let released = match capabilities.ordered {
        true => "each deploy hands back what waits in its groups, which counts as one",
        false => "what a shutdown releases counts as one",
    };
    (capabilities.release_costs_attempt && most < ENOUGH_RECEIVES).then(|| {
        Finding::warning(format!(
            "queue `{queue}` gives a message up after {most} deliveries, and {released}: {remedy}"
        ))
    })
}

/// Warns of attempts that the broker does not grant.
fn more_attempts(policy: &Policy, capabilities: &Capabilities, most: u32) -> Option<Finding> {
    let (route, queue) = (&policy.route, &policy.queue);
    let attempts = policy.max_attempts.filter(|attempts| *attempts > most)?;
    let setting = capabilities.max_receives_setting;
    let setting = setting.map_or(Cow::from("the queue's own"), Cow::from);
    Some(Finding::warning(match capabilities.retries_are_copies {
        // A failed message of an ordered group is retried where it is, and we give it up before the broker does.
        false if capabilities.ordered => format!(
            "`max_attempts = {attempts}` is never reached: a message of queue `{queue}` becomes a dead letter after {most} attempts, the limit of the \
             queue; set `max_attempts` under [routes.{route}] to {most} or less, or raise {setting}"
        ),
        false => format!(
            "`max_attempts = {attempts}` is never reached: queue `{queue}` gives a message up after {most} deliveries, \
             without the header that says why; set `max_attempts` under [routes.{route}] to less than {most}, or raise {setting}"
        ),
        true => format!(
            "`max_attempts = {attempts}` under [routes.{route}] is more than the {most} deliveries of queue `{queue}`: a message that ends its process so \
             often is given up by the broker, without the header that says why; raise {setting}"
        ),
    }))
}

/// Warns of groups that the broker does not see.
fn unread_group_by(policy: &Policy) -> Option<Finding> {
    let (route, queue) = (&policy.route, &policy.queue);
    policy.group_by.is_some().then(|| {
        Finding::warning(format!(
            "`group_by` is left unread: queue `{queue}` keeps its own groups in order; take it out of [routes.{route}]"
        ))
    })
}

/// Warns of a backoff for which a whole group waits.
fn long_backoff(policy: &Policy) -> Option<Finding> {
    let (route, queue) = (&policy.route, &policy.queue);
    let longest = policy.backoff.as_ref()?.longest();
    (longest > LONG).then(|| {
        Finding::warning(format!(
            "queue `{queue}` keeps groups in order, so a message that failed holds up its group for as long as `backoff` says, up to \
             {longest:?}: set `backoff = {{ max = \"1m\" }}` under [routes.{route}], or less"
        ))
    })
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
    fn a_queue_of_two_routes_is_told() {
        assert_eq!(shared("orders", "q", &[]), None);
        let said = shared("orders", "q", &["audit"]).map(|finding| finding.text);
        let expected = "queue `q` is the queue of route `orders` and of `audit`: each gets some";
        assert!(said.is_some_and(|said| said.starts_with(expected)));
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
    fn remedies_name_what_the_operator_can_set() {
        let named = |most| Capabilities {
            max_receives_setting: Some("`x-delivery-limit`"),
            ..counting(most)
        };
        let texts = told(RouteOptions::new().max_attempts(11), &named(9));
        assert!(
            texts[0].ends_with("raise `x-delivery-limit` to 10 or more"),
            "{texts:?}"
        );
        assert!(
            texts[1].ends_with("or raise `x-delivery-limit`"),
            "{texts:?}"
        );
        let texts = told(RouteOptions::new().max_attempts(11), &counting(9));
        assert!(
            texts[0].ends_with("let it give up after 10 or more"),
            "{texts:?}"
        );
        assert!(texts[1].ends_with("or raise the queue's own"), "{texts:?}");
    }

    #[test]
    fn where_retries_are_copies_only_what_ends_its_process_is_given_up() {
        let copies = |ordered| Capabilities {
            retries_are_copies: true,
            ordered,
            ..counting(20)
        };
        let texts = told(RouteOptions::new().max_attempts(21), &copies(false));
        assert!(texts[0].contains("ends its process"), "{texts:?}");
        assert!(!texts[0].contains("never reached"), "{texts:?}");
        assert!(told(RouteOptions::new().max_attempts(20), &copies(false)).is_empty());
        assert!(told(RouteOptions::new(), &copies(true)).is_empty());
    }

    #[test]
    fn attempts_that_the_queue_does_not_grant_are_told() {
        let options = || RouteOptions::new().max_attempts(11);
        assert!(told(options(), &counting(10))[0].contains("`max_attempts = 11` is never reached"));
        assert!(told(options(), &counting(11)).is_empty());
    }

    #[test]
    fn on_an_ordered_queue_its_limit_allows_for_deploys_and_bounds_the_attempts() {
        let ordered = |most| Capabilities {
            ordered: true,
            ..counting(most)
        };
        let few = &told(RouteOptions::new(), &ordered(9))[0];
        assert!(few.contains("each deploy hands back"), "{few}");
        assert!(told(RouteOptions::new(), &ordered(10)).is_empty());
        let never = &told(RouteOptions::new().max_attempts(11), &ordered(10))[0];
        assert!(never.contains("a dead letter after 10 attempts"), "{never}");
        assert!(!never.contains("without the header"), "{never}");
    }

    #[test]
    fn a_timeout_is_compared_with_the_lease_and_its_ceiling() {
        let leased = Capabilities {
            lease: Some(Duration::from_secs(30)),
            lease_ceiling: Some(Duration::from_secs(60)),
            ..Capabilities::default()
        };
        let told = |seconds| {
            let options = RouteOptions::new().timeout(Duration::from_secs(seconds));
            told(options, &leased)
        };
        assert!(told(29).is_empty());
        let short = &told(30)[0];
        assert!(
            short.ends_with("shorten it, or set `lease = \"60s\"` there"),
            "{short}"
        );
        assert!(told(60)[0].ends_with("takes back what was not settled for 60s: shorten it"));
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
