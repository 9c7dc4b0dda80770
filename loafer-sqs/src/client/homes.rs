//! Where replies may go: only on SQS a reply address can lead to somebody else's queue.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use crate::names::{Endpoint, QueueAddress};

/// Where replies may go. Whoever may send a request names where its reply goes, so that without a bound a sender could carry data out of the account.
#[derive(Default)]
pub(crate) struct Homes {
    /// Account and region of each queue that this service consumes or makes.
    own: Mutex<BTreeSet<(String, String)>>,
    /// Other accounts, in any region.
    allowed: Vec<String>,
}

impl Homes {
    /// Allows these accounts beside our own.
    pub(crate) fn with_allowed(accounts: Vec<String>) -> Self {
        Self {
            own: Mutex::default(),
            allowed: accounts,
        }
    }

    /// The same settings, and no queues yet.
    pub(crate) fn without_own(&self) -> Self {
        Self::with_allowed(self.allowed.clone())
    }

    /// Adds the home of a queue that was found at this URL.
    pub(crate) fn add(&self, url: &str, endpoint: &Endpoint) {
        if let Some(account) = QueueAddress::parse(url).account() {
            let home = (account.to_owned(), endpoint.region().to_owned());
            let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            own.insert(home);
        }
    }

    /// Returns whether replies may go there. A URL that names no region leads to the region of this service.
    pub(crate) fn allow(&self, account: &str, region: Option<&str>) -> bool {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        self.allowed.iter().any(|allowed| allowed == account)
            || own
                .iter()
                .any(|(of, home)| of == account && region.is_none_or(|region| region == home))
    }
}
