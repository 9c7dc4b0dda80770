//! What was measured: tables for people, and the RESULT lines.

use super::{
    deep::{Case, Run},
    drain::Drain,
    idle::Idle,
    in_flight::{InFlight, MESSAGES},
};
use crate::spread::Spread;

/// The contestant that the others are compared with.
pub const RAW: &str = "raw";

/// What a run is judged by, and how many decimals the table shows.
const COLUMNS: [Column; 8] = [
    Column("msgs/s", "msgs_per_s", 0, |run| run.rate),
    Column("CPU s/1000", "cpu_s_per_1000", 4, |run| run.cpu),
    Column("calls/1000", "calls_per_1000", 1, |run| run.calls[0]),
    Column("receives", "receives_per_1000", 1, |run| run.calls[1]),
    Column("deletes", "deletes_per_1000", 1, |run| run.calls[2]),
    Column("renewals", "renewals_per_1000", 1, |run| run.calls[3]),
    Column("others", "others_per_1000", 1, |run| run.calls[4]),
    Column("peak MiB", "peak_mib", 1, |run| run.peak),
];

/// Heading, key, decimals, value.
struct Column(&'static str, &'static str, usize, fn(&Run) -> f64);

/// Shows every contestant's runs of one case.
pub fn deep(case: Case, all: &[(&str, Vec<Run>)]) {
    let handler = case.handler.as_millis();
    println!(
        "\n{} messages, handlers of {handler} ms, {} at once",
        case.messages, case.concurrency
    );
    print!("{:<12}", "");
    COLUMNS
        .iter()
        .for_each(|column| print!(" {:>10}", column.0));
    println!("   least to most msgs/s, CPU s/1000");
    for (name, runs) in all {
        print!("{name:<12}");
        for Column(_, _, decimals, value) in COLUMNS {
            print!(" {:>10.decimals$}", Spread::of_all(runs, value).median);
        }
        let (rate, cpu) = (
            Spread::of_all(runs, |run| run.rate),
            Spread::of_all(runs, |run| run.cpu),
        );
        println!(
            "   {:.0} to {:.0}, {:.4} to {:.4}",
            rate.least, rate.most, cpu.least, cpu.most
        );
    }
    let raw = all.iter().find(|(name, _)| *name == RAW);
    for (name, runs) in all {
        print!(
            "RESULT bench=sqs part=deep loop={name} handler_ms={handler} concurrency={}",
            case.concurrency
        );
        for Column(_, key, decimals, value) in COLUMNS {
            print!(" {key}={:.decimals$}", Spread::of_all(runs, value).median);
        }
        if let Some((_, raw)) = raw {
            let ratio = |value: fn(&Run) -> f64| {
                Spread::of_all(runs, value).median / Spread::of_all(raw, value).median
            };
            print!(
                " rate_ratio={:.3} cpu_ratio={:.3}",
                ratio(|run| run.rate),
                ratio(|run| run.cpu)
            );
        }
        println!();
    }
}

/// Shows how every contestant ended under load.
pub fn drain(all: &[(&str, Vec<Drain>)]) {
    println!("\nend under load       drain s   least   most   repeated   stranded");
    for (name, drains) in all {
        let seconds = Spread::of_all(drains, |drain| drain.seconds);
        let most = |number: fn(&Drain) -> usize| drains.iter().map(number).max().unwrap_or(0);
        println!(
            "{name:<18} {:>9.3} {:>7.3} {:>6.3} {:>10} {:>10}",
            seconds.median,
            seconds.least,
            seconds.most,
            most(|drain| drain.repeated),
            most(|drain| drain.stranded)
        );
    }
    for (name, drains) in all {
        let seconds = Spread::of_all(drains, |drain| drain.seconds).median;
        println!("RESULT bench=sqs part=drain loop={name} drain_s={seconds:.3}");
    }
}

/// Shows what every contestant does with an empty queue.
pub fn idle(all: &[(&str, Idle)]) {
    println!("\nempty queue     calls an hour   CPU s an hour   end s");
    for (name, idle) in all {
        println!(
            "{name:<14} {:>14} {:>15.2} {:>7.3}",
            idle.calls, idle.cpu, idle.stop
        );
    }
    for (name, idle) in all {
        println!(
            "RESULT bench=sqs part=idle loop={name} calls_per_hour={} stop_s={:.3}",
            idle.calls, idle.stop
        );
    }
}

/// Shows how much of a deep queue every contestant leases, at each concurrency.
pub fn in_flight(all: &[(&str, usize, InFlight)]) {
    println!("\n{MESSAGES} messages whose handlers do not return");
    println!("                concurrency  leased   peak MiB");
    for (name, concurrency, leased) in all {
        println!(
            "{name:<14} {concurrency:>12} {:>7} {:>10.1}",
            leased.messages, leased.peak
        );
    }
    for (name, concurrency, leased) in all {
        println!(
            "RESULT bench=sqs part=in-flight loop={name} concurrency={concurrency} leased={} peak_mib={:.1}",
            leased.messages, leased.peak
        );
    }
}
