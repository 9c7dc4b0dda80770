//! What a broker says of itself before it is tested.

use std::{borrow::Cow, time::Duration};

use super::{Case, Feature, catalog};

/// What a broker says of itself before it is tested: its name, what it lacks and why, and how hard it is to be tried.
///
/// All that is not declared missing is tested. What is missing has a reason, which is printed below the [`Matrix`](super::Matrix).
///
/// ```
/// use loafer_conformance::{BrokerProfile, Feature};
///
/// let pager = BrokerProfile::new("a pager")
///     .without(Feature::Binary, "it shows text")
///     .largest(240)
///     .headers(0);
/// assert_eq!(pager.lacks(Feature::Mebibyte), Some("a message has at most 240 bytes"));
/// ```
#[derive(Clone, Debug)]
pub struct BrokerProfile {
    name: Cow<'static, str>,
    missing: Vec<(Feature, Cow<'static, str>)>,
    exceptions: Vec<(&'static str, Cow<'static, str>)>,
    /// The largest body, in bytes. `None` means that there is no limit that a test should try.
    pub(super) largest: Option<usize>,
    pub(super) headers: usize,
    pub(super) scale: usize,
    pub(super) at_once: usize,
    pub(super) patience: Duration,
}

impl BrokerProfile {
    /// Returns the profile of a broker that can do everything: 10 headers, message counts as they are, one case at a time, 30 s for anything to
    /// happen.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            missing: Vec::new(),
            exceptions: Vec::new(),
            largest: None,
            headers: 10,
            scale: 1,
            at_once: 1,
            patience: Duration::from_secs(30),
        }
    }

    /// Declares a feature missing. The reason is printed: say whose limit it is, the broker's or that of the server in the test.
    #[must_use]
    pub fn without(mut self, feature: Feature, reason: impl Into<Cow<'static, str>>) -> Self {
        self.missing.push((feature, reason.into()));
        self
    }

    /// Declares that one case does not hold which needs no feature that is missing.
    ///
    /// # Panics
    ///
    /// If there is no such case.
    #[must_use]
    pub fn except(mut self, case: &str, reason: impl Into<Cow<'static, str>>) -> Self {
        let case = catalog::case(case);
        self.exceptions.push((case.name, reason.into()));
        self
    }

    /// Sets the largest body in bytes: it is carried, and one byte more is refused.
    #[must_use]
    pub fn largest(mut self, bytes: usize) -> Self {
        self.largest = Some(bytes);
        let sizes = [
            (Feature::QuarterMebibyte, 256 * 1024),
            (Feature::Mebibyte, 1024 * 1024),
        ];
        for (feature, size) in sizes {
            if bytes < size {
                self = self.without(feature, format!("a message has at most {bytes} bytes"));
            }
        }
        self
    }

    /// Sets how many headers a message may have. The default is 10.
    #[must_use]
    pub fn headers(mut self, most: usize) -> Self {
        self.headers = most;
        self
    }

    /// Sets by how much the thousands of messages of the large cases are divided. The default is 1.
    #[must_use]
    pub fn scaled_down(mut self, by: usize) -> Self {
        self.scale = by.max(1);
        self
    }

    /// Sets how many cases run at once. The default is 1; leave it so under a paused clock.
    #[must_use]
    pub fn at_once(mut self, cases: usize) -> Self {
        self.at_once = cases.max(1);
        self
    }

    /// Sets how long anything may take before its case has failed. The default is 30 s. A whole case gets four times that.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Returns its name, the head of its column.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns why it lacks a feature. `None` means that it has it.
    pub fn lacks(&self, feature: Feature) -> Option<&str> {
        let missing = self.missing.iter().find(|(known, _)| *known == feature);
        missing.map(|(_, reason)| &**reason)
    }

    /// Returns why a case does not apply to it. `None` means that it applies.
    pub fn excuses(&self, case: &Case) -> Option<&str> {
        let excepted = self.exceptions.iter().find(|(name, _)| *name == case.name);
        excepted
            .map(|(_, reason)| &**reason)
            .or_else(|| case.needs.iter().find_map(|feature| self.lacks(*feature)))
    }
}
