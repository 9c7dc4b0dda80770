//! One run: a world, an app in it until it ends, and another one that finishes the rest.

use std::{
    any::Any,
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Once},
    time::Duration,
};

use loafer_runtime::program::Running;
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    Millis,
    dice::Dice,
    ledger::{Event, MessageKey, Violation, Wrong},
    scenario::{Ending, Fault, Kind, Scenario, Size},
    user,
    world::World,
};

/// How long no message may leave its queue, once faults are over.
const PATIENCE: Millis = 600_000;

/// How often a process is started again at most.
const MOST_LIVES: u32 = 1_000;

/// How an app ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Ended,
    Killed,
}

/// What a run brought.
#[derive(Debug)]
pub struct Ran {
    /// The violations, in the order in which they were seen.
    pub violations: Vec<Violation>,
    /// The story of the message of each violation.
    pub stories: Vec<String>,
    /// How many messages there were.
    pub messages: usize,
    /// How many calls of handlers there were.
    pub calls: u32,
    /// How often each kind of fault occurred, in the order of [`Fault::ALL`].
    pub faults: [u64; Fault::ALL.len()],
    /// How long the run took, by its own clock.
    pub took: Millis,
    /// A number that differs if anything happened otherwise.
    pub fingerprint: u64,
    /// All that happened, if it was asked for.
    pub log: Option<String>,
}

/// Runs a seed.
#[must_use]
pub fn run(seed: u64, size: &Size, log: bool) -> Ran {
    quiet_panics();
    fastrand::seed(seed);
    let scenario = Arc::new(Scenario::draw(seed, size));
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let Ok(runtime) = runtime else {
        return failed("there is no runtime");
    };
    let ran = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(live(scenario, log))));
    let dropped = panic::catch_unwind(AssertUnwindSafe(|| drop(runtime)));
    let panicked = PANIC.take();
    match (ran, dropped) {
        (Ok(mut ran), Ok(())) => {
            if let Some(text) = panicked {
                ran.violations.splice(0..0, failed(&text).violations);
                ran.stories.insert(0, String::new());
            }
            ran
        }
        (Err(panic), _) | (_, Err(panic)) => failed(&panicked.unwrap_or_else(|| text_of(&*panic))),
    }
}

fn failed(text: &str) -> Ran {
    Ran {
        violations: vec![Violation {
            kind: Wrong::AppFailed,
            at: 0,
            message: None,
            delivery: None,
            text: text.to_owned(),
        }],
        stories: vec![String::new()],
        messages: 0,
        calls: 0,
        faults: [0; Fault::ALL.len()],
        took: 0,
        fingerprint: 0,
        log: None,
    }
}

/// Returns the text of a panic.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}

thread_local! {
    /// The first panic of this thread's run that no user code made on purpose.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// User code panics on purpose: its panics are not printed. Others are remembered.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    PANIC.take();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|panic| {
            let text = text_of(panic.payload());
            if !text.contains("as it was told") {
                let place = panic.location().map(ToString::to_string);
                let text = format!("{text}, at {}", place.unwrap_or_default());
                PANIC.with_borrow_mut(|first| _ = first.get_or_insert(text));
            }
        }));
    });
}

async fn live(scenario: Arc<Scenario>, log: bool) -> Ran {
    let world = World::new(scenario.clone());
    let drivers = [
        tokio::spawn(publish(world.clone())),
        tokio::spawn(disconnect(world.clone())),
        tokio::spawn(take_back(world.clone())),
        tokio::spawn(kill(world.clone())),
        tokio::spawn(watch(world.clone())),
    ];
    let first = (scenario.ending != Ending::WhenDone).then_some(scenario.ending);
    // Somebody starts a process again that was killed.
    let mut app = 1 + u32::from(first.is_none());
    for ending in first.into_iter().chain([Ending::WhenDone]) {
        while live_once(&world, app, ending).await == Life::Killed && app < MOST_LIVES {
            app += 1;
            sleep(Duration::from_millis(u64::from(app) * 37 % 1_500)).await;
        }
        app += 1;
    }
    drivers.iter().for_each(tokio::task::JoinHandle::abort);
    let now = world.now();
    world.ledger(|ledger| ledger.finish(now));
    let faults = world.faults();
    world.ledger(|ledger| {
        let violations = ledger.violations().to_vec();
        let story = |violation: &Violation| match violation.message {
            Some(message) => ledger.story(message),
            None => String::new(),
        };
        Ran {
            stories: violations.iter().map(story).collect(),
            violations,
            messages: scenario.routes.iter().map(|plan| plan.messages.len()).sum(),
            calls: ledger.calls(),
            faults,
            took: now,
            fingerprint: ledger.fingerprint(),
            log: log.then(|| ledger.log()),
        }
    })
}

/// Publishes each message at its time.
async fn publish(world: Arc<World>) {
    let mut messages: Vec<(Millis, MessageKey)> = Vec::new();
    for plan in &world.scenario.routes {
        let number = plan.number;
        messages.extend(plan.messages.iter().enumerate().map(|(index, message)| {
            let key = MessageKey {
                route: number,
                index,
            };
            (message.at, key)
        }));
    }
    messages.sort_unstable();
    for (at, key) in messages {
        if at > world.now() {
            tokio::time::sleep_until(world.moment(at)).await;
        }
        world.publish(key);
    }
}

/// Loses connections, until the faults end.
async fn disconnect(world: Arc<World>) {
    let scenario = &world.scenario;
    let mut losses: Vec<(Millis, usize, Millis)> = Vec::new();
    for plan in &scenario.routes {
        let dice = &mut Dice::of(scenario.seed, &[7, plan.number as u64]);
        if plan.queue.kind == Kind::Memory || !scenario.faults.has(Fault::LostConnections) {
            continue;
        }
        for _ in 0..dice.between(1, 6) {
            losses.push((dice.below(scenario.heal_at), plan.number, dice.below(3_000)));
        }
    }
    losses.sort_unstable();
    for (at, route, down) in losses {
        tokio::time::sleep_until(world.moment(at)).await;
        world.disconnect(route, down);
    }
}

/// Takes leases back on notice, until the faults end.
async fn take_back(world: Arc<World>) {
    let scenario = &world.scenario;
    let mut leavings: Vec<(Millis, usize, Millis, u64)> = Vec::new();
    for plan in &scenario.routes {
        let dice = &mut Dice::of(scenario.seed, &[8, plan.number as u64]);
        if scenario.faults.has(Fault::Leavings) {
            for number in 0..dice.between(1, 6) {
                let at = dice.below(scenario.heal_at);
                let within = dice.pick(&[50, 1_000, 5_000, 20_000]);
                let salt = if dice.chance(300) { 0 } else { 1 + number };
                leavings.push((at, plan.number, within, salt));
            }
        }
    }
    leavings.sort_unstable();
    let mut in_progress = JoinSet::new();
    for (at, route, within, salt) in leavings {
        tokio::time::sleep_until(world.moment(at)).await;
        let world = world.clone();
        in_progress.spawn(async move { world.leave(route, within, salt).await });
    }
    in_progress.join_all().await;
}

/// Kills the app's process, until the faults end.
async fn kill(world: Arc<World>) {
    let scenario = &world.scenario;
    let dice = &mut Dice::of(scenario.seed, &[15]);
    if !scenario.faults.has(Fault::Kills) {
        return;
    }
    let kills = dice.between(1, 12);
    // A service that is deployed badly dies again and again, in a short time.
    let (from, within) = match dice.chance(500) {
        true => (dice.below(scenario.heal_at / 2), 20_000),
        false => (0, scenario.heal_at),
    };
    let mut kills: Vec<Millis> = (0..kills).map(|_| from + dice.below(within)).collect();
    kills.sort_unstable();
    for at in kills {
        tokio::time::sleep_until(world.moment(at)).await;
        world.kill(None);
    }
}

/// Pauses routes and resumes them, until the faults end.
async fn pause(world: Arc<World>, running: Running) {
    let scenario = &world.scenario;
    let mut pauses: Vec<(Millis, usize, bool)> = Vec::new();
    for plan in &scenario.routes {
        let dice = &mut Dice::of(scenario.seed, &[9, plan.number as u64]);
        if scenario.faults.has(Fault::Pauses) {
            for _ in 0..dice.between(1, 5) {
                let at = dice.below(scenario.heal_at);
                let until = at + dice.pick(&[1, 200, 5_000, 30_000, 90_000]);
                pauses.extend([(at, plan.number, true), (until, plan.number, false)]);
            }
        }
    }
    pauses.sort_unstable();
    for (at, route, pauses) in pauses {
        tokio::time::sleep_until(world.moment(at)).await;
        let name = format!("r{route}");
        world.struck(Fault::Pauses);
        let told = match pauses {
            true => {
                world.record(Event::Paused(route));
                running.pause(&name)
            }
            false => {
                world.record(Event::Resumed(route));
                running.resume(&name)
            }
        };
        if let Err(error) = told {
            let now = world.now();
            world.ledger(|it| it.accuse_app(now, error.to_string()));
        }
    }
}

/// Looks once a second for what does not happen.
async fn watch(world: Arc<World>) {
    loop {
        sleep(Duration::from_secs(1)).await;
        world.watch();
    }
}

/// Runs one app to its end, or until it is killed.
async fn live_once(world: &Arc<World>, app: u32, ending: Ending) -> Life {
    world.record(Event::Began(app));
    world.ledger(|ledger| ledger.set_once(ending == Ending::Once));
    let started = match user::manager(world, ending == Ending::Once) {
        Ok(manager) => manager.start().await,
        Err(error) => Err(error),
    };
    let running = match started {
        Ok(running) => running,
        Err(error) => {
            let now = world.now();
            world.ledger(|it| it.accuse_app(now, format!("it did not start: {error}")));
            return Life::Ended;
        }
    };
    // Whoever receives once only can't be paused for long.
    let pausing = (ending != Ending::Once).then(|| pause(world.clone(), running.clone()));
    let pausing = pausing.map(tokio::spawn);
    let life = tokio::select! {
        biased;
        () = world.died() => Life::Killed,
        () = live_until(world, &running, ending) => Life::Ended,
    };
    pausing.iter().for_each(tokio::task::JoinHandle::abort);
    match life {
        Life::Ended => world.record(Event::Over),
        // What is left of it is not seen.
        Life::Killed => running.cancel(),
    }
    life
}

/// Waits for the end of an app.
async fn live_until(world: &World, running: &Running, ending: Ending) {
    match ending {
        Ending::Once => {}
        Ending::At(at, cancel) => {
            let left = at.saturating_sub(world.now());
            sleep(Duration::from_millis(left)).await;
            stop(world, running);
            if let Some(after) = cancel {
                let gone = timeout(Duration::from_millis(after), running.ended()).await;
                if gone.is_err() {
                    world.record(Event::Cancelling);
                    running.cancel();
                }
            }
        }
        Ending::WhenDone => {
            let (mut left, mut since) = (usize::MAX, 0);
            while left > 0 && world.now() < PATIENCE + since.max(world.scenario.heal_at) {
                sleep(Duration::from_secs(1)).await;
                let now_left = world.ledger(|ledger| ledger.unfinished());
                if now_left < left {
                    (left, since) = (now_left, world.now());
                }
            }
            stop(world, running);
        }
    }
    let longest = Duration::from_millis(world.scenario.drain + 60_000 + PATIENCE);
    _ = timeout(longest, running.ended()).await;
}

fn stop(world: &World, running: &Running) {
    world.record(Event::Stopping);
    running.shutdown();
}
