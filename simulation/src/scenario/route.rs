//! One route of an app: its options, its user code, its messages.

use crate::{
    Millis,
    dice::Dice,
    scenario::{Fault, Faults, Kind, QueuePlan},
};

/// After so many deliveries, no message is wrong any more.
const PUT_RIGHT: u32 = 4;

/// How a route's handlers behave on the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mood {
    /// Nearly all messages are acked at once.
    Healthy,
    /// All behaviours occur.
    Mixed,
    /// Nearly all messages fail until the outage ends that their handlers suffer from.
    Failing,
    /// Handlers wait for a while.
    Slow,
}

/// What becomes of messages that no handler takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unhandled {
    /// They are retried.
    Retry,
    /// They are dead-lettered.
    Reject,
    /// They are acked.
    Ignore,
}

/// The delay of a retry: the first one, which doubles.
#[derive(Clone, Copy, Debug)]
pub struct BackoffPlan {
    /// The first delay.
    pub initial: Millis,
    /// The longest delay.
    pub most: Millis,
    /// Whether it is random.
    pub jitter: bool,
}

/// One message: when it is published, and what it is.
#[derive(Clone, Copy, Debug, Hash)]
pub struct MessagePlan {
    /// When it is published.
    pub at: Millis,
    /// Its group. `None` means that it has none.
    pub group: Option<u64>,
    /// Which of a route's handlers takes it: 0 and 1; 2 means none of them.
    pub taker: u64,
    /// Whether its payload can be decoded.
    pub decodes: bool,
    /// Whether its handler kills its process whenever it runs.
    pub poison: bool,
    /// By how much it is delayed when it is published. Zero means that it is due at once.
    pub delay: Millis,
}

impl MessagePlan {
    /// Makes its handler kill its process.
    fn poisonous(self) -> Self {
        Self {
            poison: true,
            taker: 0,
            decodes: true,
            ..self
        }
    }
}

/// One route.
#[derive(Clone, Debug)]
pub struct RoutePlan {
    /// Which of the scenario's routes it is. It is drawn by this number, whatever other routes there are.
    pub number: usize,
    /// Its queue.
    pub queue: QueuePlan,
    /// The most calls at once.
    pub concurrency: usize,
    /// How many messages are leased ahead. `None` means that the engine chooses.
    pub prefetch: Option<usize>,
    /// The most messages of a call, and how long a batch gathers. `None` means that a call has one message.
    pub batch: Option<(usize, Millis)>,
    /// Whether the messages of a group are handled one at a time on a queue without order.
    pub group_by: bool,
    /// Whether there are layers around the handler.
    pub layers: bool,
    /// Whether a function decides about failures.
    pub on_error: bool,
    /// Whether the route has two handlers, each for messages of its own.
    pub choice: bool,
    /// How long a call may take.
    pub timeout: Option<Millis>,
    /// The most attempts.
    pub max_attempts: Option<u32>,
    /// After how many deliveries without an outcome a message is isolated. `None` means as many as the engine says.
    pub max_deliveries: Option<u32>,
    /// The delay of retries. `None` means the lease's end.
    pub backoff: Option<BackoffPlan>,
    /// Whether what can't be decoded is dead-lettered.
    pub rejects_undecodable: bool,
    /// What becomes of messages that no handler takes.
    pub unmatched: Unhandled,
    /// When the outage ends that failing handlers suffer from.
    pub outage: Millis,
    /// How its handlers behave.
    pub mood: Mood,
    /// Its messages.
    pub messages: Vec<MessagePlan>,
}

impl RoutePlan {
    /// Draws the route of this number.
    pub(super) fn draw(seed: u64, number: usize, messages: usize, faults: Faults) -> Self {
        let dice = &mut Dice::of(seed, &[1, number as u64]);
        let kinds = [Kind::Standard, Kind::Fifo, Kind::Pushed, Kind::Memory];
        // The first route has a broker with faults.
        let kind = kinds[dice.below(if number == 0 { 3 } else { 4 }) as usize];
        let queue = QueuePlan::draw(dice, kind, faults);
        let batch = dice.chance(250).then(|| {
            let linger = dice.pick(&[0, 0, 200, 2_000]);
            (dice.between(2, 12) as usize, linger)
        });
        let batch = batch.filter(|_| faults.has(Fault::Batches));
        let single = batch.is_none();
        let mut route = Self {
            number,
            concurrency: match dice.chance(50) {
                true => 64,
                false => dice.between(1, 8) as usize,
            },
            prefetch: dice.chance(300).then(|| dice.between(0, 20) as usize),
            group_by: kind != Kind::Fifo && dice.chance(350),
            layers: dice.chance(350) && single && faults.has(Fault::Layers),
            on_error: dice.chance(500) && faults.has(Fault::OnError),
            choice: dice.chance(200) && single,
            timeout: dice.chance(500).then(|| dice.pick(&[2_000, 8_000, 20_000])),
            max_attempts: dice.chance(400).then(|| dice.between(2, 5) as u32),
            max_deliveries: None,
            backoff: dice.chance(650).then(|| BackoffPlan {
                initial: dice.pick(&[100, 500, 1_000, 3_000]),
                most: dice.pick(&[3_000, 8_000, 20_000]),
                jitter: dice.chance(500),
            }),
            rejects_undecodable: dice.chance(500),
            unmatched: dice.pick(&[Unhandled::Retry, Unhandled::Reject, Unhandled::Ignore]),
            outage: dice.between(10, 90) * 1_000,
            mood: dice.pick(&[
                Mood::Healthy,
                Mood::Mixed,
                Mood::Mixed,
                Mood::Failing,
                Mood::Slow,
            ]),
            batch,
            queue,
            messages: Vec::new(),
        };
        let delays = &mut Dice::of(seed, &[8, number as u64]);
        if matches!(kind, Kind::Standard | Kind::Pushed) && delays.chance(500) {
            route.queue.put_off(delays.pick(&[700, 3_000, 15_000]));
        }
        let poisons = faults.has(Fault::Poisons) && route.queue.isolates();
        if poisons || dice.chance(300) {
            route.max_deliveries = Some(dice.between(4, 8) as u32);
        }
        let groups = dice.between(3, 12);
        let bursts: Vec<Millis> = (0..dice.between(1, 4))
            .map(|_| dice.below(60_000))
            .collect();
        // Copies that can't be made matter most while nothing is acked.
        if kind == Kind::Pushed && faults.has(Fault::StuckEntries) && dice.chance(400) {
            route.mood = Mood::Failing;
        }
        // A lease for each try of each message, one after the other, would take hours.
        let slow = route.queue.is_ordered() && route.mood != Mood::Healthy;
        route.backoff = route.backoff.or(slow.then_some(BackoffPlan {
            initial: 500,
            most: 8_000,
            jitter: false,
        }));
        // What can't be handled stays the same while it is tried in place: something must end it.
        if route.queue.is_ordered() && route.most_attempts().is_none() {
            route.rejects_undecodable = true;
            if route.unmatched == Unhandled::Retry {
                route.unmatched = Unhandled::Reject;
            }
        }
        let drawn = (0..messages).map(|index| {
            let message = route.message(seed, index, groups, &bursts);
            let dice = &mut Dice::of(seed, &[13, number as u64, index as u64]);
            match poisons && dice.chance(10) {
                true => message.poisonous(),
                false => message,
            }
        });
        route.messages = drawn.collect();
        route
    }

    fn message(&self, seed: u64, index: usize, groups: u64, bursts: &[Millis]) -> MessagePlan {
        let dice = &mut Dice::of(seed, &[2, self.number as u64, index as u64]);
        let at = match dice.below(10) {
            0..=4 => 0,
            5..=7 => dice.pick(bursts) + dice.below(200),
            _ => dice.below(60_000),
        };
        let grouped = self.queue.is_ordered() || dice.chance(800);
        MessagePlan {
            at,
            group: grouped.then(|| dice.below(groups)),
            taker: match self.choice {
                true => dice.pick(&[0, 0, 0, 1, 1, 1, 2]),
                false => 0,
            },
            decodes: !dice.chance(15),
            poison: false,
            delay: match self.queue.longest_stay {
                Some(_) if dice.chance(300) => dice.below(40_000),
                _ => 0,
            },
        }
    }

    /// Returns after how many attempts a message is given up. In an ordered group the broker would give up those behind it as well.
    #[must_use]
    pub fn most_attempts(&self) -> Option<u32> {
        let brokers = self.queue.max_receives.filter(|_| self.queue.is_ordered());
        self.max_attempts.into_iter().chain(brokers).min()
    }

    /// Returns how long the backoff is at least after this attempt. Without one, the head of an ordered group waits as long as a lease.
    #[must_use]
    pub fn least_backoff(&self, attempt: u32) -> Millis {
        match self.backoff {
            Some(backoff) if backoff.jitter => 0,
            Some(backoff) => {
                let doubled = attempt.saturating_sub(1).min(20);
                (backoff.initial << doubled).min(backoff.most.max(backoff.initial))
            }
            None if self.queue.is_ordered() => self.queue.lease.unwrap_or_default(),
            None => 0,
        }
    }

    /// Whether the payload of a message can be decoded, on its delivery of this number. In the end somebody has put it right.
    #[must_use]
    pub fn decodes(&self, index: usize, nth: u32) -> bool {
        self.messages[index].decodes || nth > PUT_RIGHT
    }

    /// Returns which of the handlers takes a message, on its delivery of this number: 2 means none. In the end there is a handler for it.
    #[must_use]
    pub fn taker(&self, index: usize, nth: u32) -> u64 {
        match self.messages[index].taker {
            2 if nth > PUT_RIGHT => 0,
            taker => taker,
        }
    }

    /// Whether no handler takes a message, on its delivery of this number.
    #[must_use]
    pub fn is_unmatched(&self, index: usize, nth: u32) -> bool {
        self.choice && self.taker(index, nth) >= 2
    }

    /// Whether messages of one group must not run at once.
    #[must_use]
    pub fn has_groups(&self) -> bool {
        self.group_by || self.queue.is_ordered()
    }

    /// Returns how many messages a route may hold at once, as its options and its broker's capabilities give it.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.handled().saturating_add(self.ahead())
    }

    /// Returns how many messages the largest receive asks for.
    #[must_use]
    pub fn ask(&self) -> usize {
        let batch = self.queue.receive_batch;
        batch.min(self.ahead().max(1)).min(self.capacity())
    }

    fn handled(&self) -> usize {
        self.concurrency * self.batch.map_or(1, |(most, _)| most)
    }

    fn ahead(&self) -> usize {
        let (batch, handled) = (self.queue.receive_batch, self.handled());
        self.prefetch.unwrap_or_else(|| {
            let least = batch
                .max(self.queue.capabilities().prefetch)
                .max((2 * batch).saturating_sub(handled))
                .max(handled.min(10 * batch));
            match self.has_groups() {
                true => least.max(self.concurrency * (batch - 1)),
                false => least,
            }
        })
    }
}
