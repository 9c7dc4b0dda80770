//! Panics, in the log.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::{self, PanicHookInfo},
};

/// Logs every panic with its location, instead of the standard library's text on stderr.
///
/// If a handler panics, one message is not acked, and the framework says which. This says where the panic was.
pub(crate) fn log() {
    panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        tracing::error!(at, "panicked: {}", text(panic));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            tracing::error!("backtrace of the panic:\n{backtrace}");
        }
    }));
}

fn text<'p>(panic: &'p PanicHookInfo<'_>) -> &'p str {
    panic.payload_as_str().unwrap_or("a value that is not text")
}
