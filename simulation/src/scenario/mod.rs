//! The scenario of a run: which routes and messages there are, what goes wrong, and how the app ends. All of it comes from the seed.

mod fault;
mod queue;
mod route;

pub use self::{
    fault::{Fault, Faults},
    queue::{Kind, QueuePlan},
    route::{BackoffPlan, MessagePlan, Mood, RoutePlan, Unhandled},
};

use crate::{Millis, dice::Dice};

/// How the first app of a run ends. A second one finishes what it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is asked to stop once everything is handled.
    WhenDone,
    /// It is asked to stop at this moment, and some time later to cancel what runs, if that is `Some`.
    At(Millis, Option<Millis>),
    /// It receives once.
    Once,
}

/// What a run is made of, beside its seed: a failing run is made smaller by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// The most messages of each route. `None` means as many as the seed says.
    pub messages: Option<usize>,
    /// The numbers of the routes. `None` means all.
    pub routes: Option<Vec<usize>>,
    /// What is left out.
    pub without: Faults,
}

impl Size {
    /// Nothing is left out.
    pub const WHOLE: Self = Self {
        messages: None,
        routes: None,
        without: Faults::NONE,
    };
}

/// One run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// The routes of the app.
    pub routes: Vec<RoutePlan>,
    /// What goes wrong.
    pub faults: Faults,
    /// How often it goes wrong: of a thousand calls or messages.
    pub rate: u64,
    /// When the last fault begins.
    pub heal_at: Millis,
    /// How the first app ends.
    pub ending: Ending,
    /// How long running handlers may take once the app was asked to stop.
    pub drain: Millis,
}

impl Scenario {
    /// Draws the scenario of a seed.
    #[must_use]
    pub fn draw(seed: u64, size: &Size) -> Self {
        let dice = &mut Dice::of(seed, &[0]);
        let mut faults: Faults = Fault::ALL[Fault::OF_THE_BROKER..].iter().copied().collect();
        while faults.iter().count() < Fault::ALL.len() - Fault::OF_THE_BROKER + 5 {
            for fault in &Fault::ALL[..Fault::OF_THE_BROKER] {
                if dice.chance(400) {
                    faults = faults.with(*fault);
                }
            }
        }
        let faults = faults.without(size.without);
        let count = dice.between(1, 4) as usize;
        let rate = dice.pick(&[10, 30, 80, 200]);
        let messages = 200_usize.div_ceil(count) + dice.below(20) as usize;
        let messages = size.messages.map_or(messages, |most| most.min(messages));
        let wanted = |number: &usize| size.routes.as_ref().is_none_or(|of| of.contains(number));
        let routes = (0..count).filter(wanted);
        let routes = routes.map(|number| RoutePlan::draw(seed, number, messages, faults));
        Self {
            seed,
            routes: routes.collect(),
            faults,
            rate,
            heal_at: dice.between(60, 240) * 1_000,
            ending: match dice.below(20) {
                0..=8 => Ending::WhenDone,
                9 => Ending::Once,
                _ => {
                    let cancel = dice.chance(250).then(|| dice.below(5_000));
                    Ending::At(dice.below(90_000), cancel)
                }
            },
            drain: dice.pick(&[0, 500, 3_000, 10_000, 30_000]),
        }
    }

    /// Whether this fault may begin at this moment, if it occurs in this run.
    #[must_use]
    pub fn is_active(&self, fault: Fault, now: Millis) -> bool {
        now < self.heal_at && self.faults.has(fault)
    }
}
