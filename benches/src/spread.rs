//! Median, minimum and maximum of what was measured.

/// The spread of some numbers. Its fields are not a number if there are none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The minimum.
    pub least: f64,
    /// The maximum.
    pub most: f64,
}

impl Spread {
    /// Returns the spread of these numbers.
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

    /// Returns the spread of one number of each.
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
