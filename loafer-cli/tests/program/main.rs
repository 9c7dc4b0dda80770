//! A whole program, from the outside. This test binary is its own service: it starts itself again, so that what is tested is never an older build.

#[cfg(unix)]
mod cases;
#[cfg(unix)]
mod child;
mod service;

use std::process::ExitCode;

/// Set for the service.
const SERVICE: &str = "ECHO_SERVICE";

fn main() -> ExitCode {
    if std::env::var_os(SERVICE).is_some() {
        service::run()
    } else {
        test()
    }
}

#[cfg(unix)]
fn test() -> ExitCode {
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
        .unwrap_or_default();
    let chosen = cases::ALL.iter().filter(|(name, _)| name.contains(&filter));
    let running: Vec<_> = chosen
        .map(|(name, case)| (name, std::thread::spawn(case)))
        .collect();
    let left_out = (cases::ALL.len() - running.len()) as u32;
    let mut failed = 0;
    for (name, case) in running {
        let passed = case.join().is_ok();
        failed += u32::from(!passed);
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let passed = cases::ALL.len() as u32 - failed - left_out;
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {left_out} filtered out"
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(not(unix))]
fn test() -> ExitCode {
    println!("skipped: signals are sent as Unix sends them");
    ExitCode::SUCCESS
}
