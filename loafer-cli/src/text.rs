//! Log lines for people.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

/// Writes one line for each event: time, level, text, fields, then the fields of its spans.
pub(crate) struct Text {
    /// Whether lines say which module they come from. This helps with debugging.
    pub(crate) target: bool,
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        SystemTime.format_time(&mut writer)?;
        write_level(&mut writer, *event.metadata().level())?;
        if self.target {
            write!(writer, "{}: ", event.metadata().target())?;
        }
        context.format_fields(writer.by_ref(), event)?;
        // The framework's own lines about a message name the message themselves.
        let named = event.metadata().fields().field("message_id").is_some();
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if named && span.fields().field("message_id").is_some() {
                continue;
            }
            match span.extensions().get::<FormattedFields<N>>() {
                Some(fields) if !fields.is_empty() => write!(writer, " {fields}")?,
                _ => {}
            }
        }
        writeln!(writer)
    }
}

fn write_level(writer: &mut Writer<'_>, level: Level) -> fmt::Result {
    if !writer.has_ansi_escapes() {
        return write!(writer, " {level:>5} ");
    }
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    };
    write!(writer, " \x1b[{colour}m{level:>5}\x1b[0m ")
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("lock").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Lines {
        type Writer = Self;

        fn make_writer(&'w self) -> Self {
            self.clone()
        }
    }

    fn logged(target: bool, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(lines.clone())
            .fmt_fields(crate::fields::Fields)
            .event_format(Text { target })
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = lines.0.lock().expect("lock").clone();
        let text = String::from_utf8(bytes).expect("utf-8");
        text.split_once(' ')
            .map(|(_, rest)| rest.to_owned())
            .unwrap_or_default()
    }

    #[test]
    fn a_line_has_its_fields_and_those_of_its_spans() {
        let line = logged(false, || {
            let span = tracing::info_span!("message", route = "r", message_id = 7);
            span.in_scope(|| tracing::info!(amount = 3, body = None::<String>, "paid"));
        });
        assert_eq!(line, " INFO paid amount=3 route=\"r\" message_id=7\n");
    }

    #[derive(Debug)]
    struct NotWritten(io::Error);

    impl fmt::Display for NotWritten {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("not \x1b[1mwritten")
        }
    }

    impl std::error::Error for NotWritten {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn an_error_is_shown_with_its_causes_and_steers_no_terminal() {
        let line = logged(false, || {
            let error = NotWritten(io::Error::other("the disk is full"));
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::error!(error, "failed");
        });
        assert_eq!(
            line,
            "ERROR failed error=not \\u{1b}[1mwritten: the disk is full\n"
        );
    }

    #[test]
    fn a_message_is_named_once() {
        let line = logged(true, || {
            let span = tracing::info_span!("message", route = "r", message_id = 7);
            span.in_scope(|| tracing::warn!(target: "there", message_id = 7, "not acked"));
        });
        assert_eq!(line, " WARN there: not acked message_id=7\n");
    }
}
