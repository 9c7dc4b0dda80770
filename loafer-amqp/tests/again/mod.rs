//! All tests of a binary once more, against RabbitMQ 4: it is run again, with that server in the place of the other.

#![allow(
    unreachable_pub,
    reason = "a module that several test binaries share is public in each"
)]

use std::{
    env,
    process::{Command, Stdio},
};

/// What the test is called that runs the others again.
const NAME: &str = "all_of_it_holds_on_rabbitmq_4";

/// Adds that test.
macro_rules! on_rabbitmq_4 {
    () => {
        #[test]
        fn all_of_it_holds_on_rabbitmq_4() {
            again::run();
        }
    };
}
pub(crate) use on_rabbitmq_4;

/// Runs this binary again, all but the test that called.
///
/// # Panics
///
/// Where one of its tests fails, with all that they said.
pub fn run() {
    let server = "LOAFER_TEST_RABBITMQ";
    let mut again = Command::new(env::current_exe().unwrap());
    for of in ["", "_MANAGEMENT", "_COMMAND"] {
        let other = format!("{server}_4{of}");
        let Ok(value) = env::var(&other) else {
            eprintln!("skipped: {NAME}: set {other}, or run cargo xtask test");
            return;
        };
        again.env(format!("{server}{of}"), value);
    }
    again.args(["--skip", NAME, "--show-output"]);
    let ran = again.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success(),
        "on RabbitMQ 4:\n{said}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert!(!said.contains(" 0 passed"), "nothing was run:\n{said}");
    // What was skipped there is counted here.
    said.lines()
        .filter(|line| line.starts_with("skipped: "))
        .for_each(|line| eprintln!("{line}"));
}
