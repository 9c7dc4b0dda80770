//! The tally of a test run, read from what `cargo test` prints.

use std::fmt;

/// Counts, line by line. `skipped` are ignored tests and the cases a passing test says it skipped, with a
/// line `skipped: CASE: REASON`; such a test counts among `passed`, too, since it may have had other cases.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Told again at the end: by then they are far up the screen.
    failures: Vec<String>,
    /// Within what passing tests printed, which `--show-output` repeats.
    successes: bool,
}

impl Tally {
    /// Reads a line, and says whether it is worth showing: what passing tests print is not, except skips.
    pub(crate) fn see(&mut self, line: &str) -> bool {
        let skipped = skips(line);
        self.skipped += u64::from(skipped);
        match line {
            "successes:" => self.successes = true,
            "failures:" => self.successes = false,
            _ => {
                if let Some(counts) = line.strip_prefix("test result: ") {
                    self.successes = false;
                    self.passed += count(counts, "passed");
                    self.failed += count(counts, "failed");
                    self.skipped += count(counts, "ignored");
                }
            }
        }
        let failure = line
            .strip_prefix("test ")
            .and_then(|line| line.strip_suffix(" ... FAILED"));
        self.failures.extend(failure.map(str::to_owned));
        !self.successes || skipped
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// The names of the tests that failed.
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Counts a failure no test reported: a build or a test binary that broke.
    pub(crate) fn broken(&mut self) {
        self.failed += 1;
    }
}

/// The failures, and the summary, alone on its line.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "failed: {failure}")?;
        }
        writeln!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// Whether a line is `skipped: CASE: REASON`, perhaps after the `test NAME ... ` of `--nocapture`.
fn skips(line: &str) -> bool {
    let said = line.rsplit_once(" ... ").map_or(line, |(_, said)| said);
    let case = said.trim_start().strip_prefix("skipped: ");
    case.is_some_and(|case| case.contains(": "))
}

/// The number before `word` in `ok. 3 passed; 0 failed; 1 ignored; …`, whatever the colours.
fn count(counts: &str, word: &str) -> u64 {
    let mut words = counts.split([' ', ';']).filter(|word| !word.is_empty());
    let mut last = 0;
    words
        .find_map(|next| {
            let found = (next == word).then_some(last);
            last = next.parse().unwrap_or(0);
            found
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str) -> (String, Vec<&str>) {
        let mut tally = Tally::default();
        let shown = output.lines().filter(|line| tally.see(line)).collect();
        (tally.to_string(), shown)
    }

    const RUN: &str = "\
test sqs::fifo ... ok
test sqs::redrive ... FAILED

successes:

---- sqs::fifo stdout ----
connecting
skipped: redrive_task: fauxqs has no StartMessageMoveTask

successes:
    sqs::fifo

failures:

---- sqs::redrive stdout ----
left: 1

failures:
    sqs::redrive

test result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s";

    #[test]
    fn results_of_all_binaries_add_up() {
        let twice = format!(
            "{RUN}\n   Doc-tests loafer\ntest result: ok. 5 passed; 0 failed; 0 ignored; 0 measured"
        );
        let (summary, _) = read(&twice);
        assert_eq!(
            summary,
            "failed: sqs::redrive\n6 passed, 1 failed, 3 skipped\n"
        );
    }

    #[test]
    fn passing_tests_are_silent_but_for_what_they_skip() {
        let (_, shown) = read(RUN);
        assert!(!shown.contains(&"connecting"));
        assert!(shown.contains(&"skipped: redrive_task: fauxqs has no StartMessageMoveTask"));
        assert!(shown.contains(&"left: 1"));
    }

    #[test]
    fn colours_do_not_hide_a_result() {
        let (summary, _) =
            read("test result: \u{1b}[32mok\u{1b}(B\u{1b}[m. 12 passed; 0 failed; 0 ignored");
        assert_eq!(summary, "12 passed, 0 failed, 0 skipped\n");
    }

    #[test]
    fn a_skip_is_a_whole_line_or_follows_the_name_of_its_test() {
        assert!(skips("skipped: every_case: LOAFER_TEST_FAUXQS is not set"));
        assert!(skips("test fifo ... skipped: every_case: not set"));
        assert!(!skips("message skipped: nothing: at all"));
        assert!(!skips("skipped: 3"));
    }
}
