//! The broker of one route: which kind it is, and its numbers.

use std::time::Duration;

use loafer_core::broker::Capabilities;

use crate::{
    Millis,
    dice::Dice,
    scenario::{Fault, Faults},
};

/// A kind of broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Leases that expire, no order: a standard queue of SQS.
    Standard,
    /// Leases that expire, and groups that are blocked by their head: a FIFO queue of SQS.
    Fifo,
    /// No leases: messages are pushed, and are ours until their connection ends. RabbitMQ.
    Pushed,
    /// In this process: it answers at once.
    Memory,
}

/// The queue of a route.
#[derive(Clone, Debug)]
pub struct QueuePlan {
    /// Its kind.
    pub kind: Kind,
    /// How long a lease is. Pushed messages have none.
    pub lease: Option<Millis>,
    /// The most messages of a receive.
    pub receive_batch: usize,
    /// The most entries of a settlement call.
    pub settle_batch: usize,
    /// The most receives at once.
    pub receivers: usize,
    /// The most settlement calls at once.
    pub settlers: usize,
    /// How long a settlement may wait for others.
    pub linger: Millis,
    /// How long a receive waits for a message.
    pub wait: Millis,
    /// Whether the broker gives ids. Otherwise senders do, and some give the same one twice.
    pub own_ids: bool,
    /// The longest delay of a retry.
    pub max_delay: Option<Millis>,
    /// The longest stay of a delayed message. A longer delay takes several, and the message says when it is due. `None` means that nothing is put off.
    pub longest_stay: Option<Millis>,
    /// Whether it has a dead-letter target.
    pub dead_letters: bool,
    /// After how many receives it moves a message to the dead letters by itself.
    pub max_receives: Option<u32>,
    /// How long answers of calls take, without a fault.
    pub latency: Millis,
    /// How many of a thousand messages have stuck entries, if there are any.
    pub stuck: u64,
    /// Whether only their dead letters are.
    pub dead_letters_only: bool,
    /// Whether they are stuck from the beginning.
    pub stuck_at_once: bool,
    /// How much longer late answers to settlements take, at most.
    pub late: Millis,
}

impl QueuePlan {
    /// Draws a queue.
    pub(super) fn draw(dice: &mut Dice, kind: Kind, faults: Faults) -> Self {
        let batches = |dice: &mut Dice| dice.pick(&[4, 10, 25, 100]);
        let late = dice.pick(&[200, 500, 500, 1_000, 4_000]);
        let dead_letters = !faults.has(Fault::NoDeadLetters) || dice.chance(300);
        let base = Self {
            kind,
            lease: Some(dice.between(5, 30) * 1_000),
            receive_batch: 10,
            settle_batch: 10,
            receivers: dice.between(1, 4) as usize,
            settlers: dice.between(1, 4) as usize,
            linger: dice.pick(&[0, 100, 1_000]),
            wait: dice.pick(&[2_000, 20_000]),
            own_ids: true,
            max_delay: Some(900_000),
            longest_stay: None,
            dead_letters,
            max_receives: None,
            latency: dice.between(2, 40),
            stuck: dice.pick(&[40, 100, 200]),
            dead_letters_only: dice.chance(300),
            stuck_at_once: dice.chance(500),
            late,
        };
        match kind {
            Kind::Standard => base,
            Kind::Fifo => Self {
                max_receives: (dead_letters && dice.chance(400))
                    .then(|| dice.between(3, 12) as u32),
                ..base
            },
            Kind::Pushed => Self {
                lease: None,
                receive_batch: batches(dice),
                settle_batch: batches(dice),
                receivers: 1,
                settlers: 1,
                linger: dice.pick(&[0, 10, 50]),
                own_ids: dice.chance(400),
                latency: dice.pick(&[0, 3, 60]),
                ..base
            },
            Kind::Memory => Self {
                lease: Some(30_000),
                receive_batch: 100,
                settle_batch: 100,
                receivers: 1,
                settlers: 1,
                linger: 0,
                dead_letters: true,
                latency: 0,
                late: 0,
                ..base
            },
        }
    }

    /// Lets messages be put off: a delay takes stays of this length at most.
    pub(super) fn put_off(&mut self, longest_stay: Millis) {
        self.longest_stay = Some(longest_stay);
        // Retries of a broker that pushes are copies, which say when they are due.
        if self.kind == Kind::Pushed {
            self.max_delay = None;
        }
    }

    /// Returns how long the stay of a message is that is delayed by this much.
    #[must_use]
    pub fn stay(&self, delay: Millis) -> Millis {
        self.longest_stay
            .map_or(delay, |longest| delay.min(longest))
    }

    /// Returns how long the stay of a retry is that is delayed by this much. Only a copy can say when it is due.
    #[must_use]
    pub fn stay_of_retry(&self, delay: Millis) -> Millis {
        match self.kind {
            Kind::Pushed => self.stay(delay),
            Kind::Standard | Kind::Fifo | Kind::Memory => delay,
        }
    }

    /// Whether it tells deliveries from attempts, and can hand over a message alone.
    #[must_use]
    pub fn isolates(&self) -> bool {
        matches!(self.kind, Kind::Pushed | Kind::Memory)
    }

    /// Whether its groups are blocked by their heads.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        self.kind == Kind::Fifo
    }

    /// Returns by how much a lease is taken to be shorter than the broker says: a tenth, and a second at most.
    #[must_use]
    pub fn margin(lease: Millis) -> Millis {
        (lease / 10).min(1_000)
    }

    /// Returns what its provider says of it.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        let local = matches!(self.kind, Kind::Pushed | Kind::Memory);
        Capabilities {
            receive_batch: self.receive_batch,
            pushed: self.kind == Kind::Pushed,
            prefetch: if local { 1 } else { 10 },
            settle_batch: self.settle_batch,
            receivers: self.receivers,
            settlers: self.settlers,
            wait: Duration::from_millis(self.wait),
            receive_grace: match local {
                true => Duration::ZERO,
                false => Duration::from_millis(500),
            },
            linger: Duration::from_millis(self.linger),
            lease: self.lease.map(Duration::from_millis),
            // A paused route keeps its buffer for four fifths of it, and a minute is over before the faults are.
            lease_ceiling: self.lease.is_none().then_some(Duration::from_secs(60)),
            max_delay: self.max_delay.map(Duration::from_millis),
            defers: self.longest_stay.is_some(),
            isolates: self.isolates(),
            ordered: self.is_ordered(),
            max_receives: self.max_receives,
            release_costs_attempt: !local,
            retries_are_copies: self.kind == Kind::Pushed,
            own_ids: self.own_ids,
            ..Capabilities::default()
        }
    }
}
