//! What was measured: a table for people, and the RESULT lines.

use super::{calls, meter::Run};

/// The calls that are told one by one.
pub const ACTIONS: [&str; 3] = [
    "ReceiveMessage",
    "DeleteMessageBatch",
    "ChangeMessageVisibilityBatch",
];

/// The numbers of one loop, in the order of `KEYS`; NaN where there is none.
#[derive(Clone, Copy, Debug)]
pub struct Numbers([f64; 7]);

/// What the numbers are, for people, and where the decimal point stands.
const HEADINGS: [(&str, usize); 7] = [
    ("calls/msg", 4),
    ("receives", 4),
    ("deletes", 4),
    ("renewals", 4),
    ("others", 4),
    ("msgs/s", 0),
    ("CPU s/1000", 4),
];
/// The same, for programs.
const KEYS: [&str; 7] = [
    "calls_per_msg",
    "receives_per_msg",
    "deletes_per_msg",
    "renewals_per_msg",
    "others_per_msg",
    "msgs_per_s",
    "cpu_s_per_1000",
];

impl Numbers {
    /// Those of one run.
    pub fn of(run: &Run, messages: usize) -> Self {
        let messages = messages as f64;
        let counts = ACTIONS.map(|action| calls::count(&run.calls, action));
        let others = run.calls.len() - counts.iter().sum::<usize>();
        let [receives, deletes, changes] = counts.map(|count| count as f64 / messages);
        Self([
            run.calls.len() as f64 / messages,
            receives,
            deletes,
            changes,
            others as f64 / messages,
            messages / run.took.as_secs_f64(),
            run.cpu
                .map_or(f64::NAN, |cpu| cpu.as_secs_f64() * 1000.0 / messages),
        ])
    }

    /// Each number's median.
    pub fn median(runs: &[Self]) -> Self {
        let mut medians = [f64::NAN; 7];
        for (place, median) in medians.iter_mut().enumerate() {
            let mut numbers: Vec<_> = runs.iter().map(|run| run.0[place]).collect();
            numbers.sort_by(f64::total_cmp);
            if let Some(middle) = numbers.get(numbers.len() / 2) {
                *median = *middle;
            }
        }
        Self(medians)
    }
}

/// Prints both loops at one concurrency.
pub fn print(concurrency: usize, loafer: &Numbers, raw: &Numbers) {
    print!("\nconcurrency {concurrency:<6}");
    HEADINGS.iter().for_each(|(name, _)| print!(" {name:>11}"));
    println!();
    for (name, numbers) in [("loafer", loafer), ("raw", raw)] {
        print!("{name:<18}");
        for ((_, decimals), number) in HEADINGS.iter().zip(numbers.0) {
            print!(" {number:>11.decimals$}");
        }
        println!();
    }
    print!("{:<18}", "ratio");
    for (ours, theirs) in loafer.0.iter().zip(raw.0) {
        let ratio = if theirs == 0.0 {
            f64::NAN
        } else {
            ours / theirs
        };
        print!(" {ratio:>11.2}");
    }
    println!();
    for (name, numbers) in [("loafer", loafer), ("raw", raw)] {
        print!("RESULT bench=sqs loop={name} concurrency={concurrency}");
        for ((key, (_, decimals)), number) in KEYS.iter().zip(HEADINGS).zip(numbers.0) {
            print!(" {key}={number:.decimals$}");
        }
        println!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        let runs = [3.0, 1.0, 2.0].map(|number| Numbers([number; 7]));
        assert_eq!(Numbers::median(&runs).0, [2.0; 7]);
    }
}
