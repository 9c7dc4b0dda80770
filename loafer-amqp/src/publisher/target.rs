//! Where a message goes first: its exchange, or a delay queue. Only RabbitMQ has both.

use std::{sync::Arc, time::Duration};

use super::channels::Unsent;
use crate::{client::config::Config, error::NOT_FOUND, names, topology::required::Required};

/// Where messages with the same delay go first.
pub(super) struct Target {
    /// The step of the delay queue. `None` means no delay.
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
        let (exchange, key) = match delay {
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
