//! The verdict on a row: whether Loafer is ahead of a peer, by the ratios of interleaved runs.

use std::fmt;

use crate::spread::Spread;

/// How many runs may say the opposite of a verdict. By chance alone, ten of eleven runs agree in 1 of 85 rows.
const EXCEPTIONS: usize = 1;

/// What the ratios of one row say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    Ahead,
    WithinNoise,
    Behind,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ahead => "ahead",
            Self::WithinNoise => "within noise",
            Self::Behind => "behind",
        })
    }
}

/// Two contestants in the same rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Comparison {
    /// Messages a second of Loafer.
    pub(super) ours: Spread,
    /// Messages a second of the peer.
    pub(super) theirs: Spread,
    /// The ratio of each round, which is not the ratio of the medians: what disturbs a round disturbs both contestants.
    pub(super) ratio: Spread,
    pub(super) verdict: Verdict,
}

impl Comparison {
    /// Compares the rates of the same rounds.
    pub(super) fn of(ours: &[f64], theirs: &[f64]) -> Self {
        let ratios = || ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs);
        let above = ratios().filter(|&ratio| ratio > 1.0).count();
        let below = ratios().filter(|&ratio| ratio < 1.0).count();
        let verdict = match ratios().count() {
            rounds if above + EXCEPTIONS >= rounds => Verdict::Ahead,
            rounds if below + EXCEPTIONS >= rounds => Verdict::Behind,
            _ => Verdict::WithinNoise,
        };
        Self {
            ours: Spread::of(ours.iter().copied()),
            theirs: Spread::of(theirs.iter().copied()),
            ratio: Spread::of(ratios()),
            verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_round_may_contradict_and_two_may_not() {
        let verdict = |ours: [f64; 5]| Comparison::of(&ours, &[10.0; 5]).verdict;
        assert_eq!(verdict([11.0, 12.0, 11.0, 9.0, 13.0]), Verdict::Ahead);
        assert_eq!(verdict([11.0, 12.0, 9.0, 9.0, 13.0]), Verdict::WithinNoise);
        assert_eq!(verdict([9.0, 8.0, 9.0, 11.0, 9.0]), Verdict::Behind);
        assert_eq!(verdict([10.0; 5]), Verdict::WithinNoise);
    }

    #[test]
    fn a_ratio_is_of_the_same_round() {
        // Both are twice as slow in the last two rounds.
        let compared = Comparison::of(&[22.0, 11.0, 11.0], &[20.0, 10.0, 10.0]);
        let ratio = compared.ratio;
        assert_eq!((ratio.least, ratio.median, ratio.most), (1.1, 1.1, 1.1));
    }
}
