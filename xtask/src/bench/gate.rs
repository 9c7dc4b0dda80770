//! The gate: limits which counts and ratios must keep, and the exit code that says whether they did.

use std::process::ExitCode;

/// Collects the limits exceeded.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    exceeded: Vec<String>,
}

impl Gate {
    /// Notes `what` where its value is above the limit, or no number at all.
    pub(crate) fn at_most(&mut self, limit: f64, value: f64, what: &str) {
        let kept = value <= limit;
        if !kept {
            self.exceeded
                .push(format!("{what}: {value:.3} is above {limit}"));
        }
    }

    /// Notes `what` where its value is below the limit, or no number at all.
    pub(crate) fn at_least(&mut self, limit: f64, value: f64, what: &str) {
        let kept = value >= limit;
        if !kept {
            self.exceeded
                .push(format!("{what}: {value:.3} is below {limit}"));
        }
    }

    /// Whether anything was.
    #[cfg(test)]
    pub(crate) fn is_exceeded(&self) -> bool {
        !self.exceeded.is_empty()
    }

    /// Says what was exceeded, last of all, where the user cannot miss it; nothing, and success, where nobody asked.
    pub(crate) fn verdict(self, asked: bool) -> ExitCode {
        if !asked {
            return ExitCode::SUCCESS;
        }
        if self.exceeded.is_empty() {
            println!("gate: passed");
            return ExitCode::SUCCESS;
        }
        for exceeded in &self.exceeded {
            println!("gate: failed: {exceeded}");
        }
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_beyond_their_limit_fail() {
        let mut gate = Gate::default();
        gate.at_most(0.21, 0.21, "calls");
        assert!(gate.exceeded.is_empty());
        gate.at_most(0.21, 0.22, "calls");
        gate.at_most(0.21, f64::NAN, "calls");
        gate.at_least(0.95, 0.95, "ratio");
        gate.at_least(0.95, 0.94, "ratio");
        assert_eq!(
            gate.exceeded,
            [
                "calls: 0.220 is above 0.21",
                "calls: NaN is above 0.21",
                "ratio: 0.940 is below 0.95"
            ]
        );
    }
}
