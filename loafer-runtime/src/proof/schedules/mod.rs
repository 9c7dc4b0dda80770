//! Random schedules of one route: receivers, workers, settlers, lost leases and the end, step by step in one thread.
//!
//! | module | what it holds |
//! |---|---|
//! | `model` | the tasks of a route, and what may happen next |
//! | `worker` | workers: calls that return, wait, ask `on_error` or are cancelled |
//! | `broker` | receivers, settlers, lost leases: what happens at the broker |
//! | `ledger` | where each message is, and which of each group are out |
//! | `rest` | what must hold whenever no task is woken |
//! | `found` | the smallest schedules of the faults that were found so |
//!
//! A case that fails is shrunk, and printed with all that happened in it.

mod broker;
mod found;
mod ledger;
mod model;
mod rest;
mod worker;

use std::{
    any::Any,
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
    time::Duration,
};

use loafer_core::policy::GroupBy;
use proptest::{collection::vec, prelude::*};
use tokio::runtime::Runtime;

use self::model::Model;
use crate::limits::{Grouping, Limits};

/// The unit of time: batch windows and the linger of settlers are that long, and time passes by as much.
const TICK: Duration = Duration::from_millis(10);

/// A route, and what happens to it.
#[derive(Clone, Debug)]
struct Case {
    limits: Limits,
    /// Whether its only settler and its only receiver share a task.
    joined: bool,
    /// The most messages of a batch.
    batch: usize,
    steps: Vec<Step>,
}

/// A choice of what happens next. Whatever it is, it means something: so a case can be shrunk step by step.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// Which of those that can act does.
    pick: u8,
    /// Whether a rare thing happens instead: a wakeup without a cause, lost leases or, if it is highest, the end.
    rare: u8,
    /// How it ends.
    dice: u64,
}

/// Numbers out of one choice. All are 0 if the choice is 0: this is what cases shrink to.
struct Dice(u64);

impl Dice {
    /// Returns a number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        let sides = sides.max(1) as u64;
        let number = self.0 % sides;
        self.0 /= sides;
        number as usize
    }

    /// Whether one of so many chances came true.
    fn is_one_in(&mut self, chances: usize) -> bool {
        self.roll(chances) + 1 == chances.max(2)
    }
}

fn limits() -> impl Strategy<Value = Limits> {
    let capacity = (1..=16_usize, 1..=16_usize, 1..=16_usize);
    let tasks = (1..=8_usize, 1..=4_usize, 1..=4_usize, 1..=8_usize);
    let linger = prop_oneof![Just(TICK), Just(Duration::ZERO)];
    let batch_window = prop_oneof![
        Just(None),
        Just(Some(TICK)),
        Just(Some(Duration::ZERO)),
        Just(None),
    ];
    let fenced = prop_oneof![Just(None), Just(Some(false)), Just(Some(true))];
    let isolates = any::<bool>();
    let rest = (linger, any::<bool>(), batch_window, fenced, isolates);
    (capacity, tasks, rest).prop_map(|(capacity, tasks, rest)| {
        let (capacity, ask, worth) = capacity;
        let (concurrency, receivers, settlers, settle_batch) = tasks;
        let (linger, patient, batch_window, fenced, isolates) = rest;
        let ask = ask.min(capacity);
        let by = GroupBy::GROUP;
        Limits {
            concurrency,
            capacity,
            ask,
            worth: worth.min(ask),
            receivers,
            settlers,
            settle_batch,
            linger,
            patient,
            batch_window,
            isolates: isolates && fenced != Some(true),
            // Each message of a schedule is another one.
            grouping: fenced.map(|fenced| Grouping {
                by,
                fenced,
                own_ids: false,
            }),
        }
    })
}

fn case() -> impl Strategy<Value = Case> {
    let step = (any::<u8>(), any::<u8>(), any::<u64>());
    let step = step.prop_map(|(pick, rare, dice)| Step { pick, rare, dice });
    let rest = (any::<bool>(), 1..=6_usize, vec(step, 0..250));
    (limits(), rest).prop_map(|(mut limits, (joined, batch, steps))| {
        if joined {
            (limits.receivers, limits.settlers) = (1, 1);
        }
        Case {
            limits,
            joined,
            batch,
            steps,
        }
    })
}

thread_local! {
    /// Its time is paused, and passes when a schedule says so.
    static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O");
    /// Whether panics of this thread are told by the failing case alone.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Plays a case. Returns what is wrong, with all that happened.
fn play(case: &Case) -> Result<(), String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                others(panic);
            }
        }));
    });
    RUNTIME.with(|runtime| {
        let _entered = runtime.enter();
        let mut model = Model::new(runtime, case);
        QUIET.set(true);
        let played = panic::catch_unwind(AssertUnwindSafe(|| model.play(&case.steps)));
        QUIET.set(false);
        played.map_err(|panic| format!("{}\n{}", why(&*panic), model.story()))
    })
}

fn why(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message")
}

fn config() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    // `PROPTEST_CASES` asks for more, or fewer.
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 2_000;
    }
    config.max_shrink_iters = 20_000;
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_schedule_loses_a_message_or_a_wakeup_or_the_order(case in case()) {
        play(&case).map_err(TestCaseError::fail)?;
    }
}
