//! Servers of a test's own, in each version; and what services log.

#![allow(
    dead_code,
    unreachable_pub,
    unused_macros,
    unused_imports,
    reason = "each test binary uses a part of it"
)]

use std::{
    io,
    sync::{LazyLock, Mutex},
};

use loafer_test_servers::{Broker, RabbitMq, Setup, Version};

/// Makes a test a version of functions that take one.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        $crate::private::on_both!(@rabbitmq_3, Debian, $($test),*);
        $crate::private::on_both!(@rabbitmq_4, V4, $($test),*);
    };
    // Also on the version that counts deliveries in its own way.
    (all: $($test:ident),* $(,)?) => {
        $crate::private::on_both!($($test),*);
        $crate::private::on_both!(@rabbitmq_4_3, V43, $($test),*);
    };
    (@$name:ident, $version:ident, $($test:ident),*) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(loafer_test_servers::Version::$version).await;
                }
            )*
        }
    };
}
pub(crate) use on_both;

/// A server of this test's own; none, and a word about it, where none is installed.
pub async fn broker(version: Version, test: &str, setup: &Setup) -> Option<Broker> {
    let installed = RabbitMq::installed(version, test)?;
    let parent = env!("CARGO_TARGET_TMPDIR");
    Some(installed.start_with(parent, setup).await)
}

/// What the services of this process logged.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Writes to [`LOG`].
struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Notes from now on what services log.
pub fn note_log() {
    static NOTED: LazyLock<()> = LazyLock::new(|| {
        tracing_subscriber::fmt()
            .with_ansi(false)
            // As `loafer::main!` has it.
            .with_env_filter("info,lapin=off")
            .with_writer(|| Log)
            .init();
    });
    LazyLock::force(&NOTED);
}

/// What was logged with this in its line, since [`note_log`]: of a queue, a route.
pub fn logged(about: &str) -> Vec<String> {
    let log = LOG.lock().unwrap().clone();
    let log = String::from_utf8_lossy(&log);
    let lines = log.lines().filter(|line| line.contains(about));
    lines.map(str::to_owned).collect()
}
