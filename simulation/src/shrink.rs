//! The smallest run that still fails: fewer messages, fewer routes, fewer faults, as long as a violation of the same kind remains.

use crate::{
    ledger::Wrong,
    run::{Ran, run},
    scenario::{Fault, Scenario, Size},
};

/// Makes a run with a violation of this kind smaller. Returns what is left of it.
#[must_use]
pub fn smallest(seed: u64, size: &Size, kind: Wrong) -> Size {
    smallest_that(seed, size, |ran| {
        ran.violations.iter().any(|found| found.kind == kind)
    })
}

/// Makes a run smaller as long as this holds of it.
#[must_use]
pub fn smallest_that(seed: u64, size: &Size, fails: impl Fn(&Ran) -> bool) -> Size {
    let mut search = Search {
        seed,
        fails,
        size: size.clone(),
    };
    while search.routes() | search.messages() | search.faults() {}
    search.size
}

struct Search<F> {
    seed: u64,
    fails: F,
    size: Size,
}

impl<F: Fn(&Ran) -> bool> Search<F> {
    /// Takes this size if the run still fails.
    fn try_size(&mut self, size: Size) -> bool {
        let fails = (self.fails)(&run(self.seed, &size, false));
        if fails {
            self.size = size;
        }
        fails
    }

    fn scenario(&self) -> Scenario {
        Scenario::draw(self.seed, &self.size)
    }

    fn routes(&mut self) -> bool {
        let scenario = self.scenario();
        let mut numbers: Vec<usize> = scenario.routes.iter().map(|plan| plan.number).collect();
        let mut changed = false;
        for number in numbers.clone() {
            let rest: Vec<usize> = numbers.iter().copied().filter(|it| *it != number).collect();
            let size = Size {
                routes: Some(rest.clone()),
                ..self.size.clone()
            };
            if !rest.is_empty() && self.try_size(size) {
                (numbers, changed) = (rest, true);
            }
        }
        changed
    }

    fn messages(&mut self) -> bool {
        let scenario = self.scenario();
        let longest = scenario.routes.iter().map(|plan| plan.messages.len()).max();
        let mut most = longest.unwrap_or_default();
        let mut changed = false;
        while most > 1 {
            let size = |most| Size {
                messages: Some(most),
                ..self.size.clone()
            };
            let (half, less) = (size(most / 2), size(most * 9 / 10));
            most = match () {
                () if self.try_size(half) => most / 2,
                () if self.try_size(less) => most * 9 / 10,
                () => return changed,
            };
            changed = true;
        }
        changed
    }

    fn faults(&mut self) -> bool {
        let mut changed = false;
        for fault in Fault::ALL {
            if self.size.without.has(fault) || !self.scenario().faults.has(fault) {
                continue;
            }
            let size = Size {
                without: self.size.without.with(fault),
                ..self.size.clone()
            };
            changed |= self.try_size(size);
        }
        changed
    }
}
