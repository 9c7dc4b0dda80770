//! The runtimes that the loops run on.

use tokio::runtime::{Builder, Runtime};

/// Returns a runtime of one thread: counts are the same in every run.
pub fn one_thread() -> Runtime {
    built(Builder::new_current_thread().enable_time())
}

/// Returns a runtime of two worker threads.
pub fn many_threads() -> Runtime {
    built(Builder::new_multi_thread().worker_threads(2).enable_time())
}

fn built(builder: &mut Builder) -> Runtime {
    builder.build().unwrap_or_else(|error| {
        eprintln!("no runtime: {error}");
        std::process::exit(1)
    })
}
