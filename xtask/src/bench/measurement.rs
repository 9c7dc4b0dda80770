//! The measurement: one `RESULT key=value …` line of a bench.

use std::fmt;

use anyhow::{Context, Result};

/// The pairs of one line, as printed.
#[derive(Debug)]
pub(crate) struct Measurement(String);

impl Measurement {
    /// `None` where the line is something else.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let pairs = line.trim().strip_prefix("RESULT ")?;
        Some(Self(pairs.to_owned()))
    }

    /// Whether it measures the loop of that name.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        self.get("loop") == Some(name)
    }

    /// Whether it is of that part of its bench.
    pub(crate) fn is_part(&self, part: &str) -> bool {
        self.get("part") == Some(part)
    }

    /// The number under `key`, which must be there.
    pub(crate) fn number(&self, key: &str) -> Result<f64> {
        let value = self
            .get(key)
            .with_context(|| format!("no {key} in this RESULT: {self}"))?;
        value
            .parse()
            .with_context(|| format!("{key} is no number in this RESULT: {self}"))
    }

    fn get(&self, key: &str) -> Option<&str> {
        let mut pairs = self
            .0
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(found, value)| (found == key).then_some(value))
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_line_is_read_and_others_are_not() {
        let line = "RESULT bench=sqs loop=loafer concurrency=50 calls_per_msg=0.20";
        let Some(measurement) = Measurement::parse(line) else {
            panic!("not read")
        };
        assert!(measurement.is_of("loafer"));
        assert!(!measurement.is_part("idle"));
        assert_eq!(measurement.number("calls_per_msg").ok(), Some(0.2));
        assert!(Measurement::parse("loop=loafer").is_none());
    }

    #[test]
    fn a_missing_number_names_its_key() {
        let Some(measurement) = Measurement::parse("RESULT loop=raw") else {
            panic!("not read")
        };
        let error = measurement
            .number("calls_per_msg")
            .map_err(|error| error.to_string());
        assert_eq!(
            error,
            Err("no calls_per_msg in this RESULT: loop=raw".to_owned())
        );
    }
}
