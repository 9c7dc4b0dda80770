//! The plan of what goes wrong: one timeline for each thing that can, all from one seed.

use std::time::Duration;

use fastrand::Rng;

use crate::{proxy::Mode, settings::Settings};

/// What happens to a consumer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Blow {
    /// SIGKILL, and a new one after so long.
    Kill(Duration),
    /// SIGSTOP, and SIGCONT after so long.
    Stop(Duration),
}

/// Something at a time, both from the begin.
pub(crate) type Timeline<T> = Vec<(Duration, T)>;

#[derive(Debug)]
pub(crate) struct Plan {
    /// For each consumer.
    pub(crate) consumers: Vec<Timeline<Blow>>,
    /// For each proxy: those of the consumers, and the publisher's.
    pub(crate) proxies: Vec<Timeline<(Mode, Duration)>>,
    /// SIGKILL, and a start after so long.
    pub(crate) server: Timeline<Duration>,
}

impl Plan {
    pub(crate) fn new(settings: &Settings, consumers: usize) -> Self {
        let rng = &mut settings.rng(u64::MAX);
        let time = settings.time;
        let rounds = time.as_secs().div_ceil(40).max(1) as usize;
        let blows = |number: usize, rng: &mut Rng| {
            let kills =
                settings.kills / consumers + usize::from(number < settings.kills % consumers);
            let mut blows: Vec<_> = (0..kills)
                .map(|_| Blow::Kill(millis(rng, 100, 2_000)))
                .collect();
            // Both shorter and longer than a lease.
            blows.extend((0..rounds).map(|_| Blow::Stop(millis(rng, 500, 4_500))));
            spread(blows, time, rng)
        };
        let troubles = |publisher: bool, rng: &mut Rng| {
            let mut modes: Vec<_> = (0..rounds)
                .flat_map(|_| {
                    [
                        (Mode::Cut, millis(rng, 100, 2_500)),
                        (Mode::Stall, millis(rng, 500, 5_000)),
                        (
                            Mode::Slow(rng.usize(4_000..40_000)),
                            millis(rng, 1_000, 5_000),
                        ),
                        (Mode::Swallow, millis(rng, 300, 1_500)),
                    ]
                })
                .collect();
            if !publisher {
                let refusals = (0..2 * rounds).map(|_| (Mode::Refuse, millis(rng, 1_000, 4_000)));
                modes.extend(refusals);
            }
            spread(modes, time, rng)
        };
        let proxies = (0..=consumers).map(|number| troubles(number == consumers, rng));
        let proxies = proxies.collect();
        let kills = (0..settings.server_kills).map(|_| millis(rng, 100, 4_000));
        Self {
            proxies,
            server: spread(kills.collect(), time, rng),
            consumers: (0..consumers).map(|number| blows(number, rng)).collect(),
        }
    }
}

fn millis(rng: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(rng.u64(from..to))
}

/// In any order, each somewhere in its own part of the time.
fn spread<T>(mut things: Vec<T>, time: Duration, rng: &mut Rng) -> Timeline<T> {
    rng.shuffle(&mut things);
    let part = time / things.len().max(1) as u32;
    let at = |number: usize, rng: &mut Rng| part * number as u32 + part.mul_f64(rng.f64());
    things
        .into_iter()
        .enumerate()
        .map(|(number, thing)| (at(number, rng), thing))
        .collect()
}
