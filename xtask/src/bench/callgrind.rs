//! The instruction counts, by valgrind's callgrind: the same on a busy machine as on an idle one.

use anyhow::{Context, Result, bail};

use crate::{leash, workspace};

/// Two lengths of the same run: start and end of the process cancel out in the difference.
const SHORT: u32 = 20_000;
const LONG: u32 = 120_000;

/// Instructions a message of one loop of the `memory` bench: of each length, the run of so many that took the fewest.
pub(crate) fn per_message(name: &str, batch: u32, runs: u32) -> Result<f64> {
    let short = fewest(name, batch, SHORT, runs)?;
    let long = fewest(name, batch, LONG, runs)?;
    Ok((long - short) / f64::from(LONG - SHORT))
}

fn fewest(name: &str, batch: u32, count: u32, runs: u32) -> Result<f64> {
    let mut fewest = f64::INFINITY;
    for _ in 0..runs {
        fewest = fewest.min(instructions(name, batch, count)?);
    }
    Ok(fewest)
}

fn instructions(name: &str, batch: u32, count: u32) -> Result<f64> {
    let mut valgrind = leash::command("valgrind");
    valgrind
        .current_dir(workspace::root())
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(workspace::release("memory"))
        .args(["callgrind", name, &batch.to_string(), &count.to_string()]);
    let what = format!("valgrind … memory callgrind {name} {batch} {count}");
    let mut output = Vec::new();
    let status = leash::lines(valgrind, None, |line| output.push(line.to_owned()))?;
    let output = output.join("\n");
    if !status.success() {
        bail!("`{what}` ended with {status}:\n{output}");
    }
    collected(&output).with_context(|| format!("`{what}` told no instruction count:\n{output}"))
}

/// The number in `==PID== Collected : 123456`.
fn collected(output: &str) -> Option<f64> {
    let line = output
        .lines()
        .rev()
        .find(|line| line.starts_with("==") && line.contains("Collected"))?;
    let (_, count) = line.split_once(':')?;
    count.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_among_the_rest() {
        let output = "==17== Callgrind, a call-graph generating cache profiler\n\
                      ==17== \n==17== Events    : Ir\n==17== Collected : 245678901\n==17== \n\
                      ==17== I   refs:      245,678,901";
        assert_eq!(collected(output), Some(245_678_901.0));
        assert_eq!(collected("Collected : 3"), None);
    }
}
