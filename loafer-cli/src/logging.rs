//! Logs, on stderr.

use std::{
    error::Error,
    io::{self, IsTerminal as _, Write as _},
};

use clap::ValueEnum;
use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{LevelFilter, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{fields::Fields, text::Text};

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

/// What clients log at `TRACE` has requests and frames in it, and so bodies. They stay silent whatever `RUST_LOG` says: no body is logged.
const CLIENTS: [&str; 5] = ["aws", "h2", "hyper", "lapin", "reqwest"];

/// The filter if `RUST_LOG` says nothing. Clients are quiet until something is wrong. A machine outside of AWS is not wrong: if something
/// is missing there, our own errors say so. If RabbitMQ refuses something, whoever asked for it reports that: its client logs an error even
/// for a question.
const DEFAULT: &str = "info,aws=warn,aws_config::imds=error,h2=warn,hyper=warn,lapin=off,reqwest=warn,rustls=warn,sentry=warn";

/// Installs the program's subscriber. If there is one already, that one stays.
pub(crate) fn init(format: LogFormat) {
    let (filter, fault) = filter(std::env::var("RUST_LOG").ok());
    let debugging = filter
        .max_level_hint()
        .is_none_or(|level| level > LevelFilter::INFO);
    // What can't be written is lost: if stderr is closed, a report of that would panic.
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .log_internal_errors(false);
    let lines = match format {
        LogFormat::Text => {
            let ansi = colours(io::stderr().is_terminal());
            lines
                .with_ansi(ansi)
                .fmt_fields(Fields)
                .event_format(Text { target: debugging })
                .boxed()
        }
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
    };
    _ = tracing_subscriber::registry()
        .with(filter)
        .with(filter_fn(|of| !has_bodies(of.level(), of.target())))
        .with(lines)
        .try_init();
    if let Some(reason) = fault {
        tracing::warn!(reason, "`RUST_LOG` is not a filter: using `info`");
    }
}

/// Returns the filter, and what is wrong with the one that was asked for.
fn filter(asked: Option<String>) -> (EnvFilter, Option<String>) {
    match asked
        .filter(|asked| !asked.trim().is_empty())
        .map(EnvFilter::try_new)
    {
        None => (EnvFilter::new(DEFAULT), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(DEFAULT), Some(error.to_string())),
    }
}

/// Returns whether what is logged there may have bodies in it.
fn has_bodies(level: &Level, target: &str) -> bool {
    *level == Level::TRACE && CLIENTS.iter().any(|client| target.starts_with(client))
}

/// Whether to use colours: on a terminal, unless `NO_COLOR` is set.
pub(crate) fn colours(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// Prints why the program ends, as its last line. It is never filtered.
pub(crate) fn fatal(text: &str) {
    _ = writeln!(io::stderr(), "error: {text}");
}

/// Prints what the user must know beside the answer, as `note: …`. It is never filtered.
pub(crate) fn note(kind: &str, text: &str) {
    _ = writeln!(io::stderr(), "{kind}: {text}");
}

/// Returns the error and its causes, each of them once.
pub(crate) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !reason.contains(&text) {
            reason.push_str(": ");
            reason.push_str(&text);
        }
        cause = error.source();
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unset_or_empty_filter_is_the_default() {
        for asked in [None, Some(String::new()), Some(" ".to_owned())] {
            let (filter, fault) = filter(asked);
            assert_eq!(filter.max_level_hint(), Some(LevelFilter::INFO));
            assert_eq!(fault, None);
        }
    }

    #[test]
    fn a_wrong_filter_is_reported_and_replaced() {
        let (filter, fault) = filter(Some("my_service=loud".to_owned()));
        assert_eq!(filter.max_level_hint(), Some(LevelFilter::INFO));
        assert!(fault.is_some());
    }

    #[test]
    fn clients_log_no_frames_and_the_rest_as_asked() {
        assert!(has_bodies(&Level::TRACE, "lapin::channels"));
        assert!(has_bodies(&Level::TRACE, "aws_smithy_runtime::client"));
        assert!(!has_bodies(&Level::DEBUG, "lapin::channels"));
        assert!(!has_bodies(&Level::TRACE, "my_service"));
    }

    #[test]
    fn only_terminals_are_coloured() {
        assert!(!colours(false));
    }
}
