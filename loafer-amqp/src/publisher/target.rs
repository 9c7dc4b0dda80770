//! Where a message goes first: its exchange, or a delay queue. Only RabbitMQ has both.

use std::{iter, sync::Arc, time::Duration};

use super::channels::Unsent;
use crate::{
    client::config::Config,
    error::NOT_FOUND,
    names,
    topology::{delay, levels, required::Required},
};

/// Where messages with the same delay go first.
pub(super) struct Target {
    /// The step of the delay queue, or the delay itself if it is beyond the longest step. `None` means no delay.
    pub(super) delay: Option<Duration>,
    pub(super) exchange: Arc<str>,
    pub(super) key: Arc<str>,
    /// What must be made first.
    pub(super) required: Vec<Required>,
}

impl Target {
    pub(super) fn new(to: &str, key: &str, delay: Option<Duration>, config: &Config) -> Self {
        let made = config.makes(to);
        let mut required: Vec<_> = made
            .map(|of| Required::Exchange(to.to_owned(), of))
            .into_iter()
            .collect();
        let steps = delay::steps(config);
        // A longer delay ends in the shortest delay queue of its target, and is spent before.
        let long = delay.filter(|delay| *delay > steps.longest());
        let last = long.map(|_| steps.step(Duration::ZERO).wait).or(delay);
        let (exchange, key) = match last {
            None => (to.to_owned(), key.to_owned()),
            Some(delay) if to.is_empty() => {
                let queue = key.to_owned();
                required.push(Required::DelayFor { queue, delay });
                (String::new(), names::delay_queue(key, delay))
            }
            Some(delay) => {
                let (exchange, key) = (to.to_owned(), key.to_owned());
                let name = names::delay_queue_to(&exchange, &key, delay);
                required.push(Required::DelayTo {
                    exchange,
                    key,
                    delay,
                });
                (String::new(), name)
            }
        };
        let (exchange, key) = match (long, last) {
            (Some(delay), Some(last)) => {
                let before = delay.saturating_sub(last);
                let seconds = u32::try_from(before.as_secs()).unwrap_or(u32::MAX);
                let seconds = seconds.saturating_add(u32::from(before.subsec_nanos() > 0));
                let levels = levels::levels(seconds).map(Required::Level);
                required.extend(iter::once(Required::Due).chain(levels));
                required.push(Required::DueTo(key.clone()));
                levels::entry(seconds, &key)
            }
            _ => (exchange, key),
        };
        Self {
            delay,
            exchange: exchange.into(),
            key: key.into(),
            required,
        }
    }

    /// Returns whether what was missing is ours to make.
    pub(super) fn is_ours(&self, missing: &Unsent) -> bool {
        match missing {
            Unsent::Closed(NOT_FOUND, _) => !self.required.is_empty(),
            Unsent::Unroutable => self.delay.is_some(),
            _ => false,
        }
    }
}
