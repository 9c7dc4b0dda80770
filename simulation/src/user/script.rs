//! What user code does with a message: drawn from the seed, the message and the number of its try, whatever else happens.

use crate::{
    Millis,
    dice::Dice,
    ledger::{DeliveryId, MessageKey},
    scenario::{Ending, Mood},
    world::World,
};

/// From this try on, a message is acked at once, so that each run ends.
const LAST: u32 = 7;

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Ack,
    False,
    Err,
    /// An error whose `Display` panics.
    Unshowable,
    Panic,
    Retry(Millis),
    Reject,
    /// It never ends.
    Never,
}

/// What one call does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Act {
    pub(super) wait: Millis,
    pub(super) then: Then,
    /// Whether its future panics if it is dropped before it answers.
    pub(super) drop_panics: bool,
    /// Whether a batch handler gives a wrong number of outcomes.
    pub(super) wrong_count: bool,
}

/// What a layer does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whim {
    /// It passes the message on.
    Nothing,
    /// It answers after the first of these times, and lets the inner call live on in a task until the second.
    AnswersEarly(Millis, Millis, bool),
    PanicsBefore,
    /// It panics if the handler waits.
    PanicsDuring,
    PanicsAfter,
    Refuses,
    /// It passes on another message.
    Swaps,
}

/// One try of a delivery: its number, and the attempt that it is.
pub(super) type Try = (DeliveryId, u32);

/// Returns dice for a try, its message, the number of the try, and its app. Each delivery is a try, and so is each further one in its place.
fn dice(world: &World, (id, attempt): Try, purpose: u64) -> (Dice, MessageKey, u32, u32) {
    let (key, nth, app) = world.delivery(id);
    let given = world.ledger(|ledger| ledger.delivery(id).given.attempt);
    let nth = (nth + attempt).saturating_sub(given);
    let decision = [purpose, key.route as u64, key.index as u64, u64::from(nth)];
    (Dice::of(world.scenario.seed, &decision), key, nth, app)
}

/// Returns what the handler does with a delivery.
pub(super) fn act(world: &World, this: Try) -> Act {
    let (mut dice, key, nth, app) = dice(world, this, 10);
    let dice = &mut dice;
    let plan = world.plan(key.route);
    if plan.messages[key.index].poison {
        return Act {
            wait: 0,
            then: Then::Never,
            drop_panics: false,
            wrong_count: false,
        };
    }
    let mut act = Act {
        wait: 0,
        then: Then::Ack,
        drop_panics: dice.chance(100),
        wrong_count: dice.chance(20),
    };
    let outage = plan.mood == Mood::Failing && world.now() < plan.outage;
    if nth >= LAST && !outage {
        act.wrong_count = false;
        act.wait = dice.below(20);
        return act;
    }
    let lease = plan.queue.lease.unwrap_or(20_000);
    act.wait = match (plan.mood, dice.below(100)) {
        (Mood::Slow, 0..=69) => dice.below(1_500),
        // What is needed is down: calls fail at once.
        (Mood::Failing, _) if outage => 0,
        (Mood::Failing | Mood::Healthy, 0..=79) => 0,
        (_, 0..=54) => 0,
        (_, 55..=74) => dice.below(50),
        (_, 75..=96) => dice.below(3_000),
        _ if nth < 3 => lease / 2 + dice.below(2 * lease),
        _ => dice.below(3_000),
    };
    let fails = match plan.mood {
        Mood::Healthy => 30,
        Mood::Mixed | Mood::Slow => 300,
        Mood::Failing if outage => 1_000,
        Mood::Failing => 100,
    };
    if (nth <= 4 || outage) && dice.chance(fails) {
        let ends =
            plan.timeout.is_some() || (app == 1 && matches!(world.scenario.ending, Ending::At(..)));
        act.then = match dice.below(16) {
            0..=3 => Then::False,
            4..=7 => Then::Err,
            8 => Then::Unshowable,
            9..=10 => Then::Panic,
            11..=12 => Then::Retry(dice.pick(&[0, 200, 1_000, 5_000, 12_345])),
            13 => Then::Reject,
            14 if ends => Then::Never,
            _ => Then::Err,
        };
    }
    act
}

/// Returns what `on_error` does with a delivery.
pub(super) fn decision(world: &World, this: Try) -> Act {
    let (mut dice, key, nth, app) = dice(world, this, 11);
    let dice = &mut dice;
    let plan = world.plan(key.route);
    let ends =
        plan.timeout.is_some() || (app == 1 && matches!(world.scenario.ending, Ending::At(..)));
    let then = match dice.below(40) {
        0..=4 => Then::Ack,
        5..=6 => Then::Err,
        7..=8 => Then::Unshowable,
        9..=10 => Then::Panic,
        11..=12 => Then::Retry(dice.pick(&[0, 500, 4_000])),
        13 => Then::Reject,
        14 if ends && nth < LAST => Then::Never,
        _ => Then::False,
    };
    Act {
        wait: match dice.below(10) {
            0..=6 => 0,
            7..=8 => dice.below(500),
            _ => dice.below(4_000),
        },
        then,
        drop_panics: dice.chance(100),
        wrong_count: false,
    }
}

/// Returns what a layer does with a delivery.
pub(super) fn whim(world: &World, this: Try) -> Whim {
    let (mut dice, _, nth, _) = dice(world, this, 12);
    if nth >= LAST || world.is_poison(this.0) {
        return Whim::Nothing;
    }
    match dice.below(40) {
        0..=2 => {
            let after = dice.between(1, 20);
            Whim::AnswersEarly(after, after + dice.between(50, 2_000), dice.chance(500))
        }
        3 => Whim::PanicsBefore,
        4 => Whim::PanicsDuring,
        5 => Whim::PanicsAfter,
        6 => Whim::Refuses,
        7..=8 => Whim::Swaps,
        _ => Whim::Nothing,
    }
}

/// Whether a layer answers for a delivery before its handler does.
pub(super) fn answers_early(world: &World, this: Try) -> bool {
    let (key, ..) = world.delivery(this.0);
    world.plan(key.route).layers && matches!(whim(world, this), Whim::AnswersEarly(..))
}
