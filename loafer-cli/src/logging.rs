//! Logs, on stderr.

use std::io::{self, IsTerminal as _, Write as _};

use tracing_subscriber::{
    EnvFilter, Layer as _, filter::LevelFilter, fmt, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{args::LogFormat, fields::Fields, text::Text};

/// The client of RabbitMQ logs messages that came back to it, payload and all: that no body is logged holds whatever `RUST_LOG` says.
const NEVER: &str = "lapin::returned_messages=off";

/// Where `RUST_LOG` says nothing: clients are quiet until something is wrong. That this is no machine of AWS is not: what is missing then, we say. And
/// what RabbitMQ refuses is told by whoever asked for it: its client calls an error what was only a question.
const DEFAULT: &str = "info,aws=warn,aws_config::imds=error,h2=warn,hyper=warn,lapin=off,reqwest=warn,rustls=warn,sentry=warn";

/// Installs the program's subscriber. Where there is one already, it stays.
pub(crate) fn init(format: LogFormat) {
    let (filter, fault) = filter(std::env::var("RUST_LOG").ok());
    let debugging = filter
        .max_level_hint()
        .is_none_or(|level| level > LevelFilter::INFO);
    // What can't be written is lost: with a closed stderr the reports of it would panic.
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
    let filter = match NEVER.parse() {
        Ok(never) => filter.add_directive(never),
        Err(_) => filter,
    };
    _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    if let Some(reason) = fault {
        tracing::warn!(reason, "`RUST_LOG` is no filter: `info` it is");
    }
}

/// The filter, and what is wrong with the one that was asked for.
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

/// Whether to colour what goes to a terminal, or does not.
pub(crate) fn colours(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// The last thing a program says: why it ends. Never filtered away.
pub(crate) fn fatal(text: &str) {
    _ = writeln!(io::stderr(), "error: {text}");
}

/// What whoever asked must know beside the answer, as `note: …`. Never filtered away.
pub(crate) fn note(kind: &str, text: &str) {
    _ = writeln!(io::stderr(), "{kind}: {text}");
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
    fn a_wrong_filter_is_told_and_replaced() {
        let (filter, fault) = filter(Some("my_service=loud".to_owned()));
        assert_eq!(filter.max_level_hint(), Some(LevelFilter::INFO));
        assert!(fault.is_some());
    }

    #[test]
    fn only_terminals_are_coloured() {
        assert!(!colours(false));
    }
}
