//! The difference between two states, line by line.

use std::fmt::{Debug, Write as _};

/// Returns what differs between two values, as `Debug` shows them. The lines that both begin or end with are shown as they are.
pub(super) fn difference(expected: &impl Debug, found: &impl Debug) -> String {
    let (expected, found) = (format!("{expected:#?}"), format!("{found:#?}"));
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let same = |pair: &(&&str, &&str)| pair.0 == pair.1;
    let head = expected.iter().zip(&found).take_while(same).count();
    let rest = expected.len().min(found.len()) - head;
    let ends = expected.iter().rev().zip(found.iter().rev());
    let tail = ends.take(rest).take_while(same).count();

    let mut text = String::from("  - expected\n  + found");
    let mut add = |sign: char, lines: &[&str]| {
        for line in lines {
            _ = write!(text, "\n  {sign} {line}");
        }
    };
    add(' ', &expected[..head]);
    add('-', &expected[head..expected.len() - tail]);
    add('+', &found[head..found.len() - tail]);
    add(' ', &expected[expected.len() - tail..]);
    text
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn what_both_begin_and_end_with_is_shown_once() {
        let shown = difference(&["a", "b", "c"], &["a", "x", "y", "c"]);
        let lines = [
            "  - expected",
            "  + found",
            "    [",
            "        \"a\",",
            "  -     \"b\",",
            "  +     \"x\",",
            "  +     \"y\",",
            "        \"c\",",
            "    ]",
        ];
        assert_eq!(shown.lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn what_is_longer_by_a_repetition_is_shown() {
        let shown = difference(&["a"], &["a", "a"]);
        assert_eq!(shown.matches("\n  +     \"a\",").count(), 1);
        assert_eq!(shown.matches("\n  -").count(), 0);
    }
}
