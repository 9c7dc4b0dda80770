//! The CPU time of this process, as Linux tells it.

use std::{fs, path::Path, time::Duration};

/// What `/proc` counts in, for programs: a hundred ticks a second (proc(5), `sysconf(_SC_CLK_TCK)`).
const TICK: Duration = Duration::from_millis(10);

/// The time in user and system mode of a process or thread, by its `stat` file; none where there is none.
pub(super) fn time(stat: &Path) -> Option<Duration> {
    ticks(&fs::read_to_string(stat).ok()?).map(|ticks| TICK * ticks)
}

/// Fields 14 and 15; the second field, the name, may hold blanks and parentheses.
fn ticks(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_add_up() {
        let stat = "17 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 31 11 0 0 20 0 4 0";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("17 (sqs) S 1"), None);
    }
}
