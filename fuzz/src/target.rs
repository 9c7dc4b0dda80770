//! A target: one translator, or another reader of what others write, and what must hold of it.

use fastrand::Rng;

use crate::seen::Seen;

/// One translator, or another reader of what others write, and what must hold of it.
pub trait Target: Sync {
    /// Its name on the command line, and that of its folder in `corpus`.
    fn name(&self) -> &'static str;

    /// Words of its format, for the mutator to put in.
    fn words(&self) -> &'static [&'static str] {
        &[]
    }

    /// Decodes an input, and whatever can be made of it. Any input is allowed.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    fn decode(&self, input: &[u8], seen: &mut Seen);

    /// Encodes a value made by chance, and gives it back encoded: it must decode to itself.
    ///
    /// # Panics
    ///
    /// Where it does not.
    fn round_trip(&self, random: &mut Rng) -> Vec<u8>;
}
