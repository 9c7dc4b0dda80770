//! Median, least and most of what was measured.

/// Of some numbers; not a number where there are none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// In the middle.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Of these numbers.
    pub fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_by(f64::total_cmp);
        let at = |place: usize| numbers.get(place).copied().unwrap_or(f64::NAN);
        Self {
            median: at(numbers.len() / 2),
            least: at(0),
            most: at(numbers.len().saturating_sub(1)),
        }
    }

    /// Of one number of each.
    pub fn of_all<T>(all: &[T], number: fn(&T) -> f64) -> Self {
        Self::of(all.iter().map(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        let spread = Spread::of([3.0, 1.0, 5.0, 2.0, 4.0].into_iter());
        let expected = Spread {
            median: 3.0,
            least: 1.0,
            most: 5.0,
        };
        assert_eq!(spread, expected);
        assert!(Spread::of(std::iter::empty()).median.is_nan());
    }
}
