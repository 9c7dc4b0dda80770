//! A line on stderr that says how far the work is.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use loafer_core::broker::Progress;

/// Work that is over sooner needs no line.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a line is written if it can't be overwritten.
const RARELY: Duration = Duration::from_secs(10);

/// Overwritten again and again on a terminal; elsewhere a new line now and then. It ends when it is dropped.
pub(super) struct Line {
    verb: &'static str,
    terminal: bool,
    /// When the next one is due.
    due: Instant,
    open: bool,
}

impl Line {
    pub(super) fn new(verb: &'static str) -> Self {
        Self {
            verb,
            terminal: io::stderr().is_terminal(),
            due: Instant::now() + PATIENCE,
            open: false,
        }
    }

    pub(super) fn show(&mut self, progress: Progress) {
        let now = Instant::now();
        if now < self.due || progress.done == 0 {
            return;
        }
        let text = text(self.verb, progress);
        let mut out = io::stderr().lock();
        if self.terminal {
            (self.due, self.open) = (now + PATIENCE, true);
            _ = write!(out, "\r\x1b[K{text}").and_then(|()| out.flush());
        } else {
            self.due = now + RARELY;
            _ = writeln!(out, "{text}");
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.open {
            _ = writeln!(io::stderr());
        }
    }
}

fn text(verb: &str, progress: Progress) -> String {
    match progress.of {
        // The broker's count is a guess, and can be too low.
        Some(of) if of >= progress.done => format!("{verb}: {} of about {of}", progress.done),
        _ => format!("{verb}: {}", progress.done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_is_too_low_is_not_shown() {
        assert_eq!(
            text("sent", Progress::new(3, Some(9))),
            "sent: 3 of about 9"
        );
        assert_eq!(text("sent", Progress::new(3, Some(0))), "sent: 3");
        assert_eq!(text("sent", Progress::new(3, None)), "sent: 3");
    }
}
