//! The command `dead-letters`: list, show, retry, move, purge.

mod action;
mod all_routes;
mod print;
mod progress;

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    ops::ControlFlow,
    process::ExitCode,
};

use loafer_core::{
    Error,
    broker::{Destination, Progress},
    message::MessageId,
    outcome::BoxError,
};
use loafer_runtime::{
    dead_letters::{DeadLetters, Listing, MoveResult, Selection},
    program::Manager,
};

pub(crate) use self::action::{Action, Chosen};
use self::progress::Line;
use crate::{
    logging,
    program::{MEMORY, Program},
    routes,
    signals::Signals,
};

/// Runs the command on the dead letters of one route. `None` means all routes.
pub(crate) async fn dead_letters(
    program: Program<'_>,
    options: &str,
    manager: &Manager,
    route: Option<&str>,
    action: Action,
    signals: &mut Signals,
) -> Result<ExitCode, BoxError> {
    let Some(route) = route else {
        return all_routes::run(program, options, manager, &action, signals).await;
    };
    let dead_letters = opened(program, manager, route).await?;
    let mut session = Session {
        dead_letters,
        program,
        options,
        asked: route,
        routes: &[route.to_owned()],
        signals,
    };
    Ok(session.run(&action).await?.into())
}

/// Opens the dead letters of a route, and says what is wrong with them.
async fn opened(
    program: Program<'_>,
    manager: &Manager,
    route: &str,
) -> Result<DeadLetters, BoxError> {
    let mut known = manager.routes().into_iter();
    if known.any(|known| known.route == route && known.broker == MEMORY) {
        return Err(format!(
            "route `{route}` is in memory, where dead letters end with their process; run `{} dead-letters` on the broker that keeps them",
            program.name
        )
        .into());
    }
    let dead_letters = manager.dead_letters(route).await?;
    for warning in &dead_letters.about().warnings {
        note("warning", warning);
    }
    Ok(dead_letters)
}

/// How a run ended. A later one is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    /// All that was asked for was done.
    Whole,
    /// Something was not done. It was said what and why.
    Partly,
    /// A signal stopped it.
    Stopped,
}

impl From<Done> for ExitCode {
    fn from(done: Done) -> Self {
        match done {
            Done::Whole => Self::SUCCESS,
            Done::Partly | Done::Stopped => Self::FAILURE,
        }
    }
}

/// One run of the command.
struct Session<'d> {
    dead_letters: DeadLetters,
    program: Program<'d>,
    /// The options of every command as they were given, for a command line that is printed.
    options: &'d str,
    /// The route or the option that it was asked for, for a command line that is printed.
    asked: &'d str,
    /// The routes whose dead letters are in the queue.
    routes: &'d [String],
    signals: &'d mut Signals,
}

impl Session<'_> {
    async fn run(&mut self, action: &Action) -> Result<Done, BoxError> {
        match action {
            Action::List { max, json } => self.list(*max, *json).await,
            Action::Show { ids, json } => self.show(ids, *json).await,
            Action::Retry(chosen) => self.send(chosen, Destination::Source).await,
            Action::Move { chosen, to } => self.send(chosen, Destination::Queue(to.clone())).await,
            Action::Purge { yes } => self.purge(*yes).await,
        }
    }

    async fn list(&mut self, max: usize, json: bool) -> Result<Done, BoxError> {
        self.remark();
        let (signals, mut line) = (&mut *self.signals, Line::new("looked at"));
        let mut watch = |progress| go_on(signals, &mut line, progress);
        let listed = self.dead_letters.list(max, &mut watch).await?;
        drop(line);
        let text = if json {
            print::lines(
                &listed.dead_letters,
                &self.dead_letters.about().queue,
                self.routes,
            )?
        } else {
            print::table(&listed.dead_letters)
        };
        routes::print(&print::safe(text, io::stdout().is_terminal()))?;
        let (about, found) = (self.dead_letters.about(), listed.dead_letters.len());
        let of = match about.count {
            Some(count) if count > found as u64 => format!(" of about {count}"),
            _ => String::new(),
        };
        note("note", &format!("{found}{of} in `{}`", about.queue));
        Ok(ended(&listed))
    }

    async fn show(&mut self, ids: &[String], json: bool) -> Result<Done, BoxError> {
        self.remark();
        let (ids, signals) = (message_ids(ids), &mut *self.signals);
        let mut line = Line::new("looked at");
        let mut watch = |progress| go_on(signals, &mut line, progress);
        let listed = self.dead_letters.find(&ids, &mut watch).await?;
        drop(line);
        for dead_letter in &listed.dead_letters {
            let text = match json {
                true => print::object(dead_letter)?,
                false => print::whole(dead_letter),
            };
            routes::print(&print::safe(text, io::stdout().is_terminal()))?;
        }
        self.tell_missing(&listed.missing);
        let found = match listed.missing.is_empty() {
            true => Done::Whole,
            false => Done::Partly,
        };
        Ok(ended(&listed).max(found))
    }

    async fn send(&mut self, chosen: &Chosen, to: Destination) -> Result<Done, BoxError> {
        let which = match chosen.all {
            true => Selection::All,
            false => Selection::Ids(message_ids(&chosen.ids)),
        };
        let (signals, mut line) = (&mut *self.signals, Line::new("sent"));
        let mut watch = |progress| go_on(signals, &mut line, progress);
        let sent = self
            .dead_letters
            .send(&which, &to, chosen.rate, &mut watch)
            .await?;
        drop(line);
        Ok(self.tell(&sent, &to))
    }

    /// Prints what became of dead letters, with the reason for each that is not where it should be.
    fn tell(&self, sent: &MoveResult, to: &Destination) -> Done {
        for text in &sent.notes {
            note("note", text);
        }
        for (queue, count) in &sent.left {
            note(
                "note",
                &format!(
                    "{count} left: they came from `{queue}`, which this route does not consume; `move` sends them there"
                ),
            );
        }
        for (id, error) in &sent.failed {
            note("error", &format!("{id}: {}", logging::reason(error)));
        }
        self.tell_missing(&sent.missing);
        if let Some(error) = &sent.error {
            let reason = logging::reason(error);
            note("error", &format!("stopped before the end: {reason}"));
        }
        tell_not_given_back(sent.not_given_back.as_ref());
        if sent.stopped {
            note(
                "note",
                "stopped: the other dead letters stay where they are",
            );
        }
        let to = match to {
            Destination::Source => "tried again".to_owned(),
            Destination::Queue(queue) => format!("moved to `{queue}`"),
        };
        note("note", &format!("{} {to}", sent.sent));
        match is_whole(sent) {
            true => Done::Whole,
            false if sent.stopped => Done::Stopped,
            false => Done::Partly,
        }
    }

    async fn purge(&mut self, yes: bool) -> Result<Done, BoxError> {
        let about = self.dead_letters.about();
        let count = about
            .count
            .map_or_else(|| "its".to_owned(), |count| format!("about {count}"));
        let what = format!("{count} dead letters in `{}`", about.queue);
        for warning in self.dead_letters.purge_warnings().await {
            note("warning", &warning);
        }
        if !yes {
            if !io::stdin().is_terminal() {
                return Err(unconfirmed(&what, self.program, self.asked, self.options).into());
            }
            note(
                "note",
                &format!("{what} will be deleted for good. Write `yes` to go on:"),
            );
            // The read can't be cancelled: it is left behind.
            let answer = tokio::task::spawn_blocking(|| {
                let mut answer = String::new();
                io::stdin().lock().read_line(&mut answer).map(|_| answer)
            });
            let answer = tokio::select! {
                answer = answer => answer??,
                _ = self.signals.next() => String::new(),
            };
            if answer.trim() != "yes" {
                return Err("nothing was purged".into());
            }
        }
        self.dead_letters.purge().await?;
        note("note", &format!("{what}: purged"));
        Ok(Done::Whole)
    }

    fn remark(&self) {
        for remark in &self.dead_letters.about().remarks {
            note("note", remark);
        }
    }

    fn tell_missing(&self, missing: &[MessageId]) {
        for id in missing {
            let queue = &self.dead_letters.about().queue;
            note(
                "error",
                &format!("{id}: not found in `{queue}`, or on lease to somebody else"),
            );
        }
    }
}

/// Shows how far the work is. Stops it at the first signal.
fn go_on(signals: &mut Signals, line: &mut Line, progress: Progress) -> ControlFlow<()> {
    line.show(progress);
    match signals.came() {
        Some(_) => ControlFlow::Break(()),
        None => ControlFlow::Continue(()),
    }
}

fn ended(listed: &Listing) -> Done {
    tell_not_given_back(listed.not_given_back.as_ref());
    if listed.started_over {
        note(
            "note",
            "dead letters seen before were delivered again: their leases expired before the end was reached, and there may be more; ask for fewer, for example `list --max 100`, or lengthen the queue's visibility timeout",
        );
    }
    if listed.stopped {
        note(
            "note",
            "stopped before all were seen; those that were looked at are released",
        );
    }
    match (listed.stopped, &listed.not_given_back) {
        (true, _) => Done::Stopped,
        (false, Some(_)) => Done::Partly,
        (false, None) => Done::Whole,
    }
}

fn tell_not_given_back(error: Option<&Error>) {
    if let Some(error) = error {
        let reason = logging::reason(error);
        note(
            "error",
            &format!("dead letters stay leased until their leases expire: {reason}"),
        );
    }
}

/// Whether everything that was asked for was done.
fn is_whole(sent: &MoveResult) -> bool {
    let wrong = sent.error.is_some() || sent.not_given_back.is_some() || sent.stopped;
    !wrong && sent.failed.is_empty() && sent.missing.is_empty()
}

/// Prints a note on one line: names of queues, reasons and ids may come from whoever wrote the dead letter.
fn note(kind: &str, text: &str) {
    logging::note(kind, &print::line(text));
}

/// Returns why nothing is purged: nobody was there to confirm it.
fn unconfirmed(what: &str, program: Program<'_>, asked: &str, options: &str) -> String {
    format!(
        "{what} would be deleted for good: run `{} dead-letters {asked} purge --yes{options}`",
        program.name
    )
}

fn message_ids(ids: &[String]) -> Vec<MessageId> {
    ids.iter().map(|id| MessageId::from(id.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stops_early_or_stays_leased_is_not_a_success() {
        assert!(is_whole(&MoveResult::default()));
        let error = || Some(Error::Config("lost".to_owned()));
        let mut broken = MoveResult::default();
        (broken.sent, broken.error) = (3, error());
        assert!(!is_whole(&broken));
        let mut on_lease = MoveResult::default();
        on_lease.not_given_back = error();
        assert!(!is_whole(&on_lease));
    }

    #[test]
    fn a_purge_is_confirmed_on_the_broker_and_with_the_file_it_was_asked_on() {
        let program = Program {
            name: "friends",
            package: "friends",
            version: "1.0.0",
            brokers: &[],
        };
        let line = unconfirmed("its dead letters", program, "orders", " --provider legacy");
        assert_eq!(
            line,
            "its dead letters would be deleted for good: run `friends dead-letters orders purge --yes --provider legacy`"
        );
    }
}
