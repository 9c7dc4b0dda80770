//! Dice: everything random of a run, drawn from its seed and from what it is drawn for.

/// Mixes a seed with the numbers of what is decided, so that no decision depends on how many others were made before it.
#[must_use]
pub fn mix(seed: u64, of: &[u64]) -> u64 {
    of.iter().fold(scrambled(seed), |mixed, part| {
        scrambled(mixed ^ scrambled(*part))
    })
}

/// One step of SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
fn scrambled(value: u64) -> u64 {
    let mut value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A stream of random numbers for one decision.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Returns the dice for the decision that these numbers name.
    #[must_use]
    pub fn of(seed: u64, decision: &[u64]) -> Self {
        Self(mix(seed, decision))
    }

    /// Returns the next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scrambled(self.0)
    }

    /// Returns a number below `bound`, or 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.roll().checked_rem(bound).unwrap_or(0)
    }

    /// Returns a number from `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// Returns true in so many of a thousand cases.
    pub fn chance(&mut self, of_a_thousand: u64) -> bool {
        self.below(1_000) < of_a_thousand
    }

    /// Returns one of these values.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}
