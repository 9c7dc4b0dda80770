//! Many runs: seeds in order, shared by threads.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    Millis,
    ledger::Wrong,
    run::{Ran, run},
    scenario::{Fault, Size},
};

/// Which seeds are run, and how.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// How many seeds there are at most.
    pub seeds: u64,
    /// After how long no other seed begins. `None` means never.
    pub within: Option<Duration>,
    /// What each run is made of.
    pub size: Size,
    /// Kinds of violations that are not counted.
    pub allowed: Vec<Wrong>,
    /// Whether it goes on after a seed that failed.
    pub goes_on: bool,
    /// How many threads run seeds.
    pub threads: usize,
}

/// What many runs brought.
#[derive(Debug, Default)]
pub struct Totals {
    /// How many seeds were run.
    pub seeds: u64,
    /// How many messages there were.
    pub messages: u64,
    /// How many calls of handlers there were.
    pub calls: u64,
    /// How often each kind of fault occurred, in the order of [`Fault::ALL`].
    pub faults: [u64; Fault::ALL.len()],
    /// How long all runs took, by their own clocks.
    pub virtual_time: Millis,
    /// How long they took by the system's clock.
    pub took: Duration,
    /// How many seeds had a violation of each kind, and the first such seed.
    pub violations: BTreeMap<Wrong, (u64, u64)>,
    /// The first seed that failed, and what was wrong with it.
    pub first: Option<(u64, Wrong)>,
}

impl Totals {
    fn add(&mut self, seed: u64, ran: &Ran, allowed: &[Wrong]) {
        self.seeds += 1;
        self.messages += ran.messages as u64;
        self.calls += u64::from(ran.calls);
        self.virtual_time += ran.took;
        for (sum, count) in self.faults.iter_mut().zip(ran.faults) {
            *sum += count;
        }
        let mut counted = ran
            .violations
            .iter()
            .map(|violation| violation.kind)
            .filter(|kind| !allowed.contains(kind))
            .peekable();
        if let Some(kind) = counted.peek()
            && self.first.is_none_or(|(first, _)| seed < first)
        {
            self.first = Some((seed, *kind));
        }
        for kind in counted {
            let (seeds, first) = self.violations.entry(kind).or_insert((0, seed));
            *seeds += 1;
            *first = seed.min(*first);
        }
    }
}

/// Runs the seeds.
#[must_use]
pub fn conduct(campaign: &Campaign) -> Totals {
    let began = Instant::now();
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let totals = Mutex::new(Totals::default());
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let late = campaign
                .within
                .is_some_and(|within| began.elapsed() >= within);
            if number >= campaign.seeds || late {
                return;
            }
            let seed = campaign.from + number;
            let ran = run(seed, &campaign.size, false);
            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
            totals.add(seed, &ran, &campaign.allowed);
            if totals.first.is_some() && !campaign.goes_on {
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..campaign.threads {
            scope.spawn(work);
        }
    });
    let mut totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    totals.took = began.elapsed();
    totals
}
